-- The solution shelf: packages that companies publish for all, never changed once they are there, and what was installed.

CREATE TABLE shelf_package (
    id           uuid PRIMARY KEY,
    tenant_id    uuid NOT NULL REFERENCES tenant,
    provider     text NOT NULL CHECK (provider <> ''),
    code         text NOT NULL CHECK (code <> ''),
    version      int[] NOT NULL CHECK (cardinality(version) = 3),
    digest       text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),  -- SHA-256 of the document
    public_key   text NOT NULL,
    signature    bytea NOT NULL,
    manifest     jsonb NOT NULL,
    document     text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    withdrawn_at timestamptz,
    UNIQUE (tenant_id, code, version)
);

CREATE TABLE shelf_installation (
    tenant_id    uuid NOT NULL REFERENCES tenant,
    id           uuid NOT NULL,
    provider_id  uuid NOT NULL,  -- nil: comes with the platform
    code         text NOT NULL,
    package_id   uuid NOT NULL,
    version      int[] NOT NULL,
    language     text NOT NULL CHECK (language IN ('en', 'zh')),  -- of the names it brought
    manifest     jsonb NOT NULL,
    provider     text NOT NULL,
    items        jsonb NOT NULL,  -- what it brought, each as it was brought
    installed_by text NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, provider_id, code)
);
CREATE INDEX ON shelf_installation (package_id);

DO $$ BEGIN
    PERFORM protect_tenant_table('shelf_installation', 'SELECT, INSERT, UPDATE, DELETE');
    PERFORM limit_to_reach('shelf_installation', '(SELECT reaches_company())');
END $$;

-- What is published is read by every company, changed by its own; withdrawn, it is read on by who has it installed.
ALTER TABLE shelf_package ENABLE ROW LEVEL SECURITY;
ALTER TABLE shelf_package FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON shelf_package TO sunmao_app
    USING (tenant_id = current_tenant()
           OR (current_tenant() IS NOT NULL AND (withdrawn_at IS NULL OR EXISTS (
               SELECT FROM shelf_installation i WHERE i.tenant_id = current_tenant() AND i.package_id = shelf_package.id))))
    WITH CHECK (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE (withdrawn_at) ON shelf_package TO sunmao_app;
DO $$ BEGIN PERFORM limit_to_reach('shelf_package'); END $$;

-- A provider learns how many have its packages; who they are only the notice of a withdrawal goes by.
GRANT SELECT (tenant_id, provider_id, code, package_id) ON shelf_installation TO sunmao_door;
CREATE POLICY door ON shelf_installation FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION shelf_counts() RETURNS TABLE (code text, installed bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT i.code, count(*) FROM shelf_installation i WHERE i.provider_id = current_tenant() GROUP BY i.code;
END;
CREATE FUNCTION shelf_installers(wanted uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT i.tenant_id FROM shelf_installation i WHERE i.provider_id = current_tenant() AND i.package_id = wanted;
END;
DO $$ BEGIN
    PERFORM hand_to_door('shelf_counts()');
    PERFORM hand_to_door('shelf_installers(uuid)');
END $$;
