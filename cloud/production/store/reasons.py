"""Stop reasons, and the words people say of stops with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row

from cloud.core.rows import every, one
from cloud.core.since import BEGINNING

Row = dict[str, Any]
Taken = UniqueViolation
"""Raised by an insert or update whose name exists already in its place."""


LOSS = """(SELECT v.loss FROM stop_reason_loss v WHERE v.tenant_id = current_tenant() AND v.reason_id = {} AND v.valid_from <= {}
    ORDER BY v.valid_from DESC LIMIT 1)"""
"""What a reason is counted as that was said of a stop at a time: to be filled with both."""


async def select(connection: AsyncConnection, at: datetime | None = None) -> list[Row]:
    """Return all stop reasons of the tenant, in their order, with what they are counted as at a time, or now."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"SELECT id, parent_id, name_en, name_zh, {LOSS.format('id', '%(at)s')} AS loss, position, retired"  # noqa: S608
            " FROM stop_reason WHERE tenant_id = current_tenant() ORDER BY position, id",
            {"at": at or datetime.now(UTC)},
        )
        return await cursor.fetchall()


async def insert_all(connection: AsyncConnection, reasons: Sequence[Row], by: str = "") -> None:
    """Insert reasons, parents before their children, counted as they say from the beginning on; raises Taken."""
    # Two that give a company its first reasons at once: the second waits, and then finds them.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('stop_reason'), hashtext(current_tenant()::text))")
    if len(reasons) > 1 and await select(connection):
        return
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO stop_reason (id, tenant_id, parent_id, name_en, name_zh, position)
            VALUES (%(id)s, current_tenant(), %(parent_id)s, %(name_en)s, %(name_zh)s, %(position)s)
            """,
            reasons,
        )
    for reason in reasons:
        await upsert_loss(connection, reason["id"], BEGINNING, reason["loss"], by)


async def update(connection: AsyncConnection, reason: Row) -> None:
    """Change a reason; raises Taken."""
    await connection.execute(
        """
        UPDATE stop_reason SET parent_id = %(parent_id)s, name_en = %(name_en)s, name_zh = %(name_zh)s,
                               position = %(position)s, retired = %(retired)s
        WHERE tenant_id = current_tenant() AND id = %(id)s
        """,
        reason,
    )


async def select_losses(connection: AsyncConnection, reason: UUID) -> list[Row]:
    """Return what a reason is and was counted as, newest first."""
    return await every(
        connection,
        "SELECT valid_from, loss, set_by, set_at FROM stop_reason_loss"
        " WHERE tenant_id = current_tenant() AND reason_id = %s ORDER BY valid_from DESC",
        [reason],
    )


async def upsert_loss(connection: AsyncConnection, reason: UUID, valid_from: datetime, loss: str, by: str) -> None:
    """Say what a reason is counted as from a whole hour on, in place of what was said from then."""
    await connection.execute(
        """
        INSERT INTO stop_reason_loss (tenant_id, reason_id, valid_from, loss, set_by)
        VALUES (current_tenant(), %s, %s, %s, %s)
        ON CONFLICT (reason_id, valid_from) DO UPDATE SET loss = excluded.loss, set_by = excluded.set_by, set_at = now()
        """,
        [reason, valid_from, loss, by],
    )


async def delete_loss(connection: AsyncConnection, reason: UUID, valid_from: datetime) -> str | None:
    """Delete a version; returns it, or None if there was none such."""
    row = await one(
        connection,
        "DELETE FROM stop_reason_loss WHERE tenant_id = current_tenant() AND reason_id = %s AND valid_from = %s RETURNING loss",
        [reason, valid_from],
    )
    return str(row["loss"]) if row else None


async def note_stops_of(connection: AsyncConnection, reason: UUID, since: datetime) -> None:
    """Note all shifts from the first stop since a time on that was given this reason, machine by machine."""
    await connection.execute(
        """
        INSERT INTO production_change (tenant_id, equipment_id, hour, states)
        SELECT h.tenant_id, h.equipment_id, h.hour, false FROM state_hour h
        JOIN (SELECT equipment_id, min(at) AS first FROM stop_marker
              WHERE tenant_id = current_tenant() AND reason_id = %s AND at >= %s GROUP BY equipment_id) m
            ON m.equipment_id = h.equipment_id AND h.hour > m.first - interval '1 hour'
        WHERE h.tenant_id = current_tenant()
        """,
        [reason, since],
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
