"""What energy costs and what it stands for. Rows are never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from cloud.energy.store.rows import Row, every, inserted, one


async def insert_tariff(connection: AsyncConnection, values: Mapping[str, Any]) -> UUID:
    """Insert a version of a tariff; raises Taken if the site has one from this day on."""
    return await inserted(
        connection,
        """
        INSERT INTO energy_tariff (tenant_id, site_id, carrier, name, valid_from, terms, created_by)
        VALUES (current_tenant(), %(site_id)s, %(carrier)s, %(name)s, %(valid_from)s, %(terms)s::jsonb, %(created_by)s)
        RETURNING id
        """,
        {**values, "terms": json.dumps(values["terms"])},
    )


async def select_tariffs(connection: AsyncConnection, site: UUID | None = None) -> list[Row]:
    """Return the versions of the tenant's tariffs, of one site or of all; of each site and carrier the newest first."""
    return await every(
        connection,
        """
        SELECT id, site_id, carrier, name, valid_from, terms, created_by, created_at FROM energy_tariff
        WHERE tenant_id = current_tenant() AND (%(site)s::uuid IS NULL OR site_id = %(site)s)
        ORDER BY site_id, carrier, valid_from DESC
        """,
        {"site": site},
    )


async def delete_tariff(connection: AsyncConnection, tariff: UUID) -> Row | None:
    """Remove a version of a tariff and return it."""
    return await one(
        connection,
        "DELETE FROM energy_tariff WHERE tenant_id = current_tenant() AND id = %s RETURNING name, carrier, valid_from, terms",
        [tariff],
    )


async def insert_factor(connection: AsyncConnection, values: Mapping[str, Any]) -> UUID:
    """Insert a factor; raises Taken if the site has one of its kind from this day on."""
    return await inserted(
        connection,
        """
        INSERT INTO energy_factor (tenant_id, site_id, carrier, kind, valid_from, value, source, created_by)
        VALUES (current_tenant(), %(site_id)s, %(carrier)s, %(kind)s, %(valid_from)s, %(value)s, %(source)s,
                %(created_by)s)
        RETURNING id
        """,
        values,
    )


async def select_factors(connection: AsyncConnection, site: UUID | None = None) -> list[Row]:
    """Return the tenant's own factors, of one site or of all; of each site, carrier and kind the newest first."""
    return await every(
        connection,
        """
        SELECT id, site_id, carrier, kind, valid_from, value, source, created_by, created_at FROM energy_factor
        WHERE tenant_id = current_tenant() AND (%(site)s::uuid IS NULL OR site_id = %(site)s)
        ORDER BY site_id, carrier, kind, valid_from DESC
        """,
        {"site": site},
    )


async def delete_factor(connection: AsyncConnection, factor: UUID) -> Row | None:
    """Remove a factor and return it."""
    return await one(
        connection,
        "DELETE FROM energy_factor WHERE tenant_id = current_tenant() AND id = %s"
        " RETURNING carrier, kind, valid_from, value, source",
        [factor],
    )
