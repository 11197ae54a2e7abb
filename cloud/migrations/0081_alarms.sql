-- Alarm rules, where every source under them stands, the alarms people see, and what happened to them.

CREATE TABLE alarm_rule (
    tenant_id  uuid NOT NULL REFERENCES tenant,
    id         uuid NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    enabled    boolean NOT NULL,
    definition jsonb NOT NULL,
    origin     text NOT NULL DEFAULT '',  -- code of the default rule it was made from
    version    int NOT NULL DEFAULT 1,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX ON alarm_rule (tenant_id, name) WHERE removed_at IS NULL;
DO $$ BEGIN PERFORM protect_tenant_table('alarm_rule', 'SELECT, INSERT, UPDATE'); END $$;

-- One row per tenant with rules: how far its readings are evaluated. One process at a time evaluates a tenant; it keeps the
-- lease while it lives, and `version` tells it whether somebody else was at work meanwhile.
CREATE TABLE alarm_cursor (
    tenant_id    uuid PRIMARY KEY REFERENCES tenant,
    rules        bigint NOT NULL DEFAULT 0,  -- counts the changes of rules
    position     bigint,                     -- in the stream of changes of telemetry
    version      bigint NOT NULL DEFAULT 0,
    owner        uuid,
    owned_until  timestamptz NOT NULL DEFAULT '-infinity',
    evaluated_at timestamptz,
    -- Up to which source time each series was evaluated: up to some seconds behind. What is read twice changes nothing, for
    -- sources that are not normal have a row of their own in alarm_track.
    series       int[] NOT NULL DEFAULT '{}',
    seen         timestamptz[] NOT NULL DEFAULT '{}'
);
DO $$ BEGIN PERFORM protect_tenant_table('alarm_cursor', 'SELECT, INSERT, UPDATE'); END $$;
GRANT SELECT (tenant_id) ON alarm_cursor TO sunmao_door;
CREATE POLICY door ON alarm_cursor FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION tenants_with_alarm_rules() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT c.tenant_id FROM alarm_cursor c;
END;
DO $$ BEGIN PERFORM hand_to_door('tenants_with_alarm_rules()'); END $$;

-- Where a source that has ever left normal stands. `source` is series:<id>, agent:<id> or equipment:<id>.
CREATE TABLE alarm_track (
    tenant_id      uuid NOT NULL,
    rule_id        uuid NOT NULL,
    source         text NOT NULL,
    level          text NOT NULL,
    wanted         text NOT NULL,
    since          timestamptz NOT NULL,
    seen           timestamptz NOT NULL,
    value          float8,
    shelved_until  timestamptz,
    shelved_by     text NOT NULL DEFAULT '',
    shelved_reason text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, rule_id, source),
    FOREIGN KEY (tenant_id, rule_id) REFERENCES alarm_rule (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('alarm_track', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

CREATE TABLE alarm (
    tenant_id       uuid NOT NULL,
    id              uuid NOT NULL,
    rule_id         uuid NOT NULL,
    source          text NOT NULL,
    series_id       int REFERENCES series,
    equipment_id    uuid,
    agent_id        uuid,
    priority        text NOT NULL CHECK (priority IN ('critical', 'high', 'medium', 'low')),
    level           text NOT NULL,
    place           text NOT NULL,  -- the source in words
    message_en      text NOT NULL,
    message_zh      text NOT NULL,
    value           float8,
    limit_value     float8,
    unit            text NOT NULL,
    raised_at       timestamptz NOT NULL,  -- by the source's clock
    noticed_at      timestamptz NOT NULL DEFAULT now(),
    returned_at     timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text NOT NULL DEFAULT '',
    comment         text NOT NULL DEFAULT '',
    latching        boolean NOT NULL,
    closed_at       timestamptz,
    raises          int NOT NULL DEFAULT 1,
    first_out       uuid,
    suppressed      boolean NOT NULL DEFAULT false,
    escalated       int NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, rule_id) REFERENCES alarm_rule (tenant_id, id),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agent (tenant_id, id),
    FOREIGN KEY (tenant_id, first_out) REFERENCES alarm (tenant_id, id)
);
-- A source has one open alarm under a rule.
CREATE UNIQUE INDEX ON alarm (tenant_id, rule_id, source) WHERE closed_at IS NULL;
CREATE INDEX ON alarm (tenant_id, rule_id, source);
CREATE INDEX ON alarm (tenant_id, noticed_at DESC, id DESC);
CREATE INDEX ON alarm (tenant_id, equipment_id, noticed_at DESC, id DESC);
CREATE INDEX ON alarm (tenant_id, first_out) WHERE first_out IS NOT NULL;
DO $$ BEGIN PERFORM protect_tenant_table('alarm', 'SELECT, INSERT, UPDATE'); END $$;

-- Appended and never changed; also what streams of changes follow, see telemetry_change.
CREATE TABLE alarm_event (
    tenant_id uuid NOT NULL,
    id        bigint GENERATED ALWAYS AS IDENTITY,
    xid       xid8 NOT NULL DEFAULT pg_current_xact_id(),
    alarm_id  uuid NOT NULL,
    at        timestamptz NOT NULL,  -- raised, level and returned: by the source's clock
    noticed_at timestamptz NOT NULL DEFAULT now(),
    change    text NOT NULL CHECK (change IN ('raised', 'level', 'returned', 'acknowledged', 'reset', 'shelved', 'unshelved',
                                              'escalated')),
    level     text NOT NULL,
    value     float8,
    actor     text NOT NULL DEFAULT '',
    comment   text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, alarm_id) REFERENCES alarm (tenant_id, id)
);
CREATE INDEX ON alarm_event (tenant_id, alarm_id, id);
CREATE INDEX ON alarm_event (tenant_id, xid);
CREATE INDEX ON alarm_event (tenant_id, noticed_at) WHERE change = 'raised';
DO $$ BEGIN PERFORM protect_tenant_table('alarm_event', 'SELECT, INSERT'); END $$;

-- What hangs on an alarm is reached with it; an operator of one line puts aside what alarms there.
DO $$ BEGIN
    PERFORM limit_to_reach('alarm_event', 'EXISTS (SELECT FROM alarm a WHERE a.tenant_id = alarm_event.tenant_id'
        || ' AND a.id = alarm_event.alarm_id)', 'EXISTS (SELECT FROM alarm a WHERE a.tenant_id = alarm_event.tenant_id'
        || ' AND a.id = alarm_event.alarm_id)');
    PERFORM limit_to_reach('alarm_track', 'EXISTS (SELECT FROM alarm a WHERE a.tenant_id = alarm_track.tenant_id'
        || ' AND a.rule_id = alarm_track.rule_id AND a.source = alarm_track.source)',
        'EXISTS (SELECT FROM alarm a WHERE a.tenant_id = alarm_track.tenant_id'
        || ' AND a.rule_id = alarm_track.rule_id AND a.source = alarm_track.source)');
END $$;
