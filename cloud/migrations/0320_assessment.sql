-- Maturity assessments of a company, each with its answers and the evidence they rest on; only added.

CREATE TABLE assessment (
    tenant_id   uuid NOT NULL REFERENCES tenant,
    id          uuid NOT NULL,
    edition     text NOT NULL,
    answers     jsonb NOT NULL,
    evidence    jsonb NOT NULL,
    points      float8 NOT NULL,
    level       int NOT NULL CHECK (level BETWEEN 0 AND 4),
    assessed_by text NOT NULL,
    assessed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
DO $$ BEGIN
    PERFORM protect_tenant_table('assessment', 'SELECT, INSERT');
    PERFORM limit_to_reach('assessment', '(SELECT reaches_company())');
END $$;
