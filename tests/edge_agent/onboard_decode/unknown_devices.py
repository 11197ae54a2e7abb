"""Simulated devices nobody has a template of, made from the development maps: their layout, believable values.

Two kinds of values: `workshop` moves quantities together as physics does; `library` takes each from
`protocols.library.physics`, every point on its own where that room has no model of the machine.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.onboard.decode import Proposal, Snapshots, decode
from protocols.dictionary.entries import load_dictionary
from protocols.library.physics import behaviour
from protocols.library.physics.meter import EnergyMeter
from protocols.library.physics.plausible import plausible_value
from protocols.library.physics.seeded import drift, unit_interval
from protocols.library.templates import Template
from protocols.modbus.codec import encode
from protocols.modbus.config import ModbusPoint, Table
from protocols.reading import Value

MAPS = Path(__file__).parents[4] / "shared" / "data" / "device-maps"
_NOT_NUMERIC = {"machine_state", "fault_code", "alarm_code", "operating_mode", "device_address", "firmware_version"}
_UNITS = {"W": 1e-3, "kW": 1.0, "Kw": 1.0, "var": 1e-3, "kVar": 1.0, "VA": 1e-3, "Min": 1 / 60, "kHz": 1e-3}
"""What a value in the dictionary's unit is divided by to be in the map's unit (the dictionary has kW, kvar, kVA)."""


class UnknownDevice:
    """One device of the maps. `points` are the truth; `units` the map's unit of each."""

    def __init__(self, file: Path) -> None:
        written = json.loads(file.read_text(encoding="utf-8"))
        self.id = file.stem
        self.kind: str = written["kind"]
        self.points: list[ModbusPoint] = []
        self.units: dict[str, str] = {}
        self.gold: dict[str, str] = {}
        low_first = written.get("word_order") == "low-first"
        for number, row in enumerate(written["points"]):
            found = re.fullmatch(r"(holding|input):(\w+)", row["address"])
            if not found or row["datatype"] in {"bool", "bit", "string"}:
                continue
            name = f"{number} {row['name']}"
            order = "CDAB" if row.get("word_order", "low-first" if low_first else "") == "low-first" else "ABCD"
            point = ModbusPoint.model_validate(
                {
                    "name": name,
                    "table": found[1],
                    "address": found[2],
                    "type": "uint16" if row["datatype"] == "uint8" else row["datatype"],
                    "order": order if row["datatype"][-2:] in {"32", "64"} else "ABCD",
                    "scale": row["scale"] or 1.0,
                }
            )
            self.points.append(point)
            self.units[name] = row["unit"]
            self.gold[name] = row["gold"]

    def numeric(self, point: ModbusPoint) -> bool:
        gold = self.gold[point.name]
        return gold not in _NOT_NUMERIC and not gold.endswith(("_word", "_status", "_command", "_address"))

    def registers(self, values: Callable[[float], dict[str, Value]], seconds: float) -> dict[Table, dict[int, int]]:
        """Return table -> address -> register as the device would answer at this instant."""
        tables: dict[Table, dict[int, int]] = {}
        present = values(seconds)
        for point in self.points:
            words = struct.unpack(f">{point.width}H", _encoded(point, present[point.name]))
            tables.setdefault(point.table, {}).update(enumerate(words, point.address))
        return tables

    def library(self, seed: int) -> Callable[[float], dict[str, Value]]:
        meter = EnergyMeter(seed, 0).values
        dictionary = load_dictionary()

        def at(seconds: float) -> dict[str, Value]:
            known = meter(round(seconds * 1e6)) if self.kind == "energy_meter" else {}
            found: dict[str, Value] = {}
            for point in self.points:
                gold = self.gold[point.name]
                if gold == "none":
                    value: Value = 50.0 + 50.0 * drift(seed, point.name, seconds, 60.0)
                else:
                    value = known.get(gold)
                    if value is None:
                        value = plausible_value(dictionary.entry(gold), point.name, seed, seconds)
                    if isinstance(value, float) and gold != "none":
                        value /= _UNITS.get(self.units[point.name], 1.0)
                found[point.name] = 0.0 if isinstance(value, (str, bool)) else value
            return found

        return at

    def snapshots(self, values: Callable[[float], dict[str, Value]], count: int = 120) -> dict[Table, Snapshots]:
        """Return what the device holds once a second: table -> (seconds, registers)."""
        shots: dict[Table, list[tuple[float, dict[int, int]]]] = {}
        for second in range(count):
            for table, held in self.registers(values, float(second)).items():
                shots.setdefault(table, []).append((float(second), held))
        return dict(shots)

    def workshop(self, seed: int) -> Callable[[float], dict[str, Value]]:
        def at(seconds: float) -> dict[str, Value]:
            return {point.name: self._coherent(point, seed, seconds) for point in self.points}

        return at

    def _coherent(self, point: ModbusPoint, seed: int, seconds: float) -> Value:
        gold, unit, label = self.gold[point.name], self.units[point.name], point.name.lower()
        if self.kind == "energy_meter":
            return _meter_value(gold, unit, label, seed, seconds)
        if self.kind in {"vfd"}:
            found = _drive_value(gold, unit, label, seed, seconds)
        elif self.kind == "inverter":
            found = _inverter_value(gold, unit, label, seed, seconds)
        else:
            found = None
        return found if found is not None else _single_value(gold, unit, label, seed, seconds)


def devices() -> Iterator[UnknownDevice]:
    for file in sorted(MAPS.glob("*.json")):
        if "modbus" in json.loads(file.read_text(encoding="utf-8"))["protocol"]:
            device = UnknownDevice(file)
            if device.points:
                yield device


@dataclass
class Score:
    """Of the live numeric points of a device: how many, and how many were read rightly.

    layout: address, type and order right, where signed and unsigned count as one if no sign bit was ever set.
    strict: the same with the sign as the map has it. right: layout and scale (unit included) right.
    """

    live: int = 0
    layout: int = 0
    strict: int = 0
    right: int = 0
    wrong: list[str] = field(default_factory=list)

    def __add__(self, other: Score) -> Score:
        return Score(
            self.live + other.live,
            self.layout + other.layout,
            self.strict + other.strict,
            self.right + other.right,
            self.wrong + other.wrong,
        )


def judge(device: UnknownDevice, shots: Mapping[Table, Snapshots]) -> Score:
    """Decode `shots` of `device` and hold the proposals against its map."""
    found = {(p.point.table, p.point.address): p for p in decode(shots)}
    score = Score()
    for point in device.points:
        columns = {tuple(held[point.address + i] for i in range(point.width)) for _, held in shots[point.table]}
        if not device.numeric(point) or len(columns) == 1:
            continue
        score.live += 1
        proposal = found.get((point.table, point.address))
        layout = proposal is not None and _same_layout(point, proposal, columns)
        right = layout and proposal is not None and _same_scale(device, point, proposal)
        score.layout += layout
        score.strict += layout and proposal is not None and proposal.point.type == point.type
        score.right += right
        if not right:
            shown = (
                f"{proposal.point.type} {proposal.point.order} x {proposal.point.scale:g} {proposal.quantity.en}"
                if proposal
                else "no point there"
            )
            score.wrong.append(f"{point.name}: {point.type} {point.order} x {point.scale:g}, proposed {shown}")
    return score


def _same_layout(point: ModbusPoint, proposal: Proposal, columns: set[tuple[int, ...]]) -> bool:
    found = proposal.point
    if found.order != point.order:
        return False
    first = -1 if point.order in {"CDAB", "DCBA"} else 0
    negative = any(registers[first] & 0x8000 for registers in columns)
    return found.type == point.type or (not negative and found.type.lstrip("u") == point.type.lstrip("u"))


def _same_scale(device: UnknownDevice, point: ModbusPoint, proposal: Proposal) -> bool:
    kilo = {"KWT": 1e3, "KVA": 1e3, "KVR": 1e3}
    written = {"kW": 1e3, "Kw": 1e3, "kVar": 1e3, "kvar": 1e3}
    found = proposal.point.scale * kilo.get(proposal.point.unit or "", 1.0)
    power = proposal.point.unit in {*kilo, "WTT", "D44", "D46"}
    wanted = point.scale * (written.get(device.units[point.name], 1.0) if power else 1.0)
    return math.isclose(found, wanted, rel_tol=0.01)


def judge_template(template: Template, seed: int) -> Score:
    """Decode two minutes of a device of the library, with the values its simulator serves, as if nothing were known."""
    values = behaviour(template, seed, 10**9)
    points = [p for p in template.points if isinstance(p, ModbusPoint) and p.table in {"holding", "input"}]
    points.sort(key=lambda p: p.bit is not None)
    shots: dict[Table, list[tuple[float, dict[int, int]]]] = {}
    for second in range(120):
        present = values(10**9 + second * 10**6)
        tables: dict[Table, dict[int, int]] = {}
        for point in points:
            held = tables.setdefault(point.table, {})
            words = struct.unpack(f">{point.width}H", _encoded(point, present[point.name]))
            if point.bit is not None:
                words = (words[0] | held.get(point.address, 0),)
            held.update(enumerate(words, point.address))
        for table, held in tables.items():
            shots.setdefault(table, []).append((float(second), held))
    found = {(p.point.table, p.point.address): p for p in decode(dict(shots))}
    score = Score()
    for point in points:
        columns = {tuple(held[point.address + i] for i in range(point.width)) for _, held in shots[point.table]}
        if point.type in {"bool", "string"} or len(columns) == 1:
            continue
        proposal = found.get((point.table, point.address))
        layout = proposal is not None and _same_layout(point, proposal, columns)
        right = layout and proposal is not None and _same_size(point, proposal.point)
        score += Score(
            1, int(layout), int(layout and found[point.table, point.address].point.type == point.type), right
        )
        if not right:
            score.wrong.append(f"{template.device.id} {point.name}: {proposal.point if proposal else None}")
    return score


def _encoded(point: ModbusPoint, value: Value) -> bytes:
    try:
        return encode(point, value)
    except ValueError:
        return bytes(2 * point.width)


def _same_size(wanted: ModbusPoint, found: ModbusPoint) -> bool:
    """Whether both scales give the same quantity; where either has no unit, the bare scales are compared."""
    size = {"KWT": 1e3, "KVA": 1e3, "KVR": 1e3, "WHR": 1e-3, "MWH": 1e3, "4K": 1e-3, "2Z": 1e-3, "KVT": 1e3}
    factors = (1.0, 1.0)
    if wanted.unit and found.unit:
        factors = size.get(wanted.unit, 1.0), size.get(found.unit, 1.0)
    return math.isclose(found.scale * factors[1], wanted.scale * factors[0], rel_tol=0.01)


def _meter_value(gold: str, unit: str, label: str, seed: int, seconds: float) -> Value:
    known: dict[str, Any] = EnergyMeter(seed, 0).values(round(seconds * 1e6))
    value = known.get(gold)
    if value is None:
        phase = re.search(r"l([123])$", label)
        k = phase[1] if phase else ""
        p = known[f"active_power_l{k}"] if k else known["active_power_total"]
        s = known[f"voltage_l{k}_n"] * known[f"current_l{k}"] / 1e3 if k else known["apparent_power_total"]
        if "phaseangle" in label:
            value = math.degrees(math.acos(known["power_factor_total"]))
        elif "apparent" in label:
            value = s
        elif "export" in label:
            value = 0.0
        elif "reactive" in label:
            power = math.sqrt(max(s * s - p * p, 0.0))
            rising = known["energy_reactive_import"] - 8000
            value = 5000 + rising * power / known["reactive_power_total"] if "var" in unit and "h" in unit else power
        elif "import" in label or "sum" in label:
            value = 9000 + (known["energy_active_import"] % 10000) / 3
        elif "thd" in label:
            value = 2.1 + 0.3 * drift(seed, label, seconds, 20.0)
        elif "voltage" in label:
            value = (known["voltage_l1_l2"] + known["voltage_l2_l3"] + known["voltage_l3_l1"]) / 3
        elif "current" in label:
            value = (known["current_l1"] + known["current_l2"] + known["current_l3"]) / 3
        else:
            raise AssertionError(label)
    return value / _UNITS.get(unit, 1.0)


def _drive_value(gold: str, unit: str, label: str, seed: int, seconds: float) -> float | None:
    """A 7.5 kW pump motor on a drive: 4 poles, 400 V at 50 Hz, torque with the square of the speed."""
    wanted = 40.0
    frequency = wanted + 3.0 * drift(seed, "drive/f", seconds, 25.0)
    share = frequency / 50.0
    torque = 85.0 * share**2 * (1 + 0.05 * drift(seed, "drive/load", seconds, 9.0))
    power = 7.5 * share * torque / 100.0
    voltage = 400.0 * share
    current = power * 1e3 / (math.sqrt(3) * voltage * 0.83)
    heat = 42.0 + 4.0 * drift(seed, "drive/heat", seconds, 90.0)
    known = {
        "output_frequency": frequency,
        "frequency_setpoint": wanted,
        "motor_speed": 30.0 * frequency * (1 - 0.03 * torque / 100),
        "output_current": current,
        "motor_torque_percent": torque,
        "motor_power_percent": share * torque,
        "output_voltage": voltage,
        "output_power": power * (1e3 if unit == "W" else 1.0),
        "dc_bus_voltage": 543.0 + 6.0 * drift(seed, "drive/bus", seconds, 5.0),
        "drive_temperature": heat,
        "motor_thermal_load": 40.0 + 8.0 * drift(seed, "drive/thermal", seconds, 60.0),
        "analog_input_value": (80.0 if unit == "%" else 8.0) + 0.4 * drift(seed, label, seconds, 15.0),
        "pid_feedback": 62.0 + 2.0 * drift(seed, "drive/pid", seconds, 15.0),
        "pid_setpoint": 62.0,
        "control_output_percent": 100 * share,
    }
    if gold in known:
        return known[gold]
    if "frequency (%)" in label or "频率（%）" in label or "motor speed (%)" in label:
        return 100 * (wanted if "设定" in label else frequency) / 50
    if "反馈速度" in label:
        return frequency
    if "目标转矩" in label:
        return torque
    if "pi error" in label:
        return -2.0 * drift(seed, "drive/pid", seconds, 15.0)
    if "功率因数角度" in label:
        return math.degrees(math.acos(0.83)) + drift(seed, label, seconds, 20.0)
    if "当前" in label and "时间" in label:
        return 312.0 + seconds / 60
    return None


def _inverter_value(gold: str, unit: str, label: str, seed: int, seconds: float) -> float | None:
    """A 50 kW photovoltaic inverter at half its power: two strings, 230 V phases."""
    sun = 1 + 0.12 * drift(seed, "sun", seconds, 20.0)
    strings = [(612.0 + 9 * drift(seed, f"u{k}", seconds, 15.0), (20.5 + k) * sun) for k in range(2)]
    dc = sum(u * i for u, i in strings)
    efficiency = 97.8 + 0.4 * drift(seed, "eta", seconds, 30.0)
    ac = dc * efficiency / 100
    cos = 0.985 + 0.008 * drift(seed, "cos", seconds, 30.0)
    known = {
        "udc1": strings[0][0],
        "idc1": strings[0][1],
        "udc2": strings[1][0],
        "idc2": strings[1][1],
        "pdc": dc,
        "pac": ac / 1e3,
        "qac": -math.sqrt(1 / cos**2 - 1) * ac / 1e3,
        "cos": cos,
        "ia": ac / cos / 3 / 231.0,
        "ib": ac / cos / 3 / 229.0,
        "ic": ac / cos / 3 / 232.0,
        "xiaolv": efficiency,
        "frequency": 50.0 + 0.03 * drift(seed, "f", seconds, 12.0),
        "insideairtemperature": 47.0 + 2.0 * drift(seed, "t", seconds, 80.0),
        "dailypowergeneration": 120.0 + dc * seconds / 3.6e6,
    }
    return known.get(label.partition(" ")[2])


def _single_value(gold: str, unit: str, label: str, seed: int, seconds: float) -> Value:
    """A quantity without partners on this device, by its name and unit; set values stand still."""
    noise = drift(seed, label, seconds, 40.0)
    if gold == "dew_point_temperature" or gold in {"ambient_temperature", "ambient_humidity"}:
        air = 24.0 + 0.9 * drift(seed, "air", seconds, 60.0)
        humidity = 52.0 + 3.0 * drift(seed, "humidity", seconds, 45.0)
        gamma = math.log(humidity / 100) + 17.62 * air / (243.12 + air)
        return {"ambient_temperature": air, "ambient_humidity": humidity}.get(gold, 243.12 * gamma / (17.62 - gamma))
    level = unit_interval(seed, label)
    still = re.search(r"set ?p|setting|limit|band|reset|rate|mode|type|alarm|version|rev|serial|year|month|hour", label)
    if still or "设定" in label or gold in _NOT_NUMERIC or gold == "none":
        return float(round(10 + 50 * level))
    entry = load_dictionary().entry(gold)
    if "temperature" in gold or entry.unit == "CEL":
        return 15.0 + 35.0 * level + 0.8 * noise
    value = plausible_value(entry, label, seed, seconds)
    return 0.0 if isinstance(value, (str, bool)) else value
