-- Rented computing: what providers offer, jobs that run there, and a signed, chained record of every acknowledged second.

CREATE TABLE compute_offer (
    id            uuid PRIMARY KEY,
    tenant_id     uuid NOT NULL REFERENCES tenant,
    provider      text NOT NULL CHECK (provider <> ''),
    code          text NOT NULL UNIQUE,
    terms         jsonb NOT NULL,  -- region, chip, prices, cores, memory, power, grid
    opened_by     text NOT NULL,
    opened_at     timestamptz NOT NULL DEFAULT now(),
    closed_at     timestamptz,
    token_hash    bytea NOT NULL UNIQUE,  -- keyed; the worker's token is shown once and stored nowhere
    worker_key    text,  -- its Ed25519 public key
    provider_name text,  -- the execution provider its probe has proven
    speed         float8 CHECK (speed > 0),
    probed_at     timestamptz,
    refused       jsonb NOT NULL DEFAULT '{}',
    seen_at       timestamptz NOT NULL DEFAULT '-infinity',
    run_s         float8 NOT NULL DEFAULT 0,
    lost_s        float8 NOT NULL DEFAULT 0,
    jobs          int NOT NULL DEFAULT 0,
    breaks        int NOT NULL DEFAULT 0
);
CREATE INDEX ON compute_offer (tenant_id);
ALTER TABLE compute_offer ENABLE ROW LEVEL SECURITY;
ALTER TABLE compute_offer FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON compute_offer TO sunmao_app
    USING (tenant_id = current_tenant() OR (closed_at IS NULL AND current_tenant() IS NOT NULL))
    WITH CHECK (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE ON compute_offer TO sunmao_app;
DO $$ BEGIN PERFORM limit_to_reach('compute_offer'); END $$;

CREATE TABLE compute_job (
    id           uuid PRIMARY KEY,
    customer_id  uuid NOT NULL REFERENCES tenant,
    provider_id  uuid NOT NULL REFERENCES tenant,  -- of the offer it is at now
    customer     text NOT NULL,
    name         text NOT NULL CHECK (name <> ''),
    kind         text NOT NULL CHECK (kind IN ('fit', 'inspect')),
    subject      jsonb NOT NULL,  -- the set, the version: what of the customer's it is about
    task         jsonb NOT NULL,  -- needs, limits, weights
    orders       jsonb NOT NULL,  -- a models.task.Task, what the child is asked to do
    digest       text NOT NULL,  -- SHA-256 of the orders and of every input's digest
    decision     jsonb NOT NULL,  -- plans and refusals of every time it was decided
    offer_id     uuid NOT NULL REFERENCES compute_offer,
    not_before   timestamptz NOT NULL,
    placed_at    timestamptz NOT NULL DEFAULT now(),
    deadline     timestamptz NOT NULL,
    state        text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    cancel       boolean NOT NULL DEFAULT false,
    held         jsonb NOT NULL,  -- what is reserved
    cap          bigint NOT NULL CHECK (cap >= 0),
    cost         bigint NOT NULL DEFAULT 0,
    subsidy      bigint NOT NULL DEFAULT 0,
    stage        text NOT NULL DEFAULT '',
    done         int NOT NULL DEFAULT 0,
    total        int NOT NULL DEFAULT 0,
    attempts     int NOT NULL DEFAULT 0,
    broken_at    uuid[] NOT NULL DEFAULT '{}',  -- offers where it broke
    result       jsonb,
    reason_en    text NOT NULL DEFAULT '',
    reason_zh    text NOT NULL DEFAULT '',
    submitted_by text NOT NULL,
    submitted_at timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    ended_at     timestamptz,
    receipt      text,  -- canonical JSON
    signature    text
);
CREATE INDEX ON compute_job (customer_id, id DESC);
CREATE INDEX ON compute_job (provider_id, id DESC);
CREATE INDEX ON compute_job (offer_id) WHERE state IN ('queued', 'running');

CREATE TABLE compute_attempt (
    job_id        uuid NOT NULL REFERENCES compute_job ON DELETE CASCADE,
    number        int NOT NULL,
    customer_id   uuid NOT NULL,
    provider_id   uuid NOT NULL,
    offer_id      uuid NOT NULL REFERENCES compute_offer,
    worker_key    text NOT NULL,
    state         text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'stopped', 'broken')),
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until  timestamptz NOT NULL,
    beats         int NOT NULL DEFAULT 0,
    head          bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    used_ms       bigint NOT NULL DEFAULT 0,  -- acknowledged
    cpu_ms        bigint NOT NULL DEFAULT 0,
    checkpoint_ms bigint NOT NULL DEFAULT 0,  -- acknowledged with the last checkpoint
    checkpoint    jsonb,
    chip          text NOT NULL DEFAULT '',
    billable_ms   bigint NOT NULL DEFAULT 0,
    lost_ms       bigint NOT NULL DEFAULT 0,
    ended_at      timestamptz,
    last          jsonb,  -- the last beat, as it was signed
    PRIMARY KEY (job_id, number)
);
CREATE INDEX ON compute_attempt (offer_id) WHERE state = 'running';
CREATE INDEX ON compute_attempt (leased_until) WHERE state = 'running';

CREATE TABLE compute_beat (
    job_id      uuid NOT NULL,
    attempt     int NOT NULL,
    seq         int NOT NULL,
    customer_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    body        text NOT NULL,
    hash        bytea NOT NULL,
    signature   text NOT NULL,
    PRIMARY KEY (job_id, attempt, seq),
    FOREIGN KEY (job_id, attempt) REFERENCES compute_attempt ON DELETE CASCADE
);

CREATE TABLE compute_file (
    job_id      uuid NOT NULL REFERENCES compute_job ON DELETE CASCADE,
    kind        text NOT NULL CHECK (kind IN ('input', 'checkpoint', 'output')),
    name        text NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    customer_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    digest      text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    size        bigint NOT NULL,
    content     bytea NOT NULL,
    PRIMARY KEY (job_id, kind, name)
);
ALTER TABLE compute_file ALTER COLUMN content SET STORAGE EXTERNAL;

-- Rows of a customer and of the provider it is at: both see them; what is no longer there is no longer seen.
DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['compute_job', 'compute_attempt', 'compute_beat', 'compute_file'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target);
        EXECUTE format('CREATE POLICY tenant_only ON %I TO sunmao_app USING (current_tenant() IN (customer_id, provider_id))'
                       ' WITH CHECK (current_tenant() IN (customer_id, provider_id))', target);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO sunmao_app', target);
        PERFORM limit_to_reach(target::regclass, '(SELECT reaches_company())');
    END LOOP;
END $$;

-- Whose a worker's token is.
GRANT SELECT (id, tenant_id, token_hash, closed_at) ON compute_offer TO sunmao_door;
CREATE POLICY door ON compute_offer FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION find_worker(wanted_hash bytea) RETURNS TABLE (tenant_id uuid, offer_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT o.tenant_id, o.id FROM compute_offer o WHERE o.token_hash = wanted_hash AND o.closed_at IS NULL;
END;

-- Customers with jobs somebody has to look after: whose lease has run out, that nobody fetches, or whose time is over.
GRANT SELECT (id, customer_id, offer_id, state, not_before, placed_at, deadline, cancel) ON compute_job TO sunmao_door;
GRANT SELECT (job_id, state, leased_until) ON compute_attempt TO sunmao_door;
CREATE POLICY door ON compute_job FOR SELECT TO sunmao_door USING (true);
CREATE POLICY door ON compute_attempt FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION customers_with_jobs_in_trouble(patience_s float8) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT j.customer_id FROM compute_job j
    LEFT JOIN compute_attempt a ON a.job_id = j.id AND a.state = 'running'
    WHERE (j.state = 'running' AND coalesce(a.leased_until, '-infinity') < clock_timestamp())
       OR (j.state = 'queued' AND greatest(j.not_before, j.placed_at) + make_interval(secs => patience_s) < clock_timestamp());
END;
DO $$ BEGIN
    PERFORM hand_to_door('find_worker(bytea)');
    PERFORM hand_to_door('customers_with_jobs_in_trouble(float8)');
END $$;

-- Which offers are taken, without by whom; and what an attempt ran at, also when it has been closed since.
GRANT SELECT (provider, code, terms) ON compute_offer TO sunmao_door;
GRANT SELECT (offer_id, customer_id, provider_id) ON compute_attempt TO sunmao_door;
CREATE FUNCTION busy_offers() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT a.offer_id FROM compute_attempt a WHERE a.state = 'running';
END;
CREATE FUNCTION offers_ever() RETURNS TABLE (id uuid, code text, provider text, terms jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT o.id, o.code, o.provider, o.terms FROM compute_offer o WHERE EXISTS (
        SELECT FROM compute_attempt a WHERE a.offer_id = o.id AND current_tenant() IN (a.customer_id, a.provider_id));
END;
DO $$ BEGIN
    PERFORM hand_to_door('busy_offers()');
    PERFORM hand_to_door('offers_ever()');
END $$;

-- A fit that is rented is nobody's to claim here.
ALTER TABLE training_fit ADD COLUMN rented boolean NOT NULL DEFAULT false;
