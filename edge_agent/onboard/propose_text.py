"""Takes the text of a point apart into the concepts it names, the words it leaves unexplained and the states it lists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from unicodedata import normalize

import msgspec

from edge_agent.onboard.propose_lexicon import PHASES, atoms, load_lexicon
from edge_agent.onboard.propose_signs import instrument, lone_sign, marked

ELECTRICAL = frozenset({"energy_meter", "inverter", "ups", "battery", "genset"})
"""Kinds of equipment whose signs are those of electricity: P is power there and pressure elsewhere."""

QUANTITIES = frozenset(
    {
        *("voltage", "current", "power", "energy", "frequency", "temperature", "pressure", "flow", "level", "speed"),
        *("power_factor", "humidity", "torque", "time", "count", "state", "load", "number", "position", "override"),
        *("gain", "integral", "derivative", "serial"),
    }
)
"""Concepts that say what is measured: beside one of them a lone letter is no formula sign."""


class Parsed(msgspec.Struct, frozen=True):
    """What one text says. `unknown`: words that mean nothing to the lexicon; `states`: coded states it lists."""

    concepts: frozenset[str]
    unknown: tuple[str, ...] = ()
    states: int = 0
    brackets: tuple[str, ...] = ()


_HAN = re.compile(r"[\u3400-\u9fff]")
MACHINE_ENDS = "机器"
"""Last characters of Chinese names of machines and apparatus."""

MEASURED_ENDS: Mapping[str, tuple[frozenset[str], str]] = {
    "压": (frozenset({"pressure"}), "pressure"),
    "温": (frozenset({"temperature"}), "temperature"),
    "速": (frozenset({"rotational_speed", "velocity"}), "speed"),
    "量": (frozenset({"volume_flow"}), "flow"),
    "频": (frozenset({"frequency"}), "frequency"),
    "流": (frozenset({"electric_current"}), "current"),
}
"""Last characters of Chinese names of measurements, with the quantities that the unit may be of and the concept."""

_OF_UNIT = re.compile(r"(?i)\bunits?\s*$|单位\s*$")
_PLC_OPERAND = re.compile(r"[:：]\s*%?[IQMVDT][BWDX]?\d+(?:\.\d+)?(?!\w)")
_TYPE_IN_FRONT = re.compile(r"(?<![A-Za-z])(?:udt|arr|str|fb|di|dw|lr|by|ui|ud|us|st|[bridwsxnfelu])(?=[A-Z][a-z])")
_CODE_IN_FRONT = re.compile(r"^\s*[A-Za-z]{1,2}\d{1,3}[.\-_]\d+(?:[.\-_]\d+)*\s+")
_CODE_IN_BRACKETS = re.compile(r"[(\[（]\s*[A-Za-z]{1,2}\d{1,2}[.\-]\d{1,3}\s*[)\]）]")
_CAMEL = re.compile(r"(?<=[a-z]{2})(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
_NTH = re.compile(r"第?\s*[\d一二三四五六七八九十]+\s*[号#路](?!码)(?=\s*[\u4e00-\u9fff])")
"""Which of several alike, "1号泵": no identification."""

_RESOLUTION = re.compile(
    r"(?:单位|分辨率|精度)\s*[:：=为]?\s*\d[\d.]*[^\s,，;；。)）]*|(?i:units?|resolution)\s*[:=]\s*\d\S*"
)
"""What one count of a raw value stands for, "单位 0.1%RH"."""

_GLUED_AXIS = re.compile(r"(?<![A-Za-z])([XYZABCUVWS])([a-z]{3,})")
"""An axis or the spindle put in front of a word, "Xload" of a machine tool."""

_PREPOSITION = re.compile(
    r"(?<=[a-z])(?<!dig)(?<!digital)(?<!analog)(?<!analogue) in (?!temp|press|water|flow|air)(?=[a-z]{3})"
)
_ITALIAN_OF = re.compile(r"(?<=[a-z]{3}) di (?=[a-z]{4})(?!stat|input|chan|word|port)")
"""The Italian "of", which no digital input is."""

_JOINT = re.compile(r"(?<![A-Za-z])[JAj][1-7](?!\d)")
_SIGN_IN_BRACKETS = re.compile(r"\(([+-])\)")
_BRACKET = re.compile(r"[(\[{（【<][^()\[\]{}（）【】<>]*[)\]}）】>]?")
_CHOICES = re.compile(r"[^/]{2,}(?:/[^/]{2,}){2,}")
_CHOICES_AT_END = re.compile(r"(?:^|[\s:])((?:[^\s/]{1,8}/){2,}[^\s/]{1,8})$|^((?:[^/]{1,20} / ){2,}[^/]{1,20})$")
"""What a state may be: "(manual/automatic/off)", and "auto/manual/off" or "Off / Ready / On" where a text ends with it."""

_STATES = re.compile(
    r"(?<![\w.])\d{1,2}(?=[\u4e00-\u9fff](?!相))|(?<![\w.])(?:0x[0-9a-f]+|bi?t?\s?\d+|\d+)\s*[:=：＝—–-]+\s*\S|0x[0-9a-f]+\s*\(?\w|(?:(?<=[;,；，、/])\s*|^)\d{1,2} [A-Za-z]|(?<=\w )\d{1,2} (?=[A-Za-z]{3,}(?: \d{1,2} |$))|(?<!\w)[0-9a-f]{2,4}h(?=[\u4e00-\u9fff])",
    re.IGNORECASE,
)
_CODED_STATE = re.compile(r"[^\W\d_]+\s?0x[0-9a-f]{1,4}(?![0-9a-f])", re.IGNORECASE)


LOOKS_LATIN = str.maketrans("АВСЕНКМОРТХЗасеорху", "ABCEHKMOPTX3aceopxy")
_MIXED = re.compile(r"\w*(?:[A-Za-z][\u0400-\u04ff]|[\u0400-\u04ff][A-Za-z0-9])\w*")
"""Cyrillic letters that look like Latin ones, and words in which both stand: the keyboard was on the other layout."""


def plain_letters(text: str) -> str:
    """Return `text` in compatibility form (full width made half) and without accents on Latin letters."""
    text = _MIXED.sub(lambda found: found[0].translate(LOOKS_LATIN), text)
    parted = normalize("NFKD", text.replace("ß", "ss"))
    return normalize("NFKC", "".join(letter for letter in parted if not "\u0300" <= letter <= "\u036f"))


def states(text: str) -> tuple[int, int]:
    """Return (how many coded states `text` lists, where the list begins): (2, 0) for "0=off; 1=on"."""
    listed = [start.start() for start in _STATES.finditer(text)]
    return (len(listed), listed[0]) if len(listed) > 1 else (0, len(text))


def choices(text: str) -> tuple[int, int]:
    """Return (how many states `text` ends with a list of, where the list begins): (3, 5) for "mode auto/manual/off"."""
    found = _CHOICES_AT_END.search(text)
    return (found[0].count("/") + 1, found.start()) if found else (0, len(text))


def parse(text: str, unit_quantity: str, kinds: Sequence[str]) -> Parsed:
    """Return what `text` says.

    `unit_quantity` is the quantity of the point's unit ("" unknown): a formula sign such as "Ia" is believed only where
    the unit agrees, or where there is no unit and the device, of one of `kinds`, is an electrical one.
    """
    lexicon = load_lexicon()
    clean = _PLC_OPERAND.sub(" ", _CODE_IN_FRONT.sub("", plain_letters(text[:1000])))
    clean = _NTH.sub(" ", _RESOLUTION.sub(" ", clean))
    if "cnc" in kinds:
        clean = _GLUED_AXIS.sub(_axis_apart, clean)
    clean = _TYPE_IN_FRONT.sub("", _CODE_IN_BRACKETS.sub(" ", clean).replace("_", " "))
    clean = _PREPOSITION.sub(" ", _ITALIAN_OF.sub(" ", _CAMEL.sub(" ", clean)))
    clean = _SIGN_IN_BRACKETS.sub(r"\1", clean)
    brackets = tuple(found.strip("()[]{}（）【】<> ") for found in _BRACKET.findall(clean))
    offered = max((part.count("/") + 1 for part in brackets if _CHOICES.fullmatch(part)), default=0)
    brackets = tuple(part for part in brackets if not _CHOICES.fullmatch(part))
    outside = _BRACKET.sub(" ", clean)
    if not outside.strip():
        outside, brackets = " ".join(brackets), ()
    listed, start = states(outside)
    listed = max(
        [listed, offered, *(len(_STATES.findall(part)) + len(_CODED_STATE.findall(part)) for part in brackets)]
    )
    outside = outside[:start]
    measured, outside = instrument(outside)
    if "robot" in kinds:
        outside = _JOINT.sub(lexicon.mark("joint"), outside)
    concepts = set(measured)
    unknown: list[str] = []
    own = {word: meaning for kind in kinds for word, meaning in lexicon.jargon.get(kind, {}).items()}
    electrical = bool(ELECTRICAL & set(kinds))
    for word, meaning in _runs(lexicon.find(atoms(marked(outside, lexicon, unit_quantity, electrical)))):
        if word in own:
            concepts.update(own[word].split())
        elif meaning is not None:
            concepts.update(meaning)
        elif _HAN.match(word):
            means, rest = _by_its_end(word, unit_quantity)
            concepts.update(means)
            unknown.extend(rest)
        else:
            unknown.append(word)
    if {*PHASES[:3]} <= concepts:
        concepts = (concepts - {*PHASES}) | {"total"}
    if _OF_UNIT.search(outside) and concepts & QUANTITIES:
        concepts.add("scale")
    if not concepts & QUANTITIES:
        concepts.update(lone_sign(outside, unit_quantity, electrical, concepts))
    return Parsed(frozenset(concepts), tuple(unknown), listed if listed > 1 else 0, brackets)


def _axis_apart(found: re.Match[str]) -> str:
    """Part the axis from the word behind it, where the word is known and both together are not."""
    lexicon = load_lexicon()
    if lexicon.knows(found[0]) or not lexicon.knows(found[2]):
        return found[0]
    return lexicon.mark("spindle" if found[1] == "S" else "xyz") + found[2]


def _runs(
    found: Iterator[tuple[str, tuple[str, ...] | None]],
) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """Yield `found` with neighbouring Chinese characters that nobody knows as one name, however long."""
    run = ""
    for word, meaning in found:
        if meaning is None and _HAN.match(word):
            run += word
            continue
        if run:
            yield run, None
            run = ""
        yield word, meaning
    if run:
        yield run, None


def _by_its_end(name: str, unit_quantity: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (what the last character of an unknown Chinese name says, what stays unknown of it)."""
    quantities, concept = MEASURED_ENDS.get(name[-1], (frozenset[str](), ""))
    if len(name) > 1 and name[-1] in MACHINE_ENDS:
        return ("driven",), ()
    if unit_quantity in quantities:
        return (concept,), (name[:-1],) if name[:-1] else ()
    return (), (name,)
