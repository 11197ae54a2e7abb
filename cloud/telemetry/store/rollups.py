"""Roll-ups: recomputed from the readings wherever a delivery has touched them, and merged for charts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.core.rows import array
from cloud.telemetry.store.ingest import choose_current

# States of readings `r` merged into buckets `b` of `level`; see 0004_telemetry.sql for what each state is. Sums run in the
# order of time, so that a recomputation gives the same bits. Numbers of 1e290 and above, which devices send for "none",
# are counted and not used: their sums would be beyond a double, which PostgreSQL answers with an error.
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
        SELECT u.*, CASE WHEN usable THEN value - lag(value) OVER (PARTITION BY series_id, bucket, usable
                                                                   ORDER BY ts, value) END AS step
        FROM (
            SELECT d.series_id, d.bucket, t.ts, t.value, t.quality, t.quality >= 0 AND abs(t.value) < 1e290 AS usable
            FROM dirty d JOIN telemetry t ON t.series_id = d.series_id AND t.ts >= d.bucket AND t.ts < d.bucket_end
            WHERE t.ts >= (SELECT min(bucket) FROM dirty) AND t.ts < (SELECT max(bucket_end) FROM dirty)
        ) u
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
# A coarser bucket is a whole hour or day of the site. `part` of the level below merge into it. A day lasts from midnight
# to midnight, whatever the clocks do in between; an hour is an hour.
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
            AND part.bucket < {end}
    )
"""
_ROLLUPS = (
    _ROLLUP_MINUTES + _UPSERT.format(table="rollup_minute", states=_FROM_READINGS),
    _ROLLUP_COARSER.format(unit="hour", part="rollup_minute", end="dirty.bucket + interval '1 hour'")
    + _UPSERT.format(table="rollup_hour", states=_FROM_ROLLUPS),
    _ROLLUP_COARSER.format(
        unit="day",
        part="rollup_hour",
        end="(dirty.bucket AT TIME ZONE dirty.time_zone + interval '1 day') AT TIME ZONE dirty.time_zone",
    )
    + _UPSERT.format(table="rollup_day", states=_FROM_ROLLUPS),
)
Restore = Callable[[AsyncConnection, Sequence[tuple[int, datetime]]], Awaitable[None]]
Follower = Restore
"""Is told of the (series, minute) pairs that were recomputed, inside the same transaction."""
TABLES = {"1m": "rollup_minute", "1h": "rollup_hour", "1d": "rollup_day"}


async def tenants_to_roll_up(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants whose roll-ups are behind. Runs outside any tenant."""
    return [row[0] for row in await (await connection.execute("SELECT tenants_to_roll_up()")).fetchall()]


async def lock(connection: AsyncConnection, tenant: UUID) -> None:
    """Be the only transaction that works on a tenant's roll-ups."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('rollup'), hashtext(%s))", [str(tenant)])


async def roll_up(
    connection: AsyncConnection, tenant: UUID, limit: int, restore: Restore, followers: Sequence[Follower] = ()
) -> int:
    """Recompute the roll-ups that up to `limit` changes touched; returns the number of changes.

    `restore` brings back whatever else there was of the touched times before they are recomputed. One process at a time works on a tenant. Readings committed while this runs have changes of their own, which come next.
    """
    await lock(connection, tenant)
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
        await restore(connection, dirty)
        values = {"series": array(series for series, _ in dirty), "minutes": array(minute for _, minute in dirty)}
        for statement in _ROLLUPS:
            await connection.execute(statement, values)
        await choose_current(connection, {series for series, _ in dirty})
        for follow in followers:
            await follow(connection, dirty)
    return len(changes)


async def forget_changes(connection: AsyncConnection) -> None:
    """Drop changes that are rolled up and older than an hour."""
    await connection.execute(
        "DELETE FROM telemetry_change WHERE tenant_id = current_tenant() AND rolled_up AND at < now() - interval '1 hour'"
    )


async def select_buckets(
    connection: AsyncConnection, resolution: str, series: Sequence[int], start: datetime, end: datetime, *, step_s: int
) -> list[dict[str, Any]]:
    """Return roll-up states of the tenant's `series` in [start, end), merged into buckets of `step_s` from `start` on.

    Days stay as they are: not all of them are equally long.
    """
    merged = "r.bucket" if resolution == "1d" else "date_bin(make_interval(secs => %(step)s), r.bucket, %(start)s)"
    query = f"""
        WITH states AS (
            SELECT r.*, {merged} AS into_bucket
            FROM {TABLES[resolution]} r JOIN series s ON s.id = r.series_id AND s.tenant_id = current_tenant()
            WHERE r.series_id = ANY(%(series)s) AND r.bucket >= %(start)s AND r.bucket < %(end)s
        )
        {_FROM_ROLLUPS} ORDER BY series_id, bucket
    """  # noqa: S608 - constants of this module
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, {"series": list(series), "start": start, "end": end, "step": step_s})
        return await cursor.fetchall()


async def select_fine_buckets(
    connection: AsyncConnection, series: Sequence[int], start: datetime, end: datetime, *, step_s: int
) -> list[dict[str, Any]]:
    """Return states of the tenant's `series` in [start, end), made of the readings, in buckets of `step_s` from `start` on.

    For buckets finer than any roll-up.
    """
    query = f"""
        WITH dirty AS (
            SELECT s.id AS series_id, b.bucket, b.bucket + make_interval(secs => %(step)s) AS bucket_end
            FROM series s, generate_series(%(start)s, %(end)s, make_interval(secs => %(step)s)) AS b (bucket)
            WHERE s.tenant_id = current_tenant() AND s.id = ANY(%(series)s) AND b.bucket < %(end)s
        )
        {_FROM_READINGS} ORDER BY series_id, bucket
    """  # noqa: S608 - constants of this module
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, {"series": list(series), "start": start, "end": end, "step": step_s})
        return await cursor.fetchall()


async def count_rolled_up(connection: AsyncConnection, series: Sequence[int], start: datetime, end: datetime) -> int:
    """Return the largest number of readings any of the tenant's `series` has in the hours that begin in [start, end).

    Without what is not rolled up yet; many times faster than counting readings.
    """
    cursor = await connection.execute(
        """
        SELECT COALESCE(max(n), 0)::bigint FROM (
            SELECT sum(r.n) AS n FROM rollup_hour r
            JOIN series s ON s.id = r.series_id AND s.tenant_id = current_tenant()
            WHERE r.series_id = ANY(%s) AND r.bucket >= %s AND r.bucket < %s GROUP BY r.series_id
        ) r
        """,
        [list(series), start, end],
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
