"""What meters measure and measured, and which they stand and stood behind, by the whole hour it holds from."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection

from cloud.energy.store.rows import Row, every, one


async def select_places(connection: AsyncConnection, meters: Collection[UUID]) -> list[Row]:
    """Return the versions of what `meters` measure, oldest first; none of one that has always measured the same."""
    return await every(
        connection,
        "SELECT meter_id, valid_from, equipment_id, line_id, parent_id, set_by, set_at FROM energy_meter_place"
        " WHERE tenant_id = current_tenant() AND meter_id = ANY(%s) ORDER BY meter_id, valid_from",
        [list(meters)],
    )


async def select_parents(connection: AsyncConnection) -> dict[UUID, UUID | None]:
    """Return which meter each of the tenant's stands behind now."""
    rows = await every(connection, "SELECT id, parent_id FROM energy_meter WHERE tenant_id = current_tenant()", None)
    return {row["id"]: row["parent_id"] for row in rows}


async def upsert_place(
    connection: AsyncConnection,
    meter: UUID,
    valid_from: datetime,
    *,
    equipment: UUID | None,
    line: UUID | None,
    parent: UUID | None,
    by: str | None,
) -> None:
    """Say what a meter measures and stands behind from a whole hour on; `by` None is what was there before anybody said so, if nothing is."""
    await connection.execute(
        """
        INSERT INTO energy_meter_place AS p (tenant_id, meter_id, valid_from, equipment_id, line_id, parent_id, set_by, set_at)
        VALUES (current_tenant(), %(meter)s, %(at)s, %(equipment)s, %(line)s, %(parent)s, coalesce(%(by)s::text, ''),
                CASE WHEN %(by)s::text IS NOT NULL THEN now() END)
        ON CONFLICT (meter_id, valid_from) DO UPDATE SET equipment_id = excluded.equipment_id,
            line_id = excluded.line_id, parent_id = excluded.parent_id, set_by = excluded.set_by, set_at = excluded.set_at
        WHERE %(by)s::text IS NOT NULL
        """,
        {"meter": meter, "at": valid_from, "equipment": equipment, "line": line, "parent": parent, "by": by},
    )


async def delete_place(connection: AsyncConnection, meter: UUID, valid_from: datetime) -> Row | None:
    """Delete a version; returns it, or None if there was none such."""
    return await one(
        connection,
        "DELETE FROM energy_meter_place WHERE tenant_id = current_tenant() AND meter_id = %s AND valid_from = %s"
        " RETURNING equipment_id, line_id, parent_id",
        [meter, valid_from],
    )


async def place_now(connection: AsyncConnection, meter: UUID) -> None:
    """Make what the last version says what the meter measures and stands behind now."""
    await connection.execute(
        """
        UPDATE energy_meter m SET equipment_id = p.equipment_id, line_id = p.line_id, parent_id = p.parent_id FROM (
            SELECT * FROM energy_meter_place WHERE tenant_id = current_tenant() AND meter_id = %s
            ORDER BY valid_from DESC LIMIT 1
        ) p WHERE m.tenant_id = current_tenant() AND m.id = p.meter_id
        """,
        [meter],
    )
