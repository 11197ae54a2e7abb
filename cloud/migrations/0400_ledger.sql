-- Money and hours: a double-entry ledger that only appends, and the programmes that pay a part of a bill.
--
-- The contract is TigerBeetle's, as published: a transfer is never changed and happens once by its id; a hold reserves, and is
-- posted for no more than it reserved - the rest is free again - or voided; a set happens wholly or not at all; an account
-- that may not owe never spends more than it has, pending included. Amounts are whole numbers: micro-yuan.

CREATE TABLE ledger_account (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id       uuid REFERENCES tenant,  -- NULL: the platform's own
    kind            text NOT NULL CHECK (kind IN ('cash', 'voucher', 'payable', 'bond', 'pool', 'fee', 'clearing', 'outside')),
    unit            text NOT NULL CHECK (unit <> ''),
    ref             text NOT NULL DEFAULT '',
    may_owe         boolean NOT NULL DEFAULT false,  -- stands for what is outside the platform
    debits_pending  bigint NOT NULL DEFAULT 0 CHECK (debits_pending >= 0),
    debits_posted   bigint NOT NULL DEFAULT 0 CHECK (debits_posted >= 0),
    credits_pending bigint NOT NULL DEFAULT 0 CHECK (credits_pending >= 0),
    credits_posted  bigint NOT NULL DEFAULT 0 CHECK (credits_posted >= 0),
    UNIQUE NULLS NOT DISTINCT (tenant_id, kind, unit, ref),
    CONSTRAINT never_below_zero CHECK (may_owe OR credits_posted >= debits_posted + debits_pending)
);

CREATE TABLE ledger_transfer (
    id            uuid PRIMARY KEY,
    seq           bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    kind          text NOT NULL CHECK (kind IN ('single', 'hold', 'post', 'void')),
    debit_id      uuid NOT NULL REFERENCES ledger_account,
    credit_id     uuid NOT NULL REFERENCES ledger_account,
    debit_tenant  uuid,
    credit_tenant uuid,
    amount        bigint NOT NULL CHECK (amount > 0),
    unit          text NOT NULL,
    hold_id       uuid REFERENCES ledger_transfer,
    reason        text NOT NULL CHECK (reason <> ''),
    ref           text NOT NULL DEFAULT '',  -- the record it is for: a charge, a job, a voucher
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (debit_id <> credit_id),
    CHECK ((kind IN ('post', 'void')) = (hold_id IS NOT NULL))
);
CREATE UNIQUE INDEX ledger_hold_ends_once ON ledger_transfer (hold_id) WHERE hold_id IS NOT NULL;
CREATE INDEX ON ledger_transfer (debit_tenant, seq DESC);
CREATE INDEX ON ledger_transfer (credit_tenant, seq DESC);

DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['ledger_account', 'ledger_transfer'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target);
        EXECUTE format('GRANT SELECT ON %I TO sunmao_app', target);
        EXECUTE format('CREATE POLICY door ON %I TO sunmao_door USING (true) WITH CHECK (true)', target);
    END LOOP;
END $$;
CREATE POLICY tenant_only ON ledger_account TO sunmao_app USING (tenant_id = current_tenant())
    WITH CHECK (tenant_id = current_tenant());
CREATE POLICY tenant_only ON ledger_transfer TO sunmao_app USING (current_tenant() IN (debit_tenant, credit_tenant))
    WITH CHECK (current_tenant() IN (debit_tenant, credit_tenant));
DO $$ BEGIN
    PERFORM limit_to_reach('ledger_account', '(SELECT reaches_company())');
    PERFORM limit_to_reach('ledger_transfer', '(SELECT reaches_company())');
END $$;
GRANT SELECT, INSERT, UPDATE ON ledger_account TO sunmao_door;
GRANT SELECT, INSERT ON ledger_transfer TO sunmao_door;

-- The account, opened if there is none.
CREATE FUNCTION open_account(of_tenant uuid, of_kind text, of_unit text, of_ref text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    found uuid;
BEGIN
    LOOP
        IF of_tenant IS NULL THEN  -- apart, for an index finds either and not IS NOT DISTINCT FROM
            SELECT a.id INTO found FROM ledger_account a
            WHERE a.tenant_id IS NULL AND a.kind = of_kind AND a.unit = of_unit AND a.ref = of_ref;
        ELSE
            SELECT a.id INTO found FROM ledger_account a
            WHERE a.tenant_id = of_tenant AND a.kind = of_kind AND a.unit = of_unit AND a.ref = of_ref;
        END IF;
        IF found IS NOT NULL THEN
            RETURN found;
        END IF;
        INSERT INTO ledger_account (tenant_id, kind, unit, ref, may_owe)
        VALUES (of_tenant, of_kind, of_unit, of_ref, of_kind = 'outside') ON CONFLICT DO NOTHING;
    END LOOP;
END
$$;

-- Makes a set of transfers, all or none: [{id, kind, debit, credit, amount, hold, reason, ref}], in their order. One that was
-- made before, the same in everything, is passed over. Errors: SM001 below zero, SM002 the id is another transfer's,
-- SM003 the hold is over or holds less, SM004 the units differ.
CREATE FUNCTION transfer_all(wanted json) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    each record;
    held ledger_transfer;
    before ledger_transfer;
    debit ledger_account;
    credit ledger_account;
    made int := 0;
    accounts uuid[] := '{}';
BEGIN
    -- In one order, so that sets of several accounts never wait for each other in a circle.
    FOR each IN SELECT * FROM json_to_recordset(wanted) AS w (debit uuid, credit uuid, hold uuid) LOOP
        IF each.hold IS NULL THEN
            accounts := accounts || ARRAY[each.debit, each.credit];
        ELSE
            accounts := accounts || ARRAY(SELECT unnest(ARRAY[t.debit_id, t.credit_id]) FROM ledger_transfer t WHERE t.id = each.hold);
        END IF;
    END LOOP;
    PERFORM FROM ledger_account a WHERE a.id = ANY (accounts) ORDER BY a.id FOR NO KEY UPDATE;
    FOR each IN
        SELECT * FROM json_to_recordset(wanted)
            AS w (id uuid, kind text, debit uuid, credit uuid, amount bigint, hold uuid, reason text, ref text)
    LOOP
        held := NULL;
        IF each.hold IS NOT NULL THEN
            SELECT * INTO held FROM ledger_transfer t WHERE t.id = each.hold;
            IF held.id IS NULL OR held.kind <> 'hold' THEN
                RAISE EXCEPTION 'no hold %', each.hold USING ERRCODE = 'SM003';
            END IF;
            each.debit := held.debit_id;
            each.credit := held.credit_id;
            each.amount := CASE WHEN each.kind = 'void' THEN held.amount ELSE each.amount END;
        END IF;
        SELECT * INTO before FROM ledger_transfer t WHERE t.id = each.id;
        IF before.id IS NOT NULL THEN
            IF (before.kind, before.debit_id, before.credit_id, before.amount, before.ref) = (each.kind, each.debit, each.credit,
                each.amount, coalesce(each.ref, '')) AND before.hold_id IS NOT DISTINCT FROM each.hold THEN
                CONTINUE;
            END IF;
            RAISE EXCEPTION 'transfer % is another one', each.id USING ERRCODE = 'SM002';
        END IF;
        IF each.hold IS NOT NULL AND (each.amount > held.amount
                                      OR EXISTS (SELECT FROM ledger_transfer t WHERE t.hold_id = each.hold)) THEN
            RAISE EXCEPTION 'hold % is over, or holds less', each.hold USING ERRCODE = 'SM003';
        END IF;
        SELECT * INTO STRICT debit FROM ledger_account a WHERE a.id = each.debit;
        SELECT * INTO STRICT credit FROM ledger_account a WHERE a.id = each.credit;
        IF debit.unit <> credit.unit THEN
            RAISE EXCEPTION '% is not %', debit.unit, credit.unit USING ERRCODE = 'SM004';
        END IF;
        IF each.kind IN ('hold', 'single') AND NOT debit.may_owe
           AND debit.credits_posted - debit.debits_posted - debit.debits_pending < each.amount THEN
            RAISE EXCEPTION 'account % would fall below zero', each.debit USING ERRCODE = 'SM001';
        END IF;
        INSERT INTO ledger_transfer (id, kind, debit_id, credit_id, debit_tenant, credit_tenant, amount, unit, hold_id, reason, ref)
        VALUES (each.id, each.kind, each.debit, each.credit, debit.tenant_id, credit.tenant_id, each.amount, debit.unit,
                each.hold, each.reason, coalesce(each.ref, ''));
        UPDATE ledger_account a SET
            debits_pending = a.debits_pending + CASE each.kind WHEN 'hold' THEN each.amount WHEN 'single' THEN 0
                                                               ELSE -held.amount END,
            debits_posted = a.debits_posted + CASE WHEN each.kind IN ('single', 'post') THEN each.amount ELSE 0 END
        WHERE a.id = each.debit;
        UPDATE ledger_account a SET
            credits_pending = a.credits_pending + CASE each.kind WHEN 'hold' THEN each.amount WHEN 'single' THEN 0
                                                                 ELSE -held.amount END,
            credits_posted = a.credits_posted + CASE WHEN each.kind IN ('single', 'post') THEN each.amount ELSE 0 END
        WHERE a.id = each.credit;
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
DO $$ BEGIN
    PERFORM hand_to_door('open_account(uuid, text, text, text)');
    PERFORM hand_to_door('transfer_all(json)');
END $$;

-- The company that runs the market: books money that came in, opens programmes, decides applications. Named by the
-- operator's command line.
CREATE TABLE market_operator (
    tenant_id uuid PRIMARY KEY REFERENCES tenant,
    fee_ppm   int NOT NULL DEFAULT 0 CHECK (fee_ppm BETWEEN 0 AND 500000),  -- of what a provider earns
    since     timestamptz NOT NULL DEFAULT now()
);
DO $$ BEGIN PERFORM protect_tenant_table('market_operator', 'SELECT'); END $$;
GRANT SELECT ON market_operator TO sunmao_door;
CREATE POLICY door ON market_operator FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION operates_market() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM market_operator o WHERE o.tenant_id = current_tenant());
END;
CREATE FUNCTION market_fee_ppm() RETURNS int
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT coalesce(max(o.fee_ppm), 0) FROM market_operator o;
END;
DO $$ BEGIN
    PERFORM hand_to_door('operates_market()');
    PERFORM hand_to_door('market_fee_ppm()');
END $$;

-- What the operator sees of companies it deals with: name and credit code, for booking money by the code on a bank slip.
GRANT SELECT (id, name, credit_code) ON tenant TO sunmao_door;
CREATE FUNCTION company_by_code(code text) RETURNS TABLE (id uuid, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT t.id, t.name FROM tenant t WHERE t.credit_code = code AND operates_market();
END;
DO $$ BEGIN PERFORM hand_to_door('company_by_code(text)'); END $$;

CREATE TABLE voucher_pool (
    programme  text PRIMARY KEY,
    opened_by  text NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT now(),
    closes_at  timestamptz NOT NULL,
    paid_in    bigint NOT NULL CHECK (paid_in > 0)
);
ALTER TABLE voucher_pool ENABLE ROW LEVEL SECURITY;
ALTER TABLE voucher_pool FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON voucher_pool TO sunmao_app USING (current_tenant() IS NOT NULL)
    WITH CHECK (current_tenant() IS NOT NULL AND (SELECT operates_market()));
GRANT SELECT, INSERT, UPDATE ON voucher_pool TO sunmao_app;
DO $$ BEGIN PERFORM limit_to_reach('voucher_pool'); END $$;

CREATE TABLE voucher (
    id           uuid PRIMARY KEY,
    tenant_id    uuid NOT NULL REFERENCES tenant,
    company      text NOT NULL,
    credit_code  text NOT NULL,
    programme    text NOT NULL,
    applicant    text NOT NULL CHECK (applicant IN ('enterprise', 'startup', 'institute', 'one_person')),
    fee          bigint NOT NULL CHECK (fee > 0),  -- what is to be spent, micro-yuan
    purpose      text NOT NULL CHECK (purpose <> ''),
    affiliates   text[] NOT NULL DEFAULT '{}',
    contact      text NOT NULL CHECK (contact <> ''),
    state        text NOT NULL DEFAULT 'applied' CHECK (state IN ('applied', 'issued', 'rejected', 'withdrawn', 'expired')),
    applied_by   text NOT NULL,
    applied_at   timestamptz NOT NULL DEFAULT now(),
    decided_by   text,
    decided_at   timestamptz,
    reason       text NOT NULL DEFAULT '',
    amount       bigint CHECK (amount > 0),
    valid_until  timestamptz
);
CREATE INDEX ON voucher (tenant_id, id DESC);
CREATE INDEX ON voucher (state, id);
ALTER TABLE voucher ENABLE ROW LEVEL SECURITY;
ALTER TABLE voucher FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON voucher TO sunmao_app USING (tenant_id = current_tenant() OR (SELECT operates_market()))
    WITH CHECK (tenant_id = current_tenant() OR (SELECT operates_market()));
GRANT SELECT, INSERT, UPDATE (state, decided_by, decided_at, reason, amount, valid_until) ON voucher TO sunmao_app;
DO $$ BEGIN PERFORM limit_to_reach('voucher', '(SELECT reaches_company())'); END $$;

-- A row of a bill: what was used, what it costs by list and by contract, what is payable. The row is FOCUS 1.2's, in our
-- own units; each priced row is posted by one transfer of its own id.
CREATE TABLE charge (
    id              uuid PRIMARY KEY,
    customer_id     uuid NOT NULL REFERENCES tenant,
    provider_id     uuid NOT NULL REFERENCES tenant,
    category        text NOT NULL CHECK (category IN ('Usage', 'Credit', 'Adjustment')),
    correction      boolean NOT NULL DEFAULT false,
    corrects        uuid REFERENCES charge,
    job_id          uuid NOT NULL,
    attempt         int NOT NULL,
    description     text NOT NULL,
    start_at        timestamptz NOT NULL,
    end_at          timestamptz NOT NULL,
    quantity_ms     bigint NOT NULL,  -- computing time, negative in a correction
    list_price      bigint NOT NULL,  -- micro-yuan an hour
    price           bigint NOT NULL,  -- the contracted one
    list_cost       bigint NOT NULL,
    cost            bigint NOT NULL,  -- contracted
    billed          bigint NOT NULL,  -- payable
    voucher_id      uuid REFERENCES voucher,
    facts           jsonb NOT NULL,  -- names, chips, energy, carbon: what x_ columns are made of
    made_at         timestamptz NOT NULL DEFAULT now(),
    CHECK (start_at < end_at)
);
CREATE INDEX ON charge (customer_id, start_at);
CREATE INDEX ON charge (provider_id, start_at);
CREATE INDEX ON charge (job_id);
CREATE INDEX ON charge (voucher_id) WHERE voucher_id IS NOT NULL;
ALTER TABLE charge ENABLE ROW LEVEL SECURITY;
ALTER TABLE charge FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON charge TO sunmao_app
    USING (current_tenant() IN (customer_id, provider_id) OR (SELECT operates_market()))
    WITH CHECK (current_tenant() IN (customer_id, provider_id) OR (SELECT operates_market()));
GRANT SELECT, INSERT ON charge TO sunmao_app;
DO $$ BEGIN PERFORM limit_to_reach('charge', '(SELECT reaches_company())'); END $$;

-- What is amiss in the ledger: empty where every unit's debits are its credits, every balance follows from the transfers,
-- nobody who may not owe does, and every priced row has been posted exactly once, for what it costs.
GRANT SELECT ON charge, voucher TO sunmao_door;
CREATE POLICY door ON charge FOR SELECT TO sunmao_door USING (true);
CREATE POLICY door ON voucher FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION ledger_faults() RETURNS TABLE (what text, id uuid, is_now bigint, should_be bigint)
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
    SELECT 'posting', c.id, coalesce(t.amount, 0), abs(c.billed) FROM charge c
    LEFT JOIN ledger_transfer t ON t.id = c.id
    WHERE coalesce(t.amount, 0) <> abs(c.billed);
END;
DO $$ BEGIN PERFORM hand_to_door('ledger_faults()'); END $$;
REVOKE EXECUTE ON FUNCTION ledger_faults() FROM sunmao_app;

CREATE FUNCTION free_of_platform(of_kind text, of_unit text, of_ref text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT a.credits_posted - a.debits_posted - a.debits_pending FROM ledger_account a
    WHERE a.tenant_id IS NULL AND a.kind = of_kind AND a.unit = of_unit AND a.ref = of_ref AND operates_market();
END;
CREATE FUNCTION tenants_with_vouchers_over() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT v.tenant_id FROM voucher v
    JOIN ledger_account a ON a.tenant_id = v.tenant_id AND a.kind = 'voucher' AND a.ref = v.id::text
    WHERE v.valid_until <= now()
      AND (v.state = 'issued' OR a.credits_posted - a.debits_posted - a.debits_pending > 0);
END;
DO $$ BEGIN
    PERFORM hand_to_door('free_of_platform(text, text, text)');
    PERFORM hand_to_door('tenants_with_vouchers_over()');
END $$;

-- For the operator's command line, which logs in as the owner: names the company that runs the market, and its share.
GRANT INSERT, UPDATE, DELETE ON market_operator TO sunmao_door;
DROP POLICY door ON market_operator;
CREATE POLICY door ON market_operator TO sunmao_door USING (true) WITH CHECK (true);
CREATE FUNCTION appoint_market_operator(tenant uuid, ppm int) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    DELETE FROM market_operator o WHERE o.tenant_id <> tenant;
    INSERT INTO market_operator (tenant_id, fee_ppm) VALUES (tenant, ppm)
    ON CONFLICT (tenant_id) DO UPDATE SET fee_ppm = excluded.fee_ppm;
END;
DO $$ BEGIN PERFORM hand_to_door('appoint_market_operator(uuid, int)'); END $$;
REVOKE EXECUTE ON FUNCTION appoint_market_operator(uuid, int) FROM sunmao_app;

-- What a company lets itself spend on computing in a month; no row, no limit.
CREATE TABLE computing_budget (
    tenant_id uuid PRIMARY KEY REFERENCES tenant,
    monthly   bigint NOT NULL CHECK (monthly > 0),  -- micro-yuan, before vouchers
    warned    text NOT NULL DEFAULT ''  -- the month people have been told that most of it is spent
);
DO $$ BEGIN
    PERFORM protect_tenant_table('computing_budget', 'SELECT, INSERT, UPDATE, DELETE');
    PERFORM limit_to_reach('computing_budget', '(SELECT reaches_company())');
END $$;
