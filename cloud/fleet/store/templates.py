"""The SQL of a company's device templates. Every statement runs inside a tenant's transaction."""

from __future__ import annotations

from psycopg import AsyncConnection

from cloud.core.rows import Row, every


async def select(connection: AsyncConnection) -> list[Row]:
    """Return the tenant's templates, by id."""
    return await every(
        connection, "SELECT id, version, body FROM device_template WHERE tenant_id = current_tenant() ORDER BY id"
    )


async def upsert(connection: AsyncConnection, row: Row) -> None:
    """Store a template, in place of the one of its id."""
    await connection.execute(
        """
        INSERT INTO device_template (tenant_id, id, version, body, changed_by)
        VALUES (current_tenant(), %(id)s, %(version)s, %(body)s, %(changed_by)s)
        ON CONFLICT (tenant_id, id) DO UPDATE
        SET version = excluded.version, body = excluded.body, changed_by = excluded.changed_by, changed_at = now()
        """,
        row,
    )


async def delete(connection: AsyncConnection, identity: str) -> None:
    """Delete a template."""
    await connection.execute("DELETE FROM device_template WHERE tenant_id = current_tenant() AND id = %s", [identity])


async def select_newest_texts(connection: AsyncConnection) -> list[str]:
    """Return the newest configuration of each agent."""
    rows = await every(
        connection,
        """
        SELECT DISTINCT ON (agent_id) body FROM agent_configuration WHERE tenant_id = current_tenant()
        ORDER BY agent_id, version DESC
        """,
    )
    return [row["body"] for row in rows]
