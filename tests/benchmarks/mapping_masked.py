"""Point lists as a vendor would write them whose words nobody has seen.

The lexicon was enlarged with these lists in sight, so it knows every word in them. Here words that no other vendor uses, and
a few of the others, are replaced by words of no language: what stays is how a list looks at first sight.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import msgspec

from edge_agent.onboard.point_list import PointList
from edge_agent.onboard.propose_lexicon import atoms, load_lexicon
from edge_agent.onboard.propose_text import plain_letters
from tests.benchmarks.mapping_lists import Labelled

OWN_SHARE, ANY_SHARE = 0.5, 0.06
"""Shares of a vendor's own spellings and of all other words that are replaced."""

BARE_SHARE = 0.5
"""Share of the lists that do not say besides what may be written."""

_WORD = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}(?![a-z])|[\u4e00-\u9fff]{2}")
_FOREIGN = "龘靐"


def vendors_of_spellings(lists: Iterable[Labelled]) -> Mapping[str, Collection[str]]:
    """Return for each spelling of the lexicon that stands in `lists` the vendors who use it."""
    seen: dict[str, set[str]] = defaultdict(set)
    for labelled in lists:
        for spelling in _spellings(labelled.points):
            seen[spelling].add(labelled.vendor)
    return seen


def masked(labelled: Labelled, vendors: Mapping[str, Collection[str]]) -> PointList:
    """Return the points of `labelled` as at first sight; the same each time."""
    noise = random.Random(f"{labelled.vendor} {labelled.points.model}")
    own = sorted(word for word in _spellings(labelled.points) if len(vendors[word]) < 2)
    gone = {word for word in own if noise.random() < OWN_SHARE}
    chinese = sorted((word for word in gone if not word.isascii()), key=lambda word: (-len(word), word))
    replaced: dict[str, str] = {}

    def replacement(found: re.Match[str]) -> str:
        word = found[0]
        if word not in replaced:
            out = noise.random() < ANY_SHARE or word.lower() in gone
            replaced[word] = _foreign(word, noise) if out else word
        return replaced[word]

    def rewritten(text: str) -> str:
        for word in chinese:
            text = text.replace(word, _FOREIGN[: len(word)])
        return _WORD.sub(replacement, text)

    bare = noise.random() < BARE_SHARE
    points = [
        msgspec.structs.replace(
            point,
            name=rewritten(point.name),
            description=rewritten(point.description),
            access="r" if bare else point.access,
        )
        for point in labelled.points.points
    ]
    return msgspec.structs.replace(labelled.points, points=points)


def _foreign(word: str, noise: random.Random) -> str:
    return "".join(noise.choice("qxzwvk") for _ in range(7)).capitalize() if word.isascii() else _FOREIGN


def _spellings(points: PointList) -> set[str]:
    lexicon = load_lexicon()
    return {
        word
        for point in points.points
        for text in (point.name, point.description)
        for word, meaning in lexicon.find(atoms(plain_letters(text)))
        if meaning is not None and len(word) > 1
    }
