-- Where a set's models look, as polygons of [x, y] in shares of the picture; none: everywhere.
ALTER TABLE training_set ADD COLUMN region jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(region) = 'array');
