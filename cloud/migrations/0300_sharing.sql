-- What one company lets another see: requests, grants, and a receipt of every act and every read.

-- As protect_tenant_table, for rows that belong to two companies: both read them, and either may change what is granted.
CREATE FUNCTION protect_pair_table(target regclass, privileges text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY tenant_only ON %s TO sunmao_app USING (current_tenant() IN (leader_id, supplier_id))'
                   ' WITH CHECK (current_tenant() IN (leader_id, supplier_id))', target);
    EXECUTE format('GRANT %s ON %s TO sunmao_app', privileges, target);
    PERFORM limit_to_reach(target, '(SELECT reaches_company())');
END
$$;
REVOKE EXECUTE ON FUNCTION protect_pair_table(regclass, text) FROM PUBLIC;

-- A company is asked by its credit code, whether it is here or not: who asks is not told which.
CREATE TABLE share_request (
    id          uuid PRIMARY KEY,
    leader_id   uuid NOT NULL REFERENCES tenant,
    leader      text NOT NULL,  -- its name when it asked
    credit_code text NOT NULL CHECK (length(credit_code) = 18),
    supplier    text NOT NULL CHECK (supplier <> ''),  -- what the leader calls it
    grant_id    uuid,  -- the grant it shall change, or that it became
    purpose     text NOT NULL CHECK (purpose <> ''),
    terms       jsonb NOT NULL,
    asked_by    text NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT now(),
    answer      text CHECK (answer IN ('accepted', 'declined', 'withdrawn')),
    answered_by text,
    answered_at timestamptz
);
CREATE INDEX ON share_request (leader_id, id DESC);
CREATE INDEX ON share_request (credit_code, id DESC);
ALTER TABLE share_request ENABLE ROW LEVEL SECURITY;
ALTER TABLE share_request FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON share_request TO sunmao_app
    USING (leader_id = current_tenant() OR credit_code = (SELECT t.credit_code FROM tenant t WHERE t.id = current_tenant()))
    WITH CHECK (leader_id = current_tenant()
                OR credit_code = (SELECT t.credit_code FROM tenant t WHERE t.id = current_tenant()));
GRANT SELECT, INSERT, UPDATE (answer, answered_by, answered_at, grant_id) ON share_request TO sunmao_app;
DO $$ BEGIN PERFORM limit_to_reach('share_request', '(SELECT reaches_company())'); END $$;

CREATE TABLE share_grant (
    id          uuid PRIMARY KEY,
    leader_id   uuid NOT NULL REFERENCES tenant,
    supplier_id uuid NOT NULL REFERENCES tenant,
    leader      text NOT NULL,
    supplier    text NOT NULL,
    purpose     text NOT NULL,
    version     int NOT NULL DEFAULT 1,
    terms       jsonb NOT NULL,
    since       timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    ended_by    text CHECK (ended_by IN ('leader', 'supplier')),
    end_reason  text NOT NULL DEFAULT '',
    receipts    bigint NOT NULL DEFAULT 0,  -- the head of its chain
    head        bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    UNIQUE (id, leader_id, supplier_id),
    CHECK (since < until),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE INDEX ON share_grant (leader_id, id DESC);
CREATE INDEX ON share_grant (supplier_id, id DESC);

CREATE TABLE share_receipt (
    grant_id    uuid NOT NULL,
    seq         bigint NOT NULL,
    leader_id   uuid NOT NULL,
    supplier_id uuid NOT NULL,
    at          timestamptz NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('granted', 'changed', 'read', 'ended')),
    version     int NOT NULL,
    actor       text NOT NULL,
    body        json NOT NULL,
    hash        bytea NOT NULL,
    PRIMARY KEY (grant_id, seq),
    FOREIGN KEY (grant_id, leader_id, supplier_id) REFERENCES share_grant (id, leader_id, supplier_id)
);

DO $$ BEGIN
    PERFORM protect_pair_table('share_grant', 'SELECT');
    PERFORM protect_pair_table('share_receipt', 'SELECT');
END $$;
-- Not its chain's head, which only the door moves.
GRANT INSERT (id, leader_id, supplier_id, leader, supplier, purpose, terms, since, until),
      UPDATE (version, terms, since, until, ended_at, ended_by, end_reason) ON share_grant TO sunmao_app;

-- What is hashed: as audit_text, JSON with sorted keys and no space between.
CREATE FUNCTION receipt_text(grant_id uuid, seq bigint, at timestamptz, kind text, version int, actor text, body json)
RETURNS text LANGUAGE sql IMMUTABLE
RETURN '{"actor":' || to_json(actor) || ',"at":"' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || '","body":' || body || ',"grant":"' || grant_id || '","kind":' || to_json(kind) || ',"seq":' || seq
    || ',"version":' || version || '}';

-- The only way to append. A read is receipted if the grant is live, and as it was when the read began: else NULL is
-- returned, and whoever asked must not give away what they have read. Until the transaction ends nobody changes the grant.
GRANT SELECT, UPDATE (receipts, head) ON share_grant TO sunmao_door;
GRANT INSERT ON share_receipt TO sunmao_door;
CREATE POLICY door ON share_grant TO sunmao_door USING (current_tenant() IN (leader_id, supplier_id))
    WITH CHECK (current_tenant() IN (leader_id, supplier_id));
CREATE POLICY door ON share_receipt FOR INSERT TO sunmao_door WITH CHECK (current_tenant() IN (leader_id, supplier_id));
CREATE FUNCTION append_receipt(the_grant uuid, kind text, read_version int, actor text, body json)
RETURNS TABLE (seq bigint, at timestamptz, hash bytea)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    found share_grant;
BEGIN
    SELECT * INTO STRICT found FROM share_grant g WHERE g.id = the_grant FOR NO KEY UPDATE;
    IF kind = 'read' AND (found.ended_at IS NOT NULL OR found.until <= clock_timestamp() OR found.version <> read_version
                          OR found.leader_id <> current_tenant()) THEN
        RETURN;
    END IF;
    seq := found.receipts + 1;
    at := clock_timestamp();
    hash := sha256(found.head || convert_to(receipt_text(the_grant, seq, at, kind, found.version, actor, body), 'UTF8'));
    INSERT INTO share_receipt (grant_id, seq, leader_id, supplier_id, at, kind, version, actor, body, hash)
    VALUES (the_grant, seq, found.leader_id, found.supplier_id, at, kind, found.version, actor, body, hash);
    UPDATE share_grant g SET receipts = append_receipt.seq, head = append_receipt.hash WHERE g.id = the_grant;
    RETURN NEXT;
END
$$;
DO $$ BEGIN PERFORM hand_to_door('append_receipt(uuid, text, int, text, json)'); END $$;
