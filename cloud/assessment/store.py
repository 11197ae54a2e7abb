"""The SQL of assessments. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from cloud.core.rows import Row, every

_COLUMNS = "id, edition, answers, evidence, points, level, assessed_by, assessed_at"


async def insert(connection: AsyncConnection, row: Row) -> Row:
    """Store an assessment."""
    columns = _COLUMNS.removesuffix(", assessed_at")
    values = ", ".join(f"%({name})s" for name in columns.split(", "))
    (stored,) = await every(
        connection,
        f"INSERT INTO assessment (tenant_id, {columns}) VALUES (current_tenant(), {values}) RETURNING {_COLUMNS}",  # noqa: S608
        row | {"answers": Jsonb(row["answers"]), "evidence": Jsonb(row["evidence"])},
    )
    return stored


async def select(connection: AsyncConnection, identity: UUID | None = None) -> list[Row]:
    """Return the last 100 assessments, newest first, or one."""
    return await every(
        connection,
        f"""
        SELECT {_COLUMNS} FROM assessment WHERE tenant_id = current_tenant() AND (%(id)s::uuid IS NULL OR id = %(id)s)
        ORDER BY id DESC LIMIT 100
        """,  # noqa: S608 - our own text
        {"id": identity},
    )
