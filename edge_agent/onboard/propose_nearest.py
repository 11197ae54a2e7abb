"""Holds a point against every entry of the dictionary, also against those it does not fit, and says in numbers how far off.

For each entry the reading is found that comes nearest. How well it does is the share of what the point says that it explains,

    score = preference x explained / (explained + unexplained + unknown words)

and what is amiss with it is counted: concepts it lacks, that it rules out, flags that do not hold, and what is left over by
class. What each of these is worth, and for which entry, is fitted (`propose_rank`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from edge_agent.onboard.propose_concepts import Described
from edge_agent.onboard.propose_context import Device
from edge_agent.onboard.propose_lexicon import load_lexicon
from edge_agent.onboard.propose_match import (
    Reading,
    holds,
    load_readings,
    may_be,
)
from protocols.dictionary.entries import load_dictionary

UNKNOWN_WORD = 0.45
UNKNOWN_MOST = 1.4
"""What a word counts that nothing explains, and all such words together at most."""

PLACE = 0.3
"""Share of its weight that a subject or an unknown word has where it may be the place of a measurement."""

PRESENT = 0.1
"""What a concept has to say to be there: a word far up the browse path asks for no entry."""

SUPPORT = 0.5
"""What a concept that may be there adds, as a part of one that must."""

LACKING, RULED_OUT, NOT_HOLDING = 0.35, 0.25, 0.2
"""What a concept that lacks, one that is ruled out and a flag that does not hold take from a reading's score."""

TELLING = 0.3
"""What a concept that is left over weighs at least to be told."""

AMISS_MOST = 3
"""With more amiss than so much, a reading says nothing of a point."""


class Nearest(msgspec.Struct, frozen=True):
    """The reading of an entry that comes nearest to a point, and how near.

    `score` is the reading's as if nothing were amiss; `left`: class of the lexicon -> weight left over.
    """

    score: float
    evidence: float
    lacking: int
    ruled_out: int
    not_holding: int
    left: Mapping[str, float]
    explained: tuple[str, ...]
    reading: Reading

    @property
    def quantity_kind(self) -> str:
        """What kind of quantity the entry is of."""
        return load_dictionary()[self.reading.code].quantity_kind

    @property
    def measured(self) -> bool:
        """Whether the entry is a value that is measured or counted, which nobody writes."""
        return load_dictionary()[self.reading.code].aggregation in {"avg", "counter_delta"}

    @property
    def amiss(self) -> int:
        """How much is amiss: 0 where the reading fits."""
        return self.lacking + self.ruled_out + self.not_holding


class _Compiled(msgspec.Struct, frozen=True):
    """A reading in bits: one for each concept of the lexicon, one for each flag that any reading asks for."""

    reading: Reading
    required: tuple[int, ...]
    any_required: int
    optional: int
    forbidden: int
    flags: int
    kinds: int


def nearest_readings(point: Described, device: Device) -> dict[str, Nearest]:
    """Return for each entry that unit and type of `point` allow the reading that comes nearest; none that is far off."""
    if "#date" in point.flags:
        return {}
    dictionary = load_dictionary()
    table, flags, places = _compiled()
    said = _bits(places, (c for c, weight in point.support.items() if weight >= PRESENT))
    mentioned = _bits(places, point.support)
    implied = _bits(places, point.implied)
    held = sum(1 << at for at, flag in enumerate(flags) if holds(flag, point, device))
    weigher = _Weigher(point)
    kinds = frozenset(device.kinds)
    best: dict[str, tuple[float, Nearest]] = {}
    for code, readings in table.items():
        told = [one for one in readings if one.any_required & (said | implied)]
        if not told or not may_be(dictionary[code], point):
            continue
        for one in told:
            here = [group & said or group & implied for group in one.required]
            lacking = here.count(0)
            ruled_out = (one.forbidden & mentioned).bit_count()
            not_holding = (one.flags & ~held).bit_count() + bool(one.kinds and not one.reading.kinds & kinds)
            if lacking + ruled_out + not_holding > AMISS_MOST:
                continue
            used = 0
            for bits in here:
                used |= bits
            found = weigher.nearest(one, used, implied, (lacking, ruled_out, not_holding))
            worth = found.score - LACKING * lacking - RULED_OUT * ruled_out - NOT_HOLDING * not_holding
            if code not in best or worth > best[code][0]:
                best[code] = (worth, found)
    return {code: found for code, (_, found) in best.items()}


def left_over(point: Described, found: Nearest) -> list[str]:
    """Return the concepts of `point` that make another thing of it than `found` is, the weightiest first."""
    classes = load_lexicon().class_of
    left = {}
    for concept, weight in point.against.items():
        if concept not in found.explained and concept not in point.implied:
            place = concept in point.own or (found.reading.anywhere and classes[concept] == "subject")
            left[concept] = weight * (PLACE if place else 1.0)
    return sorted((c for c, weight in left.items() if weight >= TELLING), key=lambda c: (-left[c], c))


class _Weigher:
    """Weighs what a reading explains of one point and what it leaves over."""

    def __init__(self, point: Described) -> None:
        lexicon = load_lexicon()
        self._point = point
        self._against = {
            c: (w * (PLACE if c in point.own else 1.0), lexicon.class_of[c])
            for c, w in point.against.items()
            if w > 0 and c not in point.implied
        }
        self._unknown = min(UNKNOWN_WORD * sum(point.unknown.values()), UNKNOWN_MOST)

    def nearest(self, one: _Compiled, used: int, implied: int, amiss: tuple[int, int, int]) -> Nearest:
        said = self._point.support
        optional = [c for c in one.reading.optional if c in said]
        used_names = _names(used)
        evidence = sum(max(said.get(c, 0.0), 0.3 if c in self._point.implied else 0.0) for c in used_names)
        support = sum(SUPPORT * said[c] for c in optional)
        explained = {*used_names, *optional}
        left: dict[str, float] = {}
        for concept, (weight, name) in self._against.items():
            if concept not in explained:
                share = PLACE if one.reading.anywhere and name == "subject" else 1.0
                left[name] = left.get(name, 0.0) + weight * share
        unexplained = sum(left.values()) + self._unknown * (PLACE if one.reading.anywhere else 1.0)
        total = evidence + support + unexplained
        score = one.reading.preference * (evidence + support) / total if total else 0.0
        return Nearest(score, evidence + support, *amiss, left, tuple(sorted(explained)), one.reading)


@lru_cache(maxsize=1)
def _compiled() -> tuple[Mapping[str, tuple[_Compiled, ...]], tuple[str, ...], Mapping[str, int]]:
    """Return (entry -> its readings in bits, the flags by bit, concept -> bit)."""
    places = {concept: at for at, concept in enumerate(load_lexicon().class_of)}
    flags = tuple(sorted({flag for reading in load_readings() for flag in reading.flags}))
    table: dict[str, list[_Compiled]] = {}
    for reading in load_readings():
        table.setdefault(reading.code, []).append(
            _Compiled(
                reading,
                tuple(_bits(places, group) for group in reading.required),
                _bits(places, (concept for group in reading.required for concept in group)),
                _bits(places, reading.optional),
                _bits(places, reading.forbidden),
                sum(1 << flags.index(flag) for flag in reading.flags),
                len(reading.kinds),
            )
        )
    return {code: tuple(readings) for code, readings in table.items()}, flags, places


@lru_cache(maxsize=1)
def _concepts() -> tuple[str, ...]:
    return tuple(load_lexicon().class_of)


def _names(bits: int) -> list[str]:
    concepts = _concepts()
    found = []
    while bits:
        low = bits & -bits
        found.append(concepts[low.bit_length() - 1])
        bits ^= low
    return found


def _bits(places: Mapping[str, int], concepts: Iterable[str]) -> int:
    total = 0
    for concept in concepts:
        total |= 1 << places[concept]
    return total
