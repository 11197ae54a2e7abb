-- Models of machine health fitted from stored readings: a set without pictures, that says which series are its sensors.

ALTER TABLE training_set
    ADD COLUMN sensors jsonb,  -- series by the name of the sensor; NULL: a set of pictures
    ADD COLUMN running int,    -- series that is above 0 while the machine runs, if any
    ADD COLUMN period_s float8 CHECK (period_s > 0),
    ADD CHECK ((sensors IS NULL) = (period_s IS NULL));
