"""The SQL of kept looks at curves. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from cloud.core.rows import Row, every, one

NameTaken = UniqueViolation
"""Raised for a second look of one name."""

_COLUMNS = "id, name, definition, changed_by, changed_at"


async def select(connection: AsyncConnection) -> list[Row]:
    """Return the tenant's looks, by name."""
    return await every(
        connection,
        f"SELECT {_COLUMNS} FROM trend_view WHERE tenant_id = current_tenant() ORDER BY name, id",  # noqa: S608
    )


async def upsert(connection: AsyncConnection, row: Row) -> Row:
    """Store a look under its id, in place of what was there; raises NameTaken."""
    (stored,) = await every(
        connection,
        f"""
        INSERT INTO trend_view (tenant_id, id, name, definition, changed_by)
        VALUES (current_tenant(), %(id)s, %(name)s, %(definition)s, %(changed_by)s)
        ON CONFLICT (tenant_id, id) DO UPDATE
        SET name = excluded.name, definition = excluded.definition, changed_by = excluded.changed_by, changed_at = now()
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - our own text
        row | {"definition": Jsonb(row["definition"])},
    )
    return stored


async def delete(connection: AsyncConnection, identity: UUID) -> str | None:
    """Delete a look; returns its name, None if there is none."""
    row = await one(
        connection,
        "DELETE FROM trend_view WHERE tenant_id = current_tenant() AND id = %s RETURNING name",
        [identity],
    )
    return str(row["name"]) if row else None
