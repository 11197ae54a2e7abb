"""Turns a draft into a device: the [[device]] table to save, and the driver that reads its values meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_agent.config import DeviceConfig
from edge_agent.ui.drafts import DraftPoint, Machine
from protocols.catalogue import driver_class
from protocols.dictionary.entries import load_dictionary
from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.library.templates import Template, load_template
from protocols.text import Text
from protocols.validation import validate

OWN_FIELDS = {"name", "property", "unit", "scale", "offset"}
"""Fields of a point that a draft keeps under their own names."""


def draft_points(template: Template, score: float) -> list[DraftPoint]:
    """Return the points of a library template as drafts; what they mean is stated there, as surely as it fits."""
    model = f"{template.device.manufacturer} {template.device.model}"
    reason = Text(f"as the library says of the {model}", f"依据设备库：{model}")
    points = []
    for point in template.points:
        written = point.model_dump(mode="json", exclude_unset=True)
        points.append(
            DraftPoint(
                name=point.name,
                fields={key: value for key, value in written.items() if key not in OWN_FIELDS},
                unit=point.unit,
                scale=point.scale,
                offset=point.offset,
                code=point.property,
                confidence=max(score, 0.8) if point.property else 0.0,
                reason=reason if point.property else Text("the dictionary has no entry for it", "字典中没有对应条目"),
                said=point.description,
            )
        )
    return points


def point_table(point: DraftPoint) -> dict[str, Any]:
    """Return the [[device.point]] table of `point`; an entry nobody is sure of is left out of it."""
    table: dict[str, Any] = {"name": point.name}
    if point.sure:
        table["property"] = point.code
    if point.unit is not None:
        table["unit"] = point.unit
    if point.scale != 1.0:
        table["scale"] = point.scale
    if point.offset:
        table["offset"] = point.offset
    return table | point.fields


def device_table(machine: Machine) -> dict[str, Any]:
    """Return the [[device]] table of `machine`: its template where all is as the library says, else its points.

    Raises ConfigError where no point is left to collect.
    """
    head: dict[str, Any] = {"name": machine.name}
    kept = [point for point in machine.points if point.included]
    if not kept:
        raise ConfigError(
            Text(f"{machine.name}: no point is left to collect", f"{machine.name}：没有要采集的点"),
            Text("take in at least one point", "请至少保留一个点"),
        )
    tables = [point_table(point) for point in kept]
    if machine.template:
        template = load_template(machine.template)
        changes = _changes(template, machine.points)
        if changes is not None:
            table = head | {"template": machine.template} | machine.settings | {"connection": machine.connection}
            return table | ({"point": changes} if changes else {})
        connection = template.defaults | machine.connection
    else:
        connection = machine.connection
    return head | {"protocol": machine.protocol} | machine.settings | {"connection": connection, "point": tables}


def _changes(template: Template, points: Sequence[DraftPoint]) -> list[dict[str, Any]] | None:
    """Return what has to be written over the template's points; None if they are not all there under their names.

    A template cannot be told to have less than it has: then the points are written out.
    """
    stated = {point.name: point for point in draft_points(template, 1.0)}
    if [point.name for point in points if point.included] != list(stated):
        return None
    changes = []
    for point in points:
        old = point_table(stated[point.name])
        new = point_table(point)
        if old.keys() - new.keys():
            return None
        if different := {key: value for key, value in new.items() if old.get(key, ...) != value}:
            changes.append({"name": point.name} | different)
    return changes


def point_config(machine: Machine, point: DraftPoint) -> PointConfig:
    """Return `point` as its protocol's own model; raises ConfigError for an address or type that cannot be."""
    return validate(driver_class(machine.protocol).Point, point_table(point), point.name)


def device_config(machine: Machine, folder: Path, points: Sequence[DraftPoint] | None = None) -> DeviceConfig:
    """Return `machine` as a device that can be read, with `points` or all that are collected.

    `folder` is where the configuration lies. Raises ConfigError.
    """
    chosen = points if points is not None else [point for point in machine.points if point.included]
    defaults = load_template(machine.template).defaults if machine.template else {}
    connection = validate(
        driver_class(machine.protocol).Connection, defaults | machine.connection, machine.name, folder
    )
    return DeviceConfig(
        name=machine.name,
        protocol=machine.protocol,
        template=machine.template,
        equipment_class=machine.kind,
        period_s=float(machine.settings.get("period_s", 1.0)),
        connection=connection,
        points=tuple(point_config(machine, point) for point in chosen),
    )


def draft_is_sound(machine: Machine, point: DraftPoint) -> None:
    """Raise ConfigError if `point` as drafted cannot be read, or its unit does not suit its entry."""
    point_config(machine, point)
    if point.code is not None:
        entry = load_dictionary()[point.code]
        entry.conversion_from(point.unit or entry.unit)


def unit_suits(point: DraftPoint, code: str) -> bool:
    """Return whether the unit of `point`, where known, can be converted into that of the entry `code`."""
    entry = load_dictionary()[code]
    try:
        entry.conversion_from(point.unit or entry.unit)
    except ConfigError:
        return False
    return True


def needs_codes(point: DraftPoint, code: str) -> bool:
    """Return whether `code` has a list of values and nobody has said what the machine's own codes mean by it."""
    return bool(load_dictionary()[code].values) and "codes" not in point.fields
