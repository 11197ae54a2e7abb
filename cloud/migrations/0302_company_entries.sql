-- Entries of the dictionary that a company has of its own, version by version, and points whose meaning is said in the cloud.

CREATE TABLE company_entry (
    tenant_id   uuid NOT NULL REFERENCES tenant,
    code        text NOT NULL CHECK (code ~ '^own:[a-z][a-z0-9_]{0,59}$'),  -- no released code has a colon
    version     int NOT NULL CHECK (version > 0),
    state       text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'returned', 'released', 'withdrawn')),
    body        jsonb NOT NULL,
    proposed_by text NOT NULL,
    proposed_at timestamptz NOT NULL DEFAULT now(),
    reviewed_by text CHECK (reviewed_by <> proposed_by),  -- four eyes
    reviewed_at timestamptz,
    note        text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, code, version),
    CHECK ((state = 'proposed') = (reviewed_by IS NULL))
);
CREATE UNIQUE INDEX ON company_entry (tenant_id, code) WHERE state = 'proposed';
DO $$ BEGIN PERFORM protect_tenant_table('company_entry', 'SELECT, INSERT'); END $$;
GRANT UPDATE (state, reviewed_by, reviewed_at, note) ON company_entry TO sunmao_app;

ALTER TABLE series ADD COLUMN own_entry text NOT NULL DEFAULT '' CHECK (own_entry = '' OR property = '');
COMMENT ON COLUMN series.own_entry IS 'Code of the company''s own entry, where people have said what an unmapped point means';
