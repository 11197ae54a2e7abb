"""Records of shifts, and what people set and say that goes into them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cloud.production.store.reasons import LOSS

Row = dict[str, Any]


class Stored(NamedTuple):
    """A record as it is stored; `body` is a `record.ShiftRecord`."""

    start: datetime
    until: datetime
    shift_end: datetime
    day: date
    name_en: str
    name_zh: str
    body: Row


async def replace(
    connection: AsyncConnection, equipment: UUID, start: datetime, end: datetime, records: Sequence[Stored]
) -> None:
    """Put `records` in the place of all that begin within [start, end)."""
    await connection.execute(
        "DELETE FROM shift_record WHERE tenant_id = current_tenant() AND equipment_id = %s"
        " AND start >= %s AND start < %s AND start <> ALL(%s)",
        [equipment, start, end, [record.start for record in records]],
    )
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO shift_record (equipment_id, tenant_id, start, until, shift_end, day, name_en, name_zh, body)
            VALUES (%s, current_tenant(), %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (equipment_id, start) DO UPDATE
            SET until = excluded.until, shift_end = excluded.shift_end, day = excluded.day, name_en = excluded.name_en,
                name_zh = excluded.name_zh, body = excluded.body
            """,
            [[equipment, *record[:-1], Jsonb(record.body)] for record in records],
        )


async def select(
    connection: AsyncConnection, equipment: Sequence[UUID], first: date, last: date
) -> list[tuple[UUID, Stored]]:
    """Return the records of the production days `first` to `last`, by their begin."""
    cursor = await connection.execute(
        """
        SELECT equipment_id, start, until, shift_end, day, name_en, name_zh, body FROM shift_record
        WHERE tenant_id = current_tenant() AND equipment_id = ANY(%s) AND day >= %s AND day <= %s ORDER BY start
        """,
        [list(equipment), first, last],
    )
    return [(row[0], Stored(*row[1:])) for row in await cursor.fetchall()]


async def select_of_shift(
    connection: AsyncConnection, equipment: Sequence[UUID], now: datetime, *, running: bool
) -> list[tuple[UUID, Stored]]:
    """Return the record of each machine's shift that lasts, or else of its last one that is over, if any."""
    cursor = await connection.execute(
        """
        SELECT e.id, r.start, r.until, r.shift_end, r.day, r.name_en, r.name_zh, r.body
        FROM unnest(%(equipment)s::uuid[]) e (id) CROSS JOIN LATERAL (
            SELECT * FROM shift_record s WHERE s.equipment_id = e.id AND s.tenant_id = current_tenant()
                AND s.start <= %(now)s AND (s.shift_end > %(now)s) = %(running)s ORDER BY s.start DESC LIMIT 1
        ) r
        """,
        {"equipment": list(equipment), "now": now, "running": running},
    )
    return [(row[0], Stored(*row[1:])) for row in await cursor.fetchall()]


async def select_over(
    connection: AsyncConnection, equipment: Sequence[UUID], start: datetime, end: datetime
) -> list[tuple[UUID, Stored]]:
    """Return the records of the machines' shifts that were over in (start, end], in the order of time."""
    cursor = await connection.execute(
        """
        SELECT equipment_id, start, until, shift_end, day, name_en, name_zh, body FROM shift_record
        WHERE tenant_id = current_tenant() AND equipment_id = ANY(%(equipment)s)
            AND start > %(start)s - interval '2 days' AND start < %(end)s AND shift_end > %(start)s AND shift_end <= %(end)s
        ORDER BY shift_end, equipment_id
        """,
        {"equipment": list(equipment), "start": start, "end": end},
    )
    return [(row[0], Stored(*row[1:])) for row in await cursor.fetchall()]


async def select_unfinished(connection: AsyncConnection) -> dict[UUID, datetime]:
    """Return, for every machine that has records, the begin of its last one."""
    cursor = await connection.execute(
        """
        SELECT e.id, r.start FROM equipment e CROSS JOIN LATERAL (
            SELECT start FROM shift_record WHERE equipment_id = e.id AND tenant_id = current_tenant()
            ORDER BY start DESC LIMIT 1
        ) r WHERE e.tenant_id = current_tenant()
        """
    )
    return dict(await cursor.fetchall())


async def select_markers(connection: AsyncConnection, equipment: UUID, start: datetime, end: datetime) -> list[Row]:
    """Return the markers of a machine in [start, end) and the last one before, oldest first, as counted when they were."""
    return await _all(
        connection,
        f"""
        SELECT m.at, m.reason_id, {LOSS.format("m.reason_id", "m.at")} AS loss, m.note, m.made_by, m.made_at FROM (
            (SELECT * FROM stop_marker WHERE tenant_id = current_tenant() AND equipment_id = %(equipment)s AND at < %(start)s
             ORDER BY at DESC LIMIT 1)
            UNION ALL
            SELECT * FROM stop_marker
            WHERE tenant_id = current_tenant() AND equipment_id = %(equipment)s AND at >= %(start)s AND at < %(end)s
        ) m ORDER BY m.at
        """,  # noqa: S608 - our own text
        {"equipment": equipment, "start": start, "end": end},
    )


async def select_run_times(connection: AsyncConnection, equipment: UUID) -> list[Row]:
    """Return item, valid_from and run_time_us of a machine, oldest first."""
    return await _all(
        connection,
        "SELECT item, valid_from, run_time_us FROM planned_run_time"
        " WHERE tenant_id = current_tenant() AND equipment_id = %s ORDER BY valid_from, item",
        [equipment],
    )


async def select_runs(connection: AsyncConnection, equipment: UUID) -> list[Row]:
    """Return what was made on a machine, oldest first."""
    return await _all(
        connection,
        "SELECT start, item, order_number FROM product_run"
        " WHERE tenant_id = current_tenant() AND equipment_id = %s ORDER BY start",
        [equipment],
    )


async def _all(connection: AsyncConnection, query: Any, values: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
