"""Stop reasons, and the words people say of stops with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row

Row = dict[str, Any]
Taken = UniqueViolation
"""Raised by an insert or update whose name exists already in its place."""


async def select(connection: AsyncConnection) -> list[Row]:
    """Return all stop reasons of the tenant, in their order."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT id, parent_id, name_en, name_zh, loss, position, retired FROM stop_reason"
            " WHERE tenant_id = current_tenant() ORDER BY position, id"
        )
        return await cursor.fetchall()


async def insert_all(connection: AsyncConnection, reasons: Sequence[Row]) -> None:
    """Insert reasons, parents before their children; raises Taken."""
    # Two that give a company its first reasons at once: the second waits, and then finds them.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('stop_reason'), hashtext(current_tenant()::text))")
    if len(reasons) > 1 and await select(connection):
        return
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO stop_reason (id, tenant_id, parent_id, name_en, name_zh, loss, position)
            VALUES (%(id)s, current_tenant(), %(parent_id)s, %(name_en)s, %(name_zh)s, %(loss)s, %(position)s)
            """,
            reasons,
        )


async def update(connection: AsyncConnection, reason: Row) -> None:
    """Change a reason; raises Taken."""
    await connection.execute(
        """
        UPDATE stop_reason SET parent_id = %(parent_id)s, name_en = %(name_en)s, name_zh = %(name_zh)s, loss = %(loss)s,
                               position = %(position)s, retired = %(retired)s
        WHERE tenant_id = current_tenant() AND id = %(id)s
        """,
        reason,
    )


async def note_stops_of(connection: AsyncConnection, reason: UUID) -> None:
    """Note all shifts from the first stop on that was given this reason, machine by machine."""
    await connection.execute(
        """
        INSERT INTO production_change (tenant_id, equipment_id, hour, states)
        SELECT h.tenant_id, h.equipment_id, h.hour, false FROM state_hour h
        JOIN (SELECT equipment_id, min(at) AS first FROM stop_marker
              WHERE tenant_id = current_tenant() AND reason_id = %s GROUP BY equipment_id) m
            ON m.equipment_id = h.equipment_id AND h.hour > m.first - interval '1 hour'
        WHERE h.tenant_id = current_tenant()
        """,
        [reason],
    )


async def upsert_marker(
    connection: AsyncConnection, equipment: UUID, at: datetime, *, reason: UUID, note: str, made_by: str
) -> None:
    """Keep what a person says of a stop from `at` on, in place of what was said of that instant."""
    await connection.execute(
        """
        INSERT INTO stop_marker (equipment_id, tenant_id, at, reason_id, note, made_by)
        VALUES (%s, current_tenant(), %s, %s, %s, %s)
        ON CONFLICT (equipment_id, at) DO UPDATE
        SET reason_id = excluded.reason_id, note = excluded.note, made_by = excluded.made_by, made_at = now()
        """,
        [equipment, at, reason, note, made_by],
    )


async def delete_marker(connection: AsyncConnection, equipment: UUID, at: datetime) -> UUID | None:
    """Delete a word; returns its reason, or None if nobody has said anything of that instant."""
    cursor = await connection.execute(
        "DELETE FROM stop_marker WHERE tenant_id = current_tenant() AND equipment_id = %s AND at = %s RETURNING reason_id",
        [equipment, at],
    )
    row = await cursor.fetchone()
    return row[0] if row else None
