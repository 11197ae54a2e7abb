"""How machines are read, planned run times and product runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cloud.core.rows import Row, every


async def select_settings(connection: AsyncConnection, equipment: UUID) -> list[Row]:
    """Return the versions of a machine's settings, newest first."""
    return await every(
        connection,
        "SELECT valid_from, body AS settings, set_by, set_at FROM production_setting"
        " WHERE tenant_id = current_tenant() AND equipment_id = %s ORDER BY valid_from DESC",
        [equipment],
    )


async def upsert_settings(
    connection: AsyncConnection, equipment: UUID, valid_from: datetime, body: dict[str, Any], by: str
) -> None:
    """Keep a version of the settings of a machine, in place of one from the same time."""
    await connection.execute(
        """
        INSERT INTO production_setting (equipment_id, tenant_id, valid_from, body, set_by)
        VALUES (%s, current_tenant(), %s, %s, %s)
        ON CONFLICT (equipment_id, valid_from)
        DO UPDATE SET body = excluded.body, set_by = excluded.set_by, set_at = now()
        """,
        [equipment, valid_from, Jsonb(body), by],
    )


async def delete_settings(connection: AsyncConnection, equipment: UUID, valid_from: datetime) -> dict[str, Any] | None:
    """Delete a version of the settings of a machine; returns it, or None if there was none such."""
    rows = await every(
        connection,
        "DELETE FROM production_setting WHERE tenant_id = current_tenant() AND equipment_id = %s AND valid_from = %s"
        " RETURNING body",
        [equipment, valid_from],
    )
    return rows[0]["body"] if rows else None


async def upsert_run_time(
    connection: AsyncConnection, equipment: UUID, item: str, valid_from: datetime, run_time_us: int
) -> None:
    """Keep a planned run time, in place of one of the same item and time."""
    await connection.execute(
        """
        INSERT INTO planned_run_time (equipment_id, tenant_id, item, valid_from, run_time_us)
        VALUES (%s, current_tenant(), %s, %s, %s)
        ON CONFLICT (equipment_id, item, valid_from) DO UPDATE SET run_time_us = excluded.run_time_us
        """,
        [equipment, item, valid_from, run_time_us],
    )


async def delete_run_time(connection: AsyncConnection, equipment: UUID, item: str, valid_from: datetime) -> int | None:
    """Delete a planned run time; returns it, or None if there was none such."""
    cursor = await connection.execute(
        "DELETE FROM planned_run_time WHERE tenant_id = current_tenant() AND equipment_id = %s AND item = %s"
        " AND valid_from = %s RETURNING run_time_us",
        [equipment, item, valid_from],
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def upsert_run(
    connection: AsyncConnection, equipment: UUID, *, start: datetime, item: str, order_number: str
) -> None:
    """Keep a product run, in place of one of the same begin."""
    await connection.execute(
        """
        INSERT INTO product_run (equipment_id, tenant_id, start, item, order_number)
        VALUES (%s, current_tenant(), %s, %s, %s)
        ON CONFLICT (equipment_id, start) DO UPDATE
        SET item = excluded.item, order_number = excluded.order_number
        """,
        [equipment, start, item, order_number],
    )


async def delete_run(connection: AsyncConnection, equipment: UUID, start: datetime) -> dict[str, Any] | None:
    """Delete a product run; returns its item and order number, or None if there was none such."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "DELETE FROM product_run WHERE tenant_id = current_tenant() AND equipment_id = %s AND start = %s"
            " RETURNING item, order_number",
            [equipment, start],
        )
        return await cursor.fetchone()
