"""Knows what a point has to be about to be an entry of the dictionary, and what unit and data type forbid it to be.

The readings of an entry (propose_entries.toml) each ask for some concepts and flags and rule others out. How near a point
comes to one, `propose_nearest` says; an entry whose unit or data type the point's contradict is no candidate at all.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files

import msgspec

from edge_agent.onboard.propose_concepts import Described
from edge_agent.onboard.propose_context import Device
from edge_agent.onboard.propose_lexicon import PHASES, load_lexicon
from protocols.dictionary.entries import Entry, load_dictionary
from protocols.dictionary.units import load_units

PARTS = {"chiller": frozenset({"compressor", "pump"}), "injection_moulding": frozenset({"pump", "furnace"})}
"""Equipment that is a part of another kind."""

ANY_UNIT = frozenset(
    {
        "analog_input_value",
        "tool_life_limit",
        "tool_life_used",
        "tool_life_remaining",
        "melt_cushion",
        "plasticizing_stroke",
        "decompression_stroke",
        "switchover_position",
        "pid_proportional_band",
        "pid_integral_time",
        "pid_derivative_time",
        "pid_setpoint",
        "pid_feedback",
        "vibration_acceleration_rms",
        "liquid_level",
        "motor_torque_percent",
        "joint_position",
        "axis_position_machine",
        "axis_position_work",
        "axis_position_relative",
        "axis_distance_to_go",
        "inspection_score",
        "spindle_load",
        "motor_thermal_load",
        "clamp_force",
    }
)
"""Entries whose points come in units of several quantities (a stroke as volume, a life in uses, a level in percent)."""

RATES = frozenset({"specific_energy", "energy_per_part", "thermal_power"})
"""Entries whose points come in compound units that the table of units has not (kWh/kg, GJ/h)."""

ANY_OF_ALL = frozenset({"alarm_active", "fault_active"})
"""Entries that say whether there is any, which one of many numbered ones does not."""

ONLY_PERCENT = frozenset({"motor_torque_percent", "spindle_load", "motor_thermal_load"})
"""Of these, those that may lack a unit but never have a physical one."""


NO_READING = frozenset({"maximum", "minimum"})
"""What is said beside a measured quantity is no reading of it, unless its entry asks for that."""


class Reading(msgspec.Struct, frozen=True):
    """One way to be an entry. `anywhere`: measured at any place, whose name tells little against it."""

    code: str
    required: tuple[frozenset[str], ...]
    optional: frozenset[str]
    forbidden: frozenset[str]
    flags: tuple[str, ...]
    kinds: frozenset[str]
    preference: float
    anywhere: bool


@lru_cache(maxsize=1)
def load_readings() -> tuple[Reading, ...]:
    """Return the readings of all entries; read once per process."""
    text = files("edge_agent.onboard").joinpath("propose_entries.toml").read_text(encoding="utf-8")
    return tuple(_reading(code, line) for code, lines in tomllib.loads(text).items() for line in lines)


def _reading(code: str, line: str) -> Reading:
    required, flags, optional, forbidden, kinds, preference = [], [], set(), set(), set(), 1.0
    anywhere = False
    for token in line.split():
        match token[0]:
            case "?":
                optional.add(token[1:])
            case "@":
                kinds.add(token[1:])
            case "*":
                anywhere = True
            case "~":
                preference = float(token[1:])
            case "#":
                flags.append(token)
            case "!" if token[1] in "#@":
                flags.append(token)
            case "!":
                forbidden.add(token[1:])
            case _:
                required.append(frozenset(token.split("/")))
    if load_dictionary()[code].aggregation == "avg":
        forbidden |= NO_READING - optional - {concept for group in required for concept in group}
    return Reading(
        code=code,
        required=tuple(required),
        optional=frozenset(optional),
        forbidden=frozenset(forbidden),
        flags=tuple(flags),
        kinds=frozenset(kinds),
        preference=preference,
        anywhere=anywhere,
    )


def holds(flag: str, point: Described, device: Device) -> bool:
    """Return whether `point` of `device` has a flag of a reading: "#bool", "@cnc", "!#alone"."""
    if flag[0] == "!":
        return not holds(flag[1:], point, device)
    if flag == "#alone":
        return _alone(point)
    return flag[1:] in device.kinds if flag[0] == "@" else flag in point.flags


def _alone(point: Described) -> bool:
    """Return whether nothing narrows a general word: "alarm" of the device, not "pump alarm" or "antifreeze alarm"."""
    classes = load_lexicon().class_of
    named = any(
        weight >= 0.35 and classes[c] in {"subject", "quantity"}
        for c, weight in point.against.items()
        if c != "state" and c not in point.own
    )
    return not named and sum(point.unknown.values()) < 0.3


def may_be(entry: Entry, point: Described) -> bool:
    """Return whether unit and data type allow the entry."""
    boolean, text = "#bool" in point.flags, "#text" in point.flags
    if "#numbered" in point.flags and entry.code in ANY_OF_ALL:
        return False
    measured = entry.data_type == "REAL_MEASURE"
    if boolean and (measured or entry.data_type == "STRING" or entry.quantity_kind in {"count", "code"}):
        return False
    strange = "#strange_unit" in point.flags and entry.unit != "C62"
    if measured and strange and entry.code not in ANY_UNIT | RATES:
        return False
    if text and entry.quantity_kind in {"command", "status_word"}:
        return False
    return _unit_allows(entry, point)


def _unit_allows(entry: Entry, point: Described) -> bool:
    have = point.unit_quantity or ("percent" if "#percent" in point.flags else "")
    if entry.code in ONLY_PERCENT and have not in {"", "percent", "dimensionless"}:
        return False
    if not have or entry.code in ANY_UNIT:
        return True
    units = load_units()
    want = "percent" if entry.unit == "P1" else units[entry.unit].quantity
    return have == want or (have == "percent" and entry.quantity_kind == "power_factor")


def concept_name(concept: str, language: str) -> str:
    """Return a concept as people say it in `language`: its first spelling in that script."""
    if concept in PHASES:
        return {"l12": "L1-L2", "l23": "L2-L3", "l31": "L3-L1"}.get(concept, concept.upper())
    return load_lexicon().names[concept][language == "zh"]
