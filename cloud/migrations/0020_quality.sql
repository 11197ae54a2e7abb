-- Inspections: the model's verdict on a part, the operator's word on it, and the images it rests on.

CREATE TABLE inspection (
    tenant_id     uuid NOT NULL,
    id            uuid NOT NULL,
    equipment_id  uuid NOT NULL,
    agent_id      uuid NOT NULL,
    ts            timestamptz NOT NULL,
    part          text NOT NULL,
    verdict       text NOT NULL CHECK (verdict IN ('pass', 'review', 'reject')),
    score         float8 NOT NULL,
    review_limit  float8 NOT NULL,
    reject_limit  float8 NOT NULL,
    model         text NOT NULL,
    model_version text NOT NULL,
    latency_us    bigint NOT NULL CHECK (latency_us >= 0),
    judgement     text CHECK (judgement IN ('good', 'defect')),
    judged_by     text,
    judged_at     timestamptz,
    -- The id comes from the edge, so it is unique per tenant only: nobody can learn of, or block, another tenant's ids.
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agent (tenant_id, id),
    CHECK ((judgement IS NULL) = (judged_by IS NULL) AND (judgement IS NULL) = (judged_at IS NULL))
);
CREATE INDEX ON inspection (tenant_id, ts DESC, id DESC);
CREATE INDEX ON inspection (tenant_id, equipment_id, ts DESC, id DESC);
CREATE INDEX ON inspection (tenant_id, verdict, ts DESC, id DESC);
COMMENT ON COLUMN inspection.judgement IS 'The operator''s word; overrules the verdict and feeds the next fit';

-- Images lie apart so that lists never read them. `content` is NULL where an image was over the limit of the service;
-- `size` then says how large it was.
CREATE TABLE inspection_image (
    tenant_id     uuid NOT NULL,
    inspection_id uuid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('picture', 'heatmap')),
    size          integer NOT NULL CHECK (size > 0),
    content       bytea CHECK (octet_length(content) = size),
    PRIMARY KEY (tenant_id, inspection_id, kind),
    FOREIGN KEY (tenant_id, inspection_id) REFERENCES inspection
);
ALTER TABLE inspection_image ALTER COLUMN content SET STORAGE EXTERNAL;  -- JPEG and PNG do not compress again

DO $$ BEGIN
    PERFORM protect_tenant_table('inspection', 'SELECT, INSERT');
    PERFORM protect_tenant_table('inspection_image', 'SELECT, INSERT');
END $$;
GRANT UPDATE (judgement, judged_by, judged_at) ON inspection TO sunmao_app;
