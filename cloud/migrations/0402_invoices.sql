-- Invoices: what a supplier has charged a customer in a month, numbered without a gap by supplier and year.

CREATE TABLE invoice_counter (
    supplier_id uuid NOT NULL REFERENCES tenant,
    year        int NOT NULL,
    last        int NOT NULL,
    PRIMARY KEY (supplier_id, year)
);
ALTER TABLE invoice_counter ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoice_counter FORCE ROW LEVEL SECURITY;
CREATE POLICY door ON invoice_counter TO sunmao_door USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON invoice_counter TO sunmao_door;

CREATE TABLE invoice (
    id          uuid PRIMARY KEY,
    supplier_id uuid NOT NULL REFERENCES tenant,
    customer_id uuid NOT NULL REFERENCES tenant,
    supplier    text NOT NULL,  -- as they were called when it was issued
    customer    text NOT NULL,
    supplier_code text NOT NULL DEFAULT '',
    customer_code text NOT NULL DEFAULT '',
    year        int NOT NULL,
    number      int NOT NULL CHECK (number > 0),
    month       text NOT NULL,
    amount      bigint NOT NULL,  -- micro-yuan, the sum of its rows; negative where more was given back than charged
    rows        int NOT NULL CHECK (rows > 0),
    issued_by   text NOT NULL,
    issued_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (supplier_id, year, number)
);
CREATE INDEX ON invoice (customer_id, id DESC);
ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoice FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON invoice TO sunmao_app USING (current_tenant() IN (supplier_id, customer_id))
    WITH CHECK (current_tenant() IN (supplier_id, customer_id));
GRANT SELECT ON invoice TO sunmao_app;
CREATE POLICY door ON invoice TO sunmao_door USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON invoice TO sunmao_door;
DO $$ BEGIN PERFORM limit_to_reach('invoice', '(SELECT reaches_company())'); END $$;

ALTER TABLE charge ADD COLUMN invoice_id uuid REFERENCES invoice;
CREATE INDEX ON charge (invoice_id) WHERE invoice_id IS NOT NULL;
GRANT UPDATE (invoice_id) ON charge TO sunmao_door;
DROP POLICY door ON charge;
CREATE POLICY door ON charge TO sunmao_door USING (true) WITH CHECK (true);

-- Issues an invoice to every customer the tenant has charged in [of_start, of_end) and not invoiced yet. The counter's row is locked
-- until the end of the transaction: a number that is given is an invoice that is there, and the next one waits for it.
CREATE FUNCTION issue_invoices(of_month text, of_start timestamptz, of_end timestamptz, of_year int, actor text) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    me uuid := current_tenant();
    each record;
    made uuid;
    next int;
BEGIN
    IF me IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO invoice_counter VALUES (me, of_year, 0) ON CONFLICT DO NOTHING;
    SELECT c.last INTO next FROM invoice_counter c WHERE c.supplier_id = me AND c.year = of_year FOR UPDATE;
    FOR each IN
        SELECT c.customer_id, sum(c.billed) AS amount, count(*) AS rows FROM charge c
        WHERE c.provider_id = me AND c.invoice_id IS NULL AND c.made_at >= of_start AND c.made_at < of_end
        GROUP BY c.customer_id ORDER BY c.customer_id
    LOOP
        next := next + 1;
        made := gen_random_uuid();
        INSERT INTO invoice (id, supplier_id, customer_id, supplier, customer, supplier_code, customer_code, year, number, month,
                             amount, rows, issued_by)
        SELECT made, me, each.customer_id, s.name, t.name, coalesce(s.credit_code, ''), coalesce(t.credit_code, ''), of_year, next,
               of_month, each.amount, each.rows, actor
        FROM tenant s, tenant t WHERE s.id = me AND t.id = each.customer_id;
        UPDATE charge c SET invoice_id = made
        WHERE c.provider_id = me AND c.customer_id = each.customer_id AND c.invoice_id IS NULL
          AND c.made_at >= of_start AND c.made_at < of_end;
        RETURN NEXT made;
    END LOOP;
    UPDATE invoice_counter c SET last = next WHERE c.supplier_id = me AND c.year = of_year;
END
$$;
DO $$ BEGIN PERFORM hand_to_door('issue_invoices(text, timestamptz, timestamptz, int, text)'); END $$;
