"""Says of a point what it is about: concepts with their weight, and flags from type, unit and access.

The name speaks with its full weight, a short description too; a long description, the browse path and the brackets
speak softly. What the unit implies counts where something asks for it and never against the point.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from edge_agent.onboard.point_list import Point
from edge_agent.onboard.propose_lexicon import PHASES, load_lexicon
from edge_agent.onboard.propose_text import Parsed, choices, parse, plain_letters, states
from protocols.dictionary.units import load_units

CLASS_WEIGHT: Mapping[str, float] = {
    "quantity": 1.0,
    "subject": 1.0,
    "phase": 1.0,
    "qualifier": 0.7,
    "role": 1.1,
    "machine": 0.15,
    "filler": 0.0,
}
"""How much a concept of each class of the lexicon says about a point."""

AGAINST: Mapping[str, float] = {**CLASS_WEIGHT, "role": 2.0, "phase": 2.0}
"""How much it says against a reading that has no place for it: a limit is no measured value."""

IMPLIED: Mapping[str, tuple[str, ...]] = {
    "electric_voltage": ("voltage",),
    "electric_current": ("current",),
    "power": ("power",),
    "apparent_power": ("power", "apparent"),
    "reactive_power": ("power", "reactive"),
    "energy": ("energy",),
    "reactive_energy": ("energy", "reactive"),
    "apparent_energy": ("energy", "apparent"),
    "frequency": ("frequency",),
    "temperature": ("temperature",),
    "pressure": ("pressure",),
    "rotational_speed": ("speed",),
    "velocity": ("speed",),
    "force": ("force",),
    "torque": ("torque",),
    "volume_flow": ("flow",),
    "mass_flow": ("flow",),
    "volume": ("volume",),
    "resistance": ("resistance",),
    "acceleration": ("acceleration",),
    "duration": ("time",),
}
"""What the quantity of a point's unit says the point is."""

MEASURED = frozenset(concept for concepts in IMPLIED.values() for concept in concepts) - {"reactive", "apparent"}

QUANTITY_FLAGS: Mapping[str, str] = {
    "energy": "#energy",
    "volume": "#volume",
    "length": "#length",
    "plane_angle": "#angle",
    "acceleration": "#acceleration",
    "mass_flow": "#massflow",
    "rotational_speed": "#rpm",
    "velocity": "#velocity",
}

BOOLEAN = frozenset(
    {
        *("bit", "digital", "binary", "bi", "bo", "di", "do", "switch", "x"),
        *("开关量", "布尔", "数字量", "状态量", "遥信", "位"),
    }
)
"""Data types of two states, beside all that hold "bool"."""

OTHER_CURRENT = frozenset(
    {
        *("voltage", "power", "energy", "frequency", "temperature", "pressure", "flow", "level", "speed", "position"),
        *("version", "number", "name", "mode", "program", "tool", "time", "state", "order", "part", "fault", "alarm"),
        *("count", "humidity", "torque", "override", "line", "code", "model", "up_time"),
    }
)
"""Concepts beside which "current" means present."""

DECISIVE = frozenset(
    {
        *("setpoint", "limit", "nominal", "demand", "delay", "offset", "hysteresis", "minimum", "ramp", "harmonic"),
        *("imbalance", "tariff", "loading_phase", "insulation", "sequence", "reason", "last", "session"),
        *PHASES,
    }
)
"""Concepts that make another thing of a point, whoever says them."""

STREAMS = frozenset({"temperature", "pressure", "volume_flow", "mass_flow", "volume"})
SIGNALS = frozenset(
    {
        *("electric_voltage", "electric_current", "power", "reactive_power", "apparent_power", "frequency"),
        *("rotational_speed", "torque", "percent"),
    }
)
"""Quantities of what flows through a machine, and of what goes in and out of it by wire."""


class Described(msgspec.Struct, frozen=True):
    """What one point is about.

    `support` and `against`: concept -> how much it says for a reading that has it, and against one that has not;
    `implied`: what the unit adds; `unknown`: words the lexicon does not know, with their weight; `own`: what
    the device itself is called, which narrows nothing.
    """

    point: Point
    support: Mapping[str, float]
    against: Mapping[str, float]
    implied: frozenset[str]
    flags: frozenset[str]
    unknown: Mapping[str, float]
    unit_quantity: str
    own: frozenset[str] = frozenset()

    def told(self, old: str, new: str) -> Described:
        """Return the point with the concept `new` in the place of `old` ("": in no other's place)."""

        def swapped(weights: Mapping[str, float], least: float) -> dict[str, float]:
            return {**{c: w for c, w in weights.items() if c != old}, new: weights.get(old, least)}

        return msgspec.structs.replace(
            self, support=swapped(self.support, 0.8), against=swapped(self.against, AGAINST["phase"])
        )


def described(point: Point, kinds: Sequence[str]) -> Described:
    """Return what `point` of a device of one of `kinds` (empty: unknown) is about."""
    path, name, remark, listed = _texts(point)
    unit = "kWh" if point.unit.strip() == "度" and "电" in point.name else point.unit
    name, quantity = _without_unit(_without_tail(name, unit), quantity_of(unit))
    remark, quantity = _without_unit(remark, quantity)
    if quantity and quantity == quantity_of(remark):
        remark = ""  # the unit once more
    parsed, remarked = parse(name, quantity, kinds), parse(remark, quantity, kinds)
    if not quantity:
        quantity = next((q for text in (*parsed.brackets, *remarked.brackets) if (q := quantity_of(text))), "")
        if quantity:
            parsed, remarked = parse(name, quantity, kinds), parse(remark, quantity, kinds)
    evidence = _Evidence()
    opaque = not _says_something(parsed)
    chinese = _CHINESE.search(remark) is not None and _CHINESE.search(name) is None
    code = _CODE_NAME.fullmatch(point.name.strip()) is not None and not _spelled_out(point.name)
    if opaque or ((chinese or code) and _says_something(remarked)):
        long = len(remark) > 90
        evidence.add(remarked, 0.6 if long else 1.0, 0.15 if long else 1.0, 0.3 if long else 1.0)
        weight = 0.3 if code else 0.8
        evidence.add(parsed, weight, 0.0 if code else 0.3, 0.0 if opaque or code else 0.3)
    else:
        long = len(remark.split()) > 6
        evidence.add(parsed, 1.0, 1.0, 1.0)
        evidence.add(remarked, 0.4 if long else 0.8, 0.05 if long else 0.4, 0.1 if long else 0.5, role=0.5)
    for distance, segment in enumerate(reversed(path[-3:])):
        near = 0.6 / (1 + distance)
        above = parse(segment, "", kinds)
        if "actual" in parsed.concepts and "setpoint" not in parsed.concepts:
            above = msgspec.structs.replace(above, concepts=above.concepts - {"setpoint"})
        evidence.add(above, near, near / (12 if chinese else 4), near / 4)
    for text in parsed.brackets:
        evidence.add(parse(text, quantity, kinds), 0.6, 0.5, 0.2)
    for text in remarked.brackets if len(remark.split()) < 6 else ():
        evidence.add(parse(text, quantity, kinds), 0.4, 0.1, 0.0)
    told = parse(point.description, quantity, kinds)
    spelled = told.concepts.union(*(parse(text, quantity, kinds).concepts for text in told.brackets)) & {*PHASES}
    if len(spelled) == 1 and not spelled & evidence.support.keys() and not evidence.support.keys() & {*PHASES, "total"}:
        evidence.add(Parsed(frozenset(spelled)), 0.6, 0.6, 0.0)
    if (
        "current" in evidence.support
        and "电流" not in f"{name}{remark}"
        and _current_means_present(set(evidence.support), quantity)
    ):
        evidence.forget("current")
    if quantity == "temperature":
        # Where the value is in degrees, a probe is how it is measured and no sensor alarm.
        evidence.against.pop("sensor", None)
    _settle_direction(evidence, quantity)
    _settle_by_unit(evidence, quantity, kinds)
    return Described(
        point=point,
        support=evidence.support,
        against=evidence.against,
        implied=_implied(quantity, evidence),
        flags=_flags(point, quantity, set(evidence.support), max(parsed.states, remarked.states, listed)),
        unknown=evidence.unknown,
        unit_quantity=quantity,
    )


def _implied(quantity: str, evidence: _Evidence) -> frozenset[str]:
    """Return what the unit adds; nothing where the text names another quantity (a speed given in Hz)."""
    implied = frozenset(IMPLIED.get(quantity, ()))
    named = {concept for concept, weight in evidence.against.items() if concept in MEASURED and weight >= 0.5}
    return frozenset() if named and not named & implied else implied


def _settle_by_unit(evidence: _Evidence, quantity: str, kinds: Sequence[str]) -> None:
    """Read what a unit contradicts as what it must be: "cumulative power" in kWh is energy, output in kg/h throughput."""
    if quantity == "energy" and "power" in evidence.support and "energy" not in evidence.support:
        evidence.rename("power", "energy")
    if quantity == "mass_flow" and "part" in evidence.support:
        evidence.forget("count")
        evidence.rename("part", "throughput")
    if quantity == "energy" and "part" in evidence.support and "inverter" in kinds:
        # "Total production" in kWh: what is produced is energy.
        evidence.forget("count")
        evidence.rename("part", "generation")
    if quantity in {"energy", "reactive_energy"} and "energy_meter" in kinds:
        for end, way in (("input", "import_"), ("output", "export_")):
            if end in evidence.support:
                evidence.rename(end, way)


def _settle_direction(evidence: _Evidence, quantity: str) -> None:
    """Read "in" and "out" as a stream's or as a signal's, as what is measured says."""
    said = evidence.support.keys()
    streams = quantity in STREAMS or (not quantity and bool(said & {"temperature", "pressure", "flow"}))
    signals = quantity in SIGNALS or (not quantity and bool(said & {"voltage", "current", "power", "frequency"}))
    for stream, signal in (("outlet", "output"), ("inlet", "input")):
        if {stream, signal} <= said:
            evidence.against.pop(signal if streams else stream, None)
        elif streams and not signals and signal in said:
            evidence.rename(signal, stream)
        elif signals and not streams and stream in said:
            evidence.rename(stream, signal)


class _Evidence:
    """Adds up what the texts of a point say; of what two texts say the stronger counts."""

    def __init__(self) -> None:
        self.support: dict[str, float] = {}
        self.against: dict[str, float] = {}
        self.unknown: dict[str, float] = {}

    def add(self, parsed: Parsed, support: float, against: float, unknown: float, role: float = 1.0) -> None:
        classes = load_lexicon().class_of
        for concept in parsed.concepts:
            name = classes[concept]
            # A set-point or a limit is one wherever it is said.
            heavy = (
                max(against, min(0.6, support)) if concept in DECISIVE else against * (role if name == "role" else 1)
            )
            self.support[concept] = max(self.support.get(concept, 0.0), support * CLASS_WEIGHT[name])
            self.against[concept] = max(self.against.get(concept, 0.0), heavy * AGAINST[name])
        for word in parsed.unknown:
            self.unknown[word] = max(self.unknown.get(word, 0.0), unknown)

    def rename(self, old: str, new: str) -> None:
        self.support[new] = self.support.pop(old)
        if old in self.against:
            self.against[new] = self.against.pop(old)

    def forget(self, concept: str) -> None:
        self.support.pop(concept, None)
        self.against.pop(concept, None)


_UNIT_AT_END = re.compile(r"[(\[（【]([^()\[\]（）【】]{1,12})[)\]）】]\s*$")
_EITHER = re.compile(
    r"(?i)(?<![a-z])(on|start|run|enable|open|fwd|forward|cw|auto|hand|man|manual|local|remote|ein|heating)\s*/\s*"
    r"(off|stop|disable|close|rev|reverse|ccw|man|manual|auto|remote|local|network|aus|cooling)(?![a-z])"
)
_CODE_NAME = re.compile(r"[A-Z0-9_$@.\-]{1,8}|(?=.*\d)[A-Z0-9_$@.\-]{9,14}|[A-Za-z]{1,4}|[A-Za-z]{1,3}\d{3,}")
"""Names such as OPR or p4072, which say less than the description beside them."""

_NUMBERED_ALARM = re.compile(
    r"(?i)(?<!active )(?<!current )(?<!last )(?:alarms?|faults?|warnings?|error)[ _]?\d|(?<!当前)(?:报警|告警|故障)\d"
)
_INDEXED_ALARM = re.compile(r"(?i)(?:alarm|fault|warning|error)s?\[\d")
_BIT = re.compile(r"(?i)\bbit\s?\d|第\s?\d+\s?位")
_SENTENCE = re.compile(r"(?i)_(?:of|the|is|in|and|for|to)_")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_PATH_ADDRESS = re.compile(r"(?i)(?:ns[u]?=[^;]*;s=|s=)?(?!holding|input|coil|discrete|param)([^:]*[./][^:]*)$")


def _texts(point: Point) -> tuple[list[str], str, str, int]:
    """Return (segments of the browse path above the point, its own name, its description, coded states it lists)."""
    text = plain_letters(point.description)
    listed, start = states(text)
    if not listed:
        listed, start = choices(text)
    name, path = _EITHER.sub(r"\1 \2", point.name.strip()), []
    remark = _first_sentence(text[:start])
    address = _PATH_ADDRESS.fullmatch(point.address.strip())
    if address and re.search(r"[A-Za-z]{3}", address[1]):
        path = re.split(r"/" if "/" in address[1] else r"\.", address[1])
    elif name.count(": ") == 1:
        path = name.split(": ")
        name = path[-1]
    elif " " not in remark and re.search(r"[A-Za-z][./]\w*[A-Za-z]", remark):
        path = re.split(r"[./]", remark)
    if " " not in remark and re.search(r"[A-Za-z][./]\w*[A-Za-z]", remark):
        remark = ""
    if re.fullmatch(r"\w{3,}", remark) and remark in point.address and _says_something(parse(name, "", ())):
        remark = ""  # the address once more
    if not name:
        name = path[-1] if path else ""
    if _SENTENCE.search(name):
        name = name.replace("_", " ")
    segments = [part for part in re.split(r"[./\\]|::", name) if part]
    if len(segments) == 1 and name.count("_") > 3 and not (name.islower() or name.isupper()):
        segments = name.split("_")
    if len(segments) > 1 and " " not in name and sum(letter.isalpha() for letter in segments[-1]) > 1:
        path, name = segments, segments[-1]
    path = [re.sub(r"^\w*Type$|^ParameterSet$|<[^>]*>|\[\d*\]", "", part) for part in path]
    path = [part for part in path if part][: -1 if path else None]
    while path and not _says_something(parse(name, "", ())) and len(name) < 30:
        name = f"{path.pop()} {name}"
        if _says_something(parse(name, "", ())):
            break
    return path, name, remark, listed


def _says_something(parsed: Parsed) -> bool:
    classes = load_lexicon().class_of
    return any(classes[concept] not in {"filler", "machine"} and concept not in DECISIVE for concept in parsed.concepts)


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[a-z]{4})\.\s|[。;；\n]", text.strip(), maxsplit=1)[0]


def _without_tail(name: str, unit: str) -> str:
    """Return `name` without the unit that ends it, "current_l2_a" of amperes."""
    head, parting, tail = name.rpartition("_")
    return head if parting and head and unit and tail.casefold() == unit.casefold() else name


def _without_unit(text: str, quantity: str) -> tuple[str, str]:
    """Return `text` without a unit in brackets at its end, "电流（A）", and the quantity, from there where not yet known."""
    found = _UNIT_AT_END.search(text)
    told = quantity_of(found[1]) if found and not found[1].strip().isdigit() else ""
    if found and told not in {"", "dimensionless"} and quantity in {"", told} and text[: found.start()].strip():
        return text[: found.start()].rstrip(), told
    return text, quantity


def _spelled_out(name: str) -> bool:
    """Return whether `name` has a whole word in it: ALARM is no code."""
    return any(load_lexicon().knows(word) for word in re.findall(r"[A-Za-z]{4,}", name))


def quantity_of(unit: str) -> str:
    """Return the quantity of a unit as people write it: "" unknown, "percent" for parts of a hundred."""
    if not unit.strip():
        return ""
    code = load_lexicon().unit_code(unit)
    if code == "P1":
        return "percent"
    return load_units()[code].quantity if code else ""


def _current_means_present(concepts: set[str], quantity: str) -> bool:
    """Tell "current tool" and "current speed" from an electric current."""
    if quantity == "electric_current":
        return False
    return bool(OTHER_CURRENT & concepts) or quantity not in {"", "percent"}


def _flags(point: Point, quantity: str, concepts: set[str], states: int) -> frozenset[str]:
    kind = point.datatype.casefold()
    table = re.match(r"(?i)\s*(coil|discrete)", point.address)
    boolean = bool(table) or "bool" in kind or kind in BOOLEAN
    text = any(word in kind for word in ("string", "text", "char", "condition", "字符")) and not boolean
    real = any(word in kind for word in ("float", "real", "double", "浮点"))
    physical = quantity not in {"", "dimensionless"}
    scaled = point.scale not in {None, 0.0, 1.0}
    coded = not (boolean or text or physical or scaled)
    flags = {
        "#bool": boolean,
        "#notbool": not boolean,
        "#text": text,
        "#coded": coded,
        "#enumerated": states > 0,
        "#two_state": boolean or states == 2,
        "#flag": boolean or (coded and not real) or states > 0,
        "#numbered": bool(_NUMBERED_ALARM.search(point.name) or _INDEXED_ALARM.search(point.address)),
        "#strange_unit": bool(point.unit.strip()) and quantity == "" and load_lexicon().unit_code(point.unit) is None,
        "#bits": len(_BIT.findall(point.description)) > 1,
        "#temperature": quantity == "temperature",
        "#settable": not boolean and states == 0 and (physical or real or "w" in point.access),
        "#percent": quantity == "percent" or (not physical and "percent" in concepts),
        "#percent_or_none": quantity in {"percent", ""},
        "#unitless": not physical,
        "#hours": quantity == "duration"
        or bool(re.search(r"(?i)hours?\b|hrs?\b|小时|时数", f"{point.name} {point.description}")),
        "#writable": "w" in point.access,
        "#write": point.access == "w",
        "#metres_per_minute": load_lexicon().unit_code(point.unit) == "2X" if point.unit else False,
        "#date": "date" in kind or kind in {"time", "nodeid"},
    }
    return frozenset({name for name, holds in flags.items() if holds} | {QUANTITY_FLAGS.get(quantity, "#any")})
