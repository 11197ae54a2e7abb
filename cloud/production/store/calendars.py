"""Calendars, their exceptions, and the sites they belong to."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import ForeignKeyViolation
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

Row = dict[str, Any]
NoSuchPlace = ForeignKeyViolation
"""Raised by inserts that name a site, a line or equipment the tenant does not have."""

_VERSION = "id, site_id, line_id, valid_from, shifts"
_EXCEPTION = "id, site_id, line_id, day, works_as, name"


async def select_sites(connection: AsyncConnection) -> list[Row]:
    """Return id and time_zone of the tenant's sites."""
    return await _all(connection, "SELECT id, time_zone FROM site WHERE tenant_id = current_tenant() ORDER BY id")


async def select_versions(connection: AsyncConnection) -> list[Row]:
    """Return all versions of the tenant's calendars, by place and day."""
    return await _all(
        connection,
        f"SELECT {_VERSION} FROM shift_calendar WHERE tenant_id = current_tenant()"  # noqa: S608 - our own text
        " ORDER BY site_id, line_id NULLS FIRST, valid_from",
    )


async def upsert_version(
    connection: AsyncConnection,
    identity: UUID,
    *,
    site: UUID,
    line: UUID | None,
    valid_from: date,
    shifts: list[Row],
) -> UUID:
    """Store a version in place of one of the same place and day; returns its id. Raises NoSuchPlace."""
    row = await _one(
        connection,
        """
        INSERT INTO shift_calendar (id, tenant_id, site_id, line_id, valid_from, shifts)
        VALUES (%s, current_tenant(), %s, %s, %s, %s)
        ON CONFLICT (tenant_id, site_id, line_id, valid_from) DO UPDATE SET shifts = excluded.shifts RETURNING id
        """,
        [identity, site, line, valid_from, Jsonb(shifts)],
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives the row it inserted
    return UUID(str(row["id"]))


async def delete_version(connection: AsyncConnection, identity: UUID) -> Row | None:
    """Delete a version and return it; None if the tenant has none such."""
    return await _one(
        connection,
        f"DELETE FROM shift_calendar WHERE tenant_id = current_tenant() AND id = %s RETURNING {_VERSION}",  # noqa: S608
        [identity],
    )


async def select_exceptions(connection: AsyncConnection) -> list[Row]:
    """Return all exceptions of the tenant's calendars, by place and day."""
    return await _all(
        connection,
        f"SELECT {_EXCEPTION} FROM calendar_exception WHERE tenant_id = current_tenant()"  # noqa: S608 - our own text
        " ORDER BY site_id, line_id NULLS FIRST, day",
    )


async def upsert_exception(
    connection: AsyncConnection,
    identity: UUID,
    *,
    site: UUID,
    line: UUID | None,
    day: date,
    works_as: int | None,
    name: str,
) -> UUID:
    """Store an exception in place of one of the same place and day; returns its id. Raises NoSuchPlace."""
    row = await _one(
        connection,
        """
        INSERT INTO calendar_exception (id, tenant_id, site_id, line_id, day, works_as, name)
        VALUES (%s, current_tenant(), %s, %s, %s, %s, %s)
        ON CONFLICT (tenant_id, site_id, line_id, day)
        DO UPDATE SET works_as = excluded.works_as, name = excluded.name RETURNING id
        """,
        [identity, site, line, day, works_as, name],
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives the row it inserted
    return UUID(str(row["id"]))


async def delete_exception(connection: AsyncConnection, identity: UUID) -> Row | None:
    """Delete an exception and return it; None if the tenant has none such."""
    return await _one(
        connection,
        f"DELETE FROM calendar_exception WHERE tenant_id = current_tenant() AND id = %s RETURNING {_EXCEPTION}",  # noqa: S608
        [identity],
    )


async def _one(connection: AsyncConnection, query: Any, values: Any = None) -> Row | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()


async def _all(connection: AsyncConnection, query: Any, values: Any = None) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
