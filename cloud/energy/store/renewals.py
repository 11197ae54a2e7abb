"""What people assume of renewing machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from cloud.energy.store.rows import Row, every

_COLUMNS = "price, resale, saving_percent, maintenance_now, maintenance_then, discount_percent, life_years"


async def select_assumptions(connection: AsyncConnection) -> dict[UUID, Row]:
    """Return the tenant's assumptions by machine."""
    query = f"SELECT equipment_id, {_COLUMNS} FROM energy_renewal WHERE tenant_id = current_tenant()"  # noqa: S608
    rows = await every(connection, query, [])
    return {row.pop("equipment_id"): row for row in rows}


async def upsert_assumptions(connection: AsyncConnection, equipment: UUID, values: Mapping[str, Any]) -> None:
    """Store what is assumed of one machine in place of what was."""
    await connection.execute(
        f"""
        INSERT INTO energy_renewal (tenant_id, equipment_id, {_COLUMNS})
        VALUES (current_tenant(), %(equipment)s, %(price)s, %(resale)s, %(saving_percent)s, %(maintenance_now)s,
                %(maintenance_then)s, %(discount_percent)s, %(life_years)s)
        ON CONFLICT (equipment_id) DO UPDATE
        SET price = excluded.price, resale = excluded.resale, saving_percent = excluded.saving_percent,
            maintenance_now = excluded.maintenance_now, maintenance_then = excluded.maintenance_then,
            discount_percent = excluded.discount_percent, life_years = excluded.life_years
        """,  # noqa: S608 - our own text
        {**values, "equipment": equipment},
    )
