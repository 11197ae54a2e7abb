"""The SQL of process control. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation

from cloud.core.rows import Row, every

_PLAN = """series_id, version, subgroup, lower_limit, target, upper_limit, baseline_start, baseline_end, created_by, created_at"""
_LOT = "id, product, lot, lot_size, level, aql, severity, sample_size, accept, found, accepted, sampled_by, sampled_at"


class Taken(Exception):
    """There is a lot of this name."""


async def insert_plan(connection: AsyncConnection, row: Row) -> None:
    """Store the next version of a point's plan."""
    await connection.execute(
        """
        INSERT INTO control_plan (tenant_id, series_id, version, equipment_id, subgroup, lower_limit, target, upper_limit,
                                  baseline_start, baseline_end, created_by)
        SELECT current_tenant(), %(series_id)s, coalesce(max(version), 0) + 1, %(equipment_id)s, %(subgroup)s, %(lower_limit)s,
               %(target)s, %(upper_limit)s, %(baseline_start)s, %(baseline_end)s, %(created_by)s
        FROM control_plan WHERE tenant_id = current_tenant() AND series_id = %(series_id)s
        """,
        row,
    )


async def select_plans(connection: AsyncConnection, series_id: int | None = None, *, latest: bool = True) -> list[Row]:
    """Return the plans in force, of one point or all; or every version, newest first."""
    query = f"""
        SELECT {"DISTINCT ON (series_id)" if latest else ""} {_PLAN} FROM control_plan
        WHERE tenant_id = current_tenant() AND (%(series)s::bigint IS NULL OR series_id = %(series)s)
        ORDER BY series_id, version DESC LIMIT 1000
    """  # noqa: S608 - our own text
    return await every(connection, query, {"series": series_id})


async def insert_lot(connection: AsyncConnection, row: Row) -> Row:
    """Store a lot; raises Taken if the product has one of this name."""
    columns = "id, product, lot, lot_size, level, aql, severity, sample_size, accept, found, accepted, sampled_by"
    values = ", ".join(f"%({name})s" for name in columns.split(", "))
    try:
        async with connection.transaction():
            (stored,) = await every(
                connection,
                f"INSERT INTO sampled_lot (tenant_id, {columns}) VALUES (current_tenant(), {values}) RETURNING {_LOT}",  # noqa: S608
                row,
            )
    except UniqueViolation as error:
        raise Taken from error
    return stored


async def select_lots(connection: AsyncConnection, product: str, limit: int) -> list[Row]:
    """Return a product's latest lots, newest first."""
    return await every(
        connection,
        f"""
        SELECT {_LOT} FROM sampled_lot WHERE tenant_id = current_tenant() AND product = %s
        ORDER BY sampled_at DESC, id DESC LIMIT %s
        """,  # noqa: S608 - our own text
        [product, limit],
    )


async def lock(connection: AsyncConnection, what: str) -> None:
    """Let one transaction of the tenant at a time add to `what`, where the next entry follows from those before."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(current_tenant()::text || %s, 210))", [what]
    )


async def select_products(connection: AsyncConnection, limit: int) -> list[str]:
    """Return the products that had lots, by name."""
    rows = await every(
        connection,
        "SELECT DISTINCT product FROM sampled_lot WHERE tenant_id = current_tenant() ORDER BY 1 LIMIT %s",
        [limit],
    )
    return [row["product"] for row in rows]
