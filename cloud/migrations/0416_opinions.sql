-- Second opinions that are metered: who may ask at an offer for how much, and the computing time of what was answered, by hours.

CREATE TABLE compute_serving (
    id          uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES tenant,
    provider_id uuid NOT NULL REFERENCES tenant,
    customer    text NOT NULL,
    offer_id    uuid NOT NULL REFERENCES compute_offer,
    code        text NOT NULL,
    provider    text NOT NULL,
    terms       jsonb NOT NULL,  -- the offer's as they were: its prices hold until the end
    token_hash  text NOT NULL UNIQUE,  -- SHA-256 of what the boxes ask with, 32 random bytes; shown once
    held        jsonb NOT NULL,
    cap         bigint NOT NULL CHECK (cap > 0),
    cost        bigint NOT NULL DEFAULT 0,
    opened_by   text NOT NULL,
    opened_at   timestamptz NOT NULL DEFAULT now(),
    heard_at    timestamptz,  -- when its server last told
    told_spent  boolean NOT NULL DEFAULT false,
    ended_at    timestamptz
);
CREATE INDEX ON compute_serving (customer_id, id DESC);
CREATE INDEX ON compute_serving (provider_id, id DESC);
CREATE INDEX ON compute_serving (offer_id) WHERE ended_at IS NULL;

-- What one run of a server has answered within an hour. Its numbers only grow: told again they change nothing.
CREATE TABLE compute_opinion (
    serving_id  uuid NOT NULL REFERENCES compute_serving ON DELETE CASCADE,
    run         uuid NOT NULL,
    hour        timestamptz NOT NULL,
    customer_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    count       bigint NOT NULL CHECK (count >= 0),
    us          bigint NOT NULL CHECK (us >= 0),  -- microseconds of the model's
    booked      bigint NOT NULL DEFAULT 0,  -- opinions of these that are on a bill
    booked_us   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (serving_id, run, hour)
);
CREATE INDEX ON compute_opinion (hour) WHERE us > booked_us;

DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['compute_serving', 'compute_opinion'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target);
        EXECUTE format('CREATE POLICY tenant_only ON %I TO sunmao_app USING (current_tenant() IN (customer_id, provider_id))'
                       ' WITH CHECK (current_tenant() IN (customer_id, provider_id))', target);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO sunmao_app', target);
        PERFORM limit_to_reach(target::regclass, '(SELECT reaches_company())');
    END LOOP;
END $$;

-- Customers with hours to book, and with a serving whose offer is no more.
GRANT SELECT (id, customer_id, offer_id, cap, cost, ended_at) ON compute_serving TO sunmao_door;
GRANT SELECT (customer_id, hour, us, booked_us) ON compute_opinion TO sunmao_door;
CREATE POLICY door ON compute_serving FOR SELECT TO sunmao_door USING (true);
CREATE POLICY door ON compute_opinion FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION customers_with_opinions_due() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT o.customer_id FROM compute_opinion o WHERE o.us > o.booked_us AND o.hour < now() - interval '62 minutes'
    UNION
    SELECT s.customer_id FROM compute_serving s JOIN compute_offer f ON f.id = s.offer_id
    WHERE s.ended_at IS NULL AND f.closed_at IS NOT NULL;
END;
DO $$ BEGIN PERFORM hand_to_door('customers_with_opinions_due()'); END $$;

CREATE OR REPLACE FUNCTION quotas_in_use() RETURNS TABLE (company text, credit_code text, open_jobs int, open_budget bigint, jobs bigint, reserved bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT t.name, t.credit_code, q.open_jobs, q.open_budget, count(o.id), coalesce(sum(o.cap), 0)::bigint FROM tenant t
    LEFT JOIN compute_quota q ON q.tenant_id = t.id
    LEFT JOIN (SELECT j.id, j.customer_id, j.cap FROM compute_job j WHERE j.state IN ('queued', 'running')
               UNION ALL SELECT s.id, s.customer_id, s.cap - s.cost FROM compute_serving s WHERE s.ended_at IS NULL) o
        ON o.customer_id = t.id
    WHERE operates_market()
    GROUP BY t.id, t.name, t.credit_code, q.open_jobs, q.open_budget HAVING count(o.id) > 0 OR q.open_jobs IS NOT NULL
    ORDER BY t.name;
END;
