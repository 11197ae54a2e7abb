"""What a statement returns, as the stores of the domains read it."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Row = dict[str, Any]


async def every(connection: AsyncConnection, query: str, values: Any = None) -> list[Row]:
    """Return all rows, each by the names of its columns."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def one(connection: AsyncConnection, query: str, values: Any = None) -> Row | None:
    """Return the first row, or None."""
    rows = await every(connection, query, values)
    return rows[0] if rows else None
