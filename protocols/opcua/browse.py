"""Walks a server's address space and tells what variables it offers."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from asyncua import ua

from protocols.driver import BrowsedPoint
from protocols.opcua.codec import node_address, plain_value, unit_code, value_range
from protocols.opcua.session import Session

MAX_NODES = 100_000
"""Nodes visited in one walk; an address space may be endless (a server may invent nodes as they are asked for)."""

_BATCH = 500
_DESCRIBING = (_UNIT, _RANGE) = ("EngineeringUnits", "EURange")


class _Place(NamedTuple):
    node: ua.NodeId
    path: str
    variable: bool


async def browse(session: Session) -> AsyncIterator[BrowsedPoint]:
    """Yield every variable below the Objects folder, breadth first, at most `MAX_NODES` nodes deep into it.

    What the standard itself puts there (Server, Aliases, Locations) and properties of variables are left out; the
    properties EngineeringUnits and EURange (Part 8, 5.3.2.3) become the point's unit and range.
    """
    objects = ua.NodeId(ua.ObjectIds.ObjectsFolder)
    waiting = deque([_Place(objects, "", False)])
    seen = {objects}
    type_names: dict[ua.NodeId, str] = {}
    while waiting:
        batch = [waiting.popleft() for _ in range(min(_BATCH, len(waiting)))]
        properties: dict[tuple[ua.NodeId, str], ua.NodeId] = {}
        for place, below in zip(batch, await references(session, [p.node for p in batch]), strict=True):
            for reference in below:
                # Not ExpandedNodeId: the same node has to compare equal however it was found.
                node = ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex)
                if reference.ReferenceTypeId == ua.NodeId(ua.ObjectIds.HasProperty):
                    if reference.BrowseName.Name in _DESCRIBING:
                        properties[place.node, reference.BrowseName.Name] = node
                elif node not in seen and len(seen) < MAX_NODES and not (place.node == objects and _standard(node)):
                    seen.add(node)
                    path = f"{place.path}/{reference.BrowseName.Name}".lstrip("/")
                    waiting.append(_Place(node, path, reference.NodeClass == ua.NodeClass.Variable))
        for point in await _describe(session, [p for p in batch if p.variable], properties, type_names):
            yield point


async def references(
    session: Session,
    nodes: Sequence[ua.NodeId],
    kind: int = ua.ObjectIds.HierarchicalReferences,
    *,
    direction: ua.BrowseDirection = ua.BrowseDirection.Forward,
    classes: int = ua.NodeClass.Object | ua.NodeClass.Variable,
) -> list[list[ua.ReferenceDescription]]:
    """Return the references of each of `nodes`: by default to what lies one level below, objects, variables, properties."""

    async def request(part: Sequence[ua.NodeId]) -> list[list[ua.ReferenceDescription]]:
        parameters = ua.BrowseParameters(
            NodesToBrowse=[
                ua.BrowseDescription(
                    NodeId=node,
                    BrowseDirection=direction,
                    ReferenceTypeId=ua.NodeId(kind),
                    IncludeSubtypes=True,
                    NodeClassMask=classes,
                    ResultMask=ua.BrowseResultMask.All,
                )
                for node in part
            ]
        )
        answer = []
        for result in await session.services.browse(parameters):
            references = list(result.References or ())
            while result.ContinuationPoint:
                following = ua.BrowseNextParameters(ContinuationPoints=[result.ContinuationPoint])
                (result,) = await session.services.browse_next(following)  # noqa: PLW2901
                references += result.References or ()
            answer.append(references)
        return answer

    return await session.in_parts("browse", nodes, request)


async def _describe(
    session: Session,
    places: Sequence[_Place],
    properties: dict[tuple[ua.NodeId, str], ua.NodeId],
    type_names: dict[ua.NodeId, str],
) -> list[BrowsedPoint]:
    nodes = [place.node for place in places]
    values = await session.read(nodes)
    types = await session.read(nodes, ua.AttributeIds.DataType)
    texts = await session.read(nodes, ua.AttributeIds.Description)
    said = {
        key: data.Value.Value
        for key, (data, _) in zip(properties, await session.read(list(properties.values())), strict=True)
    }
    await _name_types(session, [data.Value.Value for data, _ in types], type_names)
    points = []
    for place, (value, _), (kind, _), (text, _) in zip(places, values, types, texts, strict=True):
        address = node_address(place.node, session.namespaces)
        if address is None:
            continue
        points.append(
            BrowsedPoint(
                address={"node": str(address)},
                path=place.path,
                data_type=type_names.get(kind.Value.Value, "") + ("[]" if value.Value.is_array else ""),
                description=(text.Value.Value.Text or "") if text.Value.Value is not None else "",
                unit=unit_code(said.get((place.node, _UNIT))),
                range=value_range(said.get((place.node, _RANGE))),
                value=plain_value(value.Value)[0] if value.StatusCode.is_good() else None,
            )
        )
    return points


async def _name_types(session: Session, types: Sequence[ua.NodeId | None], names: dict[ua.NodeId, str]) -> None:
    new = list({node for node in types if node is not None} - names.keys())
    for node, (data, _) in zip(new, await session.read(new, ua.AttributeIds.BrowseName), strict=True):
        names[node] = data.Value.Value.Name if data.Value.Value is not None else ""


def _standard(node: ua.NodeId) -> bool:
    return bool(node.NamespaceIndex == 0)
