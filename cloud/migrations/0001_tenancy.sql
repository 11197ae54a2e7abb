-- Roles, the tenant of a transaction, and the one way a table becomes tenant data.
--
-- Roles belong to the whole cluster, so another database of it may have made them already.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['sunmao_app', 'sunmao_door'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- made by another database's migration in the same instant
            END;
        END IF;
        -- the owner has to be a member to hand functions to the role
        EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
    END LOOP;
END
$$;

ALTER ROLE sunmao_app LOGIN;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO sunmao_app, sunmao_door;

-- The tenant of the running transaction, set by Database.tenant with set_config(..., true); NULL outside the door.
CREATE FUNCTION current_tenant() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN NULLIF(current_setting('sunmao.tenant', true), '')::uuid;

-- Makes `target`, which has a column tenant_id (or is the tenant table itself), tenant data: row-level security enabled
-- and forced, one policy, and the named privileges for the app role. Every relational table goes through here.
CREATE FUNCTION protect_tenant_table(target regclass, privileges text, tenant_column text DEFAULT 'tenant_id')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format(
        'CREATE POLICY tenant_only ON %s TO sunmao_app USING (%I = current_tenant()) WITH CHECK (%I = current_tenant())',
        target, tenant_column, tenant_column);
    EXECUTE format('GRANT %s ON %s TO sunmao_app', privileges, target);
END
$$;
REVOKE EXECUTE ON FUNCTION protect_tenant_table(regclass, text, text) FROM PUBLIC;

-- Hands a SECURITY DEFINER function to the door role. Such a function looks up one row before a tenant is known; what it
-- may see is granted to the door role column by column, with a policy of its own, beside the function.
CREATE FUNCTION hand_to_door(door regprocedure) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'GRANT CREATE ON SCHEMA public TO sunmao_door';
    EXECUTE format('ALTER FUNCTION %s OWNER TO sunmao_door', door);
    EXECUTE 'REVOKE CREATE ON SCHEMA public FROM sunmao_door';
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', door);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO sunmao_app', door);
END
$$;
REVOKE EXECUTE ON FUNCTION hand_to_door(regprocedure) FROM PUBLIC;

CREATE TABLE tenant (
    id          uuid PRIMARY KEY,
    name        text NOT NULL CHECK (name <> ''),
    credit_code text CHECK (length(credit_code) = 18),
    created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN tenant.credit_code IS 'Unified social credit code, GB 32100-2015, check character verified';
DO $$ BEGIN PERFORM protect_tenant_table('tenant', 'SELECT, INSERT, UPDATE', 'id'); END $$;

-- Important acts, appended and never changed: the app role may neither update nor delete.
CREATE TABLE audit (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    at        timestamptz NOT NULL DEFAULT now(),
    actor     text NOT NULL,
    act       text NOT NULL,
    subject   text NOT NULL,
    detail    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON audit (tenant_id, id);
DO $$ BEGIN PERFORM protect_tenant_table('audit', 'SELECT, INSERT'); END $$;

-- All tenants, for the operator's command line, which logs in as the owner. The app role may not ask.
GRANT SELECT (id, name) ON tenant TO sunmao_door;
CREATE POLICY door ON tenant FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION list_tenants() RETURNS TABLE (id uuid, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT t.id, t.name FROM tenant t ORDER BY t.name;
END;
DO $$ BEGIN PERFORM hand_to_door('list_tenants()'); END $$;
REVOKE EXECUTE ON FUNCTION list_tenants() FROM sunmao_app;
