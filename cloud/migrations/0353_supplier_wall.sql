-- What else a supplier shows: its level of maturity as last read; of each day's score whether the supplier may be compared by
-- its name, and whether it is a share of what passed.

ALTER TABLE programme_supplier ADD COLUMN maturity int CHECK (maturity BETWEEN 0 AND 4);
ALTER TABLE supplier_score ADD COLUMN named boolean NOT NULL DEFAULT false, ADD COLUMN passes boolean NOT NULL DEFAULT false;
