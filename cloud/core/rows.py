"""What a statement returns, as the stores of the domains read it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
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


def array(values: Iterable[int | datetime]) -> str:
    """Return numbers or times as PostgreSQL writes an array, for a parameter that is cast to one.

    The driver looks at each element of a list, which for the thousands of a roll-up takes longer than the statement.
    """
    return "{" + ",".join(map(str, values)) + "}"
