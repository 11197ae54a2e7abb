"""The SQL of the reports domain. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import ForeignKeyViolation
from psycopg.rows import dict_row

Row = dict[str, Any]
NoSuchChannel = ForeignKeyViolation
"""Raised by an insert that names a channel the tenant does not have."""

_COLUMNS = """
    id, kind, site_id, line_id, equipment_id, language, format, channel_id, wait_min, told_until, reason_en, reason_zh, created_by,
    created_at
"""


async def tenants_with_reports(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants that have a schedule; asked outside any tenant."""
    cursor = await connection.execute("SELECT * FROM tenants_with_reports()")
    return [row[0] for row in await cursor.fetchall()]


async def select_schedules(connection: AsyncConnection, identity: UUID | None = None) -> list[Row]:
    """Return the tenant's schedules, oldest first; with `identity`, that one at most."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        f"""
        SELECT {_COLUMNS} FROM report_schedule
        WHERE tenant_id = current_tenant() AND (%(id)s::uuid IS NULL OR id = %(id)s) ORDER BY created_at, id
        """,  # noqa: S608 - our own text
        {"id": identity},
    )
    return await cursor.fetchall()


async def insert_schedule(connection: AsyncConnection, row: Row) -> None:
    """Store a schedule that begins now. Raises NoSuchChannel."""
    await connection.execute(
        """
        INSERT INTO report_schedule
            (tenant_id, id, kind, site_id, line_id, equipment_id, language, format, channel_id, wait_min, told_until, created_by)
        VALUES (current_tenant(), %(id)s, %(kind)s, %(site_id)s, %(line_id)s, %(equipment_id)s, %(language)s,
                %(format)s, %(channel_id)s, %(wait_min)s, now(), %(created_by)s)
        """,
        row,
    )


async def delete_schedule(connection: AsyncConnection, identity: UUID) -> bool:
    """Delete a schedule; False if the tenant has none such."""
    cursor = await connection.execute(
        "DELETE FROM report_schedule WHERE tenant_id = current_tenant() AND id = %s", [identity]
    )
    return cursor.rowcount == 1


async def advance(connection: AsyncConnection, identity: UUID, until: datetime) -> bool:
    """Note that the period that ends at `until` is sent in this transaction; False if another process was faster."""
    cursor = await connection.execute(
        """
        UPDATE report_schedule SET told_until = %(until)s, reason_en = '', reason_zh = ''
        WHERE tenant_id = current_tenant() AND id = %(id)s AND told_until < %(until)s
        """,
        {"id": identity, "until": until},
    )
    return cursor.rowcount == 1


async def note_failure(connection: AsyncConnection, identity: UUID, en: str, zh: str) -> None:
    """Keep why a report could not be made."""
    await connection.execute(
        "UPDATE report_schedule SET reason_en = %s, reason_zh = %s WHERE tenant_id = current_tenant() AND id = %s",
        [en, zh, identity],
    )
