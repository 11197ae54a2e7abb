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

    def node(self, point: OpcuaPoint) -> ua.NodeId | None:
        """Return the node of `point`; None if the server lacks its namespace, or its place when last looked for."""
        if point.address is not None:
            return node_id(point.address, self._session.namespaces)
        return self._found.get(point.path or "")

    async def find(self, points: Sequence[OpcuaPoint]) -> None:
        """Look for the places of `points` in the server's address space."""
        children: dict[ua.NodeId, list[tuple[str, ua.NodeId]]] = {}
        objects = ua.NodeId(ua.ObjectIds.ObjectsFolder)
        machines: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for parts in {tuple(point.path.split("/")) for point in points if point.path is not None}:
            first = parts.index(ANY) if ANY in parts else len(parts)
            machines.setdefault(parts[:first], []).append(parts[first + 1 :])
            if first == len(parts):
                self._keep(parts, await self._descend(objects, parts, children))
        for before, rests in machines.items():
            parent = await self._descend(objects, before, children)
            if parent is None:
                continue
            best: dict[tuple[str, ...], ua.NodeId] = {}
            for name, machine in await self._children(parent, children):
                if self._machine in {None, name}:
                    below = {rest: await self._descend(machine, rest, children) for rest in rests}
                    found = {rest: node for rest, node in below.items() if node is not None}
                    best = max(best, found, key=len)
            for rest, node in best.items():
                self._keep((*before, ANY, *rest), node)

    def _keep(self, parts: Sequence[str], node: ua.NodeId | None) -> None:
        if node is not None:
            self._found["/".join(parts)] = node

    async def _descend(
        self, node: ua.NodeId, parts: Sequence[str], children: dict[ua.NodeId, list[tuple[str, ua.NodeId]]]
    ) -> ua.NodeId | None:
        if not parts:
            return node
        for name, child in await self._children(node, children):
            if parts[0] in {ANY, name}:
                found = await self._descend(child, parts[1:], children)
                if found is not None:
                    return found
        return None

    async def _children(
        self, node: ua.NodeId, children: dict[ua.NodeId, list[tuple[str, ua.NodeId]]]
    ) -> list[tuple[str, ua.NodeId]]:
        """Return names and nodes one level below; asked for once in a search, nothing beyond `MAX_BROWSED`."""
        if node not in children and len(children) >= MAX_BROWSED:
            return []
        if node not in children:
            (found,) = await references(self._session, [node])
            children[node] = [
                (reference.BrowseName.Name, ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex))
                for reference in found
            ]
        return children[node]
