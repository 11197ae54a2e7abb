-- The parts that one model decided on, and those of a serial, are found among all: a page of them begins here.
CREATE INDEX ON inspection (tenant_id, model, ts DESC, id DESC);
CREATE INDEX ON inspection (tenant_id, serial, ts DESC, id DESC) WHERE serial IS NOT NULL;
