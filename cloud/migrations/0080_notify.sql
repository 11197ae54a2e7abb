-- Ways to tell people (channels), and the outbox: what is to be told, until it has been taken or given up.

CREATE TABLE notify_channel (
    tenant_id    uuid NOT NULL REFERENCES tenant,
    id           uuid NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('email', 'webhook', 'dingtalk', 'wecom', 'feishu')),
    name         text NOT NULL CHECK (name <> ''),
    language     text NOT NULL CHECK (language IN ('en', 'zh')),
    recipients   text[] NOT NULL DEFAULT '{}',  -- addresses of an e-mail channel
    host         text NOT NULL DEFAULT '',      -- where the others send to; all else of the address is secret
    sealed       bytea,                         -- address and key, encrypted under the installation's secrets
    enabled      boolean NOT NULL DEFAULT true,
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    removed_at   timestamptz,
    recent       timestamptz[] NOT NULL DEFAULT '{}',  -- of the last minute's attempts: robots take so many and no more
    leased_until timestamptz NOT NULL DEFAULT '-infinity',  -- one process at a time sends on a channel
    failures     int NOT NULL DEFAULT 0,        -- in a row
    next_at      timestamptz NOT NULL DEFAULT '-infinity',  -- not tried before
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX ON notify_channel (tenant_id, name) WHERE removed_at IS NULL;
DO $$ BEGIN PERFORM protect_tenant_table('notify_channel', 'SELECT, INSERT, UPDATE'); END $$;

CREATE TABLE notify_outbox (
    tenant_id  uuid NOT NULL,
    id         bigint GENERATED ALWAYS AS IDENTITY,
    channel_id uuid NOT NULL,
    key        text NOT NULL,   -- what is told once per channel, however often it is asked for
    notice     jsonb NOT NULL,
    attachment bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    delivery   uuid,            -- the message it goes in, the same at every attempt: receivers know a repetition by it
    attempts   int NOT NULL DEFAULT 0,
    state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dead')),
    reason_en  text NOT NULL DEFAULT '',
    reason_zh  text NOT NULL DEFAULT '',
    settled_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, channel_id, key),
    FOREIGN KEY (tenant_id, channel_id) REFERENCES notify_channel
);
CREATE INDEX ON notify_outbox (tenant_id, channel_id, id) WHERE state = 'waiting';
CREATE INDEX ON notify_outbox (tenant_id, channel_id, id DESC);
DO $$ BEGIN PERFORM protect_tenant_table('notify_outbox', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

GRANT SELECT (tenant_id, state) ON notify_outbox TO sunmao_door;
CREATE POLICY door ON notify_outbox FOR SELECT TO sunmao_door USING (true);

-- Tenants with something to send; the sending task then works inside each of them.
CREATE FUNCTION tenants_with_notices() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT o.tenant_id FROM notify_outbox o WHERE o.state = 'waiting';
END;
DO $$ BEGIN PERFORM hand_to_door('tenants_with_notices()'); END $$;
