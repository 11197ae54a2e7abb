-- Time per state: for series of states, what the readings of each hour of the site say by themselves. A state holds until the
-- next reading; what lies between the last reading of one hour and the first of a later one is added when hours are merged,
-- so that an hour depends on nothing but its own readings and a late one spoils no other.
CREATE TABLE rollup_state (
    series_id  int NOT NULL,
    bucket     timestamptz NOT NULL,
    first_ts   timestamptz NOT NULL,
    last_ts    timestamptz NOT NULL,
    last_state float8,             -- NULL: the reading was bad, so nobody can tell
    states     float8[] NOT NULL,  -- between the first and the last reading; NULL among them likewise
    micros     bigint[] NOT NULL,  -- how long each was held, in microseconds
    PRIMARY KEY (series_id, bucket)
);
GRANT SELECT, INSERT, UPDATE ON rollup_state TO sunmao_app;
