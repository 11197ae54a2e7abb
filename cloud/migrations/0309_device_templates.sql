-- Device templates of a company, beside those the library comes with: a box is given one with the configuration that names it.

CREATE TABLE device_template (
    tenant_id  uuid NOT NULL REFERENCES tenant,
    id         text NOT NULL CHECK (id ~ '^[a-z0-9][a-z0-9-]*$'),
    version    int NOT NULL CHECK (version > 0),
    body       text NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('device_template', 'SELECT, INSERT, UPDATE, DELETE'); END $$;
