-- A schedule of reports is reached where its node is: what it sends tells of all there.

DO $$
DECLARE
    of_node text := 'CASE report_schedule.node_kind WHEN ''equipment'' THEN report_schedule.node_id IN (SELECT reached_equipment())'
        || ' WHEN ''line'' THEN report_schedule.node_id IN (SELECT reached_lines())'
        || ' ELSE report_schedule.node_id IN (SELECT reached_sites()) END';
BEGIN
    PERFORM limit_to_reach('report_schedule', of_node, of_node);
END $$;
