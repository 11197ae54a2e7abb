-- How a machine is read holds from a whole hour on, until the next version does: what is set today leaves the past as it was.
ALTER TABLE production_setting
    ADD COLUMN valid_from timestamptz NOT NULL DEFAULT 'epoch' CHECK (valid_from = date_trunc('hour', valid_from, 'UTC')),
    ADD COLUMN set_by text NOT NULL DEFAULT '',
    ADD COLUMN set_at timestamptz,  -- NULL: before there were versions
    DROP CONSTRAINT production_setting_pkey,
    ADD PRIMARY KEY (equipment_id, valid_from);
ALTER TABLE production_setting ALTER COLUMN valid_from DROP DEFAULT, ALTER COLUMN set_by DROP DEFAULT,
    ALTER COLUMN set_at SET DEFAULT now();
