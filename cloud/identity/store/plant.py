"""Sites and their lines."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.rows import dict_row

Row = dict[str, Any]
Taken = UniqueViolation
"""Raised where the name of a site, or of a line in its site, exists already."""
StillUsed = ForeignKeyViolation
"""Raised where a line has to go that something still refers to, and where a line's site does not exist."""

_LINE = """
    SELECT l.id, l.site_id, l.name, s.name || ' / ' || l.name AS path, l.created_at,
           (SELECT count(*) FROM equipment e WHERE e.tenant_id = l.tenant_id AND e.line_id = l.id) AS equipment
    FROM line l JOIN site s ON s.tenant_id = l.tenant_id AND s.id = l.site_id
    WHERE l.tenant_id = current_tenant()
"""


async def insert_site(connection: AsyncConnection, site: UUID, name: str, time_zone: str) -> None:
    """Insert a site; raises Taken if the tenant has one of this name."""
    await connection.execute(
        "INSERT INTO site (id, tenant_id, name, time_zone) VALUES (%s, current_tenant(), %s, %s)",
        [site, name, time_zone],
    )


async def select_sites(connection: AsyncConnection) -> list[Row]:
    """Return the tenant's sites, by name."""
    return await _all(
        connection, "SELECT id, name, time_zone FROM site WHERE tenant_id = current_tenant() ORDER BY name", []
    )


async def lock_site(connection: AsyncConnection, site: UUID) -> Row | None:
    """Return a site, and let nobody change it until the transaction ends."""
    return await _one(
        connection,
        "SELECT id, name, time_zone FROM site WHERE tenant_id = current_tenant() AND id = %s FOR UPDATE",
        [site],
    )


async def rename_site(connection: AsyncConnection, site: UUID, name: str) -> None:
    """Call a site otherwise; raises Taken."""
    await connection.execute("UPDATE site SET name = %s WHERE tenant_id = current_tenant() AND id = %s", [name, site])


async def insert_line(connection: AsyncConnection, line: UUID, site: UUID, name: str) -> None:
    """Insert a line; raises Taken, and StillUsed if there is no such site."""
    await connection.execute(
        "INSERT INTO line (id, tenant_id, site_id, name) VALUES (%s, current_tenant(), %s, %s)", [line, site, name]
    )


async def select_lines(connection: AsyncConnection, site: UUID | None, after: UUID | None, limit: int) -> list[Row]:
    """Return at most `limit` lines, of one site or of all, made later than `after`; oldest first."""
    return await _all(
        connection,
        f"""
        {_LINE} AND (%(site)s::uuid IS NULL OR l.site_id = %(site)s) AND (%(after)s::uuid IS NULL OR l.id > %(after)s)
        ORDER BY l.id LIMIT %(limit)s
        """,
        {"site": site, "after": after, "limit": limit},
    )


async def select_line(connection: AsyncConnection, line: UUID) -> Row | None:
    """Return one line."""
    return await _one(connection, f"{_LINE} AND l.id = %s", [line])


async def lock_line(connection: AsyncConnection, line: UUID) -> Row | None:
    """Return site_id and name of a line, and let nobody change it or put equipment in it until the transaction ends."""
    return await _one(
        connection, "SELECT site_id, name FROM line WHERE tenant_id = current_tenant() AND id = %s FOR UPDATE", [line]
    )


async def update_line(connection: AsyncConnection, line: UUID, site: UUID, name: str) -> None:
    """Give a line this site and name; raises Taken, and StillUsed if there is no such site."""
    await connection.execute(
        "UPDATE line SET site_id = %s, name = %s WHERE tenant_id = current_tenant() AND id = %s", [site, name, line]
    )


async def delete_line(connection: AsyncConnection, line: UUID) -> None:
    """Delete a line; raises StillUsed."""
    await connection.execute("DELETE FROM line WHERE tenant_id = current_tenant() AND id = %s", [line])


async def _one(connection: AsyncConnection, query: Any, values: Any) -> Row | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()


async def _all(connection: AsyncConnection, query: Any, values: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
