"""Reads points once, one Reading for each."""

from __future__ import annotations

from collections.abc import Sequence

from protocols.opcua.codec import decode
from protocols.opcua.config import OpcuaPoint
from protocols.opcua.paths import Nodes
from protocols.opcua.session import Session
from protocols.reading import BAD_NODE_ID_UNKNOWN, Reading, now_us


async def read_points(session: Session, nodes: Nodes, points: Sequence[OpcuaPoint]) -> list[Reading]:
    """Return one Reading of each point, in their order; a node the server does not know is BadNodeIdUnknown."""
    known = [nodes.node(point) for point in points]
    values = iter(await session.read([node for node in known if node is not None]))
    readings = []
    for point, node in zip(points, known, strict=True):
        if node is None:
            now = now_us()
            readings.append(Reading(point.name, None, BAD_NODE_ID_UNKNOWN, now, now))
        else:
            readings.append(decode(point, *next(values)))
    return readings
