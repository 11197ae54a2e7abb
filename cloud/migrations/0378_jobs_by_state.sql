-- depends: 0410_compute
-- Jobs are looked for by how they stand and by the other side; a page of them begins here.
CREATE INDEX ON compute_job (customer_id, state, id DESC);
CREATE INDEX ON compute_job (provider_id, state, id DESC);
CREATE INDEX ON compute_job (customer_id, provider_id, id DESC);
CREATE INDEX ON compute_job (provider_id, customer_id, id DESC);
