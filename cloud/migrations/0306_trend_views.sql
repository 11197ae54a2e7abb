-- Looks at curves that a company keeps: chosen points, or what points of a class of equipment mean.

CREATE TABLE trend_view (
    tenant_id  uuid NOT NULL REFERENCES tenant,
    id         uuid NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    definition jsonb NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);
DO $$ BEGIN PERFORM protect_tenant_table('trend_view', 'SELECT, INSERT, UPDATE, DELETE'); END $$;
