"""Puts in numbers what a point says by itself, for the fitted part of the proposals (`propose_rank`).

Concepts and pairs of them, words and pieces of words in either script, unit, type, access, kind of device, what the
neighbours are: each is worth something different for every entry. A signal's first letters say of which sort it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Set
from itertools import combinations, pairwise

import msgspec

from edge_agent.onboard.point_list import Point
from edge_agent.onboard.propose_concepts import Described
from edge_agent.onboard.propose_context import Device
from edge_agent.onboard.propose_lexicon import load_lexicon
from edge_agent.onboard.propose_nearest import Nearest, nearest_readings
from edge_agent.onboard.propose_pairs import HAN, LATIN, pair_signals
from edge_agent.onboard.propose_text import plain_letters

STRONG = 0.35
"""What a concept has to say to be paired with others."""

PAIRED = 7
"""So many of the strongest concepts are paired."""

WHOLE = 24
"""Letters that a name has at most to count as a whole besides."""

BESIDE = 0.75
"""How well a neighbour has to fit an entry for that to say something."""


class Seen(msgspec.Struct, frozen=True):
    """A point with all that is known of it: how near each entry comes, its signals, and those beside each entry.

    `best_of`: the best score that any point of the device has for each entry it fits.
    """

    point: Described
    near: Mapping[str, Nearest]
    signals: Mapping[str, float]
    pairs: Mapping[str, tuple[float, ...]]
    best_of: Mapping[str, float]


def see(device: Device) -> list[Seen]:
    """Return what each point of `device` says, in their order; neighbours in the list count as such."""
    nears = [nearest_readings(point, device) for point in device.points]
    best_of: dict[str, float] = {}
    for near in nears:
        for code, found in near.items():
            if not found.amiss:
                best_of[code] = max(best_of.get(code, 0.0), found.score)
    fits = ["", *(_fitting(near) for near in nears), ""]
    return [
        Seen(
            point,
            near,
            point_signals(point, device, {fits[at], fits[at + 2]} - {""}),
            pair_signals(point, device, near, best_of),
            best_of,
        )
        for at, (point, near) in enumerate(zip(device.points, nears, strict=True))
    ]


def _fitting(near: Mapping[str, Nearest]) -> str:
    """Return the entry that a point fits best, "" where it fits none well."""
    fits = [(found.score, code) for code, found in near.items() if not found.amiss and found.score >= BESIDE]
    return max(fits)[1] if fits else ""


def point_signals(point: Described, device: Device, beside: Set[str] = frozenset()) -> dict[str, float]:
    """Return what the point says by itself: signal -> strength 0..1.

    `beside`: the entries that its neighbours in the list fit, where they fit one well.
    """
    classes = load_lexicon().class_of
    found: dict[str, float] = {"one": 1.0}
    strong: list[tuple[float, str]] = []
    for concept, weight in point.support.items():
        name = classes[concept]
        if name == "filler":
            found[f"c {concept}"] = 0.5
            continue
        strength = min(1.0, weight / {"qualifier": 0.7, "role": 1.1, "machine": 0.15}.get(name, 1.0))
        found[f"c {concept}"] = strength
        if strength >= STRONG and name != "machine":
            strong.append((-strength, concept))
    unit = point.unit_quantity or "no"
    kind = device.kinds[0] if device.kinds else "no"
    top = [concept for _, concept in sorted(strong)[:PAIRED]]
    for one, other in combinations(sorted(top), 2):
        found[f"p {one} {other}"] = 0.6
    for concept in top:
        found[f"u {unit} {concept}"] = 0.5
        found[f"k {kind} {concept}"] = 0.5
    found[f"n {min(len(top), 6)}"] = 0.5
    found[f"unit {unit}"] = 1.0
    found[f"kind {kind}"] = 0.7
    found[f"ku {kind} {unit}"] = 0.7
    for flag in sorted(point.flags):
        found[f"f {flag}"] = 0.5
    unknown = sum(point.unknown.values())
    found[f"unknown {min(3, round(unknown))}"] = 0.7
    found.update((f"v {code}", 0.4) for code in sorted(beside))
    found.update(_texts(point.point))
    return found


def _texts(point: Point) -> dict[str, float]:
    found: dict[str, float] = {}
    for text, share in ((point.name, 1.0), (point.description[:80], 0.6)):
        pieces = _pieces(plain_letters(text))
        if not pieces:
            continue
        strength = share / math.sqrt(len(pieces))
        for piece in pieces:
            found[piece] = max(found.get(piece, 0.0), strength)
    whole = re.sub(r"[\W\d_]+", " ", plain_letters(point.name)).casefold().strip()
    if 0 < len(whole) <= WHOLE:
        found[f"t {whole}"] = 0.7
    if (path := re.split(r"[./:\s]", point.address)) and len(path) > 1:
        found.update(
            (f"a {word.lower()}", 0.4) for part in path[-4:-1] for word in LATIN.findall(part) if len(word) > 2
        )
    return found


def _pieces(text: str) -> set[str]:
    """Return words, their beginnings and pieces, runs of two and three Chinese characters."""
    found = set()
    words = [word.lower() for word in LATIN.findall(text)]
    for word in words:
        if word.isdigit():
            if len(word) < 3:
                found.add(f"d {word}")
            continue
        found.add(f"w {word}")
        framed = f"^{word}$"
        found.update(f"g {framed[at : at + 3]}" for at in range(len(framed) - 2))
    for one, other in pairwise(words):
        if one.isalpha() and other.isalpha():
            found.add(f"b {one} {other}")
    for run in HAN.findall(text):
        for length in (2, 3):
            found.update(f"h {run[at : at + length]}" for at in range(len(run) - length + 1))
        found.add(f"e {run[-2:]}")
    return found
