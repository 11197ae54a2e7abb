"""Takes devices that stand in the configuration, written by hand or wanted by the cloud, into the drafts.

So they, too, can be looked at with live values, tested and changed. What the pages do not know of a device or a point is
kept as it is written.
"""

from __future__ import annotations

import tomllib
from typing import Any

from edge_agent.ui.draft_device import OWN_FIELDS, draft_points
from edge_agent.ui.drafts import DraftPoint, Drafts, Likeness, Machine, Protocol
from protocols.errors import ConfigError
from protocols.library.templates import Template, load_template
from protocols.text import Text

_WRITTEN = Text("as the configuration says", "依据配置文件")
_KNOWN_KEYS = {"name", "template", "protocol", "connection", "point"}


def adopt(drafts: Drafts, text: str, version: str) -> bool:
    """Bring `drafts` into line with the configuration `text` of this `version`; return whether that changed anything.

    A device of a protocol the pages do not know, or of a template outside of the library, is left to its author.
    """
    tables = {table["name"]: table for table in tomllib.loads(text).get("device", [])}
    changed = False
    for machine in drafts.machines:
        if machine.saved and machine.name not in tables:
            machine.saved, changed = "", True
    drafted = {machine.name for machine in drafts.machines}
    for name, table in tables.items():
        machine_read = _machine(table, version) if name not in drafted else None
        if machine_read is not None:
            drafts.add(machine_read)
            changed = True
    return changed


def _machine(table: dict[str, Any], version: str) -> Machine | None:
    template = _template(table.get("template", ""))
    written_as = template.device.protocol if template else table.get("protocol")
    protocol: Protocol | None = {"modbus": "modbus", "opcua": "opcua"}.get(str(written_as))  # type: ignore[assignment]
    if protocol is None or (table.get("template") and template is None):
        return None
    connection = dict(table.get("connection", {}))
    machine = Machine("", place_of(connection), protocol, table["name"], connection, saved=version)
    machine.settings = {key: value for key, value in table.items() if key not in _KNOWN_KEYS}
    written = {point["name"]: point for point in table.get("point", [])}
    if template is not None:
        machine.template, machine.kind = template.device.id, template.device.equipment_class
        machine.matches = (Likeness(template.device.id, template.device.name, 1.0),)
        machine.points = draft_points(template, 1.0)
        for point in machine.points:
            _overwrite(point, written.pop(point.name, {}))
    machine.points += [_overwrite(DraftPoint(name, {}), point) for name, point in written.items()]
    return machine


def _overwrite(point: DraftPoint, written: dict[str, Any]) -> DraftPoint:
    """Return `point` with what is written of it."""
    point.unit = written.get("unit", point.unit)
    point.scale = float(written.get("scale", point.scale))
    point.offset = float(written.get("offset", point.offset))
    point.fields |= {key: value for key, value in written.items() if key not in OWN_FIELDS}
    if "property" in written:
        point.code, point.confirmed, point.confidence, point.reason = written["property"], True, 1.0, _WRITTEN
    return point


def _template(name: str) -> Template | None:
    if not name or name.endswith(".toml"):
        return None
    try:
        return load_template(name)
    except ConfigError:
        return None


def place_of(connection: dict[str, Any]) -> str:
    """Return where a device answers, in the words of a search's result."""
    if "endpoint" in connection:
        return str(connection["endpoint"]).removeprefix("opc.tcp://").partition("/")[0]
    place = str(connection.get("serial") or f"{connection.get('host')}:{connection.get('port', 502)}")
    unit = connection.get("unit_id", 1)
    return place if unit == 1 else f"{place} · {unit}"
