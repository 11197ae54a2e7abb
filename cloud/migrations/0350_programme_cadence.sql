-- How often a programme expects new values: a file that is uploaded once a day is in time where a day is asked for.

ALTER TABLE programme ADD COLUMN cadence text NOT NULL DEFAULT 'continuous'
    CHECK (cadence IN ('continuous', 'hour', 'day', 'week', 'month'));
