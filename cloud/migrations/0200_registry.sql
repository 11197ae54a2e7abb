-- Registry: released models, whose signatures count, what stations run and shall run, and roll-outs from shadow to full.

CREATE TABLE model_version (
    tenant_id  uuid NOT NULL REFERENCES tenant,
    id         uuid NOT NULL,
    name       text NOT NULL,
    version    text NOT NULL,
    task       text NOT NULL,
    digest     text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),  -- SHA-256 of checksums.txt: the bundle's identity
    signer     text NOT NULL,
    parent_id  uuid,  -- the version it was fitted after
    card       bytea NOT NULL,
    onnx       bytea NOT NULL,
    checksums  bytea NOT NULL,
    signature  bytea NOT NULL,
    added_by   text NOT NULL,
    added_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, digest),
    UNIQUE (tenant_id, name, version)  -- by which inspections name it
);
ALTER TABLE model_version ALTER COLUMN onnx SET STORAGE EXTERNAL;  -- boxes fetch pieces of it

CREATE TABLE model_key (
    tenant_id  uuid NOT NULL REFERENCES tenant,
    public_key text NOT NULL,
    name       text NOT NULL,
    added_by   text NOT NULL,
    added_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, public_key)
);

-- What an inspection station runs, as it says, and what it shall run.
CREATE TABLE station_model (
    tenant_id     uuid NOT NULL,
    equipment_id  uuid NOT NULL,
    number        bigint NOT NULL DEFAULT 0,  -- of the last order, 0 for none
    run           text NOT NULL DEFAULT '',   -- digests
    shadow        text NOT NULL DEFAULT '',
    latency_us    bigint NOT NULL DEFAULT 0,
    running       text NOT NULL DEFAULT '',
    previous      text NOT NULL DEFAULT '',
    beside        text NOT NULL DEFAULT '',
    dealt_with    bigint NOT NULL DEFAULT 0,  -- the last order the station has dealt with, and what became of it
    outcome       text NOT NULL DEFAULT '',
    reason_en     text NOT NULL DEFAULT '',
    reason_zh     text NOT NULL DEFAULT '',
    reported_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, equipment_id),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);

CREATE TABLE rollout (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    version_id  uuid NOT NULL,
    stage       text NOT NULL CHECK (stage IN ('shadow', 'canary', 'full', 'done', 'returned')),
    plan        jsonb NOT NULL,
    stage_since timestamptz NOT NULL DEFAULT now(),
    base_parts  bigint NOT NULL,  -- what the models before did, of the last parts before it began
    base_rejects bigint NOT NULL,
    begun_by    text NOT NULL,
    begun_at    timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    reason_en   text NOT NULL DEFAULT '',
    reason_zh   text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, version_id) REFERENCES model_version,
    CHECK ((ended_at IS NOT NULL) = (stage IN ('done', 'returned')))
);
CREATE INDEX ON rollout (tenant_id, begun_at DESC);
CREATE INDEX ON rollout (tenant_id) WHERE ended_at IS NULL;

CREATE TABLE rollout_station (
    tenant_id    uuid NOT NULL,
    rollout_id   uuid NOT NULL,
    equipment_id uuid NOT NULL,
    canary       boolean NOT NULL,
    before       text NOT NULL,  -- digest of what it ran
    ended        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, rollout_id, equipment_id),
    FOREIGN KEY (tenant_id, rollout_id) REFERENCES rollout,
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);
CREATE UNIQUE INDEX ON rollout_station (tenant_id, equipment_id) WHERE NOT ended;  -- one at a time

DO $$ BEGIN
    PERFORM protect_tenant_table('model_version', 'SELECT, INSERT');
    PERFORM protect_tenant_table('model_key', 'SELECT, INSERT, DELETE');
    PERFORM protect_tenant_table('station_model', 'SELECT, INSERT, UPDATE');
    PERFORM protect_tenant_table('rollout', 'SELECT, INSERT, UPDATE');
    PERFORM protect_tenant_table('rollout_station', 'SELECT, INSERT, UPDATE');
    -- A roll-out is seen by who reaches one of its stations; which stations it has is checked with each of them.
    PERFORM limit_to_reach('rollout', 'EXISTS (SELECT FROM rollout_station s WHERE s.tenant_id = rollout.tenant_id AND s.rollout_id = rollout.id)',
        'true');
END $$;

GRANT SELECT (tenant_id, ended_at) ON rollout TO sunmao_door;
CREATE POLICY door ON rollout FOR SELECT TO sunmao_door USING (true);

CREATE FUNCTION tenants_with_rollouts() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT r.tenant_id FROM rollout r WHERE r.ended_at IS NULL;
END;
DO $$ BEGIN PERFORM hand_to_door('tenants_with_rollouts()'); END $$;

-- What a model on its way in would have said.
ALTER TABLE inspection
    ADD COLUMN shadow_model text,
    ADD COLUMN shadow_version text,
    ADD COLUMN shadow_verdict text CHECK (shadow_verdict IN ('pass', 'review', 'reject')),
    ADD COLUMN shadow_score float8,
    ADD COLUMN shadow_latency_us bigint CHECK (shadow_latency_us >= 0);
