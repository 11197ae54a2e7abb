-- The parts of a lot are found by how their names begin, in the order of bytes whatever the database's collation. Partial, so
-- that lists of all parts never go through it instead of by time.
CREATE INDEX ON inspection (tenant_id, part text_pattern_ops) WHERE part <> '';
