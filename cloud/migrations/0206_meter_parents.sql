-- Which meter another stands behind holds from a whole hour on, as what it measures does; it was one for all time so far.
ALTER TABLE energy_meter_place ADD COLUMN parent_id uuid,
    ADD CHECK (parent_id <> meter_id),
    ADD FOREIGN KEY (tenant_id, parent_id) REFERENCES energy_meter (tenant_id, id);
CREATE INDEX ON energy_meter_place (tenant_id, parent_id);
ALTER TABLE energy_meter NO FORCE ROW LEVEL SECURITY;
ALTER TABLE energy_meter_place NO FORCE ROW LEVEL SECURITY;
UPDATE energy_meter_place p SET parent_id = m.parent_id FROM energy_meter m WHERE m.id = p.meter_id;
ALTER TABLE energy_meter FORCE ROW LEVEL SECURITY;
ALTER TABLE energy_meter_place FORCE ROW LEVEL SECURITY;
