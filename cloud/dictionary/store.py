"""The SQL of a company's own entries. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation

from cloud.core.rows import Row, every, one

_COLUMNS = "code, version, state, body, proposed_by, proposed_at, reviewed_by, reviewed_at, note"


class Waiting(Exception):
    """A version of this entry is being reviewed."""


async def insert_version(connection: AsyncConnection, code: str, body: str, proposed_by: str) -> Row:
    """Store the next version of an entry; raises Waiting while another one is being reviewed."""
    try:
        async with connection.transaction():
            (row,) = await every(
                connection,
                f"""
                INSERT INTO company_entry (tenant_id, code, version, body, proposed_by)
                SELECT current_tenant(), %(code)s, coalesce(max(version), 0) + 1, %(body)s::jsonb, %(by)s
                FROM company_entry WHERE tenant_id = current_tenant() AND code = %(code)s
                RETURNING {_COLUMNS}
                """,  # noqa: S608 - our own text
                {"code": code, "body": body, "by": proposed_by},
            )
    except UniqueViolation as error:
        raise Waiting from error
    return row


async def select_versions(connection: AsyncConnection, code: str) -> list[Row]:
    """Return the last 100 versions of an entry, newest first."""
    return await every(
        connection,
        f"""
        SELECT {_COLUMNS} FROM company_entry WHERE tenant_id = current_tenant() AND code = %s
        ORDER BY version DESC LIMIT 100
        """,  # noqa: S608 - our own text
        [code],
    )


async def select_latest(connection: AsyncConnection) -> list[Row]:
    """Return the latest version of each entry, by code."""
    return await every(
        connection,
        f"""
        SELECT DISTINCT ON (code) {_COLUMNS} FROM company_entry WHERE tenant_id = current_tenant()
        ORDER BY code, version DESC
        """,  # noqa: S608 - our own text
    )


async def select_known(connection: AsyncConnection) -> list[Row]:
    """Return of each entry the latest version that has been released, withdrawn or not, by code."""
    return await every(
        connection,
        """
        SELECT DISTINCT ON (code) code, version, state, body FROM company_entry
        WHERE tenant_id = current_tenant() AND state IN ('released', 'withdrawn') ORDER BY code, version DESC
        """,
    )


async def lock_version(connection: AsyncConnection, code: str, state: str) -> Row | None:
    """Return the latest version in `state`; nobody changes it until the transaction ends."""
    return await one(
        connection,
        f"""
        SELECT {_COLUMNS} FROM company_entry WHERE tenant_id = current_tenant() AND code = %s AND state = %s
        ORDER BY version DESC LIMIT 1 FOR UPDATE
        """,  # noqa: S608 - our own text
        [code, state],
    )


async def update_version(connection: AsyncConnection, row: Row) -> Row:
    """Set what became of a version: `state` and `note`; `reviewed_by` where it is reviewed now."""
    (changed,) = await every(
        connection,
        f"""
        UPDATE company_entry SET state = %(state)s, note = %(note)s,
            reviewed_by = coalesce(%(by)s::text, reviewed_by),
            reviewed_at = CASE WHEN %(by)s::text IS NULL THEN reviewed_at ELSE now() END
        WHERE tenant_id = current_tenant() AND code = %(code)s AND version = %(version)s RETURNING {_COLUMNS}
        """,  # noqa: S608 - our own text
        row,
    )
    return changed
