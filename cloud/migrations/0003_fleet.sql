-- Edge agents, the one-time codes that let them in, and the equipment they report.

CREATE TABLE agent (
    id            uuid PRIMARY KEY,
    tenant_id     uuid NOT NULL,
    site_id       uuid NOT NULL,
    name          text NOT NULL CHECK (name <> ''),
    public_key    bytea NOT NULL CHECK (length(public_key) = 32),  -- Ed25519; the private half never leaves the box
    agent_version text NOT NULL,
    enrolled_at   timestamptz NOT NULL DEFAULT now(),
    revoked_at    timestamptz,
    last_seen     timestamptz,
    health        jsonb,
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, public_key)
);
DO $$ BEGIN PERFORM protect_tenant_table('agent', 'SELECT, INSERT, UPDATE'); END $$;

CREATE TABLE enrolment_code (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    site_id    uuid NOT NULL,
    hash       bytea NOT NULL UNIQUE,  -- keyed; the code itself is shown once and stored nowhere
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    used_key   bytea,
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id)
);
CREATE INDEX ON enrolment_code (tenant_id, id);
DO $$ BEGIN PERFORM protect_tenant_table('enrolment_code', 'SELECT, INSERT'); END $$;

-- Nonces handed out and not yet signed. Only the door's functions touch them.
CREATE TABLE agent_challenge (
    hash       bytea PRIMARY KEY,
    agent_id   uuid NOT NULL REFERENCES agent,
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON agent_challenge (agent_id);
ALTER TABLE agent_challenge ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_challenge FORCE ROW LEVEL SECURITY;

CREATE TABLE equipment (
    id              uuid PRIMARY KEY,
    tenant_id       uuid NOT NULL,
    agent_id        uuid NOT NULL,
    name            text NOT NULL CHECK (name <> ''),  -- the device's name in the agent's configuration
    equipment_class text NOT NULL DEFAULT '',
    protocol        text NOT NULL DEFAULT '',
    template        text NOT NULL DEFAULT '',
    state           text NOT NULL DEFAULT 'waiting',
    state_since     timestamptz,
    reason_en       text NOT NULL DEFAULT '',
    reason_zh       text NOT NULL DEFAULT '',
    points          int NOT NULL DEFAULT 0,
    unmapped        int NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agent (tenant_id, id),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, agent_id, name)
);
DO $$ BEGIN PERFORM protect_tenant_table('equipment', 'SELECT, INSERT, UPDATE'); END $$;

-- The door: what an agent may ask before its tenant is known.

GRANT SELECT (id, tenant_id, site_id, name, public_key, revoked_at) ON agent TO sunmao_door;
CREATE POLICY door ON agent FOR SELECT TO sunmao_door USING (true);
GRANT SELECT (id, tenant_id, site_id, hash, expires_at, used_at, used_key), UPDATE (used_at, used_key)
    ON enrolment_code TO sunmao_door;
CREATE POLICY door_reads ON enrolment_code FOR SELECT TO sunmao_door USING (true);
CREATE POLICY door_claims ON enrolment_code FOR UPDATE TO sunmao_door USING (true);
GRANT SELECT, INSERT, DELETE ON agent_challenge TO sunmao_door;
CREATE POLICY door ON agent_challenge TO sunmao_door USING (true);

-- Uses up the code for `key`. One UPDATE decides, so that of any number of callers one wins; the winner may ask again
-- with the same key, in case the answer was lost. `outcome` is claimed, used, expired or unknown.
CREATE FUNCTION claim_enrolment_code(wanted_hash bytea, key bytea)
RETURNS TABLE (outcome text, tenant_id uuid, site_id uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        UPDATE enrolment_code c SET used_at = COALESCE(c.used_at, now()), used_key = key
        WHERE c.hash = wanted_hash AND (c.used_key = key OR (c.used_at IS NULL AND c.expires_at > now()))
        RETURNING 'claimed', c.tenant_id, c.site_id;
    IF NOT FOUND THEN
        RETURN QUERY
            SELECT COALESCE((SELECT CASE WHEN c.used_at IS NULL THEN 'expired' ELSE 'used' END
                             FROM enrolment_code c WHERE c.hash = wanted_hash), 'unknown'), NULL::uuid, NULL::uuid;
    END IF;
END
$$;
DO $$ BEGIN PERFORM hand_to_door('claim_enrolment_code(bytea, bytea)'); END $$;

CREATE FUNCTION find_agent(wanted uuid)
RETURNS TABLE (tenant_id uuid, site_id uuid, name text, public_key bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT a.tenant_id, a.site_id, a.name, a.public_key FROM agent a WHERE a.id = wanted AND a.revoked_at IS NULL;
END;
DO $$ BEGIN PERFORM hand_to_door('find_agent(uuid)'); END $$;

CREATE FUNCTION open_challenge(agent uuid, nonce_hash bytea) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    DELETE FROM agent_challenge c WHERE c.agent_id = agent AND c.expires_at < now();
    INSERT INTO agent_challenge (hash, agent_id, expires_at)
    SELECT nonce_hash, a.id, now() + interval '60 s' FROM agent a WHERE a.id = agent AND a.revoked_at IS NULL;
END;
DO $$ BEGIN PERFORM hand_to_door('open_challenge(uuid, bytea)'); END $$;

-- True once per nonce, and only for the agent it was given to.
CREATE FUNCTION take_challenge(agent uuid, nonce_hash bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM agent_challenge c WHERE c.hash = nonce_hash AND c.agent_id = agent AND c.expires_at > now();
    RETURN FOUND;
END
$$;
DO $$ BEGIN PERFORM hand_to_door('take_challenge(uuid, bytea)'); END $$;
