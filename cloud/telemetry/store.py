"""The SQL of the telemetry domain, and the only way to telemetry: every statement joins the tenant's own series.

All functions run inside `Database.tenant`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from protocols.uplink.messages import PointRef

Row = dict[str, Any]

# States of readings `r` merged into buckets `b` of `level`; see 0004_telemetry.sql for what each state is. Sums run in the
# order of time, so that a recomputation gives the same bits.
_FROM_READINGS = """
    SELECT series_id, bucket, count(*) AS n, count(*) FILTER (WHERE usable) AS used,
           count(*) FILTER (WHERE usable AND quality < 16384) AS good,
           sum(value ORDER BY ts, value) FILTER (WHERE usable) AS sum,
           min(value) FILTER (WHERE usable) AS low, max(value) FILTER (WHERE usable) AS high,
           (array_agg(value ORDER BY ts, value) FILTER (WHERE usable))[1] AS first,
           (array_agg(value ORDER BY ts DESC, value DESC) FILTER (WHERE usable))[1] AS last,
           sum(CASE WHEN step >= 0 THEN step ELSE value END ORDER BY ts, value) FILTER (WHERE usable AND step IS NOT NULL)
               AS increase
    FROM (
        SELECT d.series_id, d.bucket, t.ts, t.value, t.quality, t.quality >= 0 AS usable,
               t.value - lag(t.value) OVER (PARTITION BY d.series_id, d.bucket, t.quality >= 0 ORDER BY t.ts, t.value)
                   AS step
        FROM dirty d JOIN telemetry t ON t.series_id = d.series_id AND t.ts >= d.bucket AND t.ts < d.bucket_end
        WHERE t.ts >= (SELECT min(bucket) FROM dirty) AND t.ts < (SELECT max(bucket_end) FROM dirty)
    ) r
    GROUP BY series_id, bucket
"""
_FROM_ROLLUPS = """
    SELECT series_id, into_bucket AS bucket, sum(n)::bigint AS n, sum(used)::bigint AS used, sum(good)::bigint AS good,
           sum(sum ORDER BY bucket) AS sum, min(low) AS low, max(high) AS high,
           (array_agg(first ORDER BY bucket) FILTER (WHERE used > 0))[1] AS first,
           (array_agg(last ORDER BY bucket DESC) FILTER (WHERE used > 0))[1] AS last,
           sum(COALESCE(increase, 0) + CASE WHEN step IS NULL THEN 0 WHEN step >= 0 THEN step ELSE first END
               ORDER BY bucket)
               FILTER (WHERE increase IS NOT NULL OR step IS NOT NULL) AS increase
    FROM (
        SELECT s.*, s.first - lag(s.last) OVER (PARTITION BY s.series_id, s.into_bucket, s.used > 0 ORDER BY s.bucket)
                   AS step
        FROM states s
    ) r
    GROUP BY series_id, into_bucket
"""
_UPSERT = """
    INSERT INTO {table} (series_id, bucket, n, used, good, sum, low, high, first, last, increase)
    {states}
    ON CONFLICT (series_id, bucket) DO UPDATE
    SET n = excluded.n, used = excluded.used, good = excluded.good, sum = excluded.sum, low = excluded.low,
        high = excluded.high, first = excluded.first, last = excluded.last, increase = excluded.increase
"""
_ROLLUP_MINUTES = """
    WITH dirty AS (
        SELECT series_id, bucket, bucket + interval '1 minute' AS bucket_end
        FROM unnest(%(series)s::int[], %(minutes)s::timestamptz[]) AS d (series_id, bucket)
    )
"""
# A coarser bucket is a whole hour or day of the site. `part` of the level below merge into it.
_ROLLUP_COARSER = """
    WITH dirty AS (
        SELECT DISTINCT d.series_id, site.time_zone, date_trunc('{unit}', d.minute, site.time_zone) AS bucket
        FROM unnest(%(series)s::int[], %(minutes)s::timestamptz[]) AS d (series_id, minute)
        JOIN series ON series.id = d.series_id AND series.tenant_id = current_tenant()
        JOIN equipment e ON e.id = series.equipment_id JOIN agent a ON a.id = e.agent_id
        JOIN site ON site.id = a.site_id
    ), states AS (
        SELECT part.*, dirty.bucket AS into_bucket
        FROM dirty JOIN {part} part ON part.series_id = dirty.series_id AND part.bucket >= dirty.bucket
            AND part.bucket < (dirty.bucket AT TIME ZONE dirty.time_zone + interval '1 {unit}')
                              AT TIME ZONE dirty.time_zone
    )
"""
_ROLLUPS = (
    _ROLLUP_MINUTES + _UPSERT.format(table="rollup_minute", states=_FROM_READINGS),
    _ROLLUP_COARSER.format(unit="hour", part="rollup_minute")
    + _UPSERT.format(table="rollup_hour", states=_FROM_ROLLUPS),
    _ROLLUP_COARSER.format(unit="day", part="rollup_hour") + _UPSERT.format(table="rollup_day", states=_FROM_ROLLUPS),
)
TABLES = {"1m": "rollup_minute", "1h": "rollup_hour", "1d": "rollup_day"}


async def ensure_series(
    connection: AsyncConnection, equipment: Mapping[str, UUID], points: Collection[PointRef]
) -> dict[PointRef, int]:
    """Return the series of `points`, making those not seen before; `equipment` gives the id of each device.

    A point that is mapped otherwise than before gets a series of its own, which becomes the current one.
    """
    ordered = sorted(points, key=lambda point: (point.device, point.name, point.property, point.unit))
    columns = [
        [equipment[point.device] for point in ordered],
        *([getattr(point, name) for point in ordered] for name in ("name", "property", "unit")),
    ]
    await connection.execute(
        """
        INSERT INTO series (tenant_id, equipment_id, name, property, unit)
        SELECT current_tenant(), p.* FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) AS p (e, n, d, u)
        WHERE NOT EXISTS (SELECT FROM series s WHERE s.tenant_id = current_tenant() AND s.equipment_id = p.e
                          AND s.name = p.n AND s.property = p.d AND s.unit = p.u)
        ON CONFLICT DO NOTHING
        """,
        columns,
    )
    await connection.execute(
        """
        UPDATE series s SET is_current = (s.property = p.d AND s.unit = p.u)
        FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) AS p (e, n, d, u)
        WHERE s.tenant_id = current_tenant() AND s.equipment_id = p.e AND s.name = p.n
            AND s.is_current <> (s.property = p.d AND s.unit = p.u)
        """,
        columns,
    )
    cursor = await connection.execute(
        """
        SELECT s.id FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY AS p (e, n, d, u, i)
        JOIN series s ON s.tenant_id = current_tenant() AND s.equipment_id = p.e AND s.name = p.n
            AND s.property = p.d AND s.unit = p.u
        ORDER BY p.i
        """,
        columns,
    )
    return dict(zip(ordered, [row[0] for row in await cursor.fetchall()], strict=True))


async def ensure_partitions(connection: AsyncConnection, weeks: Collection[datetime]) -> None:
    """Make room for readings of the weeks that begin at `weeks`."""
    for week in sorted(weeks):
        await connection.execute("SELECT ensure_telemetry_partition(%s)", [week])


async def enter_in_ledger(
    connection: AsyncConnection,
    agent: UUID,
    epoch: UUID,
    seq: int,
    *,
    frame_hash: bytes,
    readings: int,
    received: datetime,
) -> bytes | None:
    """Enter a frame; returns None if it is new, else the hash of the frame that is stored under its number.

    A frame that another transaction is just storing is waited for.
    """
    cursor = await connection.execute(
        """
        INSERT INTO ledger (tenant_id, agent_id, epoch, seq, hash, readings, received_at)
        VALUES (current_tenant(), %s, %s, %s, %s, %s, %s)
        ON CONFLICT (agent_id, epoch, seq) DO NOTHING
        """,
        [agent, epoch, seq, frame_hash, readings, received],
    )
    if cursor.rowcount == 1:
        return None
    cursor = await connection.execute(
        "SELECT hash FROM ledger WHERE tenant_id = current_tenant() AND agent_id = %s AND epoch = %s AND seq = %s",
        [agent, epoch, seq],
    )
    row = await cursor.fetchone()
    return bytes(row[0]) if row else b""


async def copy_numbers(connection: AsyncConnection, copy: bytes) -> None:
    """Append to telemetry what `columns` has made into a binary COPY."""
    async with connection.cursor() as cursor, cursor.copy("COPY telemetry FROM STDIN (FORMAT BINARY)") as writer:
        await writer.write(copy)


async def insert_texts(connection: AsyncConnection, rows: Sequence[tuple[int, datetime, str | None, int]]) -> None:
    """Append (series, source time, value, quality) rows of text readings."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO telemetry_text (series_id, ts, value, quality) VALUES (%s, %s, %s, %s)",
            rows,
        )


async def insert_changes(connection: AsyncConnection, minutes: Mapping[datetime, Collection[int]]) -> None:
    """Note which series have readings in which minutes."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO telemetry_change (tenant_id, minute, series_ids) VALUES (current_tenant(), %s, %s)",
            [[minute, sorted(series)] for minute, series in minutes.items()],
        )


async def add_delays(connection: AsyncConnection, agent: UUID, histogram: Mapping[int, int]) -> None:
    """Add to the histogram of this hour how long readings took to be stored."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO ingest_delay AS d (tenant_id, agent_id, hour, bucket, readings)
            VALUES (current_tenant(), %s, date_trunc('hour', now(), 'UTC'), %s, %s)
            ON CONFLICT (agent_id, hour, bucket) DO UPDATE SET readings = d.readings + excluded.readings
            """,
            [[agent, bucket, count] for bucket, count in sorted(histogram.items())],
        )


async def tenants_to_roll_up(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants whose roll-ups are behind. Runs outside any tenant."""
    return [row[0] for row in await (await connection.execute("SELECT tenants_to_roll_up()")).fetchall()]


async def roll_up(connection: AsyncConnection, tenant: UUID, limit: int) -> int:
    """Recompute the roll-ups that up to `limit` changes touched; returns the number of changes.

    One process at a time works on a tenant. Readings committed while this runs have changes of their own, which come next.
    """
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('rollup'), hashtext(%s))", [str(tenant)])
    cursor = await connection.execute(
        """
        UPDATE telemetry_change SET rolled_up = true
        WHERE tenant_id = current_tenant() AND id IN (
            SELECT id FROM telemetry_change WHERE tenant_id = current_tenant() AND NOT rolled_up ORDER BY id LIMIT %s)
        RETURNING minute, series_ids
        """,
        [limit],
    )
    changes = await cursor.fetchall()
    dirty = sorted({(series, minute) for minute, ids in changes for series in ids})
    if dirty:
        values = {"series": [series for series, _ in dirty], "minutes": [minute for _, minute in dirty]}
        for statement in _ROLLUPS:
            await connection.execute(statement, values)
    return len(changes)


async def forget_changes(connection: AsyncConnection) -> None:
    """Drop changes that are rolled up and older than an hour."""
    await connection.execute(
        "DELETE FROM telemetry_change WHERE tenant_id = current_tenant() AND rolled_up AND at < now() - interval '1 hour'"
    )


async def select_points(connection: AsyncConnection, equipment: UUID | None) -> list[Row]:
    """Return the current series of one equipment or of all, by name."""
    return await _all(
        connection,
        """
        SELECT id AS series_id, equipment_id, name, property, unit FROM series
        WHERE tenant_id = current_tenant() AND is_current AND (%(equipment)s::uuid IS NULL OR equipment_id = %(equipment)s)
        ORDER BY equipment_id, name, id
        """,
        {"equipment": equipment},
    )


async def select_series(connection: AsyncConnection, series: Collection[int]) -> list[Row]:
    """Return those of `series` that are the tenant's, with their property and the site's time zone."""
    return await _all(
        connection,
        """
        SELECT s.id AS series_id, s.property, site.time_zone
        FROM series s JOIN equipment e ON e.id = s.equipment_id JOIN agent a ON a.id = e.agent_id
        JOIN site ON site.id = a.site_id
        WHERE s.tenant_id = current_tenant() AND s.id = ANY(%s) ORDER BY s.id
        """,
        [list(series)],
    )


async def select_latest(
    connection: AsyncConnection, *, equipment: UUID | None = None, series: Collection[int] | None = None
) -> list[Row]:
    """Return the latest reading of the tenant's current series: of one equipment, of those listed, or of all."""
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
            AND (%(series)s::int[] IS NULL OR s.id = ANY(%(series)s))
        ORDER BY s.equipment_id, s.name
        """,
        {"equipment": equipment, "series": None if series is None else list(series)},
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
            SELECT ts AS time, NULLIF(value, 'NaN') AS number, NULL AS text, quality FROM telemetry
            WHERE series_id = %(series)s AND ts >= %(start)s AND ts < %(end)s
                AND (%(after)s::timestamptz IS NULL OR ts > %(after)s)
            UNION ALL
            SELECT ts, NULL, value, quality FROM telemetry_text
            WHERE series_id = %(series)s AND ts >= %(start)s AND ts < %(end)s
                AND (%(after)s::timestamptz IS NULL OR ts > %(after)s)
        ) r
        WHERE EXISTS (SELECT FROM series s WHERE s.tenant_id = current_tenant() AND s.id = %(series)s)
        ORDER BY r.time FETCH FIRST %(limit)s ROWS WITH TIES
        """,
        {"series": series, "start": start, "end": end, "after": after, "limit": limit},
    )


async def select_buckets(
    connection: AsyncConnection, resolution: str, series: Sequence[int], start: datetime, end: datetime, *, step_s: int
) -> list[Row]:
    """Return roll-up states of the tenant's `series` in [start, end), merged into buckets of `step_s` from `start` on."""
    return await _all(
        connection,
        f"""
        WITH states AS (
            SELECT r.*, date_bin(make_interval(secs => %(step)s), r.bucket, %(start)s) AS into_bucket
            FROM {TABLES[resolution]} r JOIN series s ON s.id = r.series_id AND s.tenant_id = current_tenant()
            WHERE r.series_id = ANY(%(series)s) AND r.bucket >= %(start)s AND r.bucket < %(end)s
        )
        {_FROM_ROLLUPS} ORDER BY series_id, bucket
        """,  # noqa: S608 - constants of this module
        {"series": list(series), "start": start, "end": end, "step": step_s},
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
        ), entered AS (
            SELECT count(*) AS frames, COALESCE(sum(readings), 0) AS n FROM ledger WHERE tenant_id = current_tenant()
        ), known AS (
            SELECT count(*) AS points, count(*) FILTER (WHERE property = '') AS unmapped,
                   count(DISTINCT NULLIF(property, '')) AS properties
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
