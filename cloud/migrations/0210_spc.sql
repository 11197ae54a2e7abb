-- Process control: what a point is to keep to and how it is charted, by version; and lots that were accepted or not.

CREATE TABLE control_plan (
    tenant_id      uuid NOT NULL REFERENCES tenant,
    series_id      bigint NOT NULL,
    version        int NOT NULL,
    equipment_id   uuid NOT NULL,
    subgroup       int NOT NULL CHECK (subgroup BETWEEN 1 AND 10),
    lower_limit    float8,
    target         float8,
    upper_limit    float8,
    baseline_start timestamptz,  -- the span the control limits rest on; NULL: what is shown
    baseline_end   timestamptz,
    created_by     text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, series_id, version),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id),
    CHECK (lower_limit < upper_limit),
    CHECK ((baseline_start IS NULL) = (baseline_end IS NULL) AND baseline_start < baseline_end)
);

CREATE TABLE sampled_lot (
    tenant_id   uuid NOT NULL REFERENCES tenant,
    id          uuid NOT NULL,
    product     text NOT NULL CHECK (product <> ''),
    lot         text NOT NULL CHECK (lot <> ''),
    lot_size    bigint NOT NULL CHECK (lot_size >= 2),
    level       text NOT NULL,
    aql         float8 NOT NULL,
    severity    text NOT NULL CHECK (severity IN ('normal', 'tightened')),
    sample_size int NOT NULL,
    accept      int NOT NULL,
    found       int NOT NULL CHECK (found BETWEEN 0 AND sample_size),
    accepted    boolean NOT NULL,
    sampled_by  text NOT NULL,
    sampled_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, product, lot)
);
CREATE INDEX ON sampled_lot (tenant_id, product, sampled_at DESC, id DESC);

DO $$ BEGIN
    PERFORM protect_tenant_table('control_plan', 'SELECT, INSERT');
    PERFORM protect_tenant_table('sampled_lot', 'SELECT, INSERT');
END $$;
