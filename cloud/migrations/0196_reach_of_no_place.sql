-- A row that could name a place and names none tells of the whole company - a board for all, an alarm of a site's figure - so
-- reading it, too, takes a role for the whole company. Tables that know no places stay open to all who read anything.

CREATE OR REPLACE FUNCTION limit_to_reach(target regclass, seen text DEFAULT NULL, changed text DEFAULT NULL,
                               own boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    place record;
    by_place text := '';
    act text;
BEGIN
    FOR place IN
        SELECT p.* FROM (VALUES (1, 'equipment_id', 'reached_equipment()'), (2, 'line_id', 'reached_lines()'),
                                (3, 'site_id', 'reached_sites()'), (4, 'agent_id', 'reached_agents()'))
            AS p (rank, name, reached)
        JOIN pg_attribute a ON a.attrelid = target AND a.attname = p.name AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY p.rank
    LOOP
        by_place := by_place
            || format(' WHEN %s.%I IS NOT NULL THEN %s.%I IN (SELECT %s)', target, place.name, target, place.name,
                      place.reached);
    END LOOP;
    seen := coalesce(seen, CASE WHEN by_place = '' THEN 'true' ELSE format('CASE%s ELSE (SELECT reaches_company()) END', by_place) END);
    changed := coalesce(changed, CASE WHEN by_place = '' THEN '(SELECT reaches_company())'
                                      ELSE format('CASE%s ELSE (SELECT reaches_company()) END', by_place) END);
    FOREACH act IN ARRAY ARRAY['select', 'insert', 'update', 'delete'] LOOP
        EXECUTE format('DROP POLICY IF EXISTS reach_%s ON %s', act, target);
    END LOOP;
    changed := format('(SELECT reaches_all()) OR (%s(%s))', CASE WHEN own THEN '' ELSE '(SELECT demands_change()) AND ' END,
                      changed);
    seen := format('(SELECT reaches_all()) OR (%s)', seen);
    EXECUTE format('CREATE POLICY reach_select ON %s AS RESTRICTIVE FOR SELECT TO sunmao_app USING (%s)', target, seen);
    EXECUTE format('CREATE POLICY reach_insert ON %s AS RESTRICTIVE FOR INSERT TO sunmao_app WITH CHECK (%s)', target, changed);
    EXECUTE format('CREATE POLICY reach_update ON %s AS RESTRICTIVE FOR UPDATE TO sunmao_app USING (%s) WITH CHECK (%s)',
                   target, changed, changed);
    EXECUTE format('CREATE POLICY reach_delete ON %s AS RESTRICTIVE FOR DELETE TO sunmao_app USING (%s)', target, changed);
END
$$;

DO $$
DECLARE
    known text;
BEGIN
    FOR known IN SELECT p.tablename FROM pg_policies p WHERE p.policyname = 'reach_select' AND p.qual LIKE '%ELSE true%' LOOP
        PERFORM limit_to_reach(known::regclass);
    END LOOP;
END $$;
