-- What machines did while they drew energy, totals of days, and what people expect of a machine that replaces another.

ALTER TABLE energy_day ADD COLUMN total float8, ADD COLUMN covered_total_s int;
UPDATE energy_day SET total = (SELECT sum(e) FROM unnest(energy) e),
                      covered_total_s = (SELECT sum(c) FROM unnest(covered_s) c);
ALTER TABLE energy_day ALTER COLUMN total SET NOT NULL, ALTER COLUMN covered_total_s SET NOT NULL;

-- A day of a machine, from 00:00 UTC, in 288 intervals of five minutes: for how many seconds of each its state is known, and
-- for how many it was known not to produce.
CREATE TABLE energy_activity (
    tenant_id    uuid NOT NULL,
    equipment_id uuid NOT NULL,
    day          date NOT NULL,
    known_s      smallint[] NOT NULL CHECK (array_length(known_s, 1) = 288),
    idle_s       smallint[] NOT NULL CHECK (array_length(idle_s, 1) = 288),
    PRIMARY KEY (equipment_id, day),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('energy_activity', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

-- What is assumed of renewing a machine; what nobody has said is NULL and is said to be missing.
CREATE TABLE energy_renewal (
    tenant_id          uuid NOT NULL,
    equipment_id       uuid NOT NULL,
    price              float8 CHECK (price > 0),
    resale             float8 CHECK (resale >= 0),
    saving_percent     float8 CHECK (saving_percent BETWEEN 0 AND 100),
    maintenance_now    float8 CHECK (maintenance_now >= 0),
    maintenance_then   float8 CHECK (maintenance_then >= 0),
    discount_percent   float8 CHECK (discount_percent BETWEEN 0 AND 100),
    life_years         int CHECK (life_years BETWEEN 1 AND 50),
    PRIMARY KEY (equipment_id),
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('energy_renewal', 'SELECT, INSERT, UPDATE'); END $$;
