-- What happened at the edge and people should see.

CREATE TABLE agent_event (
    tenant_id uuid NOT NULL,
    id        uuid NOT NULL,  -- made at the edge, so that a replay is recognised
    agent_id  uuid NOT NULL,
    device    text NOT NULL,  -- '' for the agent itself
    ts        timestamptz NOT NULL,
    kind      text NOT NULL,
    text_en   text NOT NULL,
    text_zh   text NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agent (tenant_id, id)
);
CREATE INDEX ON agent_event (tenant_id, ts, id);
DO $$ BEGIN PERFORM protect_tenant_table('agent_event', 'SELECT, INSERT'); END $$;
