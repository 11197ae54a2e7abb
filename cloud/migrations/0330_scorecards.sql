-- What a supplier's values came to, day by day, as far as its grant shows them.

CREATE TABLE supplier_score (
    tenant_id    uuid NOT NULL,
    supplier_id  uuid NOT NULL,
    day          date NOT NULL,
    entry        text NOT NULL,
    mean         float8 NOT NULL,
    completeness float8,
    drifting     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, supplier_id, entry, day),
    FOREIGN KEY (tenant_id, supplier_id) REFERENCES programme_supplier (tenant_id, id)
);
DO $$ BEGIN
    PERFORM protect_tenant_table('supplier_score', 'SELECT, INSERT, UPDATE');
    PERFORM limit_to_reach('supplier_score', '(SELECT reaches_company())');
END $$;

CREATE FUNCTION tenants_with_suppliers() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT s.tenant_id FROM programme_supplier s;
END;
DO $$ BEGIN PERFORM hand_to_door('tenants_with_suppliers()'); END $$;
