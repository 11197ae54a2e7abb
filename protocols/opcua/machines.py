"""Finds the machines of a server by their types: instances of companion specifications' types and of types made from them.

Part 3 lets a vendor derive a type of its own; a machine is therefore known by its whole line of types, from its own
up to the first of the standard, and by the building blocks it carries. Machines lie where their specifications put
them (Objects/Machines of OPC 40001, Objects/DeviceSet of OPC 10000-100) or anywhere in a folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from asyncua import ua

from protocols.opcua.browse import references
from protocols.opcua.codec import plain_value
from protocols.opcua.session import Session
from protocols.opcua.specifications import specification, specifications
from protocols.reading import Value

MAX_NODES = 2000
MAX_MACHINES = 100
"""Looked at in one server; a real one has a handful."""

_DEPTH = 4
_TYPES = 12
"""Levels of folders, and of types above a machine's own; both are three in published specifications."""

_FOLDERS = {ua.ObjectIds.FolderType, ua.ObjectIds.BaseObjectType}
_IDENTIFYING_OBJECTS = {"Identification", "MachineIdentification", "MachineInformation"}
"""OPC 40001-1, 8.2; its predecessors; OPC 40083, 12.4. Devices of OPC 10000-100 carry the properties themselves."""

_IDENTIFYING = {
    "Manufacturer": "manufacturer",
    "Model": "model",
    "ProductCode": "product_code",
    "SerialNumber": "serial_number",
    "SoftwareRevision": "software_version",
    "YearOfConstruction": "year",
    "DeviceClass": "device_class",
}


class Machine(NamedTuple):
    """One machine of a server.

    Attributes:
        path: browse names from the Objects folder, joined by "/".
        type_name: of its type, as its vendor calls it.
        type_namespace: URI in which the type is defined.
        specifications: the companion specifications of its types and building blocks, its own first.
        identification: manufacturer, model, product_code, serial_number, software_version, year, device_class: what it
            gives of these.
    """

    path: str
    type_name: str
    type_namespace: str
    specifications: tuple[str, ...]
    identification: dict[str, str]


class _Candidate(NamedTuple):
    path: str
    node: ua.NodeId
    kind: ua.NodeId


async def find_machines(session: Session) -> list[Machine]:
    """Return the machines below the Objects folder; reads only, at most `MAX_NODES` nodes."""
    candidates = await _candidates(session)
    lines = await _lines(session, {candidate.kind for candidate in candidates})
    machines = [
        candidate
        for candidate in candidates
        if any(specification(_uri(session, kind)) is not None for kind in lines[candidate.kind])
    ][:MAX_MACHINES]
    below = await references(session, [machine.node for machine in machines])
    names = await session.read([machine.kind for machine in machines], ua.AttributeIds.BrowseName)
    texts = await _identifications(session, below)
    found = []
    for machine, children, (name, _), identification in zip(machines, below, names, texts, strict=True):
        blocks = [_plain(child.TypeDefinition) for child in children if child.NodeClass == ua.NodeClass.Object]
        uris = [_uri(session, kind) for kind in (*lines[machine.kind], *blocks)]
        type_name = name.Value.Value.Name if name.StatusCode.is_good() else ""
        found.append(
            Machine(machine.path, type_name, _uri(session, machine.kind), tuple(specifications(uris)), identification)
        )
    return found


async def _candidates(session: Session) -> list[_Candidate]:
    """Return the objects in folders below Objects, whatever their type; what is inside one is its own affair."""
    waiting = [("", ua.NodeId(ua.ObjectIds.ObjectsFolder))]
    seen: set[ua.NodeId] = set()
    found: list[_Candidate] = []
    for _ in range(_DEPTH):
        following = []
        for (path, _node), below in zip(waiting, await references(session, [n for _, n in waiting]), strict=True):
            for reference in below:
                node, kind = _plain(reference.NodeId), _plain(reference.TypeDefinition)
                if reference.NodeClass != ua.NodeClass.Object or node in seen or _standard(node, kind):
                    continue
                if len(seen) >= MAX_NODES:
                    return found
                seen.add(node)
                place = f"{path}/{reference.BrowseName.Name}".lstrip("/")
                if kind.NamespaceIndex == 0 and kind.Identifier in _FOLDERS:
                    following.append((place, node))
                else:
                    found.append(_Candidate(place, node, kind))
        waiting = following
    return found


async def _lines(session: Session, kinds: set[ua.NodeId]) -> dict[ua.NodeId, list[ua.NodeId]]:
    """Return, for each of `kinds`, itself and the types it is made from, up to the standard's own."""
    lines = {kind: [kind] for kind in kinds}
    for _ in range(_TYPES):
        open_ = [line for line in lines.values() if line[-1].NamespaceIndex != 0]
        above = await references(
            session,
            [line[-1] for line in open_],
            ua.ObjectIds.HasSubtype,
            direction=ua.BrowseDirection.Inverse,
            classes=ua.NodeClass.ObjectType,
        )
        for line, found in zip(open_, above, strict=True):
            parent = _plain(found[0].NodeId) if found else ua.NodeId()
            line.append(parent)
        if not open_:
            break
    return lines


async def _identifications(
    session: Session, below: Sequence[Sequence[ua.ReferenceDescription]]
) -> list[dict[str, str]]:
    """Return what each machine says of itself, given what lies below it."""
    objects = [
        (number, _plain(child.NodeId))
        for number, children in enumerate(below)
        for child in children
        if child.BrowseName.Name in _IDENTIFYING_OBJECTS
    ]
    inside = await references(session, [node for _, node in objects])
    wanted = [
        (number, child)
        for number, children in [*enumerate(below), *zip((number for number, _ in objects), inside, strict=True)]
        for child in children
        if child.NodeClass == ua.NodeClass.Variable and child.BrowseName.Name in _IDENTIFYING
    ]
    values = await session.read([_plain(child.NodeId) for _, child in wanted])
    said: list[dict[str, str]] = [{} for _ in below]
    for (number, child), (data, _) in zip(wanted, values, strict=True):
        value: Value = plain_value(data.Value)[0] if data.StatusCode.is_good() else None
        if value not in {None, ""}:
            said[number][_IDENTIFYING[child.BrowseName.Name]] = str(value)
    return said


def _standard(node: ua.NodeId, kind: ua.NodeId) -> bool:
    """Whether the standard itself puts the object there, as Server and Locations; the id alone does not say so."""
    return bool(node.NamespaceIndex == 0 and kind.NamespaceIndex == 0)


def _plain(node: ua.NodeId) -> ua.NodeId:
    # Not ExpandedNodeId: the same node has to compare equal however it was found.
    return ua.NodeId(node.Identifier, node.NamespaceIndex)


def _uri(session: Session, node: ua.NodeId) -> str:
    return session.namespaces[node.NamespaceIndex] if node.NamespaceIndex < len(session.namespaces) else ""
