"""Weighs what a device's answers say for and against one template of the library.

The weight of evidence is counted in bits: how much likelier an answer is from a device of this type than from any other
device, -log2 of the chance that registers of another meaning look the same. Three kinds of it: an address that exists
among addresses that do not; a value in the range of its property, the more the narrower that range is; laws of physics
that several values obey together. See docs of each function for the assumptions.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

from protocols.dictionary.entries import load_dictionary
from protocols.driver import PointConfig
from protocols.library.templates import Template
from protocols.modbus.config import BIT_TABLES, NUMBER_FORMATS, ModbusPoint
from protocols.reading import Value
from protocols.text import Text

LAW_BITS = 6.0
HINT_BITS = 4.0
TEXT_BITS = 6.0
ZERO_BITS = 0.3
_MOST_BITS = 6.0
"""No single value says more than this: a range may be wrong, or met by chance for a reason."""
_NEAR = 40
"""How many addresses around a point say whether the device answers at any address."""
_LEAST_SHARE = 1 / 24
_RARELY_ZERO = (
    "frequency_grid",
    "voltage_l1_n",
    "voltage_l1_l2",
    "dc_bus_voltage",
    "ambient_humidity",
    "product_model",
    "battery_voltage",
)
"""What a living device hardly ever shows as 0."""
_LIKELY = {
    **{f"voltage_l{k}_n": (80.0, 320.0) for k in (1, 2, 3)},
    **{f"voltage_l{a}_l{b}": (140.0, 720.0) for a, b in ((1, 2), (2, 3), (3, 1))},
    "dc_bus_voltage": (100.0, 1200.0),
    "ambient_humidity": (3.0, 100.0),
    "ambient_temperature": (-35.0, 70.0),
    "device_temperature": (-35.0, 110.0),
    "drive_temperature": (-35.0, 110.0),
}
"""Narrower than the dictionary's typical range, in its unit: what a device in service shows."""


class Sense(NamedTuple):
    """What the values say: the share of tests passed, 0..1, the bits gathered, and in words."""

    passed: float
    bits: float
    reasons: tuple[Text, ...]


class Survey:
    """Which addresses the device has, of all that were asked."""

    def __init__(self, templates: Sequence[Template], answers: Mapping[str, Mapping[str, Value]]) -> None:
        self._there: dict[str, dict[int, bool]] = {}
        for template in templates:
            values = answers[template.device.id]
            for table, words, there in _words(template, values):
                known = self._there.setdefault(table, {})
                for word in words:
                    known[word] = there or known.get(word, False)
        self._order = {table: sorted(known) for table, known in self._there.items()}

    def bits(self, template: Template, values: Mapping[str, Value]) -> float:
        """Return what the existence of the template's points says.

        Where every other address near a point exists too, its existence says nothing; where none does, a lot. Points
        that follow each other exist together, so that a run of them counts by the square root of its number.
        """
        own: dict[str, set[int]] = {}
        for table, words, _ in _words(template, values):
            own.setdefault(table, set()).update(words)
        found: dict[str, list[float]] = {}
        for table, words, there in _words(template, values):
            if there:
                found.setdefault(table, []).append(-math.log2(self._share(table, words[0], own[table])))
        return sum(sum(bits) / math.sqrt(len(bits)) for bits in found.values())

    def _share(self, table: str, address: int, own: set[int]) -> float:
        """Return the share of addresses near `address`, other than `own`, that exist; one is taken to exist."""
        known, order = self._there[table], self._order[table]
        near = order[bisect_left(order, address - _NEAR) : bisect_right(order, address + _NEAR)]
        others = [known[word] for word in near if word not in own]
        if len(others) < 4:  # nothing near was asked: take the whole table
            others = [there for word, there in known.items() if word not in own]
        return max((sum(others) + 0.5) / (len(others) + 1), _LEAST_SHARE)


def _words(template: Template, values: Mapping[str, Value]) -> list[tuple[str, range, bool]]:
    return [
        (table, range(first, after), point.name in values)
        for point in template.points
        if isinstance(point, ModbusPoint)
        for table, first, after in [_span(point)]
    ]


def _span(point: ModbusPoint) -> tuple[str, int, int]:
    if point.type in NUMBER_FORMATS:
        length = {"H": 1, "h": 1, "I": 2, "i": 2, "f": 2}.get(NUMBER_FORMATS[point.type], 4)
    else:
        length = point.length or 1
    return point.table, point.address, point.address + length


def sense(template: Template, values: Mapping[str, Value]) -> Sense:
    """Return what the values of the points that exist say; a value None is there but makes no sense.

    A zero is in many ranges and says little: it weighs a fifth, and a little against a template that expects more.
    """
    passed = total = bits = alive = 0.0
    wrong = []
    for point in template.points:
        if point.name not in values:
            continue
        value = values[point.name]
        blank = _blank(point, value)
        weight = 0.2 if blank else 1.0
        fits = sensible(point, value)
        if value is None:
            weight = 0.2 if point.model_dump().get("invalid") else 1.0
            fits = weight == 0.2
        elif blank and point.property in _RARELY_ZERO:
            weight, fits = 0.6, False
        total += weight
        passed += weight * fits
        alive += not blank
        if not fits:
            wrong.append(point.name)
        elif blank:
            bits -= ZERO_BITS * (not isinstance(value, bool))
        elif isinstance(point, ModbusPoint):
            bits += value_bits(point, value)
    reasons = []
    if wrong:
        listed = ", ".join(wrong[:3])
        reasons.append(
            Text(f"{len(wrong)} values outside their range: {listed}", f"{len(wrong)} 个值超出范围：{listed}")
        )
    for holds, law in laws([point for point in template.points if point.name in values], values):
        passed += 5.0 * holds
        total += 5.0
        bits += LAW_BITS * holds
        reasons.append(Text(f"{law} holds", f"{law} 成立") if holds else Text(f"{law} is broken", f"{law} 不成立"))
    bits += HINT_BITS * len(_hints(_known(template.points, values)))
    return Sense(passed / total if alive and total else 0.0, bits, tuple(reasons))


def _blank(point: PointConfig, value: Value) -> bool:
    """Return whether the registers behind the value hold nothing but zeros."""
    if isinstance(value, (bool, str)) or value is None:
        return not value
    if point.codes is not None:
        return point.codes.get(0) == value
    return abs(value - point.offset) <= 1e-9 * max(1.0, abs(point.offset))


def value_bits(point: ModbusPoint, value: Value) -> float:
    """Return what one sensible value that is not zero says."""
    if isinstance(value, str):
        return TEXT_BITS if len(value.strip()) > 3 else 1.0
    if isinstance(value, bool) or value is None or point.property is None:
        return 0.0
    return min(-math.log2(max(_chance(point), 2**-_MOST_BITS)), _MOST_BITS)


def _chance(point: ModbusPoint) -> float:
    """Return how often registers of another meaning would show a sensible value, given that they are not all 0.

    The assumption, of one register: half of them are 0; of the others half are small (up to 255), half are anything.
    """
    if point.table in BIT_TABLES or point.type == "bool" or point.property is None:
        return 1.0
    entry = load_dictionary().entry(point.property)
    codes = [*point.codes] if point.codes is not None else [*entry.values]
    if codes:
        known = [code for code in codes if code != 0]
        return 0.5 * sum(0 < code < 256 for code in known) / 255 + 0.5 * len(known) / 65535
    low, high = likely(point.property)
    factor, offset = entry.conversion_from(point.unit or entry.unit)
    factor, offset = factor * point.scale, factor * point.offset + offset
    return _chance_of_numbers(point.type, sorted(((low - offset) / factor, (high - offset) / factor)))


def _chance_of_numbers(kind: str, ends: Sequence[float]) -> float:
    """Return how often registers read as `kind` lie between the two `ends`, under the assumption of `_chance`."""
    if kind in {"float32", "float64"}:
        # Only registers that are anything make a normal number: a quarter; its exponent is one of 256 (or 2048).
        octaves = math.log2(max(abs(end) for end in ends) / 1e-6) if all(map(math.isfinite, ends)) else 128
        return 0.25 * min(max(octaves, 1) / 256, 1.0) * (1.0 if ends[0] < 0 else 0.5)
    signed = _overlap(ends, -32768, 32767)
    word = 0.5 * _overlap(ends, 1, 255) + 0.5 * (_overlap(ends, 1, 65535) if kind[0] == "u" else signed)
    more = {"16": 0, "32": 1, "64": 3}[kind[-2:]]
    if more == 0:
        return word
    return 0.5**more * word + (1 - 0.5**more) * _overlap(ends, 0, 2 ** (16 * more + 16))


def _overlap(ends: Sequence[float], low: float, high: float) -> float:
    return max(0.0, min(ends[1], high) - max(ends[0], low)) / (high - low)


def likely(code: str) -> tuple[float, float]:
    """Return between what values a device in service shows the property, in its unit."""
    entry = load_dictionary().entry(code)
    low = -math.inf if entry.typical_min is None else entry.typical_min
    high = math.inf if entry.typical_max is None else entry.typical_max
    return _LIKELY.get(code, (low, high))


def sensible(point: PointConfig, value: Value) -> bool:
    """Return whether the value is one that the point's property has."""
    if isinstance(value, bool) or value is None or isinstance(value, str) or point.property is None:
        return value is not None and value != ""
    entry = load_dictionary().entry(point.property)
    factor, offset = entry.conversion_from(point.unit or entry.unit)
    measured = value * factor + offset
    if entry.values:
        return measured in entry.values
    low, high = likely(point.property)
    slack = 0.05 * (high - low) if math.isfinite(high - low) else 0.0
    # A tiny float is what a wrong layout shows most often.
    return value == 0 or (low - slack <= measured <= high + slack and abs(measured) > 1e-6)


def laws(points: Sequence[PointConfig], values: Mapping[str, Value]) -> list[tuple[bool, str]]:
    """Return the laws of physics these points allow to test: whether each holds, and its name."""
    known = _known(points, values)
    return [*_laws_of_mains(known), *_laws_of_machines(known)]


def _known(points: Sequence[PointConfig], values: Mapping[str, Value]) -> dict[str, float]:
    """Return the numbers by property, in its unit; of several points of one property the first."""
    known: dict[str, float] = {}
    for point in points:
        value = values.get(point.name)
        if point.property and isinstance(value, (int, float)) and not isinstance(value, bool):
            entry = load_dictionary().entry(point.property)
            factor, offset = entry.conversion_from(point.unit or entry.unit)
            known.setdefault(point.property, value * factor + offset)
    return known


def _hints(known: Mapping[str, float]) -> list[str]:
    """Return what running machines mostly show though nothing forces them to; its absence says nothing."""
    found = []
    for name, one, other, near in (
        ("T ≈ setpoint", "process_temperature", "temperature_setpoint", 0.05),
        ("f ≈ setpoint", "output_frequency", "frequency_setpoint", 0.02),
    ):
        first, second = known.get(one), known.get(other)
        if first and second and abs(first - second) <= max(near * abs(second), 0.2):
            found.append(name)
    volts, hertz = known.get("output_voltage"), known.get("output_frequency")
    if volts and hertz and 3.5 < volts / hertz < 10:
        found.append("U / f")
    return found


def _laws_of_mains(known: Mapping[str, float]) -> list[tuple[bool, str]]:
    found = []
    total = known.get("active_power_total")
    phases = [known.get(f"active_power_l{k}") for k in (1, 2, 3)]
    if total and None not in phases:
        found.append((_near(total, sum(phase or 0.0 for phase in phases)), "P = P1 + P2 + P3"))
    for k, law in product((1, 2, 3), ("P = U × I × cos φ",)):
        u, i, p = (
            known.get(f"{code}_l{k}{end}") for code, end in (("voltage", "_n"), ("current", ""), ("active_power", ""))
        )
        cosine = known.get(f"power_factor_l{k}")
        if u and i and p and cosine:
            found.append((_near(abs(p) * 1e3, u * i * abs(cosine)), f"{law} (L{k})"))
        elif u and i and p:
            found.append((0.05 * u * i < abs(p) * 1e3 < 1.05 * u * i, f"P ≤ U × I (L{k})"))
    reactive, apparent = known.get("reactive_power_total"), known.get("apparent_power_total")
    if total and reactive and apparent:
        found.append((_near(abs(apparent), math.hypot(total, reactive)), "S² = P² + Q²"))
    voltages = [known.get(f"voltage_l{k}_n") or 0.0 for k in (1, 2, 3)]
    if all(voltages):
        found.append((max(voltages) < 1.25 * min(voltages), "U1 ≈ U2 ≈ U3"))
    if (line := known.get("voltage_l1_l2")) and (phase := known.get("voltage_l1_n")):
        found.append((1.6 < line / phase < 1.86 or 0.95 < line / phase < 1.05, "U12 = √3 × U1"))
    if frequency := known.get("frequency_grid"):
        found.append((45 <= frequency <= 65, "f = 50/60 Hz"))
    return found


def _laws_of_machines(known: Mapping[str, float]) -> list[tuple[bool, str]]:
    found = []
    u, i, p = (known.get(f"dc_{name}") for name in ("voltage", "current", "power"))
    if u and i and p:
        ratio = abs(p) * 1e3 / abs(u * i)
        found.append((any(abs(ratio - strings) < 0.1 for strings in (1, 2, 3, 4)), "Pdc = U × I"))
    speed = known.get("motor_speed") or known.get("pump_speed")
    frequency = known.get("output_frequency")
    if speed and frequency:
        poles = 60 * frequency / abs(speed)
        found.append((any(0.98 * pairs < poles < 1.15 * pairs for pairs in (1, 2, 3, 4)), "n = 60 × f / p"))
    if (power := known.get("output_power")) and (volts := known.get("output_voltage")):
        amperes = known.get("output_current") or known.get("motor_current")
        if amperes:
            share = abs(power) * 1e3 / (volts * amperes)
            found.append((0.1 < share < 1.8, "P ≤ √3 × U × I"))
    flow, pressure, power = (known.get(c) for c in ("flow_rate_volume", "differential_pressure", "active_power_total"))
    if flow and pressure and power:
        found.append((0.05 < flow * pressure / 36 / abs(power) < 0.95, "P > Δp × Q"))
    flow, heat = known.get("flow_rate_volume"), known.get("thermal_power")
    warm, cold = (known.get(f"chilled_water_{way}_temperature") for way in ("supply", "return"))
    if flow and heat and warm and cold:
        # water: 4.19 MJ/m3K at 20 °C, 4.08 at 80 °C; half that with antifreeze at most
        found.append((0.5 < abs(heat) / (1.13 * flow * abs(warm - cold) + 1e-9) < 1.1, "P = ρ × c × Q × ΔT"))
    return found


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 0.05 * max(abs(one), abs(other))
