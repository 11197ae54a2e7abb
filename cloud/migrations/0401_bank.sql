-- The bank of compute hours (算力银行): hours of a class of chips bought at the day's rate, each lot with the money behind it.
--
-- A lot is two accounts of the company in the ledger: its hours (kind 'hours', in unit-milliseconds: of a core for "cpu", of a
-- card for every other chip) and the money they were bought for (kind 'bank', micro-yuan), which goes to whoever is paid in hours.

ALTER TABLE ledger_account DROP CONSTRAINT ledger_account_kind_check;
ALTER TABLE ledger_account ADD CONSTRAINT ledger_account_kind_check CHECK (kind IN (
    'cash', 'voucher', 'payable', 'bond', 'pool', 'fee', 'clearing', 'outside', 'bank', 'hours'));

-- What the operator publishes: the newest one of a chip holds. Nothing of it is ever changed, so that every lot can be reckoned anew.
CREATE TABLE bank_rate (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chip         text NOT NULL CHECK (chip ~ '^[a-z0-9][a-z0-9-]{0,31}$'),
    rate         bigint NOT NULL CHECK (rate > 0),  -- micro-yuan an hour of a core or a card
    days         int NOT NULL CHECK (days BETWEEN 1 AND 1095),  -- how long hours bought now can be spent
    fee_ppm      int NOT NULL CHECK (fee_ppm BETWEEN 0 AND 500000),  -- of what is converted from this chip
    back_ppm     int NOT NULL CHECK (back_ppm BETWEEN 0 AND 1000000),  -- of what expires goes back as cash, the rest to the market
    operator_id  uuid NOT NULL REFERENCES tenant DEFAULT current_tenant(),
    published_by text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON bank_rate (chip, id DESC);
ALTER TABLE bank_rate ENABLE ROW LEVEL SECURITY;
ALTER TABLE bank_rate FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON bank_rate TO sunmao_app USING (current_tenant() IS NOT NULL)
    WITH CHECK (operator_id = current_tenant() AND (SELECT operates_market()));
GRANT SELECT, INSERT ON bank_rate TO sunmao_app;
DO $$ BEGIN PERFORM limit_to_reach('bank_rate'); END $$;

CREATE TABLE bank_lot (
    id          uuid PRIMARY KEY,
    tenant_id   uuid NOT NULL REFERENCES tenant DEFAULT current_tenant(),
    chip        text NOT NULL,
    hours       bigint NOT NULL CHECK (hours > 0),  -- unit-milliseconds, as bought or converted
    money       bigint NOT NULL CHECK (money > 0),
    back_ppm    int NOT NULL,
    operator_id uuid NOT NULL REFERENCES tenant,
    made_from   uuid REFERENCES bank_lot,
    made_at     timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
);
CREATE INDEX ON bank_lot (tenant_id, expires_at);
DO $$ BEGIN
    PERFORM protect_tenant_table('bank_lot', 'SELECT, INSERT');
    PERFORM limit_to_reach('bank_lot', '(SELECT reaches_company())');
END $$;

-- Rows of a bill that are paid by hours name their lot and are not payable any more; buying, converting and expiring have no job.
ALTER TABLE charge ADD COLUMN lot_id uuid REFERENCES bank_lot;
ALTER TABLE charge ALTER COLUMN job_id DROP NOT NULL;
ALTER TABLE charge DROP CONSTRAINT charge_category_check;
ALTER TABLE charge ADD CONSTRAINT charge_category_check CHECK (category IN ('Usage', 'Credit', 'Adjustment', 'Purchase'));
ALTER TABLE charge ADD CONSTRAINT charge_has_a_job CHECK (job_id IS NOT NULL OR lot_id IS NOT NULL);

CREATE OR REPLACE FUNCTION ledger_faults() RETURNS TABLE (what text, id uuid, is_now bigint, should_be bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    WITH moved AS (
        SELECT account, sum(dp) AS dp, sum(dd) AS dd, sum(cp) AS cp, sum(cd) AS cd FROM (
            SELECT t.debit_id AS account, 0 AS cp, 0 AS cd,
                CASE t.kind WHEN 'hold' THEN t.amount WHEN 'single' THEN 0 ELSE -h.amount END AS dp,
                CASE WHEN t.kind IN ('single', 'post') THEN t.amount ELSE 0 END AS dd
            FROM ledger_transfer t LEFT JOIN ledger_transfer h ON h.id = t.hold_id
            UNION ALL
            SELECT t.credit_id,
                CASE t.kind WHEN 'hold' THEN t.amount WHEN 'single' THEN 0 ELSE -h.amount END,
                CASE WHEN t.kind IN ('single', 'post') THEN t.amount ELSE 0 END, 0, 0
            FROM ledger_transfer t LEFT JOIN ledger_transfer h ON h.id = t.hold_id) m
        GROUP BY account),
    told AS (
        SELECT a.id, a.debits_pending - coalesce(m.dp, 0) AS dp, a.debits_posted - coalesce(m.dd, 0) AS dd,
               a.credits_pending - coalesce(m.cp, 0) AS cp, a.credits_posted - coalesce(m.cd, 0) AS cd
        FROM ledger_account a LEFT JOIN moved m ON m.account = a.id)
    SELECT 'balance', t.id, (abs(t.dp) + abs(t.dd) + abs(t.cp) + abs(t.cd))::bigint, 0::bigint FROM told t
    WHERE (t.dp, t.dd, t.cp, t.cd) <> (0, 0, 0, 0)
    UNION ALL
    SELECT 'owes', a.id, (a.credits_posted - a.debits_posted - a.debits_pending), 0::bigint FROM ledger_account a
    WHERE NOT a.may_owe AND a.credits_posted < a.debits_posted + a.debits_pending
    UNION ALL
    SELECT 'unit', NULL, sum(a.debits_posted)::bigint, sum(a.credits_posted)::bigint FROM ledger_account a GROUP BY a.unit
    HAVING sum(a.debits_posted) <> sum(a.credits_posted) OR sum(a.debits_pending) <> sum(a.credits_pending)
    UNION ALL
    SELECT 'posting', c.id, coalesce(t.amount, 0), d.due FROM charge c
    CROSS JOIN LATERAL (SELECT abs(CASE WHEN c.lot_id IS NOT NULL AND c.category = 'Usage' THEN c.cost ELSE c.billed END) AS due) d
    LEFT JOIN ledger_transfer t ON t.id = c.id
    WHERE coalesce(t.amount, 0) <> d.due
    UNION ALL
    -- Hours without money behind them, or money without hours, of a lot that nothing is held of.
    SELECT 'lot', l.id, m.credits_posted - m.debits_posted, h.credits_posted - h.debits_posted FROM bank_lot l
    JOIN ledger_account m ON m.tenant_id = l.tenant_id AND m.kind = 'bank' AND m.unit = 'CNY' AND m.ref = l.id::text
    JOIN ledger_account h ON h.tenant_id = l.tenant_id AND h.kind = 'hours' AND h.unit = 'h:' || l.chip AND h.ref = l.id::text
    WHERE h.credits_posted = h.debits_posted AND m.credits_posted <> m.debits_posted;
END;

GRANT SELECT ON bank_lot TO sunmao_door;
CREATE POLICY door ON bank_lot FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION tenants_with_lots_over() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT l.tenant_id FROM bank_lot l
    JOIN ledger_account a ON a.tenant_id = l.tenant_id AND a.kind = 'hours' AND a.ref = l.id::text
    WHERE l.expires_at <= now() AND a.credits_posted - a.debits_posted - a.debits_pending > 0;
END;
DO $$ BEGIN PERFORM hand_to_door('tenants_with_lots_over()'); END $$;
