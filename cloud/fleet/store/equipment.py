"""Equipment: where it stands and what it is. Inside `Database.tenant`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from cloud.core.keyset import BY_NAME, WHOLE, Window
from cloud.core.rows import Row, every, one
from cloud.fleet.schemas import ANYWHERE, Where

_DESCRIPTION = (
    "line_id, display_name, class_override, asset_number, made_on, installed_on, rated_power_kw, purchase_price"
)


async def select_equipment(
    connection: AsyncConnection,
    equipment: Collection[UUID] | None = None,
    window: Window = WHOLE,
    where: Where = ANYWHERE,
) -> list[Row]:
    """Return the tenant's equipment by name, of `equipment` or `where` told; its agent's silence overrides its state."""
    after = dict(zip(("after_name", "after_id"), window.after or BY_NAME, strict=True))
    conditions = {
        "e.id = ANY(%(ids)s::uuid[])": equipment is not None,
        "s.id = %(site)s": where.site,
        "e.line_id = %(line)s": where.line,
        "e.line_id IS NULL": where.no_line,
    }
    asked = "".join(f" AND {condition}" for condition, wanted in conditions.items() if wanted)
    return await every(
        connection,
        f"""
        SELECT e.id, e.agent_id, a.name AS agent, s.id AS site_id, s.name AS site, s.time_zone, e.name,
               e.display_name, coalesce(nullif(e.display_name, ''), e.name) AS label, e.line_id, l.name AS line,
               concat_ws(' / ', s.name, l.name, coalesce(nullif(e.display_name, ''), e.name)) AS path,
               coalesce(nullif(e.class_override, ''), e.equipment_class) AS equipment_class, e.class_override,
               e.asset_number, e.made_on, e.installed_on, e.rated_power_kw, e.purchase_price, e.protocol, e.template,
               CASE WHEN a.desk THEN 'by_hand'
                    WHEN e.state = 'removed' OR (a.last_seen > now() - interval '90 s' AND a.revoked_at IS NULL)
                    THEN e.state ELSE 'silent' END AS state,
               e.state_since, e.reason_en, e.reason_zh, e.points, e.unmapped, e.created_at, a.last_seen
        FROM equipment e
        JOIN agent a ON a.tenant_id = e.tenant_id AND a.id = e.agent_id
        JOIN site s ON s.tenant_id = a.tenant_id AND s.id = a.site_id
        LEFT JOIN line l ON l.tenant_id = e.tenant_id AND l.id = e.line_id
        WHERE e.tenant_id = current_tenant() AND (e.name, e.id) > (%(after_name)s::text, %(after_id)s::uuid){asked}
        ORDER BY e.name, e.id LIMIT %(limit)s
        """,  # noqa: S608 - our own text
        {"ids": None if equipment is None else list(equipment), "limit": window.limit, **where._asdict(), **after},
    )


async def select_places(connection: AsyncConnection) -> list[Row]:
    """Return where equipment stands: site, line or none, how many pieces and of which classes; by name, lines first."""
    return await every(
        connection,
        """
        SELECT s.id AS site_id, s.name AS site, l.id AS line_id, l.name AS line, count(*) AS machines,
               array_agg(DISTINCT coalesce(nullif(e.class_override, ''), e.equipment_class)) AS classes
        FROM equipment e
        JOIN agent a ON a.tenant_id = e.tenant_id AND a.id = e.agent_id
        JOIN site s ON s.tenant_id = a.tenant_id AND s.id = a.site_id
        LEFT JOIN line l ON l.tenant_id = e.tenant_id AND l.id = e.line_id
        WHERE e.tenant_id = current_tenant() GROUP BY s.id, s.name, l.id, l.name ORDER BY s.name, l.name NULLS LAST
        """,
    )


async def select_names(connection: AsyncConnection) -> list[Row]:
    """Return id, label, own name, site and line of all equipment, by label."""
    return await every(
        connection,
        """
        SELECT e.id, coalesce(nullif(e.display_name, ''), e.name) AS label, e.name, e.asset_number, s.name AS site,
               coalesce(l.name, '') AS line
        FROM equipment e
        JOIN agent a ON a.tenant_id = e.tenant_id AND a.id = e.agent_id
        JOIN site s ON s.tenant_id = a.tenant_id AND s.id = a.site_id
        LEFT JOIN line l ON l.tenant_id = e.tenant_id AND l.id = e.line_id
        WHERE e.tenant_id = current_tenant() ORDER BY label, e.id
        """,
    )


async def lock_description(connection: AsyncConnection, equipment: UUID) -> Row | None:
    """Return what people have said of a piece of equipment and its site_id; nobody changes it until the transaction ends."""
    return await one(
        connection,
        f"""
        SELECT {_DESCRIPTION}, a.site_id FROM equipment e JOIN agent a ON a.tenant_id = e.tenant_id AND a.id = e.agent_id
        WHERE e.tenant_id = current_tenant() AND e.id = %s FOR UPDATE OF e
        """,  # noqa: S608 - our own text
        [equipment],
    )


async def site_of_line(connection: AsyncConnection, line: UUID) -> UUID | None:
    """Return the site a line is in, if the tenant has it; it stays there until the transaction ends."""
    row = await one(
        connection, "SELECT site_id FROM line WHERE tenant_id = current_tenant() AND id = %s FOR SHARE", [line]
    )
    return row["site_id"] if row else None


async def update_description(connection: AsyncConnection, equipment: UUID, values: Mapping[str, Any]) -> None:
    """Set what people say of a piece of equipment."""
    await connection.execute(
        """
        UPDATE equipment SET line_id = %(line_id)s, display_name = %(display_name)s, class_override = %(class_override)s,
            asset_number = %(asset_number)s, made_on = %(made_on)s, installed_on = %(installed_on)s,
            rated_power_kw = %(rated_power_kw)s, purchase_price = %(purchase_price)s
        WHERE tenant_id = current_tenant() AND id = %(id)s
        """,
        {**values, "id": equipment},
    )
