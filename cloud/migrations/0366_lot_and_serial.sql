-- Which lot and serial a part is of, where the station reads them from its name.
ALTER TABLE inspection
    ADD COLUMN lot text CHECK (lot <> '' AND length(lot) <= 200),
    ADD COLUMN serial text CHECK (serial <> '' AND length(serial) <= 200);
CREATE INDEX inspection_by_lot ON inspection (tenant_id, lot, ts DESC, id DESC) WHERE lot IS NOT NULL;
