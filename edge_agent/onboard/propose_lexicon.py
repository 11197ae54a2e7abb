"""Knows how makers spell what a point is about: the spellings of all concepts, of units and of kinds of equipment.

A text becomes atoms: Latin words (camelCase, underscores and digits parted), single Chinese characters, and private
characters that stand for a concept found by a rule rather than by a word. The longest spelling that fits wins, atom by
atom; a word that no spelling knows is looked up as a glued, shortened or misspelled one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import product
from typing import Any
from unicodedata import normalize

from edge_agent.onboard.propose_words import Vocabulary, split
from protocols.dictionary.units import load_units

CLASSES = ("quantity", "subject", "qualifier", "role", "machine", "filler")
"""The tables of the lexicon that hold concepts."""

PHASES = ("l1", "l2", "l3", "l12", "l23", "l31")
NUMERALS = "一二三四五六七八九十"
LONGEST = 8
"""Atoms in the longest spelling that is tried."""

_PRIVATE = 0xE000


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
        self._parts = {"".join(key): key for key in self._meaning if all(atom.isascii() for atom in key)}
        known = {word: self._meaning[key] for word, key in self._parts.items() if word.isalpha() and len(word) > 2}
        single = [word for word in known if len(self._parts[word]) == 1]
        nouns = [word for word in single if {self.class_of[c] for c in known[word]} <= {"quantity", "subject"}]
        self._vocabulary = Vocabulary(known, single, nouns)
        self._read_aloud = self._in_pinyin()
        self.jargon: Mapping[str, Mapping[str, str]] = tables["jargon"]
        self.initials: Mapping[str, str] = tables["initials"]
        self.names = {concept: _names(words) for table in spelled.values() for concept, words in table.items()}
        self.units: dict[str, str] = {
            _folded(word): code for code, words in tables["unit"].items() for word in words.split(",")
        }
        self.devices = {atoms(word): kind for kind, words in tables["device"].items() for word in words.split(",")}

    def _in_pinyin(self) -> frozenset[str]:
        """Add the Chinese spellings as pinyin, "shui wei" for "水位"; return them glued, as a word may have them."""
        glued = set()
        for key, concepts in list(self._meaning.items()):
            if len(key) > 1 and all(atom in _readings() for atom in key):
                for syllables in product(*(_readings()[atom] for atom in key)):
                    self._meaning.setdefault(syllables, concepts)
                    self._parts.setdefault("".join(syllables), syllables)
                    glued.add("".join(syllables))
        return frozenset(glued)

    def mark(self, *concepts: str) -> str:
        """Return text that `parse` reads as `concepts`."""
        return "".join(f" {self._mark[concept]} " for concept in concepts)

    def knows(self, word: str) -> bool:
        """Return whether `word`, of Latin letters, is a spelling as it stands."""
        return word.casefold() in self._parts

    def unit_code(self, written: str) -> str | None:
        """Return the UN/ECE Rec 20 code of a unit as people write it; None where it is not known."""
        folded = _folded(written)
        if folded in self.units:
            return self.units[folded]
        units = load_units()
        found = next((code for code in units if folded in {_folded(units[code].symbol), code.casefold()}), None)
        if found is None and (counted := _COUNTED_UNIT.fullmatch(written.strip())):
            return self.unit_code(counted[1] or counted[2])
        return found

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
        pieces = (split(atom, self._read_aloud) or self._vocabulary.repair(atom)) if atom.isascii() else ()
        if not pieces:
            head = self._vocabulary.head(atom) if atom.isascii() else ""
            yield atom.removesuffix(head), None
            pieces = (head,) if head else ()
        for piece in pieces:
            yield piece, self._meaning[self._parts[piece]]


@lru_cache(maxsize=1)
def _readings() -> Mapping[str, tuple[str, ...]]:
    """Return how each Chinese character of the spellings is read in pinyin."""
    text = files("edge_agent.onboard").joinpath("propose_pinyin.toml").read_text(encoding="utf-8")
    found: dict[str, tuple[str, ...]] = {}
    for syllable, characters in tomllib.loads(text).items():
        for character in characters:
            found[character] = (*found.get(character, ()), syllable)
    return found


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """Return the lexicon of this package; read once per process."""
    text = files("edge_agent.onboard").joinpath("propose_lexicon.toml").read_text(encoding="utf-8")
    return Lexicon(tomllib.loads(text))


_COUNTED_UNIT = re.compile(r"[x×*]?\s*\d+(?:[.,]\d+)?\s*[x×*]?\s*([^\d\s/.].*)|([^\d\s]+)\s*[x×*/]\s*\d+(?:[.,]\d+)?")
"""A unit with what one count of the raw value stands for, "0.1Wh" or "kWh/100"."""

_ATOM = re.compile(
    r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[\u3007\u3400-\u4dbf\u4e00-\u9fff]|[\ue000-\uefff]|[À-ÿ]+"
)
_UNITS_INSIDE = re.compile(r"(?<![A-Z])([kKMG])(Wh|W|VARh|VAR|VArh|VAr|VAh|VA|varh|var|Varh|Var|Hz|Pa)(?![A-Za-z])")


def atoms(text: str) -> tuple[str, ...]:
    """Return the atoms of `text`, lower case: ("output", "freq") for "outputFreq", ("输", "出") for "输出"."""
    plain = _UNITS_INSIDE.sub(lambda found: f" {found[0].lower()} ", text)
    return tuple(found.lower() for found in _ATOM.findall(plain))


def _names(spellings: str) -> tuple[str, str]:
    """Return the first spelling in Latin letters and the first in Chinese, either for the other where there is none."""
    words = [word.strip() for word in spellings.split(",")]
    latin = next((word for word in words if word.isascii()), words[0])
    return latin, next((word for word in words if not word.isascii()), latin)


def _folded(unit: str) -> str:
    """Return a unit without what people write differently: case, blanks, multiplication dots, brackets."""
    return re.sub(r"[\s·*.()\[\]]", "", normalize("NFKC", unit)).casefold()
