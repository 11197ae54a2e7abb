"""Says how surely a proposal is right: the chance that a technician would accept it, from how it was found.

The ranking's own chances come from lists whose words the lexicon knows; on a list of a vendor nobody has seen they are too
bold. This second, logistic model over a handful of features is fitted on how the ranking fared on vendors it was fitted
without (`python -m tests.benchmarks.mapping_fit`, which writes `propose_confidence.toml`).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

from edge_agent.onboard.propose_rank import Ranked
from edge_agent.onboard.propose_signals import Seen

FEATURES = (
    "one",
    "odds",
    "against_none",
    "against_second",
    "unexplained",
    "amiss",
    "left_role",
    "unknown_words",
    "unknown_state",
    "better_sibling",
    "one_concept",
    "bare",
    "written_measure",
)

STATES = frozenset({"state", "command", "status_word"})
"""Kinds of quantity whose points a single unknown word makes another thing: "drag state" is no machine state."""

MOST_ODDS = 6.0

Weights = Mapping[str, float]


@lru_cache(maxsize=1)
def load_confidence() -> Weights:
    """Return the fitted weight of each feature; read once per process."""
    text = files("edge_agent.onboard").joinpath("propose_confidence.toml").read_text(encoding="utf-8")
    weights: dict[str, float] = tomllib.loads(text)["weights"]
    return weights


def features(seen: Seen, ranked: Sequence[Ranked], none: float) -> dict[str, float]:
    """Return what the confidence in the first of `ranked` rests on, each feature of the order of one.

    `none`: the chance that no entry fits.
    """
    point, best = seen.point, ranked[0]
    found = seen.near[best.code]
    second = ranked[1].chance if len(ranked) > 1 else 0.0
    unknown = min(sum(point.unknown.values()), 3.0) / 3.0
    return {
        "one": 1.0,
        "odds": _odds(best.chance, 1.0 - best.chance),
        "against_none": _odds(best.chance, none),
        "against_second": _odds(best.chance, second),
        "unexplained": 1.0 - found.score,
        "amiss": min(found.amiss, 2) / 2.0,
        "left_role": min(found.left.get("role", 0.0), 2.0) / 2.0,
        "unknown_words": unknown,
        "unknown_state": unknown if found.quantity_kind in STATES else 0.0,
        "better_sibling": max(0.0, seen.best_of.get(best.code, found.score) - found.score),
        "one_concept": float(len(found.explained) == 1),
        "bare": float(not point.unit_quantity and not point.flags & {"#bool", "#text", "#writable"}),
        "written_measure": float({"#writable", "#access"} <= point.flags and found.measured),
    }


def confidence(of: Mapping[str, float], weights: Weights) -> float:
    """Return the chance that a proposal with these features is right, 0..1."""
    z = sum(weights[name] * of[name] for name in FEATURES)
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, z))))


def _odds(one: float, other: float) -> float:
    """Return the logarithm of `one` : `other` in units of MOST_ODDS, -1..1."""
    logarithm = math.log(max(one, 1e-6) / max(other, 1e-6))
    return max(-MOST_ODDS, min(MOST_ODDS, logarithm)) / MOST_ODDS
