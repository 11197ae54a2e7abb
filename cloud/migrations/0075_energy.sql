-- Meters, what flowed through them every five minutes, and what is to be computed anew.

ALTER TABLE series ADD UNIQUE (tenant_id, id);

-- A place where an energy carrier is measured, or computed from other meters. Meters of a carrier form trees: a meter's
-- parent is the one it is measured behind, so that what it says is part of what its parent says.
CREATE TABLE energy_meter (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id    uuid NOT NULL,
    site_id      uuid NOT NULL,
    name         text NOT NULL CHECK (name <> ''),
    carrier      text NOT NULL,
    basis        text NOT NULL CHECK (basis IN ('counter', 'power', 'virtual')),
    series_id    int,
    equipment_id uuid,  -- what it measures; with neither this nor line_id, the site
    line_id      uuid,
    parent_id    uuid,
    rollover     float8 CHECK (rollover > 0),  -- where the counter begins again at 0, in the carrier's unit
    confirmed    boolean NOT NULL,  -- false while its place is what the cloud assumes
    ignored      boolean NOT NULL DEFAULT false,  -- measured, and by a person's word counted nowhere
    created_at   timestamptz NOT NULL DEFAULT now(),
    CHECK ((basis = 'virtual') = (series_id IS NULL)),
    CHECK (parent_id <> id),
    CHECK (equipment_id IS NULL OR line_id IS NULL),
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id),
    FOREIGN KEY (tenant_id, series_id) REFERENCES series (tenant_id, id),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id),
    FOREIGN KEY (tenant_id, line_id) REFERENCES line (tenant_id, id),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, series_id),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES energy_meter (tenant_id, id)
);
CREATE INDEX ON energy_meter (tenant_id, parent_id);
CREATE INDEX ON energy_meter (tenant_id, equipment_id);
CREATE INDEX ON energy_meter (tenant_id, line_id);
DO $$ BEGIN PERFORM protect_tenant_table('energy_meter', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

-- What a virtual meter is computed from: the sum of its parts, each added or taken away.
CREATE TABLE energy_meter_part (
    tenant_id uuid NOT NULL,
    meter_id  uuid NOT NULL,
    part_id   uuid NOT NULL,
    factor    smallint NOT NULL CHECK (factor IN (-1, 1)),
    PRIMARY KEY (meter_id, part_id),
    FOREIGN KEY (tenant_id, meter_id) REFERENCES energy_meter (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, part_id) REFERENCES energy_meter (tenant_id, id)
);
CREATE INDEX ON energy_meter_part (tenant_id, part_id);
DO $$ BEGIN PERFORM protect_tenant_table('energy_meter_part', 'SELECT, INSERT, DELETE'); END $$;

-- A day of a measured meter, from 00:00 UTC, in 288 intervals of five minutes: the energy in the carrier's unit, and for
-- how many seconds of each the meter was read often enough to know when it flowed.
CREATE TABLE energy_day (
    tenant_id uuid NOT NULL,
    meter_id  uuid NOT NULL,
    day       date NOT NULL,
    energy    float8[] NOT NULL CHECK (array_length(energy, 1) = 288),
    covered_s smallint[] NOT NULL CHECK (array_length(covered_s, 1) = 288),
    PRIMARY KEY (meter_id, day),
    FOREIGN KEY (tenant_id, meter_id) REFERENCES energy_meter (tenant_id, id) ON DELETE CASCADE
);
DO $$ BEGIN PERFORM protect_tenant_table('energy_day', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

-- Times of a meter whose readings have changed since its days were computed; noted when they are rolled up.
CREATE TABLE energy_dirty (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL,
    meter_id  uuid NOT NULL,
    first     timestamptz NOT NULL,
    last      timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, meter_id) REFERENCES energy_meter (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ON energy_dirty (tenant_id, meter_id);
DO $$ BEGIN PERFORM protect_tenant_table('energy_dirty', 'SELECT, INSERT, DELETE'); END $$;

GRANT SELECT (tenant_id) ON energy_dirty TO sunmao_door;
CREATE POLICY door ON energy_dirty FOR SELECT TO sunmao_door USING (true);

-- Tenants with meters to compute anew; the task then works inside each of them.
CREATE FUNCTION tenants_to_meter() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT d.tenant_id FROM energy_dirty d;
END;
DO $$ BEGIN PERFORM hand_to_door('tenants_to_meter()'); END $$;

-- What energy costs and what it stands for. Rows are never changed: another value is another row, valid from its day.

CREATE TABLE energy_tariff (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id  uuid NOT NULL,
    site_id    uuid NOT NULL,
    carrier    text NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    valid_from date NOT NULL,  -- on the site's calendar
    terms      jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id),
    UNIQUE (tenant_id, site_id, carrier, valid_from),
    UNIQUE (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('energy_tariff', 'SELECT, INSERT, DELETE'); END $$;

CREATE TABLE energy_factor (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id  uuid NOT NULL,
    site_id    uuid NOT NULL,
    carrier    text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('co2', 'coal')),
    valid_from date NOT NULL,
    value      float8 NOT NULL CHECK (value >= 0),  -- kg CO2, or kg of standard coal, per unit of the carrier
    source     text NOT NULL CHECK (source <> ''),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id),
    UNIQUE (tenant_id, site_id, carrier, kind, valid_from),
    UNIQUE (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('energy_factor', 'SELECT, INSERT, DELETE'); END $$;
