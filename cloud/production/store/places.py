"""Where equipment stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row


async def select_machines(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Return the tenant's equipment, by name, with its site and line."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT e.id, COALESCE(NULLIF(e.display_name, ''), e.name) AS name, a.site_id, e.line_id
            FROM equipment e JOIN agent a ON a.tenant_id = e.tenant_id AND a.id = e.agent_id
            WHERE e.tenant_id = current_tenant() ORDER BY 2, 1
            """
        )
        return await cursor.fetchall()


async def select_stations(connection: AsyncConnection, agent: UUID, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the site and the line of an agent's equipment, by the names the agent gives it."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT e.name, a.site_id, e.line_id
            FROM equipment e JOIN agent a ON a.tenant_id = e.tenant_id AND a.id = e.agent_id
            WHERE e.tenant_id = current_tenant() AND e.agent_id = %s AND e.name = ANY(%s)
            """,
            [agent, list(names)],
        )
        return await cursor.fetchall()


async def select_site_of_line(connection: AsyncConnection, line: UUID) -> UUID | None:
    """Return the site a line is in; None if the tenant has no such line."""
    cursor = await connection.execute("SELECT site_id FROM line WHERE tenant_id = current_tenant() AND id = %s", [line])
    row = await cursor.fetchone()
    return row[0] if row else None


async def has_site(connection: AsyncConnection, site: UUID) -> bool:
    """Return whether the tenant has this site."""
    cursor = await connection.execute("SELECT FROM site WHERE tenant_id = current_tenant() AND id = %s", [site])
    return await cursor.fetchone() is not None
