-- Lines (work centres) of a site, and where a piece of equipment stands: enterprise > site > line > equipment, the
-- role-based equipment hierarchy of IEC 62264-1 (ISA-95) without its areas.

CREATE TABLE line (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    site_id    uuid NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, site_id, name)
);
CREATE INDEX ON line (tenant_id, id);
DO $$ BEGIN PERFORM protect_tenant_table('line', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

-- A site may be called otherwise. Its time zone stays: days that are rolled up begin at its midnight.
GRANT UPDATE (name) ON site TO sunmao_app;

-- What people say of a machine, beside what its agent reports.
ALTER TABLE equipment
    ADD COLUMN line_id        uuid,  -- of the agent's site
    ADD COLUMN display_name   text NOT NULL DEFAULT '',
    ADD COLUMN class_override text NOT NULL DEFAULT '',
    ADD COLUMN asset_number   text NOT NULL DEFAULT '',
    ADD COLUMN made_on        date,
    ADD COLUMN installed_on   date,
    ADD COLUMN rated_power_kw float8 CHECK (rated_power_kw > 0 AND rated_power_kw < 1e9),
    ADD COLUMN purchase_price numeric(14, 2) CHECK (purchase_price >= 0),
    ADD FOREIGN KEY (tenant_id, line_id) REFERENCES line (tenant_id, id);
CREATE INDEX ON equipment (tenant_id, line_id);
COMMENT ON COLUMN equipment.class_override IS 'Class of the dictionary, where the reported one is wrong; empty otherwise';
COMMENT ON COLUMN equipment.purchase_price IS 'In the company''s own currency';
