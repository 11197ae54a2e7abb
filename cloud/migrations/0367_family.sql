-- How a set's models look at a picture; see models/README.md.
ALTER TABLE training_set ADD COLUMN family text NOT NULL DEFAULT 'auto'
    CHECK (family IN ('auto', 'texture', 'aligned', 'compare'));
