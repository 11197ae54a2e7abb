-- What jobs write and use while they run, what is amiss with them, and how much a company may have open at once.

CREATE TABLE compute_log (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id      uuid NOT NULL REFERENCES compute_job ON DELETE CASCADE,
    attempt     int NOT NULL,
    seq         int NOT NULL,  -- the worker's own number: a line that is sent twice is kept once
    customer_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    line        text NOT NULL CHECK (length(line) <= 500),
    UNIQUE (job_id, attempt, seq)
);
CREATE INDEX ON compute_log (job_id, id);

CREATE TABLE compute_use (
    job_id      uuid NOT NULL REFERENCES compute_job ON DELETE CASCADE,
    attempt     int NOT NULL,
    used_ms     bigint NOT NULL,
    customer_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    cpu_ms      bigint NOT NULL,
    memory_mb   int NOT NULL,
    accelerator real,  -- percent; NULL where none is seen
    done        int NOT NULL,
    PRIMARY KEY (job_id, attempt, used_ms)
);

CREATE TABLE compute_finding (
    job_id      uuid NOT NULL REFERENCES compute_job ON DELETE CASCADE,
    attempt     int NOT NULL,  -- 0 while it waits
    kind        text NOT NULL CHECK (kind IN ('idle', 'stuck', 'queue', 'chip')),
    customer_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    words_en    text NOT NULL,
    words_zh    text NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, attempt, kind)
);

-- As for the rows of a job in 0410_compute.sql: of a customer, and of the provider it was at.
DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['compute_log', 'compute_use', 'compute_finding'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target);
        EXECUTE format('CREATE POLICY tenant_only ON %I TO sunmao_app USING (current_tenant() IN (customer_id, provider_id))'
                       ' WITH CHECK (current_tenant() IN (customer_id, provider_id))', target);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sunmao_app', target);
        PERFORM limit_to_reach(target::regclass, '(SELECT reaches_company())');
    END LOOP;
END $$;

ALTER TABLE compute_job ADD COLUMN stop_idle_s int CHECK (stop_idle_s > 0);  -- its owner's rule; NULL: nothing is done

-- How much a company may have open at once, if not the usual; the operator says.
CREATE TABLE compute_quota (
    tenant_id   uuid PRIMARY KEY REFERENCES tenant,
    open_jobs   int NOT NULL CHECK (open_jobs BETWEEN 0 AND 10000),
    open_budget bigint CHECK (open_budget > 0),  -- micro-yuan reserved for jobs that wait or run; NULL: no limit
    set_by      text NOT NULL,
    set_at      timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE compute_quota ENABLE ROW LEVEL SECURITY;
ALTER TABLE compute_quota FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON compute_quota TO sunmao_app USING (tenant_id = current_tenant() OR (SELECT operates_market()))
    WITH CHECK (current_tenant() IS NOT NULL AND (SELECT operates_market()));
GRANT SELECT, INSERT, UPDATE ON compute_quota TO sunmao_app;
GRANT SELECT ON compute_quota TO sunmao_door;
CREATE POLICY door ON compute_quota FOR SELECT TO sunmao_door USING (true);
DO $$ BEGIN PERFORM limit_to_reach('compute_quota', '(SELECT reaches_company())'); END $$;

-- What each company has open, to the operator of the market.
GRANT SELECT (cap) ON compute_job TO sunmao_door;
CREATE FUNCTION quotas_in_use() RETURNS TABLE (company text, credit_code text, open_jobs int, open_budget bigint, jobs bigint, reserved bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT t.name, t.credit_code, q.open_jobs, q.open_budget, count(j.id), coalesce(sum(j.cap), 0)::bigint FROM tenant t
    LEFT JOIN compute_quota q ON q.tenant_id = t.id
    LEFT JOIN compute_job j ON j.customer_id = t.id AND j.state IN ('queued', 'running')
    WHERE operates_market()
    GROUP BY t.id, t.name, t.credit_code, q.open_jobs, q.open_budget HAVING count(j.id) > 0 OR q.open_jobs IS NOT NULL
    ORDER BY t.name;
END;
DO $$ BEGIN PERFORM hand_to_door('quotas_in_use()'); END $$;
