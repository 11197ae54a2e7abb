"""What is read: points, readings, changes and counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.core.keyset import BY_EQUIPMENT, WHOLE, Window

Row = dict[str, Any]

_PROPERTY = "coalesce(nullif(s.own_entry, ''), s.property) AS property"
"""What a point means: what its agent says or, where that is nothing, what people have said in the cloud."""


async def select_points(
    connection: AsyncConnection,
    equipment: Collection[UUID] | None,
    window: Window = WHOLE,
    properties: Collection[str] | None = None,
) -> list[Row]:
    """Return the current series of some equipment or of all, with one of `properties` or with any, by name."""
    after = dict(zip(("after", "name", "id"), window.after or BY_EQUIPMENT, strict=True))
    asked = "" if equipment is None else " AND s.equipment_id = ANY(%(equipment)s::uuid[])"
    if properties is not None:
        asked += " AND coalesce(nullif(s.own_entry, ''), s.property) = ANY(%(properties)s::text[])"
    return await _all(
        connection,
        f"""
        SELECT s.id AS series_id, s.equipment_id, s.name, {_PROPERTY}, s.unit FROM series s
        WHERE s.tenant_id = current_tenant() AND s.is_current
            AND (s.equipment_id, s.name, s.id) > (%(after)s::uuid, %(name)s::text, %(id)s::int){asked}
        ORDER BY s.equipment_id, s.name, s.id LIMIT %(limit)s
        """,  # noqa: S608 - our own text
        {
            **{"equipment": None if equipment is None else list(equipment), "limit": window.limit, **after},
            "properties": None if properties is None else list(properties),
        },
    )


async def select_points_of(connection: AsyncConnection, series: Collection[int]) -> list[Row]:
    """Return those of `series` that are current ones of the tenant."""
    return await _all(
        connection,
        f"""
        SELECT s.id AS series_id, s.equipment_id, s.name, {_PROPERTY}, s.unit FROM series s
        WHERE s.tenant_id = current_tenant() AND s.is_current AND s.id = ANY(%s)
        """,  # noqa: S608 - our own text
        [list(series)],
    )


async def select_point_kinds(connection: AsyncConnection, equipment: UUID | None) -> list[tuple[str, str]]:
    """Return each (name, property) that any current series of one machine or of all has."""
    cursor = await connection.execute(
        f"SELECT DISTINCT s.name, {_PROPERTY} FROM series s"  # noqa: S608 - our own text
        " WHERE s.tenant_id = current_tenant() AND s.is_current AND (%(one)s::uuid IS NULL OR s.equipment_id = %(one)s)",
        {"one": equipment},
    )
    return await cursor.fetchall()


async def select_point_names(
    connection: AsyncConnection,
    equipment: UUID | None = None,
    near: Sequence[tuple[Sequence[tuple[str, str]], Sequence[UUID]]] = (),
) -> list[tuple[int, UUID, str, str]]:
    """Return series, machine, name and property of the current series of one machine or of all.

    Of each of `near` they have one of its (name, property) or are of one of its machines.
    """
    values: dict[str, Any] = {"one": equipment}
    conditions = ""
    for number, (kinds, machines) in enumerate(near):
        of_kind = f"SELECT * FROM unnest(%(names{number})s::text[], %(codes{number})s::text[])"  # noqa: S608 - our own text
        of_machine = f"p.equipment_id = ANY(%(machines{number})s::uuid[])"
        conditions += f" AND ((p.name, p.property) IN ({of_kind}) OR {of_machine})"
        values |= {f"names{number}": [name for name, _ in kinds], f"codes{number}": [code for _, code in kinds]}
        values[f"machines{number}"] = list(machines)
    cursor = await connection.execute(
        f"""
        SELECT * FROM (
            SELECT s.id, s.equipment_id, s.name, {_PROPERTY} FROM series s
            WHERE s.tenant_id = current_tenant() AND s.is_current
                AND (%(one)s::uuid IS NULL OR s.equipment_id = %(one)s)
        ) p WHERE true{conditions}
        """,  # noqa: S608 - our own text
        values,
    )
    return await cursor.fetchall()


async def select_machine_names(connection: AsyncConnection) -> list[tuple[UUID, str, str, str | None]]:
    """Return id, label, site and line of all machines, by label."""
    cursor = await connection.execute(
        """
        SELECT e.id, coalesce(nullif(e.display_name, ''), e.name) AS label, site.name, line.name
        FROM equipment e JOIN agent a ON a.id = e.agent_id JOIN site ON site.id = a.site_id
        LEFT JOIN line ON line.id = e.line_id WHERE e.tenant_id = current_tenant() ORDER BY label, e.id
        """
    )
    return await cursor.fetchall()


async def select_each_meaning(connection: AsyncConnection) -> list[Row]:
    """Return one current series of each property that any has, by property."""
    return await _all(
        connection,
        f"""
        SELECT DISTINCT ON (property) * FROM (
            SELECT s.id AS series_id, s.equipment_id, s.name, {_PROPERTY}, s.unit FROM series s
            WHERE s.tenant_id = current_tenant() AND s.is_current
        ) p WHERE property <> '' ORDER BY property, series_id
        """,  # noqa: S608 - our own text
        None,
    )


async def select_meaning(
    connection: AsyncConnection, properties: Sequence[str], equipment_class: str | None, limit: int
) -> list[int]:
    """Return current series that have one of `properties`, in their order, then by the machine's name."""
    cursor = await connection.execute(
        f"""
        SELECT p.id FROM (
            SELECT s.id, s.equipment_id, {_PROPERTY} FROM series s WHERE s.tenant_id = current_tenant() AND s.is_current
        ) p JOIN equipment e ON e.id = p.equipment_id
        WHERE p.property = ANY(%(properties)s::text[]) AND (%(class)s::text IS NULL
            OR coalesce(nullif(e.class_override, ''), e.equipment_class) = %(class)s)
        ORDER BY array_position(%(properties)s::text[], p.property), coalesce(nullif(e.display_name, ''), e.name), p.id
        LIMIT %(limit)s
        """,  # noqa: S608 - our own text
        {"properties": list(properties), "class": equipment_class, "limit": limit},
    )
    return [row[0] for row in await cursor.fetchall()]


async def select_series(connection: AsyncConnection, series: Collection[int]) -> list[Row]:
    """Return those of `series` that are the tenant's, with their property and the site's time zone."""
    return await _all(
        connection,
        f"""
        SELECT s.id AS series_id, {_PROPERTY}, site.time_zone
        FROM series s JOIN equipment e ON e.id = s.equipment_id JOIN agent a ON a.id = e.agent_id
        JOIN site ON site.id = a.site_id
        WHERE s.tenant_id = current_tenant() AND s.id = ANY(%s) ORDER BY s.id
        """,  # noqa: S608 - our own text
        [list(series)],
    )


async def select_named_series(connection: AsyncConnection, series: Collection[int]) -> list[Row]:
    """Return those of `series` that are the tenant's, with all names and the site's time zone."""
    return await _all(
        connection,
        f"""
        SELECT s.id AS series_id, e.name AS equipment, s.name, {_PROPERTY}, s.unit, site.time_zone
        FROM series s JOIN equipment e ON e.id = s.equipment_id JOIN agent a ON a.id = e.agent_id
        JOIN site ON site.id = a.site_id
        WHERE s.tenant_id = current_tenant() AND s.id = ANY(%s)
        """,  # noqa: S608 - our own text
        [list(series)],
    )


async def lock_meaning(connection: AsyncConnection, series: int) -> Row | None:
    """Return unit, the agent's property and the company's own entry of a current series; nobody changes them meanwhile."""
    rows = await _all(
        connection,
        """
        SELECT unit, property, own_entry FROM series WHERE tenant_id = current_tenant() AND id = %s AND is_current FOR UPDATE
        """,
        [series],
    )
    return rows[0] if rows else None


async def update_meaning(connection: AsyncConnection, series: int, code: str) -> None:
    """Say which of the company's own entries a series has; "" for none."""
    await connection.execute(
        "UPDATE series SET own_entry = %s WHERE tenant_id = current_tenant() AND id = %s", [code, series]
    )


async def select_texts(
    connection: AsyncConnection, series: Collection[int], start: datetime, end: datetime, limit: int
) -> list[Row]:
    """Return text readings of the tenant's `series` in [start, end), oldest first; `us` is the time as on the wire.

    At least `limit` where there are as many: readings of one instant are never parted.
    """
    return await _all(
        connection,
        """
        SELECT t.series_id, t.ts AS time, (extract(epoch FROM t.ts) * 1000000)::bigint AS us, t.value AS text, t.quality
        FROM telemetry_text t JOIN series s ON s.id = t.series_id AND s.tenant_id = current_tenant()
        WHERE t.series_id = ANY(%s) AND t.ts >= %s AND t.ts < %s ORDER BY t.ts FETCH FIRST %s ROWS WITH TIES
        """,
        [list(series), start, end, limit],
    )


async def select_latest(
    connection: AsyncConnection,
    *,
    equipment: UUID | None = None,
    series: Collection[int] | None = None,
    window: Window = WHOLE,
) -> list[Row]:
    """Return the latest reading of the tenant's current series: of one equipment, of those listed, or of all."""
    (after,) = window.after or (0,)
    return await _all(
        connection,
        """
        SELECT s.id AS series_id, s.equipment_id, r.ts AS time, NULLIF(r.value, 'NaN') AS number, r.text, r.quality
        FROM series s CROSS JOIN LATERAL (
            (SELECT ts, value, NULL AS text, quality FROM telemetry WHERE series_id = s.id ORDER BY ts DESC LIMIT 1)
            UNION ALL
            (SELECT ts, NULL, value, quality FROM telemetry_text WHERE series_id = s.id ORDER BY ts DESC LIMIT 1)
            ORDER BY ts DESC LIMIT 1
        ) r
        WHERE s.tenant_id = current_tenant() AND s.is_current
            AND (%(equipment)s::uuid IS NULL OR s.equipment_id = %(equipment)s)
            AND (%(series)s::int[] IS NULL OR s.id = ANY(%(series)s)) AND s.id > %(after)s::int
        ORDER BY s.id LIMIT %(limit)s
        """,
        {
            **{"equipment": equipment, "series": None if series is None else list(series)},
            **{"after": after, "limit": window.limit},
        },
    )


async def select_readings(
    connection: AsyncConnection, series: int, start: datetime, end: datetime, *, after: datetime | None, limit: int
) -> list[Row]:
    """Return readings of one series in [start, end) later than `after`, oldest first.

    At least `limit` where there are as many: readings of one instant are never parted.
    """
    return await _all(
        connection,
        """
        SELECT r.time, r.number, r.text, r.quality FROM (
            (SELECT ts AS time, NULLIF(value, 'NaN') AS number, NULL AS text, quality FROM telemetry
             WHERE series_id = %(series)s AND ts >= %(start)s AND ts < %(end)s
                AND ts > coalesce(%(after)s::timestamptz, '-infinity')
             ORDER BY ts FETCH FIRST %(limit)s ROWS WITH TIES)
            UNION ALL
            (SELECT ts, NULL, value, quality FROM telemetry_text
             WHERE series_id = %(series)s AND ts >= %(start)s AND ts < %(end)s
                AND ts > coalesce(%(after)s::timestamptz, '-infinity')
             ORDER BY ts FETCH FIRST %(limit)s ROWS WITH TIES)
        ) r
        WHERE EXISTS (SELECT FROM series s WHERE s.tenant_id = current_tenant() AND s.id = %(series)s)
        ORDER BY r.time FETCH FIRST %(limit)s ROWS WITH TIES
        """,
        {"series": series, "start": start, "end": end, "after": after, "limit": limit},
    )


async def count_readings(
    connection: AsyncConnection, series: Sequence[int], start: datetime, end: datetime, limit: int
) -> int:
    """Return the largest number of readings any of the tenant's `series` has in [start, end), counting to `limit`."""
    cursor = await connection.execute(
        """
        SELECT COALESCE(max(r.n), 0) FROM series s CROSS JOIN LATERAL (
            SELECT count(*) AS n FROM (
                (SELECT FROM telemetry WHERE series_id = s.id AND ts >= %(start)s AND ts < %(end)s LIMIT %(limit)s)
                UNION ALL
                (SELECT FROM telemetry_text WHERE series_id = s.id AND ts >= %(start)s AND ts < %(end)s LIMIT %(limit)s)
            ) few
        ) r
        WHERE s.tenant_id = current_tenant() AND s.id = ANY(%(series)s)
        """,
        {"series": list(series), "start": start, "end": end, "limit": limit},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def select_position(connection: AsyncConnection) -> int:
    """Return where the stream of changes stands: all transactions below this are visible."""
    cursor = await connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def can_resume(connection: AsyncConnection, position: int) -> bool:
    """Return whether all changes after `position` are still remembered: an earlier one, not about to go, is."""
    cursor = await connection.execute(
        """
        SELECT %(position)s <= pg_snapshot_xmax(pg_current_snapshot())::text::numeric AND EXISTS (
            SELECT FROM telemetry_change WHERE tenant_id = current_tenant() AND xid < %(position)s::text::xid8
                AND at > now() - interval '59 minutes')
        """,
        {"position": position},
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def select_changes(connection: AsyncConnection, position: int) -> tuple[int, list[int]]:
    """Return the new position, and the series changed since `position`; both as of one snapshot."""
    cursor = await connection.execute(
        """
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
               ARRAY(SELECT DISTINCT unnest(series_ids) FROM telemetry_change
                     WHERE tenant_id = current_tenant() AND xid >= %s::text::xid8)
        """,
        [position],
    )
    row = await cursor.fetchone()
    return (int(row[0]), list(row[1])) if row else (position, [])


async def select_heard_minutes(
    connection: AsyncConnection, equipment: UUID, start: datetime, end: datetime
) -> list[datetime]:
    """Return the minutes of [start, end) in which any series of a piece of equipment has usable readings."""
    cursor = await connection.execute(
        """
        SELECT DISTINCT r.bucket FROM series s JOIN rollup_minute r ON r.series_id = s.id
        WHERE s.tenant_id = current_tenant() AND s.equipment_id = %s AND r.bucket >= %s AND r.bucket < %s AND r.used > 0
        ORDER BY r.bucket
        """,
        [equipment, start, end],
    )
    return [row[0] for row in await cursor.fetchall()]


async def select_stats(connection: AsyncConnection) -> Row:
    """Return what is stored for the tenant, but for the delays; reads every reading."""
    rows = await _all(
        connection,
        """
        WITH stored AS (
            SELECT count(*) AS n, count(*) - count(DISTINCT (t.series_id, t.ts)) AS again FROM telemetry t
            JOIN series s ON s.id = t.series_id AND s.tenant_id = current_tenant()
            UNION ALL
            SELECT count(*), count(*) - count(DISTINCT (t.series_id, t.ts)) FROM telemetry_text t
            JOIN series s ON s.id = t.series_id AND s.tenant_id = current_tenant()
            UNION ALL
            SELECT COALESCE(sum(readings), 0)::bigint, 0 FROM cold_file WHERE tenant_id = current_tenant()
        ), entered AS (
            SELECT count(*) AS frames, COALESCE(sum(readings), 0) AS n FROM ledger WHERE tenant_id = current_tenant()
        ), known AS (
            SELECT count(*) AS points, count(*) FILTER (WHERE property = '' AND own_entry = '') AS unmapped,
                   count(DISTINCT NULLIF(property || own_entry, '')) AS properties
            FROM series WHERE tenant_id = current_tenant() AND is_current
        )
        SELECT (SELECT sum(n) FROM stored)::bigint AS readings, (SELECT sum(again) FROM stored)::bigint AS duplicates,
               entered.n::bigint AS ledger_readings, entered.frames, known.points, known.unmapped AS unmapped_points,
               known.properties
        FROM entered, known
        """,
        None,
    )
    return rows[0]


async def select_delays(connection: AsyncConnection, hours: int) -> dict[int, int]:
    """Return the histogram of the tenant's delays over the last `hours`."""
    rows = await _all(
        connection,
        """
        SELECT bucket, sum(readings)::bigint AS readings FROM ingest_delay
        WHERE tenant_id = current_tenant() AND hour >= now() - %s * interval '1 hour' GROUP BY bucket
        """,
        [hours],
    )
    return {row["bucket"]: row["readings"] for row in rows}


async def _all(connection: AsyncConnection, query: Any, values: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
