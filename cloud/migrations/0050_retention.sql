-- How long readings are kept in the database, and the files that hold those older than that. Roll-ups stay.

CREATE TABLE retention (
    tenant_id uuid NOT NULL REFERENCES tenant,
    property  text NOT NULL,  -- code of the dictionary entry; '' is all that have no rule of their own
    keep_days int NOT NULL CHECK (keep_days BETWEEN 1 AND 36500),
    PRIMARY KEY (tenant_id, property)
);
DO $$ BEGIN PERFORM protect_tenant_table('retention', 'SELECT, INSERT, DELETE'); END $$;

-- One file holds all readings of a series and a week that are not in telemetry; registered in the transaction that takes
-- them out of there.
CREATE TABLE cold_file (
    tenant_id uuid NOT NULL REFERENCES tenant,
    series_id int NOT NULL REFERENCES series,
    week      timestamptz NOT NULL,  -- a Monday, 00:00 UTC
    name      text NOT NULL,         -- within the cold store
    readings  bigint NOT NULL,
    PRIMARY KEY (series_id, week)
);
CREATE INDEX ON cold_file (tenant_id);
DO $$ BEGIN PERFORM protect_tenant_table('cold_file', 'SELECT, INSERT, DELETE'); END $$;

GRANT SELECT (tenant_id) ON retention TO sunmao_door;
CREATE POLICY door ON retention FOR SELECT TO sunmao_door USING (true);

-- Tenants that do not keep everything; the retention task then works inside each of them.
CREATE FUNCTION tenants_with_retention() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT r.tenant_id FROM retention r;
END;
DO $$ BEGIN PERFORM hand_to_door('tenants_with_retention()'); END $$;

-- Takes the readings of a week out of telemetry and returns them: what is returned is exactly what is gone, whatever else
-- is stored meanwhile. The last reading of a series stays. Of the tenant's own series only.
CREATE FUNCTION take_telemetry(wanted int, monday timestamptz)
RETURNS TABLE (series_id int, ts timestamptz, value float8, quality smallint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    last timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM series s WHERE s.id = wanted AND s.tenant_id = current_tenant()) THEN
        RETURN;
    END IF;
    SELECT t.ts INTO last FROM telemetry t WHERE t.series_id = wanted ORDER BY t.ts DESC LIMIT 1;
    RETURN QUERY DELETE FROM telemetry t
        WHERE t.series_id = wanted AND t.ts >= monday AND t.ts < LEAST(monday + interval '7 days', last)
        RETURNING t.series_id, t.ts, t.value, t.quality;
END
$$;
REVOKE EXECUTE ON FUNCTION take_telemetry(int, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_telemetry(int, timestamptz) TO sunmao_app;

-- Drops partitions, or chunks, that end at or before `until` and hold nothing any more; returns how many.
CREATE FUNCTION drop_empty_telemetry(until timestamptz) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    native boolean := (SELECT relkind FROM pg_class WHERE oid = 'telemetry'::regclass) = 'p';
    part regclass;
    filled boolean;
    dropped int := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('telemetry_partition'));
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'telemetry'::regclass LOOP
        IF native THEN
            CONTINUE WHEN to_timestamp(substr((SELECT relname FROM pg_class WHERE oid = part), 2), 'YYYYMMDD')
                + interval '8 days' > until;
        ELSE
            CONTINUE WHEN (SELECT c.range_end FROM timescaledb_information.chunks c
                           WHERE format('%I.%I', c.chunk_schema, c.chunk_name)::regclass = part) > until;
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', part) INTO filled;
        CONTINUE WHEN filled;
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', part);
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', part) INTO filled;
        CONTINUE WHEN filled;
        IF native THEN
            EXECUTE format('DROP TABLE %s', part);
        ELSE
            PERFORM drop_chunks('telemetry', older_than => c.range_end, newer_than => c.range_start)
            FROM timescaledb_information.chunks c
            WHERE format('%I.%I', c.chunk_schema, c.chunk_name)::regclass = part;
        END IF;
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
REVOKE EXECUTE ON FUNCTION drop_empty_telemetry(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_empty_telemetry(timestamptz) TO sunmao_app;
