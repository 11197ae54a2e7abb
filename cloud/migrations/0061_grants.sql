-- Roles by place. A person's role holds for the whole company. A grant gives them another one, or none, at a site, a line
-- or a piece of equipment and everything in it; the nearest wins. What a person reaches follows from that alone, and
-- row-level security lets nothing else through - whatever statement asks, so that no domain has to remember.

ALTER TABLE user_account
    DROP CONSTRAINT user_account_role_check,
    ADD CONSTRAINT user_account_role_check
        CHECK (role IN ('none', 'viewer', 'operator', 'engineer', 'manager', 'owner'));

CREATE TABLE access_grant (
    id           uuid PRIMARY KEY,
    tenant_id    uuid NOT NULL,
    user_id      uuid NOT NULL,
    site_id      uuid,
    line_id      uuid,
    equipment_id uuid,
    role         text NOT NULL CHECK (role IN ('none', 'viewer', 'operator', 'engineer')),
    CHECK (num_nonnulls(site_id, line_id, equipment_id) = 1),
    FOREIGN KEY (tenant_id, user_id) REFERENCES user_account (tenant_id, id),
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id),
    FOREIGN KEY (tenant_id, line_id) REFERENCES line (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id)
);
CREATE UNIQUE INDEX ON access_grant (tenant_id, user_id, (coalesce(equipment_id, line_id, site_id)));
CREATE INDEX ON access_grant (tenant_id, line_id);

-- Every place of the plant with its way down from the site; what a person cannot see is not in it.
CREATE VIEW plant_node WITH (security_invoker = true) AS
    SELECT s.tenant_id, 'site' AS kind, s.id, s.name, s.name AS path, s.id AS site_id, NULL::uuid AS line_id,
           NULL::uuid AS equipment_id
    FROM site s
    UNION ALL
    SELECT l.tenant_id, 'line', l.id, l.name, concat_ws(' / ', s.name, l.name), s.id, l.id, NULL
    FROM line l JOIN site s ON s.tenant_id = l.tenant_id AND s.id = l.site_id
    UNION ALL
    SELECT e.tenant_id, 'equipment', e.id, n.name, concat_ws(' / ', s.name, l.name, n.name), s.id, l.id, e.id
    FROM equipment e
    JOIN agent a ON a.tenant_id = e.tenant_id AND a.id = e.agent_id
    JOIN site s ON s.tenant_id = a.tenant_id AND s.id = a.site_id
    LEFT JOIN line l ON l.tenant_id = e.tenant_id AND l.id = e.line_id
    CROSS JOIN LATERAL (SELECT coalesce(nullif(e.display_name, ''), e.name) AS name) n;
GRANT SELECT ON plant_node TO sunmao_app;

-- Who acts in the running transaction and which scope the operation demands, set by `enter_tenant`. Without a person - an
-- agent, an upkeep task, the operator's command line - the whole tenant is reached.
CREATE FUNCTION current_person() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN NULLIF(current_setting('sunmao.person', true), '')::uuid;

-- True if the person reaches everything: nobody restricts them anywhere, or they administrate the company.
CREATE FUNCTION reaches_all() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(current_setting('sunmao.reach', true), '') IN ('', 'all');

-- True if the role for the whole company opens what is demanded, whatever is restricted below.
CREATE FUNCTION reaches_company() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(current_setting('sunmao.reach', true), '') IN ('', 'all', 'company');

-- True if the operation of a person demands more than to read: what is not reached for a change is not changed by the way.
CREATE FUNCTION demands_change() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(current_setting('sunmao.demand', true), '') <> 'read';

CREATE FUNCTION role_opens(role text, scope text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(array_position(ARRAY['viewer', 'operator', 'engineer', 'manager', 'owner'], role)
                >= array_position(ARRAY['read', 'operate', 'engineer', 'admin'], scope), false);

-- What the door has to see to tell what a person reaches; of the transaction's tenant only.
GRANT SELECT ON access_grant TO sunmao_door;
GRANT SELECT (id, tenant_id) ON site TO sunmao_door;
GRANT SELECT (id, tenant_id, site_id) ON line TO sunmao_door;
GRANT SELECT (id, tenant_id, agent_id, line_id) ON equipment TO sunmao_door;
CREATE POLICY door ON access_grant FOR SELECT TO sunmao_door USING (true);  -- a session is resolved before its tenant
CREATE POLICY door ON site FOR SELECT TO sunmao_door USING (tenant_id = current_tenant());
CREATE POLICY door ON line FOR SELECT TO sunmao_door USING (tenant_id = current_tenant());
CREATE POLICY door ON equipment FOR SELECT TO sunmao_door USING (tenant_id = current_tenant());

-- Puts the rest of the transaction inside `tenant`, on behalf of `person`, for an operation that demands `demand`.
CREATE FUNCTION enter_tenant(tenant uuid, person uuid, demand text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    reach text := 'parts';
    company_role text;
BEGIN
    SELECT u.role INTO company_role FROM user_account u WHERE u.tenant_id = tenant AND u.id = person;
    IF role_opens(company_role, demand) THEN
        reach := CASE WHEN company_role NOT IN ('manager', 'owner')
                           AND EXISTS (SELECT FROM access_grant g WHERE g.tenant_id = tenant AND g.user_id = person)
                      THEN 'company' ELSE 'all' END;
    END IF;
    PERFORM set_config('sunmao.tenant', tenant::text, true), set_config('sunmao.person', person::text, true),
            set_config('sunmao.demand', demand, true), set_config('sunmao.reach', reach, true);
END
$$;
DO $$ BEGIN PERFORM hand_to_door('enter_tenant(uuid, uuid, text)'); END $$;

-- The person's role at every piece of equipment: of the nearest grant, else the company's.
CREATE FUNCTION equipment_roles() RETURNS TABLE (id uuid, agent_id uuid, line_id uuid, site_id uuid, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT e.id, e.agent_id, e.line_id, a.site_id, coalesce(ge.role, gl.role, gs.role, u.role)
    FROM user_account u
    JOIN equipment e ON e.tenant_id = u.tenant_id
    JOIN agent a ON a.tenant_id = e.tenant_id AND a.id = e.agent_id
    LEFT JOIN access_grant ge ON ge.tenant_id = u.tenant_id AND ge.user_id = u.id AND ge.equipment_id = e.id
    LEFT JOIN access_grant gl ON gl.tenant_id = u.tenant_id AND gl.user_id = u.id AND gl.line_id = e.line_id
    LEFT JOIN access_grant gs ON gs.tenant_id = u.tenant_id AND gs.user_id = u.id AND gs.site_id = a.site_id
    WHERE u.tenant_id = current_tenant() AND u.id = current_person();
END;
CREATE FUNCTION line_roles() RETURNS TABLE (id uuid, site_id uuid, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT l.id, l.site_id, coalesce(gl.role, gs.role, u.role)
    FROM user_account u
    JOIN line l ON l.tenant_id = u.tenant_id
    LEFT JOIN access_grant gl ON gl.tenant_id = u.tenant_id AND gl.user_id = u.id AND gl.line_id = l.id
    LEFT JOIN access_grant gs ON gs.tenant_id = u.tenant_id AND gs.user_id = u.id AND gs.site_id = l.site_id
    WHERE u.tenant_id = current_tenant() AND u.id = current_person();
END;
CREATE FUNCTION site_roles() RETURNS TABLE (id uuid, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT s.id, coalesce(gs.role, u.role)
    FROM user_account u
    JOIN site s ON s.tenant_id = u.tenant_id
    LEFT JOIN access_grant gs ON gs.tenant_id = u.tenant_id AND gs.user_id = u.id AND gs.site_id = s.id
    WHERE u.tenant_id = current_tenant() AND u.id = current_person();
END;
CREATE FUNCTION agent_sites() RETURNS TABLE (id uuid, site_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT a.id, a.site_id FROM agent a WHERE a.tenant_id = current_tenant();
END;
DO $$ BEGIN
    PERFORM hand_to_door('equipment_roles()');
    PERFORM hand_to_door('line_roles()');
    PERFORM hand_to_door('site_roles()');
    PERFORM hand_to_door('agent_sites()');
END $$;

-- Where the person may do what the operation demands.
CREATE FUNCTION reached_equipment() RETURNS SETOF uuid LANGUAGE sql STABLE
BEGIN ATOMIC SELECT r.id FROM equipment_roles() r WHERE role_opens(r.role, current_setting('sunmao.demand')); END;
CREATE FUNCTION reached_lines() RETURNS SETOF uuid LANGUAGE sql STABLE
BEGIN ATOMIC SELECT r.id FROM line_roles() r WHERE role_opens(r.role, current_setting('sunmao.demand')); END;
CREATE FUNCTION reached_sites() RETURNS SETOF uuid LANGUAGE sql STABLE
BEGIN ATOMIC SELECT r.id FROM site_roles() r WHERE role_opens(r.role, current_setting('sunmao.demand')); END;
-- A gateway is reached by who reaches everything on it; by who reaches its site while there is nothing on it.
CREATE FUNCTION reached_agents() RETURNS SETOF uuid LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT a.id FROM agent_sites() a LEFT JOIN equipment_roles() e ON e.agent_id = a.id
    LEFT JOIN site_roles() s ON s.id = a.site_id AND e.id IS NULL
    GROUP BY a.id HAVING bool_and(role_opens(coalesce(e.role, s.role), current_setting('sunmao.demand')));
END;

-- What the person sees the frame of: a line, a site or a gateway with anything in it that they may read.
CREATE FUNCTION seen_lines() RETURNS SETOF uuid LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT r.id FROM line_roles() r WHERE role_opens(r.role, 'read')
    UNION SELECT r.line_id FROM equipment_roles() r WHERE role_opens(r.role, 'read') AND r.line_id IS NOT NULL;
END;
CREATE FUNCTION seen_sites() RETURNS SETOF uuid LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT r.id FROM site_roles() r WHERE role_opens(r.role, 'read')
    UNION SELECT r.site_id FROM line_roles() r WHERE role_opens(r.role, 'read')
    UNION SELECT r.site_id FROM equipment_roles() r WHERE role_opens(r.role, 'read');
END;
CREATE FUNCTION seen_agents() RETURNS SETOF uuid LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT a.id FROM agent_sites() a JOIN site_roles() s ON s.id = a.site_id WHERE role_opens(s.role, 'read')
        AND NOT EXISTS (SELECT FROM equipment_roles() e WHERE e.agent_id = a.id)
    UNION SELECT r.agent_id FROM equipment_roles() r WHERE role_opens(r.role, 'read');
END;

-- Lets a person read of `target` the rows for which `seen` is true, and change those for which `changed` is. Where they are
-- not given they follow from the table's own columns: the nearest of equipment_id, line_id, site_id that a row has, else
-- agent_id, has to be reached; a row, or a table, without any belongs to the company: all may read it, and a role for the
-- whole company is needed to change it. Only what is the person's `own` may be changed by an operation that demands to read.
CREATE FUNCTION limit_to_reach(target regclass, seen text DEFAULT NULL, changed text DEFAULT NULL,
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
    seen := coalesce(seen, CASE WHEN by_place = '' THEN 'true' ELSE format('CASE%s ELSE true END', by_place) END);
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
REVOKE EXECUTE ON FUNCTION limit_to_reach(regclass, text, text, boolean) FROM PUBLIC;

-- From here on every table that becomes tenant data is limited to what the person reaches, too.
CREATE OR REPLACE FUNCTION protect_tenant_table(target regclass, privileges text, tenant_column text DEFAULT 'tenant_id')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format(
        'CREATE POLICY tenant_only ON %s TO sunmao_app USING (%I = current_tenant()) WITH CHECK (%I = current_tenant())',
        target, tenant_column, tenant_column);
    EXECUTE format('GRANT %s ON %s TO sunmao_app', privileges, target);
    PERFORM limit_to_reach(target);
END
$$;

DO $$
DECLARE
    known text;
BEGIN
    PERFORM protect_tenant_table('access_grant', 'SELECT, INSERT, DELETE');
    FOR known IN SELECT DISTINCT p.tablename FROM pg_policies p WHERE p.policyname = 'tenant_only' LOOP
        PERFORM limit_to_reach(known::regclass);
    END LOOP;
    -- The frame: seen wherever there is something to be seen in it.
    PERFORM limit_to_reach('site', 'id IN (SELECT seen_sites())', 'id IN (SELECT reached_sites())');
    PERFORM limit_to_reach('line', 'id IN (SELECT seen_lines())', 'site_id IN (SELECT reached_sites())');
    PERFORM limit_to_reach('agent', 'id IN (SELECT seen_agents())', 'id IN (SELECT reached_agents())');
    PERFORM limit_to_reach('equipment', 'id IN (SELECT reached_equipment())', 'id IN (SELECT reached_equipment())');
    -- What hangs on another row is reached with it.
    PERFORM limit_to_reach('agent_event', 'agent_id IN (SELECT reached_agents()) OR EXISTS (SELECT FROM equipment e'
        || ' WHERE e.tenant_id = agent_event.tenant_id AND e.agent_id = agent_event.agent_id'
        || ' AND e.name = agent_event.device)');
    PERFORM limit_to_reach('inspection_image', 'EXISTS (SELECT FROM inspection i'
        || ' WHERE i.tenant_id = inspection_image.tenant_id AND i.id = inspection_image.inspection_id)');
    PERFORM limit_to_reach('cold_file', 'EXISTS (SELECT FROM series s WHERE s.id = cold_file.series_id)');
    -- What is one's own.
    PERFORM limit_to_reach('user_account', NULL, 'id = current_person()', true);
    PERFORM limit_to_reach('access_token', 'user_id = current_person()', 'user_id = current_person()', true);
    PERFORM limit_to_reach('access_grant', 'user_id = current_person()', '(SELECT reaches_company())');
    -- What is for those who administrate the company.
    PERFORM limit_to_reach('audit', '(SELECT reaches_company())');
    PERFORM limit_to_reach('invitation', '(SELECT reaches_company())');
END $$;

-- A session opens what the person may do somewhere; where, row-level security decides.
DROP FUNCTION find_token(bytea);
CREATE FUNCTION find_token(wanted_hash bytea)
RETURNS TABLE (tenant_id uuid, user_id uuid, token_id uuid, email text, role text, language text, scopes text[],
               granted text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT u.tenant_id, u.id, t.id, u.email, u.role, u.language, t.scopes,
           ARRAY(SELECT DISTINCT g.role FROM access_grant g WHERE g.tenant_id = u.tenant_id AND g.user_id = u.id)
    FROM access_token t JOIN user_account u ON u.id = t.user_id
    WHERE t.hash = wanted_hash AND t.expires_at > now() AND u.disabled_at IS NULL;
END;
DO $$ BEGIN PERFORM hand_to_door('find_token(bytea)'); END $$;
