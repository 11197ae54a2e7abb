"""What machines did hour by hour, what has to be made anew, and how machines are read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from cloud.core.rows import array


class Change(NamedTuple):
    """An hour of a machine whose shifts, and if `states` its states, have to be made anew."""

    equipment_id: UUID
    hour: datetime
    states: bool


class StateHour(NamedTuple):
    """See 0071_production.sql."""

    hour: datetime
    starts: list[int]
    kinds: list[int]


async def tenants_in_production(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants that have something to be made anew, or a calendar. Runs outside any tenant."""
    return [row[0] for row in await (await connection.execute("SELECT tenants_in_production()")).fetchall()]


async def lock(connection: AsyncConnection, tenant: UUID) -> bool:
    """Be the only transaction that makes a tenant's records; False if another one is at it."""
    cursor = await connection.execute(
        "SELECT pg_try_advisory_xact_lock(hashtext('production'), hashtext(%s))", [str(tenant)]
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def note_readings(connection: AsyncConnection, series: Sequence[int], minutes: Sequence[datetime]) -> None:
    """Note the hours of the machines whose series have new readings."""
    await connection.execute(
        """
        INSERT INTO production_change (tenant_id, equipment_id, hour, states)
        SELECT DISTINCT current_tenant(), s.equipment_id, date_trunc('hour', d.minute, 'UTC'), true
        FROM unnest(%s::int[], %s::timestamptz[]) AS d (series_id, minute)
        JOIN series s ON s.id = d.series_id AND s.tenant_id = current_tenant()
        """,
        [array(series), array(minutes)],
    )


async def note_since(
    connection: AsyncConnection, equipment: Sequence[UUID], start: datetime | None, *, states: bool
) -> None:
    """Note all hours of these machines since their first states, or since `start` if that is later."""
    await connection.execute(
        """
        INSERT INTO production_change (tenant_id, equipment_id, hour, states)
        SELECT current_tenant(), e.id, h.hour, %(states)s
        FROM unnest(%(equipment)s::uuid[]) AS e (id)
        CROSS JOIN LATERAL (SELECT min(hour) AS hour FROM state_hour
                            WHERE tenant_id = current_tenant() AND equipment_id = e.id) f
        CROSS JOIN LATERAL generate_series(GREATEST(f.hour, date_trunc('hour', %(start)s::timestamptz, 'UTC')), now(),
                                           interval '1 hour') AS h (hour)
        WHERE f.hour IS NOT NULL
        """,
        {"equipment": list(equipment), "start": start, "states": states},
    )


async def take_changes(connection: AsyncConnection, limit: int) -> list[Change]:
    """Take up to `limit` notes, oldest first."""
    cursor = await connection.execute(
        """
        DELETE FROM production_change WHERE tenant_id = current_tenant() AND id IN (
            SELECT id FROM production_change WHERE tenant_id = current_tenant() ORDER BY id LIMIT %s)
        RETURNING equipment_id, hour, states
        """,
        [limit],
    )
    return [Change(*row) for row in await cursor.fetchall()]


async def has_changes(connection: AsyncConnection, equipment: UUID) -> bool:
    """Tell whether there are notes on a machine."""
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM production_change WHERE tenant_id = current_tenant() AND equipment_id = %s)",
        [equipment],
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def select_points(connection: AsyncConnection) -> list[tuple[UUID, int, str, str]]:
    """Return (equipment, series, name, property) of all current series of the tenant."""
    cursor = await connection.execute(
        "SELECT equipment_id, id, name, property FROM series WHERE tenant_id = current_tenant() AND is_current"
        " ORDER BY equipment_id, name"
    )
    return await cursor.fetchall()


async def select_settings(connection: AsyncConnection) -> list[tuple[UUID, datetime, dict[str, Any]]]:
    """Return (machine, from when they hold, settings) of all machines that have any, oldest first."""
    cursor = await connection.execute(
        "SELECT equipment_id, valid_from, body FROM production_setting WHERE tenant_id = current_tenant()"
        " ORDER BY equipment_id, valid_from"
    )
    return await cursor.fetchall()


async def replace_hours(
    connection: AsyncConnection, equipment: UUID, start: datetime, end: datetime, hours: Sequence[StateHour]
) -> None:
    """Put what a machine did in `hours` in the place of all that is kept of [start, end)."""
    await connection.execute(
        "DELETE FROM state_hour WHERE tenant_id = current_tenant() AND equipment_id = %s AND hour >= %s AND hour < %s",
        [equipment, start, end],
    )
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO state_hour (equipment_id, tenant_id, hour, starts, kinds) VALUES (%s, current_tenant(), %s, %s, %s)",
            [[equipment, *hour] for hour in hours],
        )


async def select_hours(connection: AsyncConnection, equipment: UUID, start: datetime, end: datetime) -> list[StateHour]:
    """Return the hours of a machine that overlap [start, end), oldest first."""
    cursor = await connection.execute(
        """
        SELECT hour, starts, kinds FROM state_hour
        WHERE tenant_id = current_tenant() AND equipment_id = %s AND hour > %s::timestamptz - interval '1 hour' AND hour < %s
        ORDER BY hour
        """,
        [equipment, start, end],
    )
    return [StateHour(*row) for row in await cursor.fetchall()]


async def select_first_hour(connection: AsyncConnection, equipment: UUID) -> datetime | None:
    """Return the first hour a machine has states of; None if it has none."""
    cursor = await connection.execute(
        "SELECT min(hour) FROM state_hour WHERE tenant_id = current_tenant() AND equipment_id = %s", [equipment]
    )
    row = await cursor.fetchone()
    return row[0] if row else None
