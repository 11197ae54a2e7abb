-- What a reason is counted as holds from a whole hour on, until the next version does: what is said today leaves the past as it was.
CREATE TABLE stop_reason_loss (
    tenant_id  uuid NOT NULL,
    reason_id  uuid NOT NULL,
    valid_from timestamptz NOT NULL CHECK (valid_from = date_trunc('hour', valid_from, 'UTC')),
    loss       text NOT NULL CHECK (loss IN ('planned_stop', 'setup', 'failure', 'delay', 'no_order', 'maintenance')),
    set_by     text NOT NULL,
    set_at     timestamptz DEFAULT now(),  -- NULL: before there were versions
    PRIMARY KEY (reason_id, valid_from),
    FOREIGN KEY (tenant_id, reason_id) REFERENCES stop_reason (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('stop_reason_loss', 'SELECT, INSERT, UPDATE, DELETE'); END $$;
INSERT INTO stop_reason_loss SELECT tenant_id, id, 'epoch', loss, '', NULL FROM stop_reason;
ALTER TABLE stop_reason DROP COLUMN loss;
