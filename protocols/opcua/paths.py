"""Finds the nodes of a session: by namespace URI, or by the place a companion specification gives them."""

from __future__ import annotations

from collections.abc import Sequence

from asyncua import ua

from protocols.opcua.browse import references
from protocols.opcua.codec import node_id
from protocols.opcua.config import OpcuaPoint
from protocols.opcua.session import Session

ANY = "*"

MAX_BROWSED = 2000
"""Nodes looked into in one search; more is no machine but an address space without end."""


class Nodes:
    """The nodes of one session's points.

    A companion specification lays down names, not node ids, and the machine's own name is its maker's choice. All points
    whose paths begin alike are looked for below one and the same machine, so that two machines of a server never mix.
    """

    def __init__(self, session: Session, machine: str | None) -> None:
        self._session = session
        self._machine = machine
        self._found: dict[str, ua.NodeId] = {}
        self._browsed: dict[ua.NodeId, list[tuple[str, ua.NodeId]]] = {}

    def node(self, point: OpcuaPoint) -> ua.NodeId | None:
        """Return the node of `point`; None if the server lacks its namespace, or its place when last looked for."""
        if point.address is not None:
            return node_id(point.address, self._session.namespaces)
        return self._found.get(point.path or "")

    async def find(self, points: Sequence[OpcuaPoint]) -> None:
        """Look for the places of `points` in the server's address space."""
        self._browsed = {}
        objects = ua.NodeId(ua.ObjectIds.ObjectsFolder)
        machines: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for path in {point.path for point in points if point.path is not None}:
            parts = tuple(path.split("/"))
            if ANY in parts:
                first = parts.index(ANY)
                machines.setdefault(parts[:first], []).append(parts[first + 1 :])
            elif (node := await self._descend(objects, parts)) is not None:
                self._found[path] = node
        for before, rests in machines.items():
            parent = await self._descend(objects, before)
            best = await self._machine_below(parent, rests) if parent is not None else {}
            self._found |= {"/".join((*before, ANY, *rest)): node for rest, node in best.items()}

    async def _machine_below(
        self, parent: ua.NodeId, rests: Sequence[tuple[str, ...]]
    ) -> dict[tuple[str, ...], ua.NodeId]:
        """Return what the named machine, or the one that has most of `rests`, has of them."""
        best: dict[tuple[str, ...], ua.NodeId] = {}
        for name, machine in await self._children(parent):
            if self._machine in {None, name}:
                below = {rest: await self._descend(machine, rest) for rest in rests}
                best = max(best, {rest: node for rest, node in below.items() if node is not None}, key=len)
        return best

    async def _descend(self, node: ua.NodeId, parts: Sequence[str]) -> ua.NodeId | None:
        if not parts:
            return node
        for name, child in await self._children(node):
            if parts[0] in {ANY, name}:
                found = await self._descend(child, parts[1:])
                if found is not None:
                    return found
        return None

    async def _children(self, node: ua.NodeId) -> list[tuple[str, ua.NodeId]]:
        """Return names and nodes one level below; asked for once in a search, nothing beyond `MAX_BROWSED`."""
        if node not in self._browsed and len(self._browsed) >= MAX_BROWSED:
            return []
        if node not in self._browsed:
            (found,) = await references(self._session, [node])
            self._browsed[node] = [
                (reference.BrowseName.Name, ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex))
                for reference in found
            ]
        return self._browsed[node]
