"""Reads points once, one Reading for each; or the arrays of points."""

from __future__ import annotations

from collections.abc import Sequence

from asyncua import ua

from protocols.driver import Samples
from protocols.opcua.codec import decode, decode_array
from protocols.opcua.config import OpcuaPoint
from protocols.opcua.paths import Nodes
from protocols.opcua.session import Session
from protocols.reading import BAD_NODE_ID_UNKNOWN, Reading, now_us


async def read_points(session: Session, nodes: Nodes, points: Sequence[OpcuaPoint]) -> list[Reading]:
    """Return one Reading of each point, in their order; a node the server does not know is BadNodeIdUnknown."""
    readings = []
    for point, found in zip(points, await _values(session, nodes, points), strict=True):
        if found is None:
            now = now_us()
            readings.append(Reading(point.name, None, BAD_NODE_ID_UNKNOWN, now, now))
        else:
            readings.append(decode(point, *found))
    return readings


async def read_arrays(session: Session, nodes: Nodes, points: Sequence[OpcuaPoint]) -> list[Samples]:
    """Return the array of each point, in their order; a node the server does not know is BadNodeIdUnknown."""
    return [
        Samples(None, BAD_NODE_ID_UNKNOWN, now_us()) if found is None else decode_array(point, *found)
        for point, found in zip(points, await _values(session, nodes, points), strict=True)
    ]


async def _values(
    session: Session, nodes: Nodes, points: Sequence[OpcuaPoint]
) -> list[tuple[ua.DataValue, int] | None]:
    """Return what the server says of each point, with the time it came; None where it has no such node."""
    known = [nodes.node(point) for point in points]
    values = iter(await session.read([node for node in known if node is not None]))
    return [None if node is None else next(values) for node in known]
