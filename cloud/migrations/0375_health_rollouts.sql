-- Watches over machines take models as stations do; what their models said comes with their report.

ALTER TABLE station_model
    ADD COLUMN task text NOT NULL DEFAULT 'inspect',
    ADD COLUMN record jsonb NOT NULL DEFAULT '{}';  -- protocols.uplink.models.ModelRecord, since the order dealt with
