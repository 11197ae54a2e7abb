-- Further kinds of jobs: a model judged by pictures, and a health model over stored readings.
ALTER TABLE compute_job DROP CONSTRAINT compute_job_kind_check;
ALTER TABLE compute_job ADD CONSTRAINT compute_job_kind_check CHECK (kind IN ('fit', 'inspect', 'evaluate', 'backfill'));
