"""Files that were uploaded for jobs, by what is in them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from psycopg import AsyncConnection

from cloud.core.rows import Row, every, one


async def lock(connection: AsyncConnection) -> None:
    """Let nobody else of the tenant upload until the transaction ends: what two bring at once is counted in turn."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('compute upload ' || current_tenant()::text, 0))"
    )


async def total(connection: AsyncConnection, but: str) -> int:
    """Return the bytes of the tenant's uploads other than `but`."""
    row = await one(
        connection, "SELECT coalesce(sum(size), 0)::bigint AS n FROM compute_upload WHERE digest <> %s", [but]
    )
    return int(row["n"]) if row else 0


async def put(connection: AsyncConnection, row: Row) -> None:
    """Store a file; one that is there already counts as used now."""
    await connection.execute(
        """
        INSERT INTO compute_upload (digest, size, content, uploaded_by) VALUES (%(digest)s, %(size)s, %(content)s, %(by)s)
        ON CONFLICT (tenant_id, digest) DO UPDATE SET used_at = now()
        """,
        row,
    )


async def select(connection: AsyncConnection) -> list[Row]:
    """Return the tenant's files without what is in them, last used first."""
    return await every(connection, "SELECT digest, size FROM compute_upload ORDER BY used_at DESC, digest")


async def sizes(connection: AsyncConnection, digests: Collection[str]) -> dict[str, int]:
    """Return the sizes of those of the tenant's files that are there."""
    rows = await every(connection, "SELECT digest, size FROM compute_upload WHERE digest = ANY(%s)", [list(digests)])
    return {row["digest"]: row["size"] for row in rows}


async def use(connection: AsyncConnection, digests: Collection[str]) -> dict[str, bytes]:
    """Return what is in those that are there, which count as used now."""
    rows = await every(
        connection,
        "UPDATE compute_upload SET used_at = now() WHERE digest = ANY(%s) RETURNING digest, content",
        [list(digests)],
    )
    return {row["digest"]: row["content"] for row in rows}


async def drop_old(connection: AsyncConnection, age: timedelta) -> None:
    """Forget the tenant's files that were not used for so long."""
    await connection.execute("DELETE FROM compute_upload WHERE used_at < now() - %s", [age])


async def tenants_with_old(connection: AsyncConnection, age: timedelta) -> list[UUID]:
    """Return the tenants that have such files; asked outside any tenant."""
    return [row["id"] for row in await every(connection, "SELECT tenants_with_old_uploads(%s) AS id", [age])]
