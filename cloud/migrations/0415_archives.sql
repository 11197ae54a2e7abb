-- Programs of the customer's own: signed archives and their inputs, kept by content, run where walls around them are proven.

ALTER TABLE compute_job DROP CONSTRAINT compute_job_kind_check;
ALTER TABLE compute_job ADD CONSTRAINT compute_job_kind_check
    CHECK (kind IN ('fit', 'inspect', 'evaluate', 'backfill', 'python'));

ALTER TABLE compute_offer ADD COLUMN no_walls text;  -- why it runs no foreign code; '' where its walls are proven

CREATE TABLE compute_upload (
    tenant_id   uuid NOT NULL REFERENCES tenant DEFAULT current_tenant(),
    digest      text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    size        bigint NOT NULL,
    content     bytea NOT NULL,
    uploaded_by text NOT NULL,
    used_at     timestamptz NOT NULL DEFAULT now(),  -- uploaded, or named by a job that was placed
    PRIMARY KEY (tenant_id, digest)
);
ALTER TABLE compute_upload ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX ON compute_upload (used_at);
DO $$ BEGIN
    PERFORM protect_tenant_table('compute_upload', 'SELECT, INSERT, UPDATE, DELETE');
    PERFORM limit_to_reach('compute_upload');
END $$;

GRANT SELECT (tenant_id, used_at) ON compute_upload TO sunmao_door;
CREATE POLICY door ON compute_upload FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION tenants_with_old_uploads(age interval) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT u.tenant_id FROM compute_upload u WHERE u.used_at < now() - age;
END;
DO $$ BEGIN PERFORM hand_to_door('tenants_with_old_uploads(interval)'); END $$;
