"""Rules of retention, and the register of the files that hold what has left the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from cloud.core.rows import array
from cloud.telemetry.store.arrays import Readings, read_arrays


class ColdFile(NamedTuple):
    """One file: all readings of a series and a week that are not in the database."""

    series_id: int
    week: datetime
    name: str
    readings: int


async def tenants_with_retention(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants that do not keep everything. Runs outside any tenant."""
    return [row[0] for row in await (await connection.execute("SELECT tenants_with_retention()")).fetchall()]


async def lock(connection: AsyncConnection) -> None:
    """Be the only transaction of the tenant that moves or reads readings old and new together."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('cold'), hashtext(current_tenant()::text))")


async def lock_shared(connection: AsyncConnection) -> None:
    """Have no readings of the tenant moved until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared(hashtext('cold'), hashtext(current_tenant()::text))")


async def select_rules(connection: AsyncConnection) -> dict[str, int]:
    """Return the tenant's days to keep, by property; '' is all others."""
    cursor = await connection.execute(
        "SELECT property, keep_days FROM retention WHERE tenant_id = current_tenant() ORDER BY property"
    )
    return dict(await cursor.fetchall())


async def replace_rules(connection: AsyncConnection, rules: Mapping[str, int]) -> None:
    """Make `rules` the tenant's."""
    await connection.execute("DELETE FROM retention WHERE tenant_id = current_tenant()")
    await connection.execute(
        """
        INSERT INTO retention (tenant_id, property, keep_days)
        SELECT current_tenant(), r.* FROM unnest(%s::text[], %s::int[]) AS r (p, d)
        """,
        [list(rules.keys()), list(rules.values())],
    )


async def select_oldest(connection: AsyncConnection) -> list[tuple[int, str, datetime]]:
    """Return (series, property, Monday of its oldest reading but the last one) of the tenant's series that have any."""
    cursor = await connection.execute(
        """
        SELECT s.id, coalesce(nullif(s.own_entry, ''), s.property), date_trunc('week', o.ts, 'UTC') FROM series s
        CROSS JOIN LATERAL (SELECT ts FROM telemetry WHERE series_id = s.id ORDER BY ts DESC LIMIT 1) l
        CROSS JOIN LATERAL (SELECT ts FROM telemetry WHERE series_id = s.id AND ts < l.ts ORDER BY ts LIMIT 1) o
        WHERE s.tenant_id = current_tenant() ORDER BY s.id
        """
    )
    return await cursor.fetchall()


async def take(connection: AsyncConnection, series: int, week: datetime) -> Readings:
    """Take a week's readings of one of the tenant's series, but its last, out of the database; oldest first."""
    return await read_arrays(
        connection,
        """
        SELECT array_agg(series_id), array_agg(ts), array_agg(value), array_agg(quality)
        FROM (SELECT * FROM take_telemetry(%s, %s) ORDER BY ts, value) t
        """,
        [series, week],
    )


async def register(connection: AsyncConnection, file: ColdFile) -> None:
    """Enter a file, in the place of the one of the same series and week."""
    await forget(connection, file)
    await connection.execute(
        "INSERT INTO cold_file (tenant_id, series_id, week, name, readings) VALUES (current_tenant(), %s, %s, %s, %s)",
        file,
    )


async def forget(connection: AsyncConnection, file: ColdFile) -> None:
    """Strike a file out."""
    await connection.execute(
        "DELETE FROM cold_file WHERE tenant_id = current_tenant() AND series_id = %s AND week = %s",
        [file.series_id, file.week],
    )


async def select_files(
    connection: AsyncConnection, series: Sequence[int], start: datetime, end: datetime
) -> list[ColdFile]:
    """Return the files with readings of the tenant's `series` in [start, end), oldest first."""
    cursor = await connection.execute(
        """
        SELECT series_id, week, name, readings FROM cold_file
        WHERE tenant_id = current_tenant() AND series_id = ANY(%s) AND week > %s::timestamptz - interval '7 days' AND week < %s
        ORDER BY week, series_id
        """,
        [list(series), start, end],
    )
    return [ColdFile(*row) for row in await cursor.fetchall()]


async def select_touched(
    connection: AsyncConnection, series: Sequence[int], times: Sequence[datetime]
) -> list[ColdFile]:
    """Return the files whose week has one of the (series, time) pairs."""
    cursor = await connection.execute(
        """
        SELECT DISTINCT c.series_id, c.week, c.name, c.readings FROM cold_file c
        JOIN unnest(%s::int[], %s::timestamptz[]) AS d (series_id, ts)
            ON d.series_id = c.series_id AND d.ts >= c.week AND d.ts < c.week + interval '7 days'
        WHERE c.tenant_id = current_tenant()
        """,
        [array(series), array(times)],
    )
    return [ColdFile(*row) for row in await cursor.fetchall()]


async def drop_empty(connection: AsyncConnection, until: datetime) -> None:
    """Give back the room of weeks that ended before `until` and hold nothing any more."""
    await connection.execute("SELECT drop_empty_telemetry(%s)", [until])
