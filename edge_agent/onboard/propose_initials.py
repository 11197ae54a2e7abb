"""Reads names abbreviated to the initials of pinyin, as Chinese PLC lists have them: SB1_DL is 水泵1 电流.

Two letters may stand for much, so that they are believed only in a Chinese list in which several names come out whole,
and where the unit of the point agrees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import msgspec

from edge_agent.onboard.point_list import Point
from edge_agent.onboard.propose_lexicon import Lexicon, load_lexicon

FEWEST = 3
"""So many names of a list have to be initials for any to be read so."""

LONGEST = 6
CHANNELS = frozenset({"AI", "AO", "DI", "DO"})
"""Kinds of a controller's channels: in front of initials they say where a signal comes in, not what it is."""

_TOKEN = re.compile(r"(?<![A-Za-z])[A-Z]{1,9}(?![A-Za-z])")
_HAN = re.compile(r"[\u4e00-\u9fff]")


def spell_initials(points: Sequence[Point], about: str, quantity: Callable[[str], str]) -> Sequence[Point]:
    """Return the points with names of initials spelled as the concepts they stand for.

    `about` is what is said of the device, `quantity` tells the quantity of a unit as written.
    """
    bare = [point for point in points if not _HAN.search(point.name) and not _HAN.search(point.description)]
    if not _HAN.search(about) and len(bare) == len(points):
        return points
    read = {
        point.address: name
        for point in bare
        if not point.description.strip() and (name := _spelled(point.name, quantity(point.unit)))
    }
    if len(read) < FEWEST:
        return points
    return [msgspec.structs.replace(point, name=read.get(point.address, point.name)) for point in points]


def _spelled(name: str, quantity: str) -> str:
    """Return `name` with its initials as concepts; "" where a letter stays unread or a word is already known."""
    tokens = [*_TOKEN.finditer(name)]
    if not tokens or len("".join(token[0] for token in tokens)) < 2 or re.search(r"[a-z]", name):
        return ""
    lexicon = load_lexicon()
    spelled = name
    for token in reversed(tokens):
        concepts = () if token[0] in CHANNELS and len(tokens) > 1 else _decoded(token[0], quantity)
        if concepts is None:
            return ""
        spelled = spelled[: token.start()] + lexicon.mark(*concepts) + spelled[token.end() :]
    return spelled


def _decoded(letters: str, quantity: str) -> tuple[str, ...] | None:
    """Return the concepts of a run of initials, the fewest abbreviations first; None where they do not cover it."""
    table = _initials()
    best: list[tuple[str, ...] | None] = [()] + [None] * len(letters)
    pieces = [0] + [99] * len(letters)
    for end in range(1, len(letters) + 1):
        for start in range(max(0, end - LONGEST), end):
            before = best[start]
            means = _meaning(table.get(letters[start:end], ()), quantity)
            if before is not None and means is not None and pieces[start] + 1 < pieces[end]:
                best[end], pieces[end] = (*before, *means), pieces[start] + 1
    return best[-1]


def _meaning(options: Sequence[tuple[str, tuple[str, ...]]], quantity: str) -> tuple[str, ...] | None:
    return next((concepts for wanted, concepts in options if wanted in {"", quantity}), None)


@lru_cache(maxsize=1)
def _initials() -> Mapping[str, Sequence[tuple[str, tuple[str, ...]]]]:
    lexicon: Lexicon = load_lexicon()
    return {
        letters: [_option(option) for option in options.split(",")] for letters, options in lexicon.initials.items()
    }


def _option(text: str) -> tuple[str, tuple[str, ...]]:
    wanted, _, concepts = text.rpartition(":")
    return wanted.strip(), tuple(concepts.split())
