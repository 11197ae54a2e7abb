-- Shift calendars: when work is planned. A line without one of its own follows its site's.

CREATE TABLE shift_calendar (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    site_id    uuid NOT NULL,
    line_id    uuid,
    valid_from date NOT NULL,  -- production day, on the site's clock; holds until the next version's
    shifts     jsonb NOT NULL,
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id),
    FOREIGN KEY (tenant_id, line_id) REFERENCES line (tenant_id, id) ON DELETE CASCADE,
    UNIQUE NULLS NOT DISTINCT (tenant_id, site_id, line_id, valid_from)
);
DO $$ BEGIN PERFORM protect_tenant_table('shift_calendar', 'SELECT, INSERT, UPDATE, DELETE'); END $$;

-- Days that are not as the week says: a holiday, or a day worked as another weekday.
CREATE TABLE calendar_exception (
    id        uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    site_id   uuid NOT NULL,
    line_id   uuid,
    day       date NOT NULL,
    works_as  smallint CHECK (works_as BETWEEN 1 AND 7),  -- ISO weekday; NULL: no work is planned
    name      text NOT NULL,
    FOREIGN KEY (tenant_id, site_id) REFERENCES site (tenant_id, id),
    FOREIGN KEY (tenant_id, line_id) REFERENCES line (tenant_id, id) ON DELETE CASCADE,
    UNIQUE NULLS NOT DISTINCT (tenant_id, site_id, line_id, day)
);
DO $$ BEGIN PERFORM protect_tenant_table('calendar_exception', 'SELECT, INSERT, UPDATE, DELETE'); END $$;
