"""Drafts a device template from a point list: addresses, types and units as they stand there, meanings where sure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.onboard.point_address import BIT_TABLES, Numbering, is_node, is_unclear, parse_address, unclear
from edge_agent.onboard.point_list import Point, PointList
from edge_agent.onboard.propose import SURE, propose
from edge_agent.onboard.propose_lexicon import load_lexicon
from protocols.dictionary.entries import load_dictionary
from protocols.errors import ConfigError
from protocols.library.templates import parse_template
from protocols.text import Text

_TYPES: Mapping[str, tuple[str, ...]] = {
    "uint16": ("uint16", "u16", "word", "ushort", "uint", "unsigned", "unsigned short", "无符号整数", "无符号16位"),
    "int16": ("int16", "s16", "i16", "short", "int", "integer", "signed", "signed short", "有符号整数", "有符号16位"),
    "uint32": ("uint32", "u32", "dword", "ulong", "udint", "unsigned long", "无符号32位"),
    "int32": ("int32", "s32", "i32", "long", "dint", "signed long", "有符号32位"),
    "uint64": ("uint64", "u64", "qword", "ulint"),
    "int64": ("int64", "s64", "i64", "lint"),
    "float32": ("float32", "float", "real", "f32", "single", "浮点", "浮点数", "单精度浮点"),
    "float64": ("float64", "double", "lreal", "f64", "双精度浮点"),
    "bool": ("bool", "boolean", "bit", "位", "布尔"),
}
_TYPE_OF = {word: kind for kind, words in _TYPES.items() for word in words}


def draft_template(found: PointList, head: Mapping[str, str], numbering: Numbering | None) -> tuple[str, list[Text]]:
    """Return the draft as TOML, and what a person has to look at in it.

    Args:
        found: the point list.
        head: id, manufacturer, model, equipment_class and source of the template.
        numbering: what plain Modbus numbers mean.

    Raises ConfigError naming each address that cannot be understood, or asking for the numbering where it is not clear.
    """
    protocol = "opcua" if all(is_node(point.address) for point in found.points) else "modbus"
    if protocol == "modbus":
        _check_modbus(found.points, numbering)
    proposals = propose(found)
    notes: list[Text] = []
    names: set[str] = set()
    tables = []
    for point in found.points:
        if point.access == "w":
            notes.append(Text(f"{point.address}: write-only, left out", f"{point.address}：只写点，已略去"))
            continue
        name = (point.name or point.description).strip()
        table: dict[str, Any] = {"name": name if name not in names else f"{name} {point.address}"}
        names.add(name)
        table |= _meaning(point, proposals[point.address].property, proposals[point.address].confidence, notes)
        if protocol == "opcua":
            table["node"] = point.address.strip()
        else:
            table |= _register(point, numbering or "plain", notes)
        if point.scale not in {None, 0.0, 1.0}:
            table["scale"] = point.scale
        if point.description and point.description != name:
            table["description"] = point.description
        tables.append(table)
    text = _toml({**head, "protocol": protocol}, tables)
    parse_template(text, "draft")
    return text, notes


def _check_modbus(points: Sequence[Point], numbering: Numbering | None) -> None:
    wrong = []
    for point in points:
        try:
            parse_address("modbus", point.address)
        except ConfigError:
            wrong.append(point.address)
    if wrong:
        listed, more = ", ".join(wrong[:5]), f" (+{len(wrong) - 5})" if len(wrong) > 5 else ""
        raise ConfigError(
            Text(f"no Modbus or OPC UA address: {listed}{more}", f"不是 Modbus 或 OPC UA 地址：{listed}{more}"),
            Text(
                "write holding:100, input:0x1E, coil:5, 100.3 or nsu=<URI>;s=<name>",
                "请写成 holding:100、input:0x1E、coil:5、100.3 或 nsu=<URI>;s=<名称>",
            ),
            key="address",
        )
    plain = [point.address for point in points if ":" not in point.address]
    if numbering is None and plain and all(is_unclear(address) for address in plain):
        raise unclear(plain[0])


def _register(point: Point, numbering: Numbering, notes: list[Text]) -> dict[str, Any]:
    fields = parse_address("modbus", point.address, numbering)
    if fields["table"] in BIT_TABLES or "bit" in fields:
        return fields
    kind = type_named(point.datatype)
    if kind == "bool":
        notes.append(Text(f"{point.address}: bit taken as 0", f"{point.address}：按第 0 位处理"))
        return fields | {"bit": 0}
    if kind is None:
        said = point.datatype or "-"
        notes.append(
            Text(f"{point.address}: type '{said}' taken as uint16", f"{point.address}：类型“{said}”按 uint16 处理")
        )
    return fields | {"type": kind or "uint16"}


def type_named(written: str) -> str | None:
    """Return the Modbus type that a list calls `written` ("REAL", "无符号整数"); None where it is not known."""
    return _TYPE_OF.get(written.strip().casefold().replace("_", " "))


def _meaning(point: Point, code: str | None, confidence: float, notes: list[Text]) -> dict[str, Any]:
    """Return property and unit; a proposal that is not sure, or that the unit contradicts, is left to a person."""
    unit = load_lexicon().unit_code(point.unit) if point.unit else None
    if point.unit and unit is None:
        notes.append(Text(f"{point.address}: unknown unit '{point.unit}'", f"{point.address}：未知单位“{point.unit}”"))
    known = {"unit": unit} if unit else {}
    if code is None or confidence < SURE or (point.unit and unit is None):
        return known
    entry = load_dictionary()[code]
    if entry.values:
        notes.append(Text(f"{point.address}: give codes for '{code}'", f"{point.address}：请为“{code}”填写 codes"))
        return known
    try:
        entry.conversion_from(unit or entry.unit)
    except ConfigError:
        return known
    if unit is None and entry.unit != "C62":
        notes.append(Text(f"{point.address}: unit taken as {entry.unit}", f"{point.address}：单位按 {entry.unit} 处理"))
        known = {"unit": entry.unit}
    return {"property": code} | known


def _toml(head: Mapping[str, str], tables: Sequence[Mapping[str, Any]]) -> str:
    name = json.dumps(head["model"], ensure_ascii=False)
    lines = ["[device]", f"id = {json.dumps(head['id'])}", "version = 1"]
    lines += [
        f"{key} = {json.dumps(head[key], ensure_ascii=False)}"
        for key in ("manufacturer", "model", "equipment_class", "protocol", "source")
    ]
    lines.append(f"name = {{ en = {name}, zh = {name} }}")
    for table in tables:
        lines += [
            "",
            "[[point]]",
            *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()),
        ]
    return "\n".join(lines) + "\n"
