"""Which of an equipment's values a manager looks for first, and what state they add up to.

The lists name dictionary entries, most telling first; an equipment shows those it has. Equipment of a class that is not
listed shows what every machine may have, then its points in their own order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, TypeVar

from cloud.web.words import ALARM, FAULT, IDLE, ONLINE, RUNNING, STOPPED, Mark
from protocols.reading import Quality

LEADING: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "injection_moulding": (
            *("cycle_time", "part_count_good", "part_count_reject", "active_power_total", "melt_temperature"),
            *("mould_temperature", "injection_pressure_max", "clamp_force", "cycle_count_total"),
        ),
        "energy_meter": (
            *("active_power_total", "energy_active_import", "power_factor_total", "voltage_l1_n", "current_l1"),
            *("frequency_grid", "apparent_power_total"),
        ),
        "compressor": (
            *("discharge_pressure", "active_power_total", "motor_speed", "discharge_temperature", "load_percent"),
            *("operating_hours_total", "energy_active_import"),
        ),
        "machine_health": ("machine_health_verdict", "machine_health_score"),
        "inspection_station": ("inspection_verdict", "inspection_score", "inspection_latency"),
        "vfd": ("motor_speed", "output_power", "output_current", "output_frequency", "motor_torque_percent"),
        "cnc": ("part_count_total", "cycle_time", "spindle_speed", "spindle_load", "feed_rate", "program_name_active"),
    }
)
ANY_MACHINE = (
    *("part_count_good", "part_count_total", "part_count_reject", "cycle_time", "active_power_total", "load_percent"),
    *("process_temperature", "gauge_pressure", "operating_hours_total"),
)
POWER = "active_power_total"
PARTS_TOTAL, PARTS_GOOD = "part_count_total", "part_count_good"
METER_CLASS = "energy_meter"
SUPPORTING = frozenset({METER_CLASS, "inspection_station", "machine_health", "sensor", "generic", ""})
"""Classes of equipment that make nothing themselves; a plant's page shows them after its machines."""

STATE = ("machine_state", "machine_running", "fault_active", "alarm_active", "compressor_running", "pump_running")
"""Entries that say in what state the equipment is; a tile shows them as its state, not as values."""

MOMENTARY = (*STATE, POWER)
"""Entries that a page of many machines needs of each: it shows counts and sums, not values."""

_EXECUTING, _NOT_EXECUTING = 3, 2  # value list of machine_state


class Valued(Protocol):
    """A point with its latest value."""

    @property
    def code(self) -> str:
        """Code of the dictionary entry, or ""."""

    @property
    def value(self) -> float | str | None:
        """The latest value."""

    @property
    def quality(self) -> Quality:
        """Its quality."""


P = TypeVar("P", bound=Valued)


def leading(equipment_class: str, points: Sequence[P], count: int | None) -> list[P]:
    """Return the `count` points a manager looks for first on an equipment of this class; all in that order for None."""
    wanted = (*LEADING.get(equipment_class, ()), *ANY_MACHINE)
    rank = {code: wanted.index(code) for code in wanted}
    ordered = sorted(points, key=lambda point: rank.get(point.code, len(rank)))
    if count is None:
        return ordered
    return [point for point in ordered if point.code not in STATE][:count]


def working_state(points: Sequence[Valued]) -> Mark:
    """Return what equipment that delivers values is doing, as far as its values tell."""
    known = {point.code: point.value for point in points if point.code and point.quality.good}
    if known.get("fault_active"):
        return FAULT
    if known.get("alarm_active"):
        return ALARM
    if (state := known.get("machine_state")) is not None:
        return state_mark("machine_state", state)
    running = [known[code] for code in STATE if code.endswith("_running") and known.get(code) is not None]
    if running:
        return RUNNING if any(running) else IDLE
    return ONLINE


def state_mark(code: str, value: float | str) -> Mark:
    """Return what a value of an entry of `STATE` says the equipment is doing."""
    if code == "machine_state":
        return RUNNING if value == _EXECUTING else IDLE if value == _NOT_EXECUTING else STOPPED
    if code.endswith("_active"):
        return (FAULT if code == "fault_active" else ALARM) if value else ONLINE
    return RUNNING if value else IDLE
