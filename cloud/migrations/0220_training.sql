-- Training: sets of pictures, fits of a model from them, the versions that came out, and the key that signs these.

CREATE TABLE training_set (
    tenant_id    uuid NOT NULL REFERENCES tenant,
    id           uuid NOT NULL,
    equipment_id uuid,  -- the inspection station; NULL while there is none
    name         text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,63}$'),  -- what its models are called
    keep_days    int CHECK (keep_days > 0),  -- NULL: uploaded pictures stay
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);

-- An uploaded picture, once per set. Pictures that operators judged at the station stay with their inspections.
CREATE TABLE training_picture (
    tenant_id uuid NOT NULL,
    set_id    uuid NOT NULL,
    digest    text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),  -- SHA-256 of content
    kind      text NOT NULL CHECK (kind IN ('good', 'defect', 'unknown')),
    defect    text CHECK (defect <> '' AND length(defect) <= 80),
    part      text NOT NULL CHECK (part <> '' AND length(part) <= 80),
    width     int NOT NULL,
    height    int NOT NULL,
    size      int NOT NULL CHECK (size = octet_length(content)),
    content   bytea NOT NULL,
    thumbnail bytea NOT NULL,
    added_by  text NOT NULL,
    added_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, set_id, digest),
    FOREIGN KEY (tenant_id, set_id) REFERENCES training_set ON DELETE CASCADE,
    CHECK (defect IS NULL OR kind = 'defect')
);
ALTER TABLE training_picture ALTER COLUMN content SET STORAGE EXTERNAL;  -- JPEG and PNG do not compress again
ALTER TABLE training_picture ALTER COLUMN thumbnail SET STORAGE EXTERNAL;

CREATE TABLE training_fit (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    set_id       uuid NOT NULL,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    task         jsonb NOT NULL,  -- recipe, limits, and every picture by its content's hash
    stage        text NOT NULL DEFAULT '',
    done         int NOT NULL DEFAULT 0,
    total        int NOT NULL DEFAULT 0,
    attempts     int NOT NULL DEFAULT 0,
    owner        uuid,  -- the process that fits; what it writes counts while it has the lease
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    cancel       boolean NOT NULL DEFAULT false,
    reason_en    text NOT NULL DEFAULT '',
    reason_zh    text NOT NULL DEFAULT '',
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    ended_at     timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, set_id) REFERENCES training_set ON DELETE CASCADE
);
CREATE INDEX ON training_fit (tenant_id, set_id, requested_at DESC);
CREATE INDEX ON training_fit (tenant_id) WHERE state IN ('waiting', 'running');
CREATE UNIQUE INDEX ON training_fit (tenant_id, set_id) WHERE state IN ('waiting', 'running');  -- one at a time

-- A version: the four files of its signed bundle. Its id is its fit's, so that a fit has one result.
CREATE TABLE training_version (
    tenant_id  uuid NOT NULL,
    id         uuid NOT NULL,
    set_id     uuid NOT NULL,
    parent_id  uuid,  -- the version it was judged beside
    number     int NOT NULL,
    digest     text NOT NULL,  -- SHA-256 of checksums.txt: the bundle's identity
    signer     text NOT NULL,
    card       bytea NOT NULL,
    onnx       bytea NOT NULL,
    checksums  bytea NOT NULL,
    signature  bytea NOT NULL,
    figures    jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, set_id, number),
    FOREIGN KEY (tenant_id, id) REFERENCES training_fit ON DELETE CASCADE
);

CREATE TABLE training_key (
    tenant_id  uuid PRIMARY KEY REFERENCES tenant,
    public_key text NOT NULL,
    sealed     bytea NOT NULL,  -- the private key, encrypted under the installation's secrets
    created_at timestamptz NOT NULL DEFAULT now()
);

DO $$
DECLARE
    hanging text;
BEGIN
    PERFORM protect_tenant_table('training_set', 'SELECT, INSERT, UPDATE, DELETE');
    PERFORM protect_tenant_table('training_picture', 'SELECT, INSERT, UPDATE, DELETE');
    PERFORM protect_tenant_table('training_fit', 'SELECT, INSERT, UPDATE');
    PERFORM protect_tenant_table('training_version', 'SELECT, INSERT');
    PERFORM protect_tenant_table('training_key', 'SELECT, INSERT');
    -- Reached with the set.
    FOREACH hanging IN ARRAY ARRAY['training_picture', 'training_fit', 'training_version'] LOOP
        PERFORM limit_to_reach(hanging::regclass,
            format('EXISTS (SELECT FROM training_set s WHERE s.tenant_id = %1$s.tenant_id AND s.id = %1$s.set_id)', hanging),
            format('EXISTS (SELECT FROM training_set s WHERE s.tenant_id = %1$s.tenant_id AND s.id = %1$s.set_id)', hanging));
    END LOOP;
END $$;

GRANT SELECT (tenant_id, state) ON training_fit TO sunmao_door;
GRANT SELECT (tenant_id, keep_days) ON training_set TO sunmao_door;
CREATE POLICY door ON training_fit FOR SELECT TO sunmao_door USING (true);
CREATE POLICY door ON training_set FOR SELECT TO sunmao_door USING (true);

-- Tenants in which there is something to fit, or something that is kept for some time only.
CREATE FUNCTION tenants_with_fits() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT f.tenant_id FROM training_fit f WHERE f.state IN ('waiting', 'running');
END;
CREATE FUNCTION tenants_that_forget_pictures() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT s.tenant_id FROM training_set s WHERE s.keep_days IS NOT NULL;
END;
DO $$ BEGIN
    PERFORM hand_to_door('tenants_with_fits()');
    PERFORM hand_to_door('tenants_that_forget_pictures()');
END $$;

-- What waits for a person's word, the uncertain first, is looked for among the latest of a station.
CREATE INDEX ON inspection (tenant_id, equipment_id, ts DESC, id DESC) WHERE judgement IS NULL;
