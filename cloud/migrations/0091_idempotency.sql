-- Answers to requests that named an Idempotency-Key, kept for a day: who asks again with the key gets the answer, and nothing
-- is done twice.

CREATE TABLE idempotency (
    tenant_id uuid NOT NULL,
    user_id   uuid NOT NULL,
    key       bytea NOT NULL,  -- keyed hash of what the client sent
    request   bytea NOT NULL,  -- hash of method, address and body
    at        timestamptz NOT NULL DEFAULT now(),
    answer    bytea,           -- sealed with what the client sent, for it may hold a secret that is shown once; NULL: not ended
    PRIMARY KEY (tenant_id, user_id, key),
    FOREIGN KEY (tenant_id) REFERENCES tenant
);
CREATE INDEX ON idempotency (tenant_id, at);
DO $$ BEGIN PERFORM protect_tenant_table('idempotency', 'SELECT, INSERT, DELETE'); END $$;
GRANT UPDATE (answer) ON idempotency TO sunmao_app;
