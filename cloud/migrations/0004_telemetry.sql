-- Series, values, the ledger that makes deliveries harmless to repeat, roll-ups, and what live views follow.

CREATE TABLE series (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    uuid NOT NULL,
    equipment_id uuid NOT NULL,
    name         text NOT NULL CHECK (name <> ''),
    property     text NOT NULL,  -- code of the dictionary entry, '' where the point is not mapped
    unit         text NOT NULL,  -- UN/ECE Rec 20 code of the values
    is_current   boolean NOT NULL DEFAULT true,  -- false once the point is mapped otherwise
    created_at   timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id),
    UNIQUE (tenant_id, equipment_id, name, property, unit)
);
DO $$ BEGIN PERFORM protect_tenant_table('series', 'SELECT, INSERT, UPDATE'); END $$;

-- One row per stored frame, written in the transaction that stores its readings.
CREATE TABLE ledger (
    tenant_id    uuid NOT NULL,
    agent_id     uuid NOT NULL,
    epoch        uuid NOT NULL,
    seq          bigint NOT NULL,
    hash         bytea NOT NULL,
    readings     int NOT NULL,
    received_at  timestamptz NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (agent_id, epoch, seq),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agent (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('ledger', 'SELECT, INSERT'); END $$;

-- How long readings took from their source time until they were stored: a histogram per agent and hour, so that
-- percentiles over any span can be told. Bucket b counts delays of 2^((b-1)/4) to 2^(b/4) ms.
CREATE TABLE ingest_delay (
    tenant_id uuid NOT NULL,
    agent_id  uuid NOT NULL,
    hour      timestamptz NOT NULL,
    bucket    smallint NOT NULL,
    readings  bigint NOT NULL,
    PRIMARY KEY (agent_id, hour, bucket),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agent (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('ingest_delay', 'SELECT, INSERT, UPDATE'); END $$;

-- What a delivery touched: the queue of roll-ups to recompute, and for an hour the memory of live views. A view that has
-- seen all transactions below x asks for rows with xid >= x; what was not yet visible then is among them.
CREATE TABLE telemetry_change (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  uuid NOT NULL REFERENCES tenant,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at         timestamptz NOT NULL DEFAULT now(),
    minute     timestamptz NOT NULL,
    series_ids int[] NOT NULL,
    rolled_up  boolean NOT NULL DEFAULT false
);
CREATE INDEX ON telemetry_change (tenant_id, xid);
CREATE INDEX ON telemetry_change (tenant_id, id) WHERE NOT rolled_up;
DO $$ BEGIN PERFORM protect_tenant_table('telemetry_change', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

GRANT SELECT (tenant_id, rolled_up) ON telemetry_change TO sunmao_door;
CREATE POLICY door ON telemetry_change FOR SELECT TO sunmao_door USING (true);

-- Tenants whose roll-ups are behind; the roll-up task then works inside each of them.
CREATE FUNCTION tenants_to_roll_up() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT c.tenant_id FROM telemetry_change c WHERE NOT c.rolled_up;
END;
DO $$ BEGIN PERFORM hand_to_door('tenants_to_roll_up()'); END $$;

-- Telemetry has no row-level security: TimescaleDB refuses it together with compression and does not carry it to chunks.
-- It is reachable through cloud/telemetry/store only, which joins through the tenant's series; the app role has no
-- right on the schema that holds its chunks or partitions.
--
-- A reading without a value is stored as NaN with a bad quality (below 0), never with another; so `quality >= 0` alone
-- tells that there is a value and that it may be used.
DO $$
DECLARE
    -- An owner that is no superuser may not ask what is preloaded; somebody who is has made the extension then, or not.
    wanted boolean := EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')
        OR CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE')
                THEN current_setting('shared_preload_libraries') LIKE '%timescaledb%' ELSE false END
        AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb');
BEGIN
    IF wanted AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        BEGIN
            CREATE EXTENSION timescaledb;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'timescaledb is available and this role may not create it; using native partitions';
            wanted := false;
        END;
    END IF;
    EXECUTE 'CREATE TABLE telemetry (series_id int NOT NULL, ts timestamptz NOT NULL, value float8 NOT NULL,'
        || ' quality smallint NOT NULL)' || CASE WHEN wanted THEN '' ELSE ' PARTITION BY RANGE (ts)' END;
    CREATE SCHEMA telemetry_chunk;
    IF wanted THEN
        PERFORM create_hypertable('telemetry', 'ts', chunk_time_interval => interval '7 days',
                                  create_default_indexes => false, associated_schema_name => 'telemetry_chunk');
    END IF;
END
$$;
CREATE INDEX telemetry_series_ts ON telemetry (series_id, ts);
GRANT SELECT, INSERT ON telemetry TO sunmao_app;

CREATE TABLE telemetry_text (
    series_id int NOT NULL,
    ts        timestamptz NOT NULL,
    value     text,  -- NULL, with a bad quality, where there was none
    quality   smallint NOT NULL
);
CREATE INDEX ON telemetry_text (series_id, ts);
GRANT SELECT, INSERT ON telemetry_text TO sunmao_app;

-- Makes room for the week that begins at `week` (a Monday, 00:00 UTC). TimescaleDB does so by itself.
CREATE FUNCTION ensure_telemetry_partition(week timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    monday timestamptz := date_trunc('week', week, 'UTC');
    partition text := to_char(monday AT TIME ZONE 'UTC', '"w"YYYYMMDD');
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = 'telemetry'::regclass) <> 'p' THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('telemetry_partition'));
    EXECUTE format('CREATE TABLE IF NOT EXISTS telemetry_chunk.%I PARTITION OF telemetry FOR VALUES FROM (%L) TO (%L)',
                   partition, monday, monday + interval '7 days');
END
$$;
REVOKE EXECUTE ON FUNCTION ensure_telemetry_partition(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_telemetry_partition(timestamptz) TO sunmao_app;

-- Roll-ups: states of readings that can be merged, from readings to minutes, from minutes to hours, from hours to days.
-- A day begins at the site's midnight. Over the `used` readings, those whose quality is not bad: sum, low, high, first,
-- last, and `increase`, the growth of a counter within the bucket, which begins again at 0 where the counter does.
CREATE TABLE rollup_minute (
    series_id int NOT NULL,
    bucket    timestamptz NOT NULL,
    n         bigint NOT NULL,
    used      bigint NOT NULL,
    good      bigint NOT NULL,
    sum       float8,
    low       float8,
    high      float8,
    first     float8,
    last      float8,
    increase  float8,
    PRIMARY KEY (series_id, bucket)
);
CREATE TABLE rollup_hour (LIKE rollup_minute INCLUDING ALL);
CREATE TABLE rollup_day (LIKE rollup_minute INCLUDING ALL);
GRANT SELECT, INSERT, UPDATE ON rollup_minute, rollup_hour, rollup_day TO sunmao_app;
