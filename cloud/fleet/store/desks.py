"""Desks and the equipment whose values are entered at them."""

from __future__ import annotations

from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from uuid_utils.compat import uuid7

from cloud.core.rows import one

PROTOCOL = "by_hand"
"""Stands where other equipment has the protocol it is read by."""
NAME = "desk"


class Taken(Exception):
    """The site has a machine of this name already."""


async def reaches_site(connection: AsyncConnection, site: UUID) -> bool:
    """Return whether who acts in the transaction may do there what they demand; False for what is no site of the tenant."""
    row = await one(
        connection,
        """
        SELECT id FROM site WHERE tenant_id = current_tenant() AND id = %s
          AND ((SELECT reaches_all()) OR id IN (SELECT reached_sites()))
        """,
        [site],
    )
    return row is not None


async def ensure_desk(connection: AsyncConnection, site: UUID, public_key: bytes) -> UUID:
    """Return the id of a site's desk, making it with `public_key` if there is none."""
    await connection.execute(
        """
        INSERT INTO agent (id, tenant_id, site_id, name, public_key, agent_version, desk)
        VALUES (%s, current_tenant(), %s, %s, %s, '', true) ON CONFLICT (tenant_id, site_id) WHERE desk DO NOTHING
        """,
        [uuid7(), site, NAME, public_key],
    )
    row = await one(
        connection, "SELECT id FROM agent WHERE tenant_id = current_tenant() AND site_id = %s AND desk", [site]
    )
    assert row is not None  # noqa: S101 - it was made, by us or by another
    return UUID(str(row["id"]))


async def insert_machine(connection: AsyncConnection, desk: UUID, name: str, equipment_class: str) -> UUID:
    """Insert a machine whose values are entered at `desk`; raises Taken."""
    machine = uuid7()
    try:
        async with connection.transaction():
            await connection.execute(
                """
                INSERT INTO equipment (id, tenant_id, agent_id, name, equipment_class, protocol, state, state_since)
                VALUES (%s, current_tenant(), %s, %s, %s, %s, 'up', now())
                """,
                [machine, desk, name, equipment_class, PROTOCOL],
            )
    except UniqueViolation as error:
        raise Taken from error
    return machine
