-- Programmes: what a leader asks of its suppliers, whom it has invited, and how far each has come.

CREATE TABLE programme (
    tenant_id    uuid NOT NULL REFERENCES tenant,
    id           uuid NOT NULL,
    name         text NOT NULL CHECK (name <> ''),
    purpose      text NOT NULL CHECK (purpose <> ''),
    terms        jsonb NOT NULL,
    completeness float8 NOT NULL CHECK (completeness BETWEEN 0 AND 1),
    age_minutes  int NOT NULL CHECK (age_minutes > 0),
    deadline     date NOT NULL,
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE programme_supplier (
    tenant_id     uuid NOT NULL,
    id            uuid NOT NULL,
    programme_id  uuid NOT NULL,
    credit_code   text NOT NULL CHECK (length(credit_code) = 18),
    name          text NOT NULL CHECK (name <> ''),
    contact       text NOT NULL,
    request_id    uuid NOT NULL REFERENCES share_request,
    token_hash    bytea NOT NULL UNIQUE,  -- keyed, as the code's: both are shown once and stored nowhere
    code_hash     bytea NOT NULL,
    wrong         int NOT NULL DEFAULT 0,
    invited_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    reminded_at   timestamptz,
    opened_at     timestamptz,
    registered_at timestamptz,
    checked_at    timestamptz,
    conformance   jsonb,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, programme_id, credit_code),
    FOREIGN KEY (tenant_id, programme_id) REFERENCES programme (tenant_id, id)
);

DO $$ BEGIN
    PERFORM protect_tenant_table('programme', 'SELECT, INSERT');
    PERFORM protect_tenant_table('programme_supplier', 'SELECT, INSERT, UPDATE');
    PERFORM limit_to_reach('programme', '(SELECT reaches_company())');
    PERFORM limit_to_reach('programme_supplier', '(SELECT reaches_company())');
END $$;

GRANT SELECT (id, tenant_id, token_hash) ON programme_supplier TO sunmao_door;
CREATE POLICY door ON programme_supplier FOR SELECT TO sunmao_door USING (true);
CREATE FUNCTION find_supplier(wanted_hash bytea) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT s.tenant_id, s.id FROM programme_supplier s WHERE s.token_hash = wanted_hash;
END;
DO $$ BEGIN PERFORM hand_to_door('find_supplier(bytea)'); END $$;

-- Whether a company is here is told only to who holds both halves of its own invitation.
GRANT SELECT (credit_code) ON tenant TO sunmao_door;
CREATE FUNCTION is_registered(code text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM tenant t WHERE t.credit_code = code);
END;
DO $$ BEGIN PERFORM hand_to_door('is_registered(text)'); END $$;
