-- Values that people enter by hand. They come from the desk of their site: to everything that stores and reads values an agent
-- like any other, except that nobody has its key and that it is not shown among gateways.

ALTER TABLE agent ADD COLUMN desk boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX ON agent (tenant_id, site_id) WHERE desk;

-- One row per file that was taken. The digest is of the values, not of the file: the same values in other clothes are the same.
CREATE TABLE upload (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    site_id     uuid NOT NULL,
    digest      bytea NOT NULL,
    rows        int NOT NULL,
    readings    int NOT NULL,
    earliest    timestamptz NOT NULL,
    latest      timestamptz NOT NULL,
    uploaded_by text NOT NULL,
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, site_id, digest),
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('upload', 'SELECT, INSERT'); END $$;
