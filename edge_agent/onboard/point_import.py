"""Brings an edited point list into a configuration: what it would change, what is wrong in it, row by row.

Nothing is written here; the plan holds the whole new text of the configuration, to be put in place at once or not at all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from edge_agent.config import DeviceConfig, parse_config
from edge_agent.config_edit import put_device
from edge_agent.onboard.list_file import clean
from edge_agent.onboard.point_address import ADDRESS_FIELDS, BIT_TABLES, Numbering, is_unclear, protocol_of, unclear
from edge_agent.onboard.point_cells import NO_ENTRY, Cells, cells_of, read_cells, used_columns
from edge_agent.onboard.point_list import Fault, Listed, Point, PointList, Row, point_in
from edge_agent.onboard.point_meaning import contradiction, fill_in, wider_range
from edge_agent.onboard.propose import Proposal, propose
from edge_agent.onboard.propose_memory import Memory
from protocols.catalogue import driver_class
from protocols.dictionary.entries import equipment_classes
from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.text import Text
from protocols.validation import all_faults

Mode = Literal["merge", "replace", "skip"]
"""What becomes of points that are configured already: "merge" changes those that are listed, "replace" also removes those
that are not, "skip" leaves all of them alone and only adds."""

Kind = Literal["added", "changed", "removed", "unchanged", "kept"]


class FieldChange(msgspec.Struct, frozen=True):
    """One field of a point, as cells of a list."""

    field: str
    before: str
    after: str


class Change(msgspec.Struct, frozen=True):
    """What becomes of one point. `kept`: it is configured and the list does not speak for it (or may not)."""

    kind: Kind
    name: str
    fields: Sequence[FieldChange] = ()
    notes: Sequence[Text] = ()


class Plan(msgspec.Struct, frozen=True):
    """What an import does.

    `left_out` are rows that become no point, and why; `unused` are columns that were not read; `text` is the new
    configuration, "" where there are faults.
    """

    device: str
    changes: Sequence[Change]
    faults: Sequence[Fault]
    left_out: Sequence[Fault]
    unused: Sequence[str]
    text: str

    def count(self, kind: Kind) -> int:
        """Return how many points change in this way."""
        return sum(1 for change in self.changes if change.kind == kind)


class _Target(msgspec.Struct):
    """The device that the list is of: its points as they count and as written, and what was found out about them."""

    protocol: str
    model: type[PointConfig]
    points: dict[str, PointConfig]
    written: dict[str, dict[str, Any]]
    templated: bool
    names: dict[str, PointConfig] = {}
    addresses: dict[str, list[str]] = {}
    changes: dict[str, Change] = {}
    faults: list[Fault] = []
    left_out: list[Fault] = []
    rows: dict[str, int] = {}


def plan_import(
    listed: Listed,
    text: str,
    path: Path,
    device: str,
    *,
    mode: Mode = "merge",
    numbering: Numbering | None = None,
    protocol: str | None = None,
    connection: Mapping[str, Any] | None = None,
    memory: Memory | None = None,
) -> Plan:
    """Return what importing `listed` as the points of `device` changes in the configuration `text`.

    Args:
        listed: the list.
        text: the configuration as it is; `path` is where it lies, for its relative paths.
        device: name of a device, new or configured.
        mode: see `Mode`.
        numbering: what plain Modbus numbers mean; asked for where it matters.
        protocol: of a new device; else as the addresses look.
        connection: of a new device.
        memory: what technicians confirmed before.

    Raises ConfigError where the configuration is wrong before, or would be after for another reason than single rows.
    """
    known = next((each for each in parse_config(text, path).devices if each.name == device), None)
    if known is None:
        table = _new_device(listed, device, protocol, connection)
    else:
        table = next(each for each in tomllib.loads(text)["device"] if each["name"] == device)
    target = _target(known, table)
    if target.protocol == "modbus" and numbering is None:
        _check_numbering(listed)
    if known is not None and not listed.kind and known.equipment_class:
        listed = msgspec.structs.replace(listed, kind=equipment_classes()[known.equipment_class].en)
    proposals = _proposals(listed, memory)
    for row in listed.rows:
        _take(target, row, proposals.get(row.number), numbering, skip=mode == "skip")
    _leave(target, remove=mode == "replace")
    new = ""
    if not target.faults:
        new = put_device(text, table | {"point": list(target.written.values())})
        parse_config(new, path)
    order = [*target.points, *(name for name in target.changes if name not in target.points)]
    used = used_columns(target.protocol, target.model)
    return Plan(
        device,
        [target.changes[name] for name in order if name in target.changes],
        target.faults,
        target.left_out,
        [column for column in listed.columns if column not in used],
        new,
    )


def _new_device(
    listed: Listed, device: str, protocol: str | None, connection: Mapping[str, Any] | None
) -> dict[str, Any]:
    if not connection:
        raise ConfigError(
            Text(f"there is no device '{device}'", f"没有名为“{device}”的设备"),
            Text(
                "say how to reach it, e.g. --connection endpoint=opc.tcp://HOST:4840 --connection security=none",
                "请说明连接方式，例如 --connection endpoint=opc.tcp://主机:4840 --connection security=none",
            ),
            key="--device",
        )
    found = protocol or protocol_of([row.cells.get("address", "") for row in listed.rows])
    return {"name": device, "protocol": found, "connection": dict(connection)}


def _target(known: DeviceConfig | None, table: Mapping[str, Any]) -> _Target:
    protocol = known.protocol if known else str(table["protocol"])
    points = {point.name: point for point in known.points} if known else {}
    written = {str(point["name"]): dict(point) for point in table.get("point", ())}
    target = _Target(protocol, driver_class(protocol).Point, points, written, bool(known and known.template))
    for point in points.values():
        target.names[clean(point.name)] = point
        target.addresses.setdefault(cells_of(protocol, point)["address"], []).append(point.name)
    return target


def _check_numbering(listed: Listed) -> None:
    plain = [cell for row in listed.rows if ":" not in (cell := row.cells.get("address", ""))]
    if plain and all(is_unclear(cell) for cell in plain):
        raise unclear(plain[0])


def _proposals(listed: Listed, memory: Memory | None) -> dict[int, Proposal]:
    """Return what each row that can be understood may mean, by the row's number."""
    points: list[Point] = []
    numbers: dict[str, int] = {}
    for row in listed.rows:
        point = point_in(row.cells)
        if isinstance(point, Point):
            address = point.address if point.address not in numbers else f"{point.address} ({row.number})"
            points.append(msgspec.structs.replace(point, address=address))
            numbers[address] = row.number
    found = propose(PointList(points, listed.vendor, listed.model, listed.kind), memory)
    return {numbers[address]: proposal for address, proposal in found.items()}


def _take(target: _Target, row: Row, proposal: Proposal | None, numbering: Numbering | None, *, skip: bool) -> None:
    """Take in one row: one change of a point, or faults."""
    name = clean(row.cells.get("name", "") or row.cells.get("description", ""))
    if row.cells.get("access", "").casefold() in {"w", "wo", "write", "write only", "只写"}:
        target.left_out.append(Fault(row.number, Text(f"'{name}' can only be written", f"“{name}”为只写点")))
        return
    old = _configured(target, row, name)
    named = old.name if old is not None else name
    if not named:
        target.faults.append(Fault(row.number, Text("no name", "缺少名称")))
        return
    if named in target.rows:
        first = target.rows[named]
        said = Text(f"'{named}' stands in {first}, too", f"“{named}”与第 {first} 行重复")
        target.faults.append(Fault(row.number, said))
        return
    target.rows[named] = row.number
    if old is not None and skip:
        target.changes[named] = Change("kept", named)
        return
    before = cells_of(target.protocol, old) if old is not None else {}
    differing = {
        column: cell
        for column, cell in row.cells.items()
        if old is None or clean(cell) != before.get(column.replace(" ", "_"))
    }
    found = read_cells(target.protocol, target.model, differing, numbering)
    if old is None:
        found.fields["name"] = name
    elif target.templated and found.fields.pop("name", None) is not None:
        found.notes.append(Text(f"keeps the template's name, not '{name}'", f"保留模板中的名称，不改为“{name}”"))
    cell = row.cells.get("property")
    if not cell and (cell is not None or old is None):
        unit = found.fields.get("unit", old.unit if old is not None else None)
        filled, note = fill_in(proposal, unit)
        found.fields |= {"property": filled} if filled else {}
        found.notes += [note] if note else []
    _settle(target, row, old, found, before)


def _configured(target: _Target, row: Row, name: str) -> PointConfig | None:
    """Return the configured point that a row is about: the one of its name, else the only one at its address."""
    if name in target.names:
        return target.names[name]
    at = target.addresses.get(row.cells.get("address", ""), [])
    return target.points[at[0]] if len(at) == 1 and at[0] not in target.rows else None


def _settle(target: _Target, row: Row, old: PointConfig | None, found: Cells, before: Mapping[str, str]) -> None:
    """Check a point as the list would have it; note the change, or what is wrong."""
    under = old.model_dump(exclude_unset=True) if target.templated and old is not None else {}
    table = dict(target.written.get(old.name, {"name": old.name})) if old is not None else {}
    faults = [*found.faults, *_change(target.protocol, table, found, under, before)]
    if not faults:
        faults = [_said(error) for error in all_faults(target.model, under | table, "")]
    if not faults:
        point = target.model.model_validate(under | table)
        unfit = contradiction(point)
        faults = [unfit] if unfit else []
    if faults:
        target.faults += [Fault(row.number, what) for what in faults]
        return
    wider = wider_range(point)
    notes = [*found.notes, *([wider] if wider else [])]
    fields = [
        FieldChange(column, before.get(column, ""), cell)
        for column, cell in cells_of(target.protocol, point).items()
        if cell != before.get(column, "") and (old is not None or column in found.fields or column == "address")
    ]
    name = old.name if old is not None else point.name
    if old is not None and not fields:
        target.changes[name] = Change("unchanged", name, (), notes)
        return
    whole = point.model_dump(mode="json", exclude_none=True)
    target.written[name] = {key: whole[key] if key in found.fields else value for key, value in table.items()}
    target.changes[name] = Change("added" if old is None else "changed", name, fields, notes)


def _change(
    protocol: str, table: dict[str, Any], found: Cells, under: Mapping[str, Any], before: Mapping[str, str]
) -> list[Text]:
    """Write what was found into a point's `table`; return what cannot be taken out of the template `under` it."""
    faults = []
    own = ADDRESS_FIELDS.get(protocol, ())
    if any(field in found.fields for field in own):
        for field in own:
            table.pop(field, None)
            if under.get(field) is not None and found.fields.get(field) is None:
                found.fields[field] = None
        if found.fields.get("table") in BIT_TABLES or found.fields.get("bit") is not None:
            table.pop("type", None)
    for field, value in found.fields.items():
        if value is not None:
            table[field] = value
        elif under.get(field) is not None and before.get(field) not in ("", NO_ENTRY):
            said = Text(
                f"{field}: the template gives it; it can be changed, not taken away",
                f"{field}：由模板给出，可以更改但不能清除",
            )
            faults.append(said)
        else:
            table.pop(field, None)
    return faults


def _leave(target: _Target, *, remove: bool) -> None:
    """Say what becomes of the points that the list does not speak for."""
    for name in target.points:
        if name in target.rows:
            continue
        if remove and not target.templated:
            target.changes[name] = Change("removed", name)
            del target.written[name]
        else:
            notes = [Text("a template's device keeps its points", "使用模板的设备保留其全部点")] if remove else []
            target.changes[name] = Change("kept", name, (), notes)


def _said(error: ConfigError) -> Text:
    where = error.key.lstrip(".") if error.key else ""
    mend = Text(f" - {error.mend.en}", f" - {error.mend.zh}") if error.mend else Text("", "")
    place = Text(f"{where}: ", f"{where}：") if where else Text("", "")
    return Text(f"{place.en}{error.what.en}{mend.en}", f"{place.zh}{error.what.zh}{mend.zh}")
