"""How rows are asked for: as dictionaries by column."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row

Row = dict[str, Any]
Taken = UniqueViolation
"""Raised by an insert of what exists already."""


async def one(connection: AsyncConnection, query: Any, values: Any) -> Row | None:
    """Return the first row of `query`, if there is any."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()


async def every(connection: AsyncConnection, query: Any, values: Any) -> list[Row]:
    """Return all rows of `query`."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def inserted(connection: AsyncConnection, query: Any, values: Any) -> UUID:
    """Insert a row and return its id; raises Taken."""
    row = await one(connection, query, values)
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives the row it inserted
    return UUID(str(row["id"]))
