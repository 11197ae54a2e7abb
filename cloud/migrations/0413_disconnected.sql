-- Work without a link: for how long a job's worker may be silent before the job is anybody else's, and records that came later.

ALTER TABLE compute_job ADD COLUMN offline_s int NOT NULL DEFAULT 0 CHECK (offline_s >= 0);

-- Beats that were presented before the one they follow, or after their attempt was over: those of the second kind stay, and count nothing.
CREATE TABLE compute_record (
    job_id       uuid NOT NULL REFERENCES compute_job ON DELETE CASCADE,
    attempt      int NOT NULL,
    seq          int NOT NULL,
    customer_id  uuid NOT NULL,
    provider_id  uuid NOT NULL,
    body         text NOT NULL,
    signature    text NOT NULL,
    presented_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, attempt, seq)
);
ALTER TABLE compute_record ENABLE ROW LEVEL SECURITY;
ALTER TABLE compute_record FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON compute_record TO sunmao_app USING (current_tenant() IN (customer_id, provider_id))
    WITH CHECK (current_tenant() IN (customer_id, provider_id));
GRANT SELECT, INSERT, DELETE ON compute_record TO sunmao_app;
DO $$ BEGIN PERFORM limit_to_reach('compute_record', '(SELECT reaches_company())'); END $$;

-- A lease lasts offline_s longer; whoever cancels, or waits for a deadline that has passed, need not wait for its end.
GRANT SELECT (offline_s) ON compute_job TO sunmao_door;
CREATE OR REPLACE FUNCTION customers_with_jobs_in_trouble(patience_s float8) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT j.customer_id FROM compute_job j
    LEFT JOIN compute_attempt a ON a.job_id = j.id AND a.state = 'running'
    WHERE (j.state = 'running' AND coalesce(a.leased_until, '-infinity')
           - make_interval(secs => CASE WHEN j.cancel OR j.deadline < now() THEN j.offline_s ELSE 0 END) < clock_timestamp())
       OR (j.state = 'queued' AND greatest(j.not_before, j.placed_at) + make_interval(secs => patience_s) < clock_timestamp());
END;
