"""Kinds of defects that a model names: how many parts they take, and how well it does. Needs no numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from models.card import KindCard

LEAST_PARTS = 10
"""Parts of a kind that are needed before it is named; and two such kinds."""


def missing(shown: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return how many parts each kind lacks to be named, of pairs (kind, part); 0 for one that lacks none."""
    counted = Counter(kind for kind, _ in set(shown))
    return {kind: max(LEAST_PARTS - count, 0) for kind, count in sorted(counted.items())}


class Naming(NamedTuple):
    """How well defects are named, of parts that were not learnt from.

    Attributes:
        macro_f1: mean F1 of the kinds; a part that is not named is missed.
        named: share that is given a name.
        majority: share that always saying the most frequent kind gets right.
    """

    macro_f1: float
    named: float
    majority: float


def naming(cards: Sequence[KindCard]) -> Naming:
    """Return the figures of a card's kinds."""
    called = [sum(card.said[number] for card in cards) for number in range(len(cards))]
    counts = [sum(card.said) for card in cards]
    f1 = [2 * card.said[number] / max(counts[number] + called[number], 1) for number, card in enumerate(cards)]
    return Naming(sum(f1) / len(cards), sum(called) / sum(counts), max(counts) / sum(counts))
