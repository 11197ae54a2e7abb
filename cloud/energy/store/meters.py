"""Meters: where they stand, and which series become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from cloud.core.keyset import BY_NAME, WHOLE, Window
from cloud.energy.store.days import mark_all_dirty
from cloud.energy.store.rows import Row, every, inserted, one

_METER = """
    m.id, m.site_id, site.name AS site, site.time_zone, m.name, m.carrier, m.basis, m.series_id, m.equipment_id, m.line_id, m.parent_id,
    m.rollover, m.confirmed, m.ignored, s.name AS point, s.property, s.unit, s.equipment_id AS source_equipment_id,
    ARRAY(SELECT json_build_object('meter_id', p.part_id, 'factor', p.factor) FROM energy_meter_part p
          WHERE p.tenant_id = m.tenant_id AND p.meter_id = m.id ORDER BY p.part_id) AS parts
    FROM {} m JOIN site ON site.id = m.site_id LEFT JOIN series s ON s.id = m.series_id
"""
_PAGE = """
    (SELECT * FROM energy_meter WHERE tenant_id = current_tenant() AND (%(site)s::uuid IS NULL OR site_id = %(site)s)
     AND (name, id) > (%(name)s::text, %(id)s::uuid) ORDER BY name, id LIMIT %(limit)s)
"""
_ONE = _METER.format("energy_meter") + "WHERE m.tenant_id = current_tenant()"


async def select_meters(connection: AsyncConnection, site: UUID | None = None, window: Window = WHOLE) -> list[Row]:
    """Return the tenant's meters, of one site or of all, by name."""
    name, identity = window.after or BY_NAME
    return await every(
        connection,
        f"SELECT {_METER.format(_PAGE)} ORDER BY m.name, m.id",
        {"site": site, "name": name, "id": identity, "limit": window.limit},
    )


async def select_meter(connection: AsyncConnection, meter: UUID) -> Row | None:
    """Return one meter."""
    rows = await every(connection, f"SELECT {_ONE} AND m.id = %s", [meter])
    return rows[0] if rows else None


async def has_site(connection: AsyncConnection, site: UUID) -> bool:
    """Tell whether the tenant has this site."""
    return await one(connection, "SELECT FROM site WHERE tenant_id = current_tenant() AND id = %s", [site]) is not None


async def is_at(connection: AsyncConnection, site: UUID, *, equipment: UUID | None, line: UUID | None) -> bool:
    """Tell whether the machine and the line, where given, are at the site."""
    row = await one(
        connection,
        """
        SELECT (%(equipment)s::uuid IS NULL OR EXISTS (
                   SELECT FROM equipment e JOIN agent a ON a.id = e.agent_id
                   WHERE e.tenant_id = current_tenant() AND e.id = %(equipment)s AND a.site_id = %(site)s))
           AND (%(line)s::uuid IS NULL OR EXISTS (
                   SELECT FROM line WHERE tenant_id = current_tenant() AND id = %(line)s AND site_id = %(site)s)) AS there
        """,
        {"site": site, "equipment": equipment, "line": line},
    )
    return bool(row and row["there"])


async def select_series(connection: AsyncConnection, series: int) -> Row | None:
    """Return site and unit of one of the tenant's series."""
    return await one(
        connection,
        """
        SELECT s.unit, a.site_id FROM series s
        JOIN equipment e ON e.id = s.equipment_id JOIN agent a ON a.id = e.agent_id
        WHERE s.tenant_id = current_tenant() AND s.id = %s
        """,
        [series],
    )


async def lock_meters(connection: AsyncConnection) -> None:
    """Be the only transaction of the tenant that changes its meters, so that the trees stay trees."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('meters'), hashtext(current_tenant()::text))")


async def insert_meter(connection: AsyncConnection, values: Mapping[str, Any]) -> UUID:
    """Insert a meter and return its id; raises Taken if the series has one."""
    return await inserted(
        connection,
        """
        INSERT INTO energy_meter
            (tenant_id, site_id, name, carrier, basis, series_id, equipment_id, line_id, parent_id,
             rollover, ignored, confirmed)
        VALUES (current_tenant(), %(site_id)s, %(name)s, %(carrier)s, %(basis)s, %(series_id)s, %(equipment_id)s,
                %(line_id)s, %(parent_id)s, %(rollover)s, %(ignored)s, true)
        RETURNING id
        """,
        values,
    )


async def update_meter(connection: AsyncConnection, meter: UUID, values: Mapping[str, Any]) -> None:
    """Change what a person says of a meter, which confirms it."""
    await connection.execute(
        """
        UPDATE energy_meter SET name = %(name)s, carrier = %(carrier)s, equipment_id = %(equipment_id)s,
            line_id = %(line_id)s, parent_id = %(parent_id)s, rollover = %(rollover)s, ignored = %(ignored)s, confirmed = true
        WHERE tenant_id = current_tenant() AND id = %(id)s
        """,
        {**values, "id": meter},
    )


async def confirm_meters(connection: AsyncConnection, site: UUID) -> list[UUID]:
    """Confirm what is assumed of the meters of a site; returns those it was assumed of."""
    cursor = await connection.execute(
        "UPDATE energy_meter SET confirmed = true"
        " WHERE tenant_id = current_tenant() AND site_id = %s AND NOT confirmed RETURNING id",
        [site],
    )
    return [row[0] for row in await cursor.fetchall()]


async def replace_parts(connection: AsyncConnection, meter: UUID, parts: Mapping[UUID, int]) -> None:
    """Make `parts`, the factor by meter, what a virtual meter is computed from."""
    await connection.execute(
        "DELETE FROM energy_meter_part WHERE tenant_id = current_tenant() AND meter_id = %s", [meter]
    )
    await connection.execute(
        """
        INSERT INTO energy_meter_part (tenant_id, meter_id, part_id, factor)
        SELECT current_tenant(), %s, p.* FROM unnest(%s::uuid[], %s::smallint[]) AS p (m, f)
        """,
        [meter, list(parts.keys()), list(parts.values())],
    )


async def delete_meter(connection: AsyncConnection, meter: UUID) -> None:
    """Remove a meter with what was computed of it; raises InUse if another one stands on it."""
    await connection.execute("DELETE FROM energy_meter WHERE tenant_id = current_tenant() AND id = %s", [meter])


async def adopt(
    connection: AsyncConnection,
    series: Sequence[int],
    *,
    counters: Mapping[str, str],
    powers: Mapping[str, str],
    meter_class: str,
) -> None:
    """Make meters of those of `series` that measure energy and are none yet; what they have is then to be computed.

    `counters` and `powers` give the carrier by property. A power is taken only where the equipment has no counter of the
    carrier; it makes way once it has. Of one equipment and carrier only one is taken: the others count the same. Equipment of `meter_class` measures the site, all other itself; `place_unconfirmed` says where they stand.
    """
    values = {
        "series": list(series),
        "codes": [*counters, *powers],
        "carriers": [*counters.values(), *powers.values()],
        "bases": [*["counter"] * len(counters), *["power"] * len(powers)],
        "class": meter_class,
    }
    cursor = await connection.execute(
        """
        WITH kinds AS (
            SELECT * FROM unnest(%(codes)s::text[], %(carriers)s::text[], %(bases)s::text[]) AS k (property, carrier, basis)
        ), found AS (
            SELECT s.id, s.equipment_id, e.name, e.equipment_class, a.site_id, k.carrier, k.basis,
                   row_number() OVER (PARTITION BY s.equipment_id, k.carrier ORDER BY k.basis, s.id) AS place
            FROM series s JOIN kinds k USING (property)
            JOIN equipment e ON e.id = s.equipment_id JOIN agent a ON a.id = e.agent_id
            WHERE s.tenant_id = current_tenant() AND s.id = ANY(%(series)s) AND s.is_current
                AND NOT EXISTS (SELECT FROM energy_meter m WHERE m.series_id = s.id)
        ), superseded AS (
            DELETE FROM energy_meter m USING found f, series s
            WHERE m.tenant_id = current_tenant() AND m.basis = 'power' AND NOT m.confirmed AND f.basis = 'counter'
                AND s.id = m.series_id AND s.equipment_id = f.equipment_id AND m.carrier = f.carrier
                AND NOT EXISTS (SELECT FROM energy_meter c WHERE c.parent_id = m.id)
                AND NOT EXISTS (SELECT FROM energy_meter_place c WHERE c.parent_id = m.id)
                AND NOT EXISTS (SELECT FROM energy_meter_part p WHERE p.part_id = m.id)
        )
        INSERT INTO energy_meter (tenant_id, site_id, name, carrier, basis, series_id, equipment_id, confirmed)
        SELECT current_tenant(), f.site_id, f.name, f.carrier, f.basis, f.id,
               CASE WHEN f.equipment_class <> %(class)s THEN f.equipment_id END, false
        FROM found f
        WHERE f.place = 1 AND NOT EXISTS (
            SELECT FROM energy_meter m JOIN series s ON s.id = m.series_id
            WHERE m.tenant_id = current_tenant() AND s.equipment_id = f.equipment_id AND m.carrier = f.carrier
                AND s.is_current AND (f.basis = 'power' OR m.basis = 'counter' OR m.confirmed))
        ON CONFLICT DO NOTHING
        RETURNING id
        """,
        values,
    )
    made = [row[0] for row in await cursor.fetchall()]
    if made:
        await mark_all_dirty(connection, made)


async def place_unconfirmed(connection: AsyncConnection, meter_class: str) -> None:
    """Assume what the meters measure that nobody has confirmed, and where they stand.

    Equipment of `meter_class` measures the site, other equipment itself and stands behind the site's meter of the carrier,
    if there is just one. An agent tells the class some time after the first readings.
    """
    await connection.execute(
        """
        WITH known AS (
            SELECT m.id, m.site_id, m.carrier, e.id AS equipment_id,
                   COALESCE(NULLIF(e.class_override, ''), e.equipment_class) = %s AS measures_site
            FROM energy_meter m JOIN series s ON s.id = m.series_id JOIN equipment e ON e.id = s.equipment_id
            WHERE m.tenant_id = current_tenant() AND NOT m.ignored
                AND (NOT m.confirmed OR num_nonnulls(m.parent_id, m.equipment_id, m.line_id) = 0)
        ), main AS (
            SELECT site_id, carrier, min(id::text)::uuid AS id FROM known WHERE measures_site
            GROUP BY site_id, carrier HAVING count(*) = 1
        ), wanted AS (
            SELECT k.id, CASE WHEN NOT k.measures_site THEN k.equipment_id END AS equipment_id,
                   CASE WHEN NOT k.measures_site THEN main.id END AS parent_id
            FROM known k LEFT JOIN main USING (site_id, carrier)
        )
        UPDATE energy_meter m SET equipment_id = w.equipment_id, parent_id = w.parent_id FROM wanted w
        WHERE m.tenant_id = current_tenant() AND m.id = w.id AND NOT m.confirmed
            AND (m.equipment_id, m.parent_id) IS DISTINCT FROM (w.equipment_id, w.parent_id)
        """,
        [meter_class],
    )
