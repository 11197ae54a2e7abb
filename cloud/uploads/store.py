"""Files that were taken. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from uuid import UUID

from psycopg import AsyncConnection

from cloud.core.keyset import BY_ID_NEWEST, Window
from cloud.core.rows import Row, every, one

_UPLOAD = "id, site_id, rows, readings, earliest, latest, uploaded_by, uploaded_at"


async def lock_desk(connection: AsyncConnection, desk: UUID) -> None:
    """Let nobody else upload at a desk until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 303))", [str(desk)])


async def is_known(connection: AsyncConnection, site: UUID, digest: bytes) -> bool:
    """Return whether the same values were uploaded before."""
    row = await one(
        connection,
        "SELECT id FROM upload WHERE tenant_id = current_tenant() AND site_id = %s AND digest = %s",
        [site, digest],
    )
    return row is not None


async def insert_upload(connection: AsyncConnection, row: Row) -> None:
    """Note a file that was taken."""
    await connection.execute(
        """
        INSERT INTO upload (tenant_id, id, site_id, digest, rows, readings, earliest, latest, uploaded_by)
        VALUES (current_tenant(), %(id)s, %(site_id)s, %(digest)s, %(rows)s, %(readings)s, %(earliest)s, %(latest)s,
                %(uploaded_by)s)
        """,
        row,
    )


async def select_uploads(connection: AsyncConnection, window: Window) -> list[Row]:
    """Return the files that were taken, newest first."""
    (after,) = window.after or BY_ID_NEWEST
    return await every(
        connection,
        f"SELECT {_UPLOAD} FROM upload WHERE tenant_id = current_tenant() AND id < %s::uuid"  # noqa: S608 - our own text
        " ORDER BY id DESC LIMIT %s",
        [after, window.limit],
    )
