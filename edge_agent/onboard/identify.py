"""Tells which template of the library a Modbus device is, from what it says and from what its registers hold.

A template fits when its registers exist and their values make sense together: inside the range of the dictionary
entry each one is mapped to, and obeying P = U I cos phi and P = P1 + P2 + P3 where the template has these points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from protocols.dictionary.entries import load_dictionary
from protocols.driver import PointConfig
from protocols.library.templates import Template, load_template, template_ids
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.driver import ModbusDriver
from protocols.modbus.identification import identification
from protocols.reading import Value
from protocols.text import Text


class Match(NamedTuple):
    """How well a template fits: score 0..1, and why."""

    template: str
    name: Text
    score: float
    reasons: tuple[Text, ...]


class Identified(NamedTuple):
    """What a device says of itself, and the templates that fit, best first."""

    identity: dict[str, str]
    matches: list[Match]


async def identify(device: str, connection: ModbusConnection, advance: Callable[[], None] = lambda: None) -> Identified:
    """Ask the device who it is and try every Modbus template of the library on it; reads only.

    `advance` is called after the question and after each template. Raises Unreachable or Malformed as soon as the
    device answers nothing or nonsense: the rest of the library is then not tried.
    """
    identity = await identification(device, connection)
    advance()
    matches = []
    for template in modbus_templates():
        values = await _read(device, connection, template)
        match = judge(template, values, identity)
        if match.score > 0.1:
            matches.append(match)
        advance()
    return Identified(identity, sorted(matches, key=lambda match: -match.score))


def modbus_templates() -> list[Template]:
    """Return the library's Modbus templates."""
    templates = [load_template(name) for name in template_ids()]
    return [template for template in templates if template.device.protocol == "modbus"]


async def _read(device: str, connection: ModbusConnection, template: Template) -> dict[str, Value]:
    """Return the value of each point the device has; those it does not have are missing."""
    points = [point for point in template.points if isinstance(point, ModbusPoint)]
    driver = ModbusDriver(device, connection, points)
    try:
        await driver.open()
        readings = await driver.read(points)
    finally:
        await driver.close()
    return {reading.point: reading.value for reading in readings if reading.quality.good}


def judge(template: Template, values: Mapping[str, Value], identity: Mapping[str, str]) -> Match:
    """Return how well `values`, by point name, and `identity` fit `template`.

    The score is the share of points that exist, times the square of the share of tests of sense passed, of which
    the values not zero count in full. A sign of the fingerprint that holds lifts the score to 0.9 at least, one that does
    not takes four fifths of it away; a device that names this type in its identification is at 0.95 at least.
    """
    points = template.points
    there = [point for point in points if point.name in values]
    exists = len(there) / len(points)
    reasons = [Text(f"{len(there)} of {len(points)} points exist", f"{len(points)} 个点中存在 {len(there)} 个")]
    sensible = [_sensible(point, values[point.name]) for point in there]
    # A zero is inside many ranges and says little.
    weights = [1.0 if values[point.name] else 0.2 for point in there]
    passed = sum(weight for weight, fits in zip(weights, sensible, strict=True) if fits)
    wrong = [point.name for point, fits in zip(there, sensible, strict=True) if not fits]
    if wrong:
        listed = ", ".join(wrong[:3])
        reasons.append(
            Text(f"{len(wrong)} values outside their range: {listed}", f"{len(wrong)} 个值超出范围：{listed}")
        )
    laws = list(_laws(there, values))
    for holds, law in laws:
        passed += 5.0 * holds
        weights.append(5.0)
        reasons.append(Text(f"{law} holds", f"{law} 成立") if holds else Text(f"{law} is broken", f"{law} 不成立"))
    alive = sum(weight == 1.0 for weight in weights)
    sense = passed / sum(weights) if alive else 0.0
    score = exists * sense**2
    for sign in template.fingerprint.sign:
        holds = sign.holds(values.get(sign.point))
        score = max(score, 0.9) if holds else 0.2 * score
        shown = values.get(sign.point)
        reasons.insert(
            0,
            Text(f"{sign.point} = {shown}, as this type shows", f"{sign.point} = {shown}，符合该型号特征")
            if holds
            else Text(f"{sign.point} is not what this type shows", f"{sign.point} 与该型号特征不符"),
        )
    named = _named(template, identity)
    if named is not None:
        reasons.insert(0, named)
        score = max(score, 0.95)
    return Match(template.device.id, template.device.name, round(score, 3), tuple(reasons))


def _named(template: Template, identity: Mapping[str, str]) -> Text | None:
    """Return the reason where the device names this type: a text of its fingerprint, or its model and manufacturer."""
    said = " ".join(identity.values()).lower()
    device = template.device
    texts = [text for text in template.fingerprint.identification if text.lower() in said]
    model = device.model.lower()
    if not texts and len(model) > 3 and model in said and device.manufacturer.split()[0].lower() in said:
        texts = [device.model]
    if not texts:
        return None
    return Text(f"it says '{texts[0]}' of itself", f"设备自报标识中有“{texts[0]}”")


def _sensible(point: PointConfig, value: Value) -> bool:
    if isinstance(value, bool) or value is None or isinstance(value, str) or point.property is None:
        return value is not None and value != ""
    entry = load_dictionary().entry(point.property)
    factor, offset = entry.conversion_from(point.unit or entry.unit)
    measured = value * factor + offset
    if entry.values:
        return measured in entry.values
    low = -math.inf if entry.typical_min is None else entry.typical_min
    high = math.inf if entry.typical_max is None else entry.typical_max
    slack = 0.05 * (high - low) if math.isfinite(high - low) else 0.0
    # A tiny float is what a wrong layout shows most often.
    return low - slack <= measured <= high + slack and (measured == 0 or abs(measured) > 1e-6)


def _laws(points: Sequence[PointConfig], values: Mapping[str, Value]) -> list[tuple[bool, str]]:
    """Return the laws this template's points allow to test: whether each holds, and its name."""
    dictionary = load_dictionary()
    known: dict[str, float] = {}
    for point in points:
        value = values[point.name]
        if point.property and isinstance(value, (int, float)) and not isinstance(value, bool):
            entry = dictionary.entry(point.property)
            factor, offset = entry.conversion_from(point.unit or entry.unit)
            known.setdefault(point.property, value * factor + offset)
    laws = []
    total = known.get("active_power_total")
    phases = [known.get(f"active_power_l{k}") for k in (1, 2, 3)]
    if total and None not in phases:
        laws.append((_near(total, sum(phase or 0.0 for phase in phases)), "P = P1 + P2 + P3"))
    for k, law in product((1, 2, 3), ("P = U × I × cos φ",)):
        u, i, p = (
            known.get(f"{code}_l{k}{end}") for code, end in (("voltage", "_n"), ("current", ""), ("active_power", ""))
        )
        cosine = known.get(f"power_factor_l{k}")
        if u and i and p and cosine:
            laws.append((_near(abs(p) * 1e3, u * i * abs(cosine)), f"{law} (L{k})"))
    if frequency := known.get("frequency_grid"):
        laws.append((45 <= frequency <= 65, "f = 50/60 Hz"))
    return laws


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 0.05 * max(abs(one), abs(other))
