-- What machines did, what people said of it, what came of it: states, stops, run times and the record of every shift.

-- How a piece of equipment is read: which points tell its state and its counts, and the limits of stops.
CREATE TABLE production_setting (
    equipment_id uuid PRIMARY KEY,
    tenant_id    uuid NOT NULL,
    body         jsonb NOT NULL,
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('production_setting', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

-- What a machine did in one hour (UTC): interval i begins `starts[i]` microseconds after the hour and lasts to the next.
-- An hour without a row is unknown. Made of the readings alone, and made anew wherever one comes in.
CREATE TABLE state_hour (
    equipment_id uuid NOT NULL,
    tenant_id    uuid NOT NULL,
    hour         timestamptz NOT NULL,
    starts       bigint[] NOT NULL,
    kinds        smallint[] NOT NULL,  -- cloud.production.state_log.Kind
    PRIMARY KEY (equipment_id, hour),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('state_hour', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

-- Hours whose states, or at least whose shifts, have to be made anew. Only appended to and taken from, so that nobody who
-- notes something ever waits for who works it off.
CREATE TABLE production_change (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    uuid NOT NULL,
    equipment_id uuid NOT NULL,
    hour         timestamptz NOT NULL,
    states       boolean NOT NULL,
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);
CREATE INDEX ON production_change (tenant_id, id);
DO $$ BEGIN PERFORM protect_tenant_table('production_change', 'SELECT, INSERT, DELETE'); END $$;

-- Why machines stand: two levels, the first without a parent.
CREATE TABLE stop_reason (
    id        uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    parent_id uuid,
    name_en   text NOT NULL CHECK (name_en <> ''),
    name_zh   text NOT NULL CHECK (name_zh <> ''),
    loss      text NOT NULL CHECK (loss IN ('planned_stop', 'setup', 'failure', 'delay', 'no_order', 'maintenance')),
    position  int NOT NULL,
    retired   boolean NOT NULL DEFAULT false,  -- no longer offered; what it was said of keeps it
    UNIQUE (tenant_id, id),
    UNIQUE NULLS NOT DISTINCT (tenant_id, parent_id, name_en),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES stop_reason (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('stop_reason', 'SELECT, INSERT, UPDATE'); END $$;

-- A person's word: from `at` on the machine stood for this reason, until it ran or the next word.
CREATE TABLE stop_marker (
    equipment_id uuid NOT NULL,
    tenant_id    uuid NOT NULL,
    at           timestamptz NOT NULL,
    reason_id    uuid NOT NULL,
    note         text NOT NULL,
    made_by      text NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (equipment_id, at),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id),
    FOREIGN KEY (tenant_id, reason_id) REFERENCES stop_reason (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('stop_marker', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

-- PRI, planned run time per item (ISO 22400-2): how long one item takes at the planned speed.
CREATE TABLE planned_run_time (
    equipment_id uuid NOT NULL,
    tenant_id    uuid NOT NULL,
    item         text NOT NULL,  -- '' is any item without one of its own
    valid_from   timestamptz NOT NULL,
    run_time_us  bigint NOT NULL CHECK (run_time_us > 0),
    PRIMARY KEY (equipment_id, item, valid_from),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('planned_run_time', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

-- What is made on a machine from `start` on, until the next row.
CREATE TABLE product_run (
    equipment_id uuid NOT NULL,
    tenant_id    uuid NOT NULL,
    start        timestamptz NOT NULL,
    item         text NOT NULL,  -- '' ends the run
    order_number text NOT NULL,
    PRIMARY KEY (equipment_id, start),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('product_run', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

-- One machine in one shift: everything its KPIs are made of (cloud.production.record.ShiftRecord).
CREATE TABLE shift_record (
    equipment_id uuid NOT NULL,
    tenant_id    uuid NOT NULL,
    start        timestamptz NOT NULL,
    until        timestamptz NOT NULL,  -- the end of the shift, or how far it had come
    shift_end    timestamptz NOT NULL,
    day          date NOT NULL,
    name_en      text NOT NULL,
    name_zh      text NOT NULL,
    body         jsonb NOT NULL,
    PRIMARY KEY (equipment_id, start),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);
CREATE INDEX ON shift_record (tenant_id, day);
DO $$ BEGIN PERFORM protect_tenant_table('shift_record', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

-- Whoever sees anything at a site sees when work is planned there.
DO $$ BEGIN
    PERFORM limit_to_reach('shift_calendar', 'site_id IN (SELECT seen_sites())');
    PERFORM limit_to_reach('calendar_exception', 'site_id IN (SELECT seen_sites())');
END $$;

CREATE INDEX ON inspection (tenant_id, equipment_id, part, ts);

-- Inspections, and people's words on them, count in the shift they fall into.
CREATE FUNCTION note_inspection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO production_change (tenant_id, equipment_id, hour, states)
    VALUES (NEW.tenant_id, NEW.equipment_id, date_trunc('hour', NEW.ts, 'UTC'), false);
    RETURN NULL;
END
$$;
CREATE TRIGGER note_inspection AFTER INSERT OR UPDATE OF judgement ON inspection
    FOR EACH ROW EXECUTE FUNCTION note_inspection();

GRANT SELECT (tenant_id) ON production_change, shift_calendar TO sunmao_door;
CREATE POLICY door ON production_change FOR SELECT TO sunmao_door USING (true);
CREATE POLICY door ON shift_calendar FOR SELECT TO sunmao_door USING (true);

-- Tenants that have something to be made anew, or shifts that go on.
CREATE FUNCTION tenants_in_production() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT c.tenant_id FROM production_change c UNION SELECT s.tenant_id FROM shift_calendar s;
END;
DO $$ BEGIN PERFORM hand_to_door('tenants_in_production()'); END $$;

-- What was read before there were states.
ALTER TABLE series NO FORCE ROW LEVEL SECURITY;
ALTER TABLE production_change NO FORCE ROW LEVEL SECURITY;
INSERT INTO production_change (tenant_id, equipment_id, hour, states)
SELECT DISTINCT s.tenant_id, s.equipment_id, date_trunc('hour', r.bucket + half.hour, 'UTC'), true
FROM rollup_hour r JOIN series s ON s.id = r.series_id
CROSS JOIN (VALUES (interval '0'), (interval '59 minutes')) AS half (hour);  -- hours of some zones begin at half past
ALTER TABLE series FORCE ROW LEVEL SECURITY;
ALTER TABLE production_change FORCE ROW LEVEL SECURITY;
