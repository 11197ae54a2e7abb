-- Events of things as EPCIS 2.0 has them, and which thing each names in which role.

CREATE TABLE trace_event (
    tenant_id   uuid NOT NULL REFERENCES tenant,
    id          text NOT NULL,  -- the eventID, or the hash that stands for one
    kind        text NOT NULL,
    event_time  timestamptz NOT NULL,
    biz_step    text,
    body        json NOT NULL,
    record_time timestamptz NOT NULL DEFAULT now(),
    captured_by text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ON trace_event (tenant_id, event_time DESC, id DESC);

-- A link says that `made` came to be from, or holds, `used`.
CREATE TABLE trace_link (
    tenant_id uuid NOT NULL,
    used      text NOT NULL,
    made      text NOT NULL,
    event_id  text NOT NULL,
    PRIMARY KEY (tenant_id, used, made, event_id),
    FOREIGN KEY (tenant_id, event_id) REFERENCES trace_event (tenant_id, id)
);
CREATE INDEX ON trace_link (tenant_id, made);

CREATE TABLE trace_thing (
    tenant_id uuid NOT NULL,
    thing     text NOT NULL,
    event_id  text NOT NULL,
    PRIMARY KEY (tenant_id, thing, event_id),
    FOREIGN KEY (tenant_id, event_id) REFERENCES trace_event (tenant_id, id)
);

DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['trace_event', 'trace_link', 'trace_thing'] LOOP
        PERFORM protect_tenant_table(target::regclass, 'SELECT, INSERT');
        PERFORM limit_to_reach(target::regclass, '(SELECT reaches_company())');
    END LOOP;
END $$;
