"""Takes the text of a point apart into the concepts it names.

A text becomes atoms: Latin words (camelCase, underscores and digits parted), single Chinese characters, and private
characters that stand for a concept found by a rule rather than by a word (a phase, a formula sign such as Uab). Then
the longest spelling of the lexicon that fits wins, atom by atom. A word that no spelling knows is tried as several
words glued together, then as a slip of the pen.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any
from unicodedata import normalize

import msgspec

from protocols.dictionary.units import load_units

CLASSES = ("quantity", "subject", "qualifier", "role", "machine", "filler")
"""The tables of the lexicon that hold concepts."""

NUMERALS = "一二三四五六七八九十"
LONGEST = 8
"""Atoms in the longest spelling that is tried."""

ELECTRICAL = frozenset({"energy_meter", "inverter", "ups"})
ELECTRIC = frozenset({"electric_voltage", "electric_current", "power", "reactive_power", "apparent_power", "energy"})
PHASES = ("l1", "l2", "l3", "l12", "l23", "l31")
_PRIVATE = 0xE000


class Parsed(msgspec.Struct, frozen=True):
    """What one text says. `unknown` are the words that mean nothing to the lexicon."""

    concepts: frozenset[str]
    unknown: tuple[str, ...] = ()
    enumerated: bool = False
    brackets: tuple[str, ...] = ()


class Lexicon:
    """The spellings of all concepts, and the class of each concept."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        spelled = {name: table for name, table in tables.items() if name in CLASSES}
        self.class_of = {concept: name for name, table in spelled.items() for concept in table}
        self.class_of |= dict.fromkeys(PHASES, "phase")
        self._mark = {concept: chr(_PRIVATE + index) for index, concept in enumerate(self.class_of)}
        self._meaning: dict[tuple[str, ...], tuple[str, ...]] = {
            (mark,): (concept,) for concept, mark in self._mark.items()
        }
        for table in spelled.values():
            for concept, spellings in table.items():
                for spelling in spellings.split(","):
                    self._meaning.setdefault(atoms(spelling), (concept,))
        for spelling, concepts in tables["compound"].items():
            self._meaning[atoms(spelling)] = tuple(concepts.split())
        whole = {"".join(key) for key in self._meaning if all(atom.isalpha() and atom.isascii() for atom in key)}
        self._words = frozenset(word for word in whole if len(word) > 2)
        self._parts = {"".join(key): key for key in self._meaning if all(atom.isascii() for atom in key)}
        self.jargon: Mapping[str, Mapping[str, str]] = tables["jargon"]
        self.names = {concept: _names(words) for table in spelled.values() for concept, words in table.items()}
        self._repaired: dict[str, tuple[str, ...] | None] = {}
        self.units: dict[str, str] = {
            _folded(word): code for code, words in tables["unit"].items() for word in words.split(",")
        }
        self.devices = {atoms(word): kind for kind, words in tables["device"].items() for word in words.split(",")}

    def mark(self, *concepts: str) -> str:
        """Return text that `parse` reads as `concepts`."""
        return "".join(f" {self._mark[concept]} " for concept in concepts)

    def unit_code(self, written: str) -> str | None:
        """Return the UN/ECE Rec 20 code of a unit as people write it; None where it is not known."""
        folded = _folded(written)
        if folded in self.units:
            return self.units[folded]
        units = load_units()
        return next((code for code in units if folded in {_folded(units[code].symbol), code.casefold()}), None)

    def devices_in(self, text: str) -> list[str]:
        """Return the kinds of equipment that `text` names, the longest name first."""
        sequence = atoms(normalize("NFKC", text))
        found = [
            (-len(words), at, kind)
            for words, kind in self.devices.items()
            for at in range(len(sequence) - len(words) + 1)
            if sequence[at : at + len(words)] == words
        ]
        return list(dict.fromkeys(kind for _, _, kind in sorted(found)))

    def find(self, sequence: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...] | None]]:
        """Yield each stretch of atoms, longest first, with its concepts; None for a word that nothing explains."""
        at = 0
        while at < len(sequence):
            for length in range(min(LONGEST, len(sequence) - at), 0, -1):
                meaning = self._meaning.get(tuple(sequence[at : at + length]))
                if meaning is not None:
                    yield "".join(sequence[at : at + length]), meaning
                    at += length
                    break
            else:
                yield from self._unspelled(sequence[at])
                at += 1

    def _unspelled(self, atom: str) -> Iterator[tuple[str, tuple[str, ...] | None]]:
        if atom.isdigit() or (len(atom) == 1 and (atom.isascii() or atom in NUMERALS)):
            return
        pieces = self._repair(atom) if atom.isascii() else None
        if pieces is None:
            yield atom, None
            return
        for piece in pieces:
            yield piece, self._meaning[self._parts[piece]]

    def _repair(self, word: str) -> tuple[str, ...] | None:
        """Return the known words that `word` was meant to be; None where it is not known at all."""
        if word not in self._repaired:
            self._repaired[word] = (
                self._singular(word) or _split(word, self._words) or _nearest(word, self._words) or None
            )
        return self._repaired[word]

    def _singular(self, word: str) -> tuple[str, ...]:
        stems = [word.removesuffix(ending) for ending in ("s", "es") if word.endswith(ending)]
        return next(((stem,) for stem in stems if stem in self._words), ())


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """Return the lexicon of this package; read once per process."""
    text = files("edge_agent.onboard").joinpath("propose_lexicon.toml").read_text(encoding="utf-8")
    return Lexicon(tomllib.loads(text))


_ATOM = re.compile(
    r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[\u3007\u3400-\u4dbf\u4e00-\u9fff]|[\ue000-\uefff]|[À-ÿ]+"
)
_UNITS_INSIDE = re.compile(r"([kMG])(Wh|W|VAh|VA|varh|var|Varh|Var|Hz|Pa)(?![a-z])")


def atoms(text: str) -> tuple[str, ...]:
    """Return the atoms of `text`, lower case: ("output", "freq") for "outputFreq", ("输", "出") for "输出"."""
    plain = _UNITS_INSIDE.sub(lambda found: f" {found[0].lower()} ", text)
    return tuple(found.lower() for found in _ATOM.findall(plain))


_LINE_TO_LINE = [
    (
        "l12",
        r"L1\s*[-_/~]?\s*L2|L1-2|L12(?!\d)|(?<![A-Za-z])A-?B(?=\s*(?:相|线|间|ph|line))|(?<![A-Za-z])UV(?=\s*[相线])",
    ),
    (
        "l23",
        r"L2\s*[-_/~]?\s*L3|L2-3|L23(?!\d)|(?<![A-Za-z])B-?C(?=\s*(?:相|线|间|ph|line))|(?<![A-Za-z])VW(?=\s*[相线])",
    ),
    (
        "l31",
        r"L3\s*[-_/~]?\s*L1|L1\s*[-_/~]\s*L3|L3-1|L31(?!\d)|L13(?!\d)|(?<![A-Za-z])(?:C-?A|A-?C)(?=\s*(?:相|线|间|ph|line))|(?<![A-Za-z])WU(?=\s*[相线])",
    ),
    ("l12", r"(?i)(?:phases?|lines?|ph)\s*[1a]\s*(?:to|and|-)\s*(?:phase|line|ph)?\s*[2b](?![a-z0-9])"),
    ("l23", r"(?i)(?:phases?|lines?|ph)\s*[2b]\s*(?:to|and|-)\s*(?:phase|line|ph)?\s*[3c](?![a-z0-9])"),
    (
        "l31",
        r"(?i)(?:phases?|lines?|ph)\s*(?:[3c]\s*(?:to|and|-)\s*(?:phase|line|ph)?\s*[1a]|[1a]\s*(?:to|and|-)\s*(?:phase|line|ph)?\s*[3c])(?![a-z0-9])",
    ),
]
_ONE_PHASE = [
    (
        phase,
        rf"L{n}(?:\s*[-_/]?\s*N(?![a-z]))?(?!\d)|(?<![A-Za-z])[{names}]\s*-?\s*相|相\s*[{names}](?![A-Za-z])|(?i:(?:phase|ph)[\s_-]*[{n}{abc}](?![a-z0-9])|(?<![a-z0-9])[{abc}][\s_-]?phase|(?<![a-z0-9])line {n}(?!\d))",
    )
    for phase, n, names, abc in (("l1", "1", "ARUar", "ar"), ("l2", "2", "BSVbs", "bs"), ("l3", "3", "CTWct", "ct"))
]
_RULES = [(phase, re.compile(pattern)) for phase, pattern in (*_LINE_TO_LINE, *_ONE_PHASE)]

_SIGN = re.compile(
    r"(?<![A-Za-z0-9])(pf|cos|u|v|i|p|q|s|e)_?(?:(l?12|ab|rs)|(l?23|bc|st)|(l?31|ca|ac(?=n)|tr)|(l?1|a|r)n?|(l?2|b)n?|(l?3|c|t)n?|(dc|pv)\d?|(bat)|(bus))(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_SIGN_MEANS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "u": ("electric_voltage", ("voltage",)),
    "v": ("electric_voltage", ("voltage",)),
    "i": ("electric_current", ("current",)),
    "p": ("power", ("power",)),
    "q": ("reactive_power", ("power", "reactive")),
    "s": ("apparent_power", ("power", "apparent")),
    "e": ("energy", ("energy",)),
    "pf": ("", ("power_factor",)),
    "cos": ("", ("power_factor",)),
}
_SUFFIX_MEANS = (*("l12", "l23", "l31", "l1", "l2", "l3"), "dc", "battery", "bus")

_PLC_OPERAND = re.compile(r"[:：]\s*%?[IQMVDT][BWDX]?\d+(?:\.\d+)?(?!\w)")
_TYPE_IN_FRONT = re.compile(r"(?<![A-Za-z])(?:udt|arr|str|fb|di|dw|lr|by|ui|ud|us|st|[bridwsxnfelu])(?=[A-Z][a-z])")
_LETTER_AT_END = re.compile(r"(?:(?i:phs?)\s?|(?<![A-Za-z]))(AB|BC|CA|[ABC])\s*$")
_LETTERS: Mapping[str, str] = dict(zip(("AB", "BC", "CA", "A", "B", "C"), (*PHASES[3:], *PHASES[:3]), strict=True))

_CODE_IN_FRONT = re.compile(r"^\s*[A-Za-z]{1,2}\d{1,3}[.\-_]\d+(?:[.\-_]\d+)*\s+")
_BRACKET = re.compile(r"[(\[{（【<][^()\[\]{}（）【】<>]*[)\]}）】>]?")
_STATES = re.compile(
    r"(?<![\w.])\d{1,2}(?=[\u4e00-\u9fff](?!相))|(?<![\w.])(?:0x[0-9a-f]+|bi?t?\s?\d+|\d+)\s*[:=：＝—–-]+\s*\S|0x[0-9a-f]+\s*\(?\w",
    re.IGNORECASE,
)
_CODED_STATE = re.compile(r"[^\W\d_]+\s?0x[0-9a-f]{1,4}(?![0-9a-f])", re.IGNORECASE)


def parse(text: str, unit_quantity: str, kinds: Sequence[str]) -> Parsed:
    """Return what `text` says.

    `unit_quantity` is the quantity of the point's unit ("" unknown): a formula sign such as "Ia" is believed only where
    the unit agrees, or where there is no unit and the device, of one of `kinds`, is an electrical one.
    """
    lexicon = load_lexicon()
    clean = _PLC_OPERAND.sub(" ", _CODE_IN_FRONT.sub("", normalize("NFKC", text)[:1000]))
    clean = _TYPE_IN_FRONT.sub("", clean.replace("_", " "))
    brackets = tuple(found.strip("()[]{}【】<> ") for found in _BRACKET.findall(clean))
    outside = _BRACKET.sub(" ", clean)
    if not outside.strip():
        outside, brackets = " ".join(brackets), ()
    listed = [start.start() for start in _STATES.finditer(outside)]
    enumerated = len(listed) > 1 or any(
        len(_STATES.findall(part)) + len(_CODED_STATE.findall(part)) > 1 for part in brackets
    )
    if len(listed) > 1:
        outside = outside[: listed[0]]
    concepts: set[str] = set()
    unknown: list[str] = []
    own = {word: meaning for kind in kinds for word, meaning in lexicon.jargon.get(kind, {}).items()}
    electrical = bool(ELECTRICAL & set(kinds))
    for word, meaning in lexicon.find(atoms(_marked(outside, lexicon, unit_quantity, electrical))):
        if word in own:
            concepts.update(own[word].split())
        elif meaning is None:
            unknown.append(word)
        else:
            concepts.update(meaning)
    return Parsed(frozenset(concepts), tuple(unknown), enumerated, brackets)


def _marked(text: str, lexicon: Lexicon, unit_quantity: str, electrical: bool) -> str:
    """Put the private characters of phases and formula signs in the place of their spellings."""

    def sign(found: re.Match[str]) -> str:
        quantity, concepts = _SIGN_MEANS[found[1].lower()]
        if unit_quantity != quantity and (unit_quantity or not electrical):
            return found[0]
        suffix = next(means for means, part in zip(_SUFFIX_MEANS, found.groups()[1:], strict=True) if part)
        return lexicon.mark(*concepts, suffix)

    text = _SIGN.sub(sign, text)
    for phase, pattern in _RULES:
        text = pattern.sub(lexicon.mark(phase), text)
    if electrical and unit_quantity in ELECTRIC:
        text = _LETTER_AT_END.sub(lambda found: lexicon.mark(_LETTERS[found[1].upper()]), text)
    return text


def _names(spellings: str) -> tuple[str, str]:
    """Return the first spelling in Latin letters and the first in Chinese, either for the other where there is none."""
    words = [word.strip() for word in spellings.split(",")]
    latin = next((word for word in words if word.isascii()), words[0])
    return latin, next((word for word in words if not word.isascii()), latin)


def _folded(unit: str) -> str:
    """Return a unit without what people write differently: case, blanks, multiplication dots, brackets."""
    return re.sub(r"[\s·*.()\[\]]", "", normalize("NFKC", unit)).casefold()


def _split(word: str, known: frozenset[str]) -> tuple[str, ...]:
    """Return known words of which `word` is made without a gap, as few as possible; () where there are none."""
    best: list[tuple[str, ...] | None] = [()] + [None] * len(word)
    for end in range(3, len(word) + 1):
        for start in range(end - 2):
            before = best[start]
            if before is None or word[start:end] not in known:
                continue
            found = best[end]
            if found is None or len(before) + 1 < len(found):
                best[end] = (*before, word[start:end])
    return best[-1] or ()


def _nearest(word: str, known: frozenset[str]) -> tuple[str, ...]:
    """Return the one known word that differs by one letter (two in long words) and begins alike."""
    if len(word) < 7:
        return ()
    allowed = 1 if len(word) < 11 else 2
    alike = sorted(
        (gap, other)
        for other in known
        if other[0] == word[0] and abs(len(other) - len(word)) <= allowed and len(other) > 4
        if (gap := _edits(word, other, allowed)) <= allowed
    )
    return (alike[0][1],) if alike else ()


def _edits(one: str, other: str, most: int) -> int:
    """Return the Damerau-Levenshtein distance (optimal string alignment), or more than `most` as soon as it exceeds it."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        following = [i]
        for j, opposite in enumerate(other, 1):
            cost = min(row[j] + 1, following[j - 1] + 1, row[j - 1] + (letter != opposite))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == opposite:
                cost = min(cost, before[j - 2] + 1)
            following.append(cost)
        if min(following) > most:
            return most + 1
        before, row = row, following
    return row[-1]
