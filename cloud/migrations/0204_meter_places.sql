-- What a meter measures holds from a whole hour on, until the next version does; one without versions has always measured
-- what energy_meter says, which is what it measures now.
CREATE TABLE energy_meter_place (
    tenant_id    uuid NOT NULL,
    meter_id     uuid NOT NULL,
    valid_from   timestamptz NOT NULL CHECK (valid_from = date_trunc('hour', valid_from, 'UTC')),
    equipment_id uuid,
    line_id      uuid,
    set_by       text NOT NULL,
    set_at       timestamptz DEFAULT now(),  -- NULL: before there were versions
    CHECK (equipment_id IS NULL OR line_id IS NULL),
    PRIMARY KEY (meter_id, valid_from),
    FOREIGN KEY (tenant_id, meter_id) REFERENCES energy_meter (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id),
    FOREIGN KEY (tenant_id, line_id) REFERENCES line (tenant_id, id)
);
CREATE INDEX ON energy_meter_place (tenant_id, meter_id);
CREATE INDEX ON energy_meter_place (tenant_id, line_id);
DO $$ BEGIN PERFORM protect_tenant_table('energy_meter_place', 'SELECT, INSERT, UPDATE, DELETE'); END $$;
