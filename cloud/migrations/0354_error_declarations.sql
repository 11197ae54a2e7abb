-- An event that declares another one erroneous says the same as that one, under the same eventID: it has a key of its own,
-- and names what it declares. What an event that is declared erroneous has said leads nowhere.

ALTER TABLE trace_event ADD COLUMN declares text;
ALTER TABLE trace_event NO FORCE ROW LEVEL SECURITY;
UPDATE trace_event SET declares = id WHERE body::text LIKE '%"errorDeclaration":{%';
ALTER TABLE trace_event FORCE ROW LEVEL SECURITY;
CREATE INDEX ON trace_event (tenant_id, declares) WHERE declares IS NOT NULL;
