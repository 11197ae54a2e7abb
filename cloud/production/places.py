"""The nodes of the plant as production sees them: which calendar holds there, and which equipment stands there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cloud.core.db import AsyncConnection
from cloud.core.errors import NotFound
from cloud.production.schemas import Node
from cloud.production.store import places as store


@dataclass(frozen=True)
class Machine:
    """A piece of equipment and where it stands."""

    id: UUID
    name: str
    site_id: UUID
    line_id: UUID | None


@dataclass(frozen=True)
class Place:
    """A node: the site and line whose calendar holds there, and its equipment by name."""

    site_id: UUID
    line_id: UUID | None
    machines: Sequence[Machine]


async def machines(connection: AsyncConnection) -> list[Machine]:
    """Return the tenant's equipment, by name."""
    return [Machine(**row) for row in await store.select_machines(connection)]


async def place_of(connection: AsyncConnection, node: Node) -> Place:
    """Return the place of `node`; raises NotFound if the tenant has no such node."""
    known = await machines(connection)
    if node.kind == "equipment":
        found = next((one for one in known if one.id == node.id), None)
        if found is None:
            raise NotFound
        return Place(found.site_id, found.line_id, [found])
    if node.kind == "line":
        site_id = await store.select_site_of_line(connection, node.id)
        if site_id is None:
            raise NotFound
        return Place(site_id, node.id, [one for one in known if one.line_id == node.id])
    if not await store.has_site(connection, node.id):
        raise NotFound
    return Place(node.id, None, [one for one in known if one.site_id == node.id])
