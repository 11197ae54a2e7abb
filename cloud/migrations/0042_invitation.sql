-- Invitations: who holds both the link's token and the code given separately may join the company, once.

CREATE TABLE invitation (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    role       text NOT NULL CHECK (role IN ('viewer', 'operator', 'engineer', 'manager', 'owner')),
    note       text NOT NULL,
    token_hash bytea NOT NULL UNIQUE,  -- keyed, as the code's: both are shown once and stored nowhere
    code_hash  bytea NOT NULL,
    wrong      int NOT NULL DEFAULT 0,  -- how often the token came with a wrong code
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_by    uuid,
    FOREIGN KEY (tenant_id, created_by) REFERENCES user_account (tenant_id, id),
    FOREIGN KEY (tenant_id, used_by) REFERENCES user_account (tenant_id, id)
);
CREATE INDEX ON invitation (tenant_id, id);
DO $$ BEGIN PERFORM protect_tenant_table('invitation', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

GRANT SELECT (id, tenant_id, token_hash) ON invitation TO sunmao_door;
CREATE POLICY door ON invitation FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION find_invitation(wanted_hash bytea) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT i.tenant_id, i.id FROM invitation i WHERE i.token_hash = wanted_hash;
END;
DO $$ BEGIN PERFORM hand_to_door('find_invitation(bytea)'); END $$;
