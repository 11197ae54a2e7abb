-- Sites, users, and the credentials they sign in with.

CREATE TABLE site (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL REFERENCES tenant,
    name       text NOT NULL CHECK (name <> ''),
    time_zone  text NOT NULL,  -- IANA name; days and hours of roll-ups are the site's
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name),
    UNIQUE (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('site', 'SELECT, INSERT'); END $$;

CREATE TABLE user_account (
    id            uuid PRIMARY KEY,
    tenant_id     uuid NOT NULL REFERENCES tenant,
    email         text NOT NULL UNIQUE CHECK (email = lower(email)),
    password_hash text NOT NULL,
    role          text NOT NULL CHECK (role IN ('admin', 'viewer')),
    language      text CHECK (language IN ('en', 'zh')),
    created_at    timestamptz NOT NULL DEFAULT now(),
    disabled_at   timestamptz,
    UNIQUE (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('user_account', 'SELECT, INSERT, UPDATE'); END $$;

-- Sessions and API tokens. Only a keyed hash is stored: who reads this table cannot sign in with what it holds.
CREATE TABLE access_token (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    user_id    uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('session', 'api')),
    name       text NOT NULL DEFAULT '',
    hash       bytea NOT NULL UNIQUE,
    scopes     text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES user_account (tenant_id, id)
);
CREATE INDEX ON access_token (tenant_id, user_id);
DO $$ BEGIN PERFORM protect_tenant_table('access_token', 'SELECT, INSERT, DELETE'); END $$;

-- What must be answered before a tenant is known: one row by an exact key, nothing else.

GRANT SELECT (id, tenant_id, email, password_hash, role, language, disabled_at) ON user_account TO sunmao_door;
CREATE POLICY door ON user_account FOR SELECT TO sunmao_door USING (true);
GRANT SELECT (id, tenant_id, user_id, hash, scopes, expires_at) ON access_token TO sunmao_door;
CREATE POLICY door ON access_token FOR SELECT TO sunmao_door USING (true);

CREATE FUNCTION find_log_in(wanted_email text)
RETURNS TABLE (tenant_id uuid, user_id uuid, password_hash text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT u.tenant_id, u.id, u.password_hash, u.role
    FROM user_account u WHERE u.email = lower(wanted_email) AND u.disabled_at IS NULL;
END;
DO $$ BEGIN PERFORM hand_to_door('find_log_in(text)'); END $$;

CREATE FUNCTION find_token(wanted_hash bytea)
RETURNS TABLE (tenant_id uuid, user_id uuid, token_id uuid, email text, role text, language text, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT u.tenant_id, u.id, t.id, u.email, u.role, u.language, t.scopes
    FROM access_token t JOIN user_account u ON u.id = t.user_id
    WHERE t.hash = wanted_hash AND t.expires_at > now() AND u.disabled_at IS NULL;
END;
DO $$ BEGIN PERFORM hand_to_door('find_token(bytea)'); END $$;
