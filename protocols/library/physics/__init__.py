"""What the simulated workshop does: values of every point of a template as a pure function of seed, start and instant.

Simulators in separate processes that are given the same seed and start agree on everything without talking: the meter
knows the power of the machines, a camera knows which parts are bad (`Moulder.part`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from protocols.dictionary.entries import Entry, load_dictionary
from protocols.dictionary.units import conversion
from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.library.physics.compressor import Compressor
from protocols.library.physics.drive import Drive
from protocols.library.physics.fluid import FlowMeter, Pump
from protocols.library.physics.load import Load, elapsed_us
from protocols.library.physics.meter import EnergyMeter
from protocols.library.physics.moulding import Moulder, Part
from protocols.library.physics.plausible import plausible_value
from protocols.library.physics.seeded import below, drift
from protocols.library.physics.solar import SolarInverter
from protocols.library.physics.supply import Battery, Ups
from protocols.library.physics.thermal import Chiller, Furnace
from protocols.library.templates import Template
from protocols.reading import Value
from protocols.text import Text

__all__ = ["Behaviour", "Compressor", "EnergyMeter", "Moulder", "Part", "behaviour"]

Behaviour = Callable[[int], Mapping[str, Value]]
"""Takes an instant (microseconds UTC), returns the engineering value of every point by name, in the point's own unit."""

_MACHINES: Mapping[str, type[Moulder] | type[Compressor]] = {"injection_moulding": Moulder, "compressor": Compressor}
"""Models whose power a meter can measure."""

_MODELS: Mapping[str, Callable[[int, int], Moulder | Compressor | Drive | Chiller | Furnace | Pump | FlowMeter]] = {
    **_MACHINES,
    "vfd": Drive,
    "chiller": Chiller,
    "furnace": Furnace,
    "pump": Pump,
    "sensor": FlowMeter,
}

_GENERATED = {"dc_power", "energy_generated_total"}
"""What an inverter measures and an uninterruptible supply, of the same class, does not."""


def behaviour(template: Template, seed: int, start_us: int, loads: Sequence[Template] = ()) -> Behaviour:
    """Return what a device of this type shows at any instant.

    The equipment class chooses the model; properties the model does not know, and classes without one, get believable
    values of their own. A sign of the template's fingerprint shows the first value it allows.
    `loads` are the machines whose power an energy
    meter measures, beside the workshop's own; raises ConfigError for loads without a power model or without a meter.
    """
    kind = template.device.equipment_class
    properties = {point.property for point in template.points}
    phases = 1 if "voltage_l1_n" in properties and "voltage_l2_n" not in properties else 3
    values: Behaviour
    if kind == "energy_meter":
        values = EnergyMeter(seed, start_us, [_load(load, seed, start_us) for load in loads], phases).values
    elif loads:
        raise ConfigError(
            Text(f"'{template.device.id}' is no energy meter", f"“{template.device.id}”不是电能表"),
            Text("give loads to an energy meter only", "只有电能表才能指定负载"),
            key="load",
        )
    elif kind == "inverter" and "battery_cell_voltage" in properties:
        cells = sum(point.property == "battery_cell_voltage" for point in template.points)
        values = Battery(seed, start_us, cells).values
    elif kind == "inverter" and "load_percent" in properties and not properties & _GENERATED:
        values = Ups(seed, start_us, phases).values
    elif kind == "inverter":
        values = SolarInverter(seed, start_us, phases).values
    elif kind in _MODELS:
        values = _MODELS[kind](seed, start_us).values
    else:
        values = _nothing

    signs: dict[str, Value] = {
        sign.point: sign.contains or sign.one_of[0]
        for sign in template.fingerprint.sign
        if sign.contains or sign.one_of
    }

    def at(now_us: int) -> dict[str, Value]:
        known = values(now_us)
        seconds = elapsed_us(start_us, now_us) / 1e6
        return {point.name: _value(point, known, template, seed, seconds) for point in template.points} | signs

    return at


def _load(template: Template, seed: int, start_us: int) -> Load:
    machine = _MACHINES.get(template.device.equipment_class)
    if machine is None:
        known = ", ".join(_MACHINES)
        raise ConfigError(
            Text(f"the power of '{template.device.id}' cannot be simulated", f"无法模拟“{template.device.id}”的功率"),
            Text(f"choose a device of one of the classes {known}", f"请选择以下类别的设备：{known}"),
            key="load",
        )
    return machine(seed, start_us)


def _nothing(_: int) -> dict[str, Value]:
    return {}


def _value(point: PointConfig, known: Mapping[str, Value], template: Template, seed: int, seconds: float) -> Value:
    """Return the value of one point: of the model, of the template's head, or a believable one; in the point's unit.

    Several points of one property are told apart by the number their names end in: "zone 2" is the second zone.
    """
    if point.property is None:
        return 50.0 + 50.0 * drift(seed, point.name, seconds, 60.0)
    entry = load_dictionary().entry(point.property)
    number = re.search(r"\d+$", point.name)
    value = known.get(f"{point.property}.{number[0]}") if number else None
    if value is None:
        value = known.get(point.property)
    if value is None:
        value = _identity(template, seed).get(point.property)
    if value is None:
        value = plausible_value(entry, point.name, seed, seconds)
    if point.codes is not None and value not in point.codes.values():
        value = max(point.codes.values())
    return _in_unit(value, entry, point.unit)


def _identity(template: Template, seed: int) -> dict[str, str]:
    return {
        "manufacturer_name": template.device.manufacturer,
        "product_model": template.device.model,
        "serial_number": f"S{below(10**6, seed, template.device.id):06d}",
        "firmware_version": "1.4.2",
    }


def _in_unit(value: Value, entry: Entry, unit: str | None) -> Value:
    if unit is None or unit == entry.unit or value is None or isinstance(value, (bool, str)):
        return value
    factor, offset = conversion(entry.unit, unit, difference=entry.quantity_kind == "temperature_difference")
    return value * factor + offset
