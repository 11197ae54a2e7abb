"""Holds what a point is about against what the dictionary's entries are about.

A reading of an entry (propose_entries.toml) fits a point when everything it asks for is there and nothing it rules out.
How well it fits is the share of what the point says that the reading explains:

    score = preference x explained / (explained + unexplained + unknown words)

An entry whose unit or data type the point's contradict is no candidate at all.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files

import msgspec

from edge_agent.onboard.propose_concepts import CLASS_WEIGHT, Described
from edge_agent.onboard.propose_context import Device
from edge_agent.onboard.propose_lexicon import PHASES, load_lexicon
from protocols.dictionary.entries import Entry, load_dictionary
from protocols.dictionary.units import load_units

UNKNOWN_WORD = 0.45
UNKNOWN_MOST = 1.4
"""What a word counts that nothing explains, and all such words together at most."""

PLACE = 0.3
"""Share of its weight that a subject or an unknown word has where it may be the place of a measurement."""

PRESENT = 0.1
"""What a concept has to say to be there: a word far up the browse path asks for no entry."""

SUPPORT = 0.5
"""What a concept that may be there adds, as a part of one that must."""

OTHER_CLASS = 0.88
"""Preference of an entry of another equipment class than the device's."""

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
    }
)
"""Entries whose points come in units of several quantities (a stroke as volume, a life in uses, a level in percent)."""

RATES = frozenset({"specific_energy", "energy_per_part", "thermal_power"})
"""Entries whose points come in compound units that the table of units has not (kWh/kg, GJ/h)."""

ONLY_PERCENT = frozenset({"motor_torque_percent", "spindle_load", "motor_thermal_load"})
"""Of these, those that may lack a unit but never have a physical one."""


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


class Candidate(msgspec.Struct, frozen=True):
    """One entry that a point may be. `explained` and `left` are the concepts used and those left over."""

    code: str
    score: float
    evidence: float
    explained: tuple[str, ...]
    left: tuple[str, ...]
    preference: float = 1.0
    anywhere: bool = False


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


def candidates(point: Described, device: Device) -> list[Candidate]:
    """Return the entries that `point` may be, the best first; ties by the order of the dictionary."""
    dictionary = load_dictionary()
    best: dict[str, Candidate] = {}
    if "#date" in point.flags:
        return []
    usual = {"generic", "sensor", *device.kinds}.union(*(PARTS.get(kind, ()) for kind in device.kinds))
    possible = {code for code, entry in dictionary.items() if _may_be(entry, point)}
    for reading in load_readings():
        found = _fit(reading, point, device) if reading.code in possible else None
        if found is None:
            continue
        entry = dictionary[reading.code]
        factor = 1.0 if entry.equipment_class in usual or not device.kinds else OTHER_CLASS
        found = msgspec.structs.replace(found, score=round(found.score * factor, 6))
        if reading.code not in best or (found.score, found.evidence) > (
            best[reading.code].score,
            best[reading.code].evidence,
        ):
            best[reading.code] = found
    return sorted(best.values(), key=lambda found: (-found.score, -found.evidence))


def _fit(reading: Reading, point: Described, device: Device) -> Candidate | None:
    said, against, implied = point.support, point.against, point.implied
    if reading.kinds and not reading.kinds & set(device.kinds):
        return None
    if reading.forbidden & said.keys() or not all(_holds(flag, point, device) for flag in reading.flags):
        return None
    used: set[str] = set()
    for alternatives in reading.required:
        here = {c for c in alternatives if said.get(c, 0.0) >= PRESENT} or alternatives & implied
        if not here:
            return None
        used |= here
    if not used & said.keys() and not reading.kinds:
        return None
    classes = load_lexicon().class_of
    optional = reading.optional & said.keys()
    evidence = sum(max(said.get(concept, 0.0), 0.3 if concept in implied else 0.0) for concept in used)
    support = sum(SUPPORT * said[concept] for concept in optional)
    against = {c: w * (PLACE if c in point.own else 1.0) for c, w in against.items()}
    left = {c: w for c, w in against.items() if c not in used and c not in optional and c not in implied and w > 0}
    unknown = min(UNKNOWN_WORD * sum(point.unknown.values()), UNKNOWN_MOST)
    if reading.anywhere:
        left = {c: w * (PLACE if classes[c] == "subject" else 1.0) for c, w in left.items()}
        unknown *= PLACE
    unexplained = sum(left.values()) + unknown
    total = evidence + support + unexplained
    if evidence <= 0.25:
        return None
    strong = sorted(left, key=lambda c: (-left[c], c))
    return Candidate(
        reading.code,
        reading.preference * (evidence + support) / total,
        evidence + support,
        tuple(sorted((used | optional) & classes.keys())),
        tuple(c for c in strong if left[c] >= 0.3 * CLASS_WEIGHT["quantity"]),
        reading.preference,
        reading.anywhere,
    )


def _holds(flag: str, point: Described, device: Device) -> bool:
    if flag[0] == "!":
        return not _holds(flag[1:], point, device)
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


def _may_be(entry: Entry, point: Described) -> bool:
    """Return whether unit and data type allow the entry."""
    boolean, text = "#bool" in point.flags, "#text" in point.flags
    measured = entry.data_type == "REAL_MEASURE"
    if boolean and (measured or entry.data_type == "STRING" or entry.quantity_kind in {"count", "code"}):
        return False
    strange = "#strange_unit" in point.flags and entry.unit != "C62"
    if measured and strange and entry.code not in ANY_UNIT | RATES:
        return False
    if text and (measured or entry.quantity_kind in {"count", "command", "status_word"}):
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
