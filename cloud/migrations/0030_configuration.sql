-- Versions of every agent's configuration: those that people wanted there and those that were found at the box.

CREATE TABLE agent_configuration (
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    version    int NOT NULL CHECK (version >= 0),  -- counted per agent; 0 is what it had when it was first heard
    origin     text NOT NULL CHECK (origin IN ('box', 'cloud')),
    author     text NOT NULL,
    note       text NOT NULL DEFAULT '',
    base       int,  -- the version it was made from
    hash       text NOT NULL CHECK (length(hash) = 12),
    body       text NOT NULL,  -- the shared part of the agent's file, without secrets
    created_at timestamptz NOT NULL DEFAULT now(),
    outcome    text NOT NULL DEFAULT '' CHECK (outcome IN ('', 'probation', 'applied', 'failed', 'rolled_back')),
    reason_en  text NOT NULL DEFAULT '',
    reason_zh  text NOT NULL DEFAULT '',
    settled_at timestamptz,
    PRIMARY KEY (tenant_id, agent_id, version),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agent (tenant_id, id)
);
CREATE INDEX ON agent_configuration (tenant_id, agent_id, hash);
DO $$ BEGIN PERFORM protect_tenant_table('agent_configuration', 'SELECT, INSERT'); END $$;
-- A version is never changed; only what became of it is written down.
GRANT UPDATE (outcome, reason_en, reason_zh, settled_at) ON agent_configuration TO sunmao_app;
COMMENT ON COLUMN agent_configuration.outcome IS 'Of a version from the cloud; empty until the agent has said';
