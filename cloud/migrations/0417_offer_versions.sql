-- Terms of an offer can change: versions that were replaced are kept, and every job and attempt keeps the terms it was placed at.

ALTER TABLE compute_offer ADD COLUMN version int NOT NULL DEFAULT 1;
ALTER TABLE compute_offer ADD COLUMN paused boolean NOT NULL DEFAULT false;

CREATE TABLE compute_offer_version (
    offer_id    uuid NOT NULL REFERENCES compute_offer,
    version     int NOT NULL,
    tenant_id   uuid NOT NULL REFERENCES tenant DEFAULT current_tenant(),
    terms       jsonb NOT NULL,
    replaced_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (offer_id, version)
);
ALTER TABLE compute_offer_version ENABLE ROW LEVEL SECURITY;
ALTER TABLE compute_offer_version FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON compute_offer_version TO sunmao_app
    USING (current_tenant() IS NOT NULL) WITH CHECK (tenant_id = current_tenant());
GRANT SELECT, INSERT ON compute_offer_version TO sunmao_app;
DO $$ BEGIN PERFORM limit_to_reach('compute_offer_version'); END $$;

ALTER TABLE compute_job ADD COLUMN terms jsonb;
UPDATE compute_job j SET terms = o.terms FROM compute_offer o WHERE o.id = j.offer_id;
ALTER TABLE compute_job ALTER COLUMN terms SET NOT NULL;
ALTER TABLE compute_attempt ADD COLUMN terms jsonb;
UPDATE compute_attempt a SET terms = o.terms FROM compute_offer o WHERE o.id = a.offer_id;
ALTER TABLE compute_attempt ALTER COLUMN terms SET NOT NULL;
