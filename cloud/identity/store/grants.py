"""Grants: roles by place. Places come from the view `plant_node`, which shows what the transaction's person reaches."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Row = dict[str, Any]


# The grant that decides at a place is the nearest of those a person has there, or above it.
_DECIDED = """
    SELECT n.kind, n.id, n.name, n.path, coalesce(g.role, u.role) AS role, u.role AS company_role,
           coalesce(g.kind, 'company') AS decided_by, g.path AS decided_at
    FROM user_account u
    JOIN plant_node n ON n.tenant_id = u.tenant_id
    LEFT JOIN LATERAL (
        SELECT g.role, at.kind, at.path FROM access_grant g
        JOIN plant_node at ON at.tenant_id = g.tenant_id AND at.id = coalesce(g.equipment_id, g.line_id, g.site_id)
        WHERE g.tenant_id = u.tenant_id AND g.user_id = u.id AND u.role NOT IN ('manager', 'owner')
          AND (g.equipment_id = n.equipment_id OR g.line_id = n.line_id OR g.site_id = n.site_id)
        ORDER BY g.equipment_id IS NULL, g.line_id IS NULL LIMIT 1
    ) g ON true
    WHERE u.tenant_id = current_tenant() AND u.id = %(user)s
"""


async def select_grants(connection: AsyncConnection, user: UUID) -> list[Row]:
    """Return a user's grants by path: kind, id and path of the place, and the role there."""
    return await _all(
        connection,
        """
        SELECT n.kind, n.id, n.path, g.role FROM access_grant g
        JOIN plant_node n ON n.tenant_id = g.tenant_id AND n.id = coalesce(g.equipment_id, g.line_id, g.site_id)
        WHERE g.tenant_id = current_tenant() AND g.user_id = %s ORDER BY n.path, n.id
        """,
        [user],
    )


async def replace_grants(connection: AsyncConnection, user: UUID, grants: Sequence[tuple[UUID, UUID, str]]) -> int:
    """Make `grants` - (id, place, role), each place once - all that a user has; returns how many of the places there are."""
    await connection.execute("DELETE FROM access_grant WHERE tenant_id = current_tenant() AND user_id = %s", [user])
    cursor = await connection.execute(
        """
        INSERT INTO access_grant (id, tenant_id, user_id, site_id, line_id, equipment_id, role)
        SELECT g.id, n.tenant_id, %s, CASE n.kind WHEN 'site' THEN n.id END, CASE n.kind WHEN 'line' THEN n.id END,
               CASE n.kind WHEN 'equipment' THEN n.id END, g.role
        FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS g (id, node, role)
        JOIN plant_node n ON n.tenant_id = current_tenant() AND n.id = g.node
        """,
        [user, *([list(column) for column in zip(*grants, strict=True)] or [[], [], []])],
    )
    return cursor.rowcount


async def select_places(connection: AsyncConnection, places: Collection[UUID]) -> set[UUID]:
    """Return those of `places` that there are."""
    rows = await _all(
        connection, "SELECT id FROM plant_node WHERE tenant_id = current_tenant() AND id = ANY(%s)", [list(places)]
    )
    return {row["id"] for row in rows}


async def select_decision(connection: AsyncConnection, user: UUID, node: UUID) -> Row | None:
    """Return a user's role at a place and what decides it; None if there is no such place or user."""
    rows = await _all(connection, f"{_DECIDED} AND n.id = %(node)s", {"user": user, "node": node})
    return rows[0] if rows else None


async def select_decisions(connection: AsyncConnection, user: UUID, after: str, limit: int) -> list[Row]:
    """Return a user's role at `limit` places after the key `after`, in the order of their paths; `key` orders them."""
    return await _all(
        connection,
        f"""
        SELECT * FROM (SELECT d.*, d.path || chr(31) || d.id AS key FROM ({_DECIDED}) d) k
        WHERE key COLLATE "C" > %(after)s COLLATE "C" ORDER BY key COLLATE "C" LIMIT %(limit)s
        """,  # noqa: S608 - our own text
        {"user": user, "after": after, "limit": limit},
    )


async def _all(connection: AsyncConnection, query: Any, values: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
