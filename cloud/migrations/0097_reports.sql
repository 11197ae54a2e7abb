-- Reports that are sent by themselves when their period is over.

CREATE TABLE report_schedule (
    tenant_id  uuid NOT NULL REFERENCES tenant,
    id         uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('shift', 'day', 'week', 'month')),
    site_id      uuid,  -- what it is about: one of the three
    line_id      uuid,
    equipment_id uuid,
    language   text NOT NULL CHECK (language IN ('en', 'zh')),
    format     text NOT NULL CHECK (format IN ('pdf', 'xlsx')),
    channel_id uuid NOT NULL,
    wait_min   int NOT NULL,           -- after the period's end, for what arrives late
    told_until timestamptz NOT NULL,   -- end of the last period that was sent
    reason_en  text NOT NULL DEFAULT '',  -- why the last one could not be made
    reason_zh  text NOT NULL DEFAULT '',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CHECK (num_nonnulls(site_id, line_id, equipment_id) = 1),
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id),
    FOREIGN KEY (tenant_id, line_id) REFERENCES line (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, equipment_id) REFERENCES equipment (tenant_id, id),
    FOREIGN KEY (tenant_id, channel_id) REFERENCES notify_channel (tenant_id, id)
);
DO $$ BEGIN PERFORM protect_tenant_table('report_schedule', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

GRANT SELECT (tenant_id) ON report_schedule TO sunmao_door;
CREATE POLICY door ON report_schedule FOR SELECT TO sunmao_door USING (true);

-- Tenants that want reports; the sending task then works inside each of them.
CREATE FUNCTION tenants_with_reports() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT r.tenant_id FROM report_schedule r;
END;
DO $$ BEGIN PERFORM hand_to_door('tenants_with_reports()'); END $$;
