-- What people have asked boxes to look at, and what the boxes found. There is no place for a value to write.

CREATE TABLE diagnostic (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    agent_id    uuid NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('read', 'test', 'check', 'report')),
    device      text NOT NULL,  -- as named in the agent's configuration; '' for the box as a whole
    points      text[] NOT NULL,
    asked_by    text NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    taken_at    timestamptz,  -- when the box fetched it
    answered_at timestamptz,
    outcome     text CHECK (outcome IN ('answered', 'failed', 'refused', 'unsupported')),
    answer      jsonb,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agent (tenant_id, id),
    CHECK ((answered_at IS NULL) = (answer IS NULL) AND (answer IS NULL) = (outcome IS NULL))
);
CREATE INDEX ON diagnostic (tenant_id, agent_id, id);
CREATE INDEX ON diagnostic (agent_id, id) WHERE answered_at IS NULL;
DO $$ BEGIN PERFORM protect_tenant_table('diagnostic', 'SELECT, INSERT'); END $$;
-- What was asked is never changed; only what became of it is written down.
GRANT UPDATE (taken_at, answered_at, outcome, answer) ON diagnostic TO sunmao_app;
