-- What else a supplier shows: its level of maturity as last read; and whether it may be compared by its name, as of each day.

ALTER TABLE programme_supplier ADD COLUMN maturity int CHECK (maturity BETWEEN 0 AND 4);
ALTER TABLE supplier_score ADD COLUMN named boolean NOT NULL DEFAULT false;
