"""Says of every point of a device what it is about, with what its neighbours tell.

Points are read one by one (propose_concepts) and then beside each other: what most of them carry says nothing, three in
a row are phases, many of a kind are cells, and together they betray what the device is.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from unicodedata import normalize

import msgspec

from edge_agent.onboard.point_list import Point, PointList
from edge_agent.onboard.propose_concepts import Described, described, quantity_of
from edge_agent.onboard.propose_initials import spell_initials
from edge_agent.onboard.propose_lexicon import PHASES, load_lexicon
from edge_agent.onboard.propose_text import ELECTRICAL, parse

TELLING: Mapping[str, str] = {
    "barrel": "injection_moulding",
    "mould": "injection_moulding",
    "injection": "injection_moulding",
    "holding": "injection_moulding",
    "plasticizing": "injection_moulding",
    "screw": "injection_moulding",
    "melt": "injection_moulding",
    "clamp_force": "injection_moulding",
    "spindle": "cnc",
    "cutting": "cnc",
    "rapid": "cnc",
    "work_coordinate": "cnc",
    "joint": "robot",
    "tcp": "robot",
    "bus": "vfd",
    "suction": "compressor",
    "superheat": "chiller",
    "condenser": "chiller",
    "evaporator": "chiller",
    "chilled_water": "chiller",
    "gain": "furnace",
    "integral": "furnace",
    "derivative": "furnace",
    "autotune": "furnace",
    "apparent": "energy_meter",
    "export_": "energy_meter",
    "thd": "energy_meter",
    "l12": "energy_meter",
    "generation": "inverter",
    "soc": "inverter",
    "cell": "ups",
    "bypass": "ups",
}
"""Concepts that betray what a device is when nobody said."""

FALLBACK: Mapping[str, tuple[str, ...]] = {
    "ups": ("inverter",),
    "heat_meter": ("sensor", "chiller"),
    "pump": ("sensor",),
    "battery": ("inverter",),
    "genset": ("energy_meter", "inverter"),
    "press": ("conveyor",),
}
"""Kinds the dictionary has no class of its own for, and kinds that carry the points of another."""


OWN_SUBJECT: Mapping[str, str] = {
    "compressor": "compressor",
    "pump": "pump",
    "conveyor": "conveyor",
    "vfd": "motor",
    "furnace": "furnace",
    "ups": "ups",
}
"""What a device of a kind is called in its own points: on it this narrows nothing."""

FRONT_POINTS = 4
FRONT_SHARE = 0.4
"""Points that a list has at least, and share of them that begins alike, for the beginning to say nothing."""

WRITABLE_MOST = 0.6
"""Share of writable points from which on lists call everything writable."""

LONG_PATH = 3
"""A name of more underscores is a path, read segment by segment."""

OTHER_MACHINES: Mapping[str, str] = {
    "robot": "robot",
    "chiller": "chiller",
    "moulder": "injection_moulding",
    "extruder": "injection_moulding",
    "cnc_machine": "cnc",
}
OTHER_MACHINE = 0.8
"""Concepts that name a machine, and what one counts on a device of another kind: "robot ready" of a moulding machine."""

CELLS = 4
"""So many numbered batteries are the cells of one."""


class Device(msgspec.Struct, frozen=True):
    """The points of one device and what kinds of equipment it is, the surest first (empty: nothing tells)."""

    kinds: tuple[str, ...]
    points: Sequence[Described]


def describe(found: PointList) -> Device:
    """Return what every point of `found` is about."""
    lexicon = load_lexicon()
    said = (found.kind.replace("_", " "), f"{found.vendor} {found.model}")
    kinds = next((kinds[:1] for text in said if (kinds := lexicon.devices_in(text))), [])
    tagless = spell_initials(_without_number(_without_tag(found.points)), " ".join((found.kind, *said)), quantity_of)
    listed = _without_shared(_without_front(tagless))
    points = [described(point, kinds) for point in listed]
    if not kinds and (guessed := _guess(points)):
        kinds = [guessed]
        points = [described(point, kinds) for point in listed]
    if kinds == ["sensor"] and any({"heat", "energy"} <= point.support.keys() for point in points):
        kinds = ["heat_meter"]
    points = _beside_each_other(points, bool(ELECTRICAL & set(kinds)))
    shared = _shared_words(points)
    flags = _device_flags(points)
    if kinds == ["energy_meter"] and not any(point.support.keys() & {*PHASES} for point in points):
        flags |= {"#single_phase"}
    own = {OWN_SUBJECT[kind] for kind in kinds if kind in OWN_SUBJECT}
    foreign = {concept for concept, kind in OTHER_MACHINES.items() if kinds and kind not in kinds}
    points = [
        msgspec.structs.replace(
            point,
            against={c: OTHER_MACHINE if c in foreign and w > 0.1 else w for c, w in point.against.items()},
            flags=point.flags | flags,
            unknown={word: weight for word, weight in point.unknown.items() if word not in shared},
            own=frozenset() if _NUMBERED.search(point.point.name) else frozenset(own),
        )
        for point in points
    ]
    return Device((*kinds, *(other for kind in kinds for other in FALLBACK.get(kind, ()))), points)


_TAG = re.compile(r"(?<![A-Za-z0-9_])([A-Za-z]{2,4})_(?=\w*\w[^./]*$)")
_NUMBERED = re.compile(
    r"\d\s*[#号]|#\s*\d|(?i:(?:pump|compressor|motor|conveyor)[ _]?\d)|(?:泵|机)\d|[\ue000-\uefff]\s*\d"
)
_NUMBER_IN_FRONT = re.compile(r"^\s*(?![Ll]\d)[A-Za-z]{1,2}\d{2,4}(?:[.\-]\d+)?[\s:：]+(?=\S*\w{2})")
_FRONT = re.compile(r"[A-Za-z]+\d*_(?=[A-Za-z])")
_CLAUSE = re.compile(r"[^,，;；。]+[,，;；。]?")
_SERIES = re.compile(r"[\s_.#\-]*(?:\[(\d)\]|(?<![\d.])(\d)|(?<![A-Za-z])([A-CR-Ta-cr-t]))$")


def _without_tag(points: Sequence[Point]) -> Sequence[Point]:
    """Return the points without the short mark that most of their names carry in front (sv_, HMI_), which says nothing."""
    tags = Counter(tag[1] for point in points if (tag := _TAG.search(point.name)))
    common = {tag for tag, times in tags.items() if times > 3 and times > len(points) / 2}

    def cut(found: re.Match[str]) -> str:
        return "" if found[1] in common else found[0]

    return [msgspec.structs.replace(point, name=_TAG.sub(cut, point.name)) for point in points] if common else points


def _without_number(points: Sequence[Point]) -> Sequence[Point]:
    """Return the points without the parameter number that most of their names begin with, "M06 Output frequency"."""
    rests = [_NUMBER_IN_FRONT.sub("", point.name) for point in points]
    numbered = sum(rest != point.name for rest, point in zip(rests, points, strict=True))
    if numbered <= FRONT_POINTS or numbered < FRONT_SHARE * len(points):
        return points
    return [msgspec.structs.replace(point, name=rest) for rest, point in zip(rests, points, strict=True)]


def _without_front(points: Sequence[Point]) -> Sequence[Point]:
    """Return the points without the words that most of their names begin with, the machine's or the line's name."""
    front = ""
    while len(points) > FRONT_POINTS:
        rests = [point.name.removeprefix(front) for point in points if point.name.startswith(front)]
        ahead = Counter(begin[0] for rest in rests if (begin := _FRONT.match(rest)))
        word, times = max(ahead.items(), key=lambda one: (one[1], one[0]), default=("", 0))
        if times < FRONT_SHARE * len(points) or not _names_a_place(word):
            break
        front += word
    return [
        point
        if point.name.count("_") > LONG_PATH
        else msgspec.structs.replace(point, name=point.name.removeprefix(front))
        for point in points
    ]


def _names_a_place(word: str) -> bool:
    """Return whether `word` says only which machine or line it is, not what of it is measured."""
    classes = load_lexicon().class_of
    return all(classes[c] in {"machine", "filler"} or c == "line" for c in parse(word, "", ()).concepts)


def _without_shared(points: Sequence[Point]) -> Sequence[Point]:
    """Return the points without the clauses that stand, but for numbers, in the descriptions of many of them."""

    def folded(clause: str) -> str:
        return re.sub(r"\d+", "#", clause.strip())

    often = Counter(clause for point in points for clause in {folded(c) for c in _CLAUSE.findall(point.description)})
    common = {clause for clause, times in often.items() if times > 3 and times > len(points) / 6}

    def rest(text: str) -> str:
        clauses = _CLAUSE.findall(text)
        kept = [clause for clause in clauses if folded(clause) not in common]
        return "".join(kept) if kept and len(kept) < len(clauses) else text

    return [msgspec.structs.replace(point, description=rest(point.description)) for point in points]


def _guess(points: Sequence[Described]) -> str | None:
    votes = Counter(TELLING[concept] for point in points for concept in point.support if concept in TELLING)
    leader = sorted(votes.items(), key=lambda vote: (-vote[1], vote[0]))
    return leader[0][0] if leader and leader[0][1] > 1 else None


def _beside_each_other(points: Sequence[Described], electrical: bool) -> list[Described]:
    """Return the points with what three in a row (phases) and many of a name (cells of a battery) tell."""
    rows: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    names = Counter((_numberless(point.point), point.unit_quantity) for point in points)
    for index, point in enumerate(points):
        name = normalize("NFKC", point.point.name).strip()
        if electrical and not point.support.keys() & {*PHASES} and (end := _SERIES.search(name)):
            rows[name[: end.start()], point.point.unit].append(((end[1] or end[2] or end[3]).casefold(), index))
    told: dict[int, tuple[str, str]] = {}
    for row in rows.values():
        if "".join(sorted(mark for mark, _ in row)) not in {"012", "123", "abc", "rst"}:
            continue
        for phase, (_, index) in enumerate(sorted(row)):
            between = "line_to_line" in points[index].support
            told[index] = ("", PHASES[phase + 3 * between])
    for index, point in enumerate(points):
        if "battery" in point.support and names[_numberless(point.point), point.unit_quantity] >= CELLS:
            told[index] = ("battery", "cell")
    for index, point in enumerate(points):
        # Three numbered batteries and no pack beside them may be packs; a number on each of many is a cell's.
        if (
            "battery" in point.support
            and index not in told
            and re.search(r"电池\s*\d+\s*#|电池\s*#\s*\d+", point.point.name)
        ):
            told[index] = ("battery", "cell")
    # What a meter calls delivered went to the load where it also knows what it received back, and to the grid otherwise.
    both = {"delivered", "received"} <= {concept for point in points for concept in point.support}
    for index, point in enumerate(points):
        for word in {"delivered", "received"} & point.support.keys():
            told[index] = (word, "import_" if (word == "delivered") == both else "export_")
    points = _controlled(points)
    return [point.told(*told[index]) if index in told else point for index, point in enumerate(points)]


def _controlled(points: Sequence[Described]) -> list[Described]:
    """Return the points, flagged where another is the set-point of the very same thing."""
    neutral = {"setpoint", "target", *(c for c, name in load_lexicon().class_of.items() if name == "filler")}

    def thing(point: Described) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(point.support.keys() - neutral), frozenset(point.unknown)

    set_things = {thing(point) for point in points if "setpoint" in point.support}
    return [
        msgspec.structs.replace(point, flags=point.flags | {"#controlled"})
        if "setpoint" not in point.support and thing(point) in set_things
        else point
        for point in points
    ]


def _numberless(point: Point) -> str:
    return re.sub(r"\d+", "#", f"{point.name}|{point.unit}")


def _shared_words(points: Sequence[Described]) -> frozenset[str]:
    """Return unknown words that many points carry: the name of a program or a folder, which tells no two apart."""
    often = Counter(word for point in points for word in point.unknown)
    return frozenset(word for word, times in often.items() if times > 3 and times > len(points) / 5)


def _device_flags(points: Sequence[Described]) -> frozenset[str]:
    """Return what the neighbours say of every point: two directions of energy are metered, a control loop is tuned."""
    found = set()
    energy = {concept for point in points if "#energy" in point.flags for concept in point.support}
    if {"import_", "export_"} & energy:
        found.add("#metering")
    if sum("#writable" in point.flags for point in points) < WRITABLE_MOST * len(points):
        # Where most points may be written, that says nothing of one.
        found.add("#access")
    if any({"gain", "autotune"} & set(point.support) for point in points):
        found.add("#loop")
    return frozenset(found)
