"""Planned run times and product runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row


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
