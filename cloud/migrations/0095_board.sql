-- Wall boards: a screen in the workshop that shows a part of the plant to whoever walks by. It is opened by a code of its
-- own, so that nobody's session stands on a wall; the code opens this one page and nothing else, until it is withdrawn.

CREATE TABLE board (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    site_id    uuid,  -- what it shows; neither: the company
    line_id    uuid,
    language   text NOT NULL CHECK (language IN ('en', 'zh')),
    turn_s     int NOT NULL CHECK (turn_s BETWEEN 5 AND 600),  -- how long a part of the plant stays before the next
    code_hash  bytea NOT NULL UNIQUE,  -- keyed; the code itself is shown once and stored nowhere
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    shown_at   timestamptz,
    CHECK (num_nonnulls(site_id, line_id) <= 1),
    FOREIGN KEY (tenant_id) REFERENCES tenant,
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id),
    FOREIGN KEY (tenant_id, line_id) REFERENCES line (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ON board (tenant_id, id);
DO $$ BEGIN PERFORM protect_tenant_table('board', 'SELECT, INSERT, DELETE'); END $$;
GRANT UPDATE (shown_at) ON board TO sunmao_app;

GRANT SELECT (id, tenant_id, code_hash) ON board TO sunmao_door;
CREATE POLICY door ON board FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION find_board(wanted_hash bytea) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT b.tenant_id, b.id FROM board b WHERE b.code_hash = wanted_hash;
END;
DO $$ BEGIN PERFORM hand_to_door('find_board(bytea)'); END $$;
