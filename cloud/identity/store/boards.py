"""The SQL of wall boards."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import ForeignKeyViolation
from psycopg.rows import dict_row

from cloud.core.keyset import BY_ID_NEWEST, Window

Row = dict[str, Any]
NoSuchPlace = ForeignKeyViolation
"""Raised by `insert_board` for a site or a line the tenant does not have."""

_COLUMNS = "id, name, site_id, line_id, language, turn_s, created_by, created_at, shown_at"


async def insert_board(connection: AsyncConnection, board: UUID, *, code_hash: bytes, by: str, wanted: Row) -> Row:
    """Insert a board and return it; raises NoSuchPlace."""
    rows = await _all(
        connection,
        f"""
        INSERT INTO board (id, tenant_id, name, site_id, line_id, language, turn_s, code_hash, created_by)
        VALUES (%(id)s, current_tenant(), %(name)s, %(site_id)s, %(line_id)s, %(language)s, %(turn_s)s, %(hash)s, %(by)s)
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - our own text
        {**wanted, "id": board, "hash": code_hash, "by": by},
    )
    return rows[0]


async def select_boards(connection: AsyncConnection, window: Window) -> list[Row]:
    """Return the tenant's boards, newest first."""
    (after,) = window.after or BY_ID_NEWEST
    return await _all(
        connection,
        f"SELECT {_COLUMNS} FROM board WHERE tenant_id = current_tenant() AND id < %s::uuid"  # noqa: S608 - our own text
        " ORDER BY id DESC LIMIT %s",
        [after, window.limit],
    )


async def delete_board(connection: AsyncConnection, board: UUID) -> str | None:
    """Delete a board; returns its name, or None if the tenant has none such."""
    rows = await _all(
        connection, "DELETE FROM board WHERE tenant_id = current_tenant() AND id = %s RETURNING name", [board]
    )
    return str(rows[0]["name"]) if rows else None


async def find_board(connection: AsyncConnection, code_hash: bytes) -> Row | None:
    """Return tenant_id and id of the board with this code, whatever the tenant."""
    rows = await _all(connection, "SELECT * FROM find_board(%s)", [code_hash])
    return rows[0] if rows else None


async def select_board(connection: AsyncConnection, board: UUID) -> Row | None:
    """Return a board with its tenant's name, and whether it was last noted as shown a minute ago or more; None if gone."""
    rows = await _all(
        connection,
        f"""
        SELECT {_COLUMNS}, (SELECT name FROM tenant WHERE id = current_tenant()) AS tenant,
               shown_at IS NULL OR shown_at < now() - interval '1 minute' AS due
        FROM board WHERE tenant_id = current_tenant() AND id = %s
        """,  # noqa: S608 - our own text
        [board],
    )
    return rows[0] if rows else None


async def note_shown(connection: AsyncConnection, board: UUID) -> None:
    """Note that a board is being shown."""
    await connection.execute(
        "UPDATE board SET shown_at = now() WHERE tenant_id = current_tenant() AND id = %s", [board]
    )


async def _all(connection: AsyncConnection, query: Any, values: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
