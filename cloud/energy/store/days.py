"""What meters have measured, and what of it is to be computed anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.postgres import types
from psycopg.pq import Format

from cloud.core.rows import array


class Day(NamedTuple):
    """A stored day of a meter: what flowed, and how many seconds are covered, in each of its intervals."""

    meter_id: UUID
    day: date
    energy: NDArray[np.float64]
    covered: NDArray[np.int16]


class Activity(NamedTuple):
    """A stored day of a machine: of each interval, seconds its state is known, and seconds it was known not to produce."""

    equipment_id: UUID
    day: date
    known: NDArray[np.int16]
    idle: NDArray[np.int16]


async def tenants_to_meter(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants with meters to compute anew. Runs outside any tenant."""
    return [row[0] for row in await (await connection.execute("SELECT tenants_to_meter()")).fetchall()]


async def mark_dirty(connection: AsyncConnection, dirty: Sequence[tuple[int, datetime]]) -> None:
    """Note the meters among the (series, minute) pairs, and those of machines that have one, as to be computed anew."""
    await connection.execute(
        """
        WITH changed AS (
            SELECT series_id, min(minute) AS first, max(minute) AS last
            FROM unnest(%s::int[], %s::timestamptz[]) AS d (series_id, minute) GROUP BY series_id
        ), touched AS (
            SELECT m.id, c.first, c.last FROM changed c JOIN energy_meter m ON m.series_id = c.series_id
            WHERE m.tenant_id = current_tenant()
            UNION ALL
            SELECT m.id, c.first, c.last FROM changed c JOIN series s ON s.id = c.series_id
            JOIN energy_meter m ON m.tenant_id = s.tenant_id AND m.equipment_id = s.equipment_id
            WHERE s.tenant_id = current_tenant() AND m.series_id IS NOT NULL
        )
        INSERT INTO energy_dirty (tenant_id, meter_id, first, last)
        SELECT current_tenant(), id, min(first), max(last) FROM touched GROUP BY id
        """,
        [array(series for series, _ in dirty), array(minute for _, minute in dirty)],
    )


async def note(connection: AsyncConnection, meter: UUID, spans: Sequence[tuple[datetime, datetime]]) -> None:
    """Note spans of a meter as to be computed anew."""
    await connection.execute(
        """
        INSERT INTO energy_dirty (tenant_id, meter_id, first, last)
        SELECT current_tenant(), %s, min(s.first), max(s.last)
        FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS s (first, last)
        """,
        [meter, [first for first, _ in spans], [last for _, last in spans]],
    )


async def mark_all_dirty(connection: AsyncConnection, meters: Sequence[UUID]) -> None:
    """Note all there is of `meters` as to be computed anew."""
    await connection.execute(
        """
        INSERT INTO energy_dirty (tenant_id, meter_id, first, last)
        SELECT m.tenant_id, m.id, b.first, b.last FROM energy_meter m
        CROSS JOIN LATERAL (SELECT min(bucket) AS first, max(bucket) AS last FROM rollup_minute
                            WHERE series_id = m.series_id) b
        WHERE m.tenant_id = current_tenant() AND m.id = ANY(%s) AND b.first IS NOT NULL
        """,
        [list(meters)],
    )


async def dirty_meters(connection: AsyncConnection) -> list[UUID]:
    """Return the tenant's meters that are to be computed anew."""
    cursor = await connection.execute("SELECT DISTINCT meter_id FROM energy_dirty WHERE tenant_id = current_tenant()")
    return [row[0] for row in await cursor.fetchall()]


async def take_dirty(connection: AsyncConnection, meter: UUID) -> list[tuple[datetime, datetime]]:
    """Take the notes on one meter, as spans; nobody else computes it until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('meter'), hashtext(%s))", [str(meter)])
    cursor = await connection.execute(
        "DELETE FROM energy_dirty WHERE tenant_id = current_tenant() AND meter_id = %s RETURNING first, last", [meter]
    )
    return await cursor.fetchall()


async def replace_days(connection: AsyncConnection, meter: UUID, first: date, last: date, days: Sequence[Day]) -> None:
    """Store the days of a meter from `first` to `last` in place of what was there."""
    async with connection.cursor() as cursor:
        await cursor.execute(
            "DELETE FROM energy_day WHERE tenant_id = current_tenant() AND meter_id = %s AND day BETWEEN %s AND %s",
            [meter, first, last],
        )
        await cursor.executemany(
            """
            INSERT INTO energy_day (tenant_id, meter_id, day, energy, covered_s, total, covered_total_s)
            VALUES (current_tenant(), %s, %s, %s, %s, %s, %s)
            """,
            [
                [
                    *(meter, day.day, day.energy.tolist(), day.covered.tolist()),
                    *(float(day.energy.sum()), int(day.covered.sum())),
                ]
                for day in days
            ],
        )


async def select_days(connection: AsyncConnection, meters: Sequence[UUID], first: date, last: date) -> list[Day]:
    """Return the stored days of the tenant's `meters` from `first` to `last`, both included."""
    async with connection.cursor(binary=True) as cursor:
        cursor.adapters.register_loader(types["float8"].array_oid, _Float8)
        cursor.adapters.register_loader(types["int2"].array_oid, _Int2)
        await cursor.execute(
            """
            SELECT meter_id, day, energy, covered_s FROM energy_day
            WHERE tenant_id = current_tenant() AND meter_id = ANY(%s) AND day BETWEEN %s AND %s
            """,
            [list(meters), first, last],
        )
        return [Day(*row) for row in await cursor.fetchall()]


async def replace_activity(
    connection: AsyncConnection, equipment: UUID, first: date, last: date, days: Sequence[Activity]
) -> None:
    """Store what a machine did on the days from `first` to `last` in place of what was there."""
    async with connection.cursor() as cursor:
        await cursor.execute(
            "DELETE FROM energy_activity WHERE tenant_id = current_tenant() AND equipment_id = %s AND day BETWEEN %s AND %s",
            [equipment, first, last],
        )
        await cursor.executemany(
            """
            INSERT INTO energy_activity (tenant_id, equipment_id, day, known_s, idle_s)
            VALUES (current_tenant(), %s, %s, %s, %s)
            """,
            [[equipment, day.day, day.known.tolist(), day.idle.tolist()] for day in days],
        )


async def select_activity(
    connection: AsyncConnection, equipment: Sequence[UUID], first: date, last: date
) -> list[Activity]:
    """Return what the tenant's machines did on the days from `first` to `last`, both included."""
    async with connection.cursor(binary=True) as cursor:
        cursor.adapters.register_loader(types["int2"].array_oid, _Int2)
        await cursor.execute(
            """
            SELECT equipment_id, day, known_s, idle_s FROM energy_activity
            WHERE tenant_id = current_tenant() AND equipment_id = ANY(%s) AND day BETWEEN %s AND %s
            """,
            [list(equipment), first, last],
        )
        return [Activity(*row) for row in await cursor.fetchall()]


async def select_totals(
    connection: AsyncConnection, meters: Sequence[UUID], first: date
) -> list[tuple[UUID, date, float, int, int]]:
    """Return (meter, first of a month, energy, seconds covered, days) of the tenant's meters since `first`, UTC months."""
    cursor = await connection.execute(
        """
        SELECT meter_id, date_trunc('month', day)::date, sum(total ORDER BY day), sum(covered_total_s)::bigint, count(*)
        FROM energy_day WHERE tenant_id = current_tenant() AND meter_id = ANY(%s) AND day >= %s GROUP BY 1, 2 ORDER BY 1, 2
        """,
        [list(meters), first],
    )
    return await cursor.fetchall()


class _ArrayLoader(Loader):
    """Takes an array without nulls as it lies in PostgreSQL's answer: 20 bytes of header, then length and element."""

    format = Format.BINARY
    element: str

    def load(self, data: Buffer) -> NDArray[Any]:
        records = np.frombuffer(data, np.dtype([("length", ">i4"), ("element", self.element)]), offset=20)
        return records["element"].astype(np.dtype(self.element).newbyteorder("="))


class _Float8(_ArrayLoader):
    element = ">f8"


class _Int2(_ArrayLoader):
    element = ">i2"
