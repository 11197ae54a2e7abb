-- What prepaid hours have paid of a job, micro-yuan of its cost.
ALTER TABLE compute_job ADD COLUMN prepaid bigint NOT NULL DEFAULT 0;
