-- Recalls across companies: what is recalled, what each company is told of it, and what it answers.

-- Which things of a recall a company sees: all that is affected for who issues it, its own for who is told.
CREATE TABLE share_recall_things (
    tenant_id uuid NOT NULL REFERENCES tenant,
    recall_id uuid NOT NULL,
    things    text[] NOT NULL,
    PRIMARY KEY (tenant_id, recall_id)
);

CREATE TABLE share_recall (
    id        uuid PRIMARY KEY,
    issuer_id uuid NOT NULL REFERENCES tenant,
    issuer    text NOT NULL,  -- its name when it issued it
    kind      text NOT NULL CHECK (kind IN ('alert', 'investigation', 'block')),
    reason    text NOT NULL CHECK (reason <> ''),
    complete  boolean NOT NULL,  -- false where there is more than was found
    issued_by text NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (id, issuer_id)
);
ALTER TABLE share_recall_things ADD FOREIGN KEY (recall_id) REFERENCES share_recall;

CREATE TABLE share_recall_notice (
    recall_id   uuid NOT NULL,
    issuer_id   uuid NOT NULL,
    told_id     uuid NOT NULL REFERENCES tenant,
    told        text NOT NULL,
    shown       int,  -- how many of its things the issuer sees; NULL where no grant of its shows it any
    answer      text CHECK (answer IN ('acknowledged', 'contained', 'not_affected')),
    answer_text text NOT NULL DEFAULT '',
    answered_by text,
    answered_at timestamptz,
    PRIMARY KEY (recall_id, told_id),
    FOREIGN KEY (recall_id, issuer_id) REFERENCES share_recall (id, issuer_id),
    CHECK (issuer_id <> told_id)
);

DO $$
DECLARE
    target text;
BEGIN
    PERFORM protect_tenant_table('share_recall_things', 'SELECT, INSERT');
    FOREACH target IN ARRAY ARRAY['share_recall', 'share_recall_notice'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', target);
    END LOOP;
END $$;
CREATE POLICY tenant_only ON share_recall TO sunmao_app
    USING (issuer_id = current_tenant()
           OR id IN (SELECT t.recall_id FROM share_recall_things t WHERE t.tenant_id = current_tenant()))
    WITH CHECK (issuer_id = current_tenant());
CREATE POLICY tenant_only ON share_recall_notice TO sunmao_app
    USING (current_tenant() IN (issuer_id, told_id)) WITH CHECK (current_tenant() IN (issuer_id, told_id));
GRANT SELECT, INSERT ON share_recall TO sunmao_app;
GRANT SELECT, INSERT, UPDATE (answer, answer_text, answered_by, answered_at) ON share_recall_notice TO sunmao_app;
DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['share_recall_things', 'share_recall', 'share_recall_notice'] LOOP
        PERFORM limit_to_reach(target::regclass, '(SELECT reaches_company())');
    END LOOP;
END $$;
