-- What a person reaches of the tables of energy, production, notify and idempotency, where their columns do not say it.

DO $$
DECLARE
    of_site text := 'CASE WHEN %1$s.line_id IS NOT NULL THEN %1$s.line_id IN (SELECT seen_lines())'
        || ' ELSE %1$s.site_id IN (SELECT seen_sites()) END';
    of_meter text := 'EXISTS (SELECT FROM energy_meter m WHERE m.tenant_id = %1$s.tenant_id AND m.id = %1$s.meter_id)';
BEGIN
    -- Definitions that hold for everything at the site or in the line: read by who sees anything there.
    PERFORM limit_to_reach('shift_calendar', format(of_site, 'shift_calendar'));
    PERFORM limit_to_reach('calendar_exception', format(of_site, 'calendar_exception'));
    PERFORM limit_to_reach('energy_tariff', 'site_id IN (SELECT seen_sites())');
    PERFORM limit_to_reach('energy_factor', 'site_id IN (SELECT seen_sites())');
    -- What a meter measured is reached with the meter.
    PERFORM limit_to_reach('energy_day', format(of_meter, 'energy_day'), format(of_meter, 'energy_day'));
    PERFORM limit_to_reach('energy_dirty', format(of_meter, 'energy_dirty'), format(of_meter, 'energy_dirty'));
    PERFORM limit_to_reach('energy_meter_part', format(of_meter, 'energy_meter_part'),
                           format(of_meter, 'energy_meter_part'));
    -- Messages tell of any place: for those who are restricted nowhere.
    PERFORM limit_to_reach('notify_outbox', 'false');
    PERFORM limit_to_reach('idempotency', 'user_id = current_person()', 'user_id = current_person()', true);
END $$;
