-- What was given up is looked for among all that was told; a page of it begins here.
CREATE INDEX ON notify_outbox (tenant_id, state, id DESC);
