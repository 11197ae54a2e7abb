-- The audit log becomes a chain per tenant: each row carries the SHA-256 of the row before it and of its own content, and
-- the head (how many rows, and the last hash) stands in a table the app role can read and not change.

CREATE TABLE audit_head (
    tenant_id uuid PRIMARY KEY REFERENCES tenant,
    count     bigint NOT NULL,
    hash      bytea NOT NULL
);
DO $$ BEGIN PERFORM protect_tenant_table('audit_head', 'SELECT'); END $$;

-- What is hashed: JSON with sorted keys and no space between. `detail` stands in it as it was stored, byte by byte.
CREATE FUNCTION audit_text(tenant uuid, seq bigint, at timestamptz, actor text, act text, subject text, address text,
                           detail json) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN '{"act":' || to_json(act) || ',"actor":' || to_json(actor) || ',"address":' || to_json(address)
    || ',"at":"' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","detail":' || detail
    || ',"seq":' || seq || ',"subject":' || to_json(subject) || ',"tenant":"' || tenant || '"}';

-- The owner is bound by a forced policy, too, and shall number the rows there are.
ALTER TABLE audit NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_head NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit
    ADD COLUMN seq bigint,
    ADD COLUMN address text NOT NULL DEFAULT '',
    ADD COLUMN hash bytea,
    ALTER COLUMN detail DROP DEFAULT,
    ALTER COLUMN detail TYPE json USING detail::text::json;

DO $$
DECLARE
    one audit;
    head audit_head;
BEGIN
    FOR one IN SELECT * FROM audit ORDER BY tenant_id, id LOOP
        IF head.tenant_id IS DISTINCT FROM one.tenant_id THEN
            head := (one.tenant_id, 0, decode(repeat('00', 32), 'hex'));
        END IF;
        head.count := head.count + 1;
        head.hash := sha256(head.hash || convert_to(audit_text(
            one.tenant_id, head.count, one.at, one.actor, one.act, one.subject, one.address, one.detail), 'UTF8'));
        UPDATE audit SET seq = head.count, hash = head.hash WHERE id = one.id;
        INSERT INTO audit_head SELECT head.* ON CONFLICT (tenant_id) DO UPDATE
            SET count = excluded.count, hash = excluded.hash;
    END LOOP;
END
$$;

ALTER TABLE audit
    DROP COLUMN id,
    ADD PRIMARY KEY (tenant_id, seq),
    ALTER COLUMN hash SET NOT NULL,
    ALTER COLUMN address DROP DEFAULT,
    ALTER COLUMN at DROP DEFAULT;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_head FORCE ROW LEVEL SECURITY;

-- The only way to append. The head's row lock puts a tenant's writers in a row until each has committed or given up.
REVOKE INSERT ON audit FROM sunmao_app;
GRANT INSERT ON audit TO sunmao_door;
CREATE POLICY door ON audit FOR INSERT TO sunmao_door WITH CHECK (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE ON audit_head TO sunmao_door;
CREATE POLICY door ON audit_head TO sunmao_door
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());

CREATE FUNCTION append_audit(actor text, act text, subject text, address text, detail json) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head audit_head;
    at timestamptz;
BEGIN
    INSERT INTO audit_head VALUES (current_tenant(), 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT head FROM audit_head h WHERE h.tenant_id = current_tenant() FOR UPDATE;
    at := clock_timestamp();
    head.count := head.count + 1;
    head.hash := sha256(head.hash || convert_to(
        audit_text(head.tenant_id, head.count, at, actor, act, subject, address, detail), 'UTF8'));
    INSERT INTO audit (tenant_id, seq, at, actor, act, subject, address, detail, hash)
    VALUES (head.tenant_id, head.count, at, actor, act, subject, address, detail, head.hash);
    UPDATE audit_head h SET count = head.count, hash = head.hash WHERE h.tenant_id = head.tenant_id;
END
$$;
DO $$ BEGIN PERFORM hand_to_door('append_audit(text, text, text, text, json)'); END $$;
