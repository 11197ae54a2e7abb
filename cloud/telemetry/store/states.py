"""Time per state: hours of the site made of the readings, and read back; see 0092_state_times.sql."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg import AsyncConnection

from cloud.core.rows import array

# What the readings of the hours in `dirty` say: between each two the earlier one's state is held.
_FROM_READINGS = """
    r AS (
        SELECT d.series_id, d.bucket, t.ts, t.value, CASE WHEN t.quality >= 0 THEN t.value END AS state,
               lead(t.ts) OVER (PARTITION BY d.series_id, d.bucket ORDER BY t.ts, t.value) AS next
        FROM dirty d
        JOIN telemetry t ON t.series_id = d.series_id AND t.ts >= d.bucket AND t.ts < d.bucket + interval '1 hour'
        WHERE t.ts >= (SELECT min(bucket) FROM dirty) AND t.ts < (SELECT max(bucket) FROM dirty) + interval '1 hour'
    ), held AS (
        SELECT series_id, bucket, state, (sum(extract(epoch FROM next - ts)) * 1000000)::bigint AS us
        FROM r WHERE next > ts GROUP BY series_id, bucket, state
    ), totals AS (
        SELECT series_id, bucket, array_agg(state ORDER BY state) AS states, array_agg(us ORDER BY state) AS micros
        FROM held GROUP BY series_id, bucket
    ), ends AS (
        SELECT series_id, bucket, min(ts) AS first_ts, max(ts) AS last_ts,
               (array_agg(state ORDER BY ts DESC, value DESC))[1] AS last_state
        FROM r GROUP BY series_id, bucket
    )
    SELECT e.series_id, e.bucket, e.first_ts, e.last_ts, e.last_state,
           coalesce(t.states, '{}') AS states, coalesce(t.micros, '{}') AS micros
    FROM ends e LEFT JOIN totals t ON t.series_id = e.series_id AND t.bucket = e.bucket
"""


class StateHour(NamedTuple):
    """One hour of one series: its first and last reading, the state it ends in, and how long each was held between them.

    A state of None is one nobody can tell. Times of holding are in microseconds.
    """

    series_id: int
    bucket: datetime
    first_ts: datetime
    last_ts: datetime
    last_state: float | None
    states: list[float | None]
    micros: list[int]


async def roll_up_states(
    connection: AsyncConnection, touched: Sequence[tuple[int, datetime]], properties: Sequence[str]
) -> None:
    """Recompute the hours of `touched` (series, time), of series whose dictionary entry is one of `properties`."""
    await connection.execute(
        f"""
        INSERT INTO rollup_state
        WITH dirty AS (
            SELECT DISTINCT d.series_id, date_trunc('hour', d.minute, site.time_zone) AS bucket
            FROM unnest(%(series)s::int[], %(minutes)s::timestamptz[]) AS d (series_id, minute)
            JOIN series s ON s.id = d.series_id AND s.tenant_id = current_tenant() AND s.property = ANY(%(properties)s)
            JOIN equipment e ON e.id = s.equipment_id JOIN agent a ON a.id = e.agent_id
            JOIN site ON site.id = a.site_id
        ), {_FROM_READINGS}
        ON CONFLICT (series_id, bucket) DO UPDATE
        SET first_ts = excluded.first_ts, last_ts = excluded.last_ts, last_state = excluded.last_state,
            states = excluded.states, micros = excluded.micros
        """,  # noqa: S608 - constants of this module
        {
            "series": array(series for series, _ in touched),
            "minutes": array(minute for _, minute in touched),
            "properties": list(properties),
        },
    )


async def select_state_hours(
    connection: AsyncConnection, series: Sequence[int], start: datetime, end: datetime
) -> list[StateHour]:
    """Return the hours of the tenant's `series` that begin in [start, end), by series and time.

    Hours rolled up before there were times per state are made of their readings.
    """
    cursor = await connection.execute(
        f"""
            WITH own AS (SELECT id FROM series WHERE tenant_id = current_tenant() AND id = ANY(%(series)s)), dirty AS (
                SELECT h.series_id, h.bucket FROM rollup_hour h JOIN own ON own.id = h.series_id
                WHERE h.bucket >= %(start)s AND h.bucket < %(end)s AND NOT EXISTS (
                    SELECT FROM rollup_state r WHERE r.series_id = h.series_id AND r.bucket = h.bucket)
            ), {_FROM_READINGS}
            UNION ALL
            SELECT r.series_id, r.bucket, r.first_ts, r.last_ts, r.last_state, r.states, r.micros
            FROM rollup_state r JOIN own ON own.id = r.series_id
            WHERE r.bucket >= %(start)s AND r.bucket < %(end)s
            ORDER BY 1, 2
            """,  # noqa: S608 - constants of this module
        {"series": list(series), "start": start, "end": end},
    )
    return [StateHour(*row) for row in await cursor.fetchall()]


async def select_states_before(
    connection: AsyncConnection, series: Sequence[int], instant: datetime
) -> dict[int, float | None]:
    """Return the state each of the tenant's `series` was in just before `instant`; none where nothing is known of it."""
    cursor = await connection.execute(
        """
        SELECT s.id, r.state FROM series s CROSS JOIN LATERAL (
            (SELECT ts, CASE WHEN quality >= 0 THEN value END AS state FROM telemetry
             WHERE series_id = s.id AND ts < %(instant)s ORDER BY ts DESC, value DESC LIMIT 1)
            UNION ALL
            (SELECT last_ts, last_state FROM rollup_state
             WHERE series_id = s.id AND bucket < %(instant)s AND last_ts < %(instant)s ORDER BY bucket DESC LIMIT 1)
            ORDER BY ts DESC LIMIT 1
        ) r
        WHERE s.tenant_id = current_tenant() AND s.id = ANY(%(series)s)
        """,
        {"series": list(series), "instant": instant},
    )
    return dict(await cursor.fetchall())
