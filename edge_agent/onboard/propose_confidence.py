"""Says how surely a proposal is right: the chance that a technician would accept it, from how it was found.

A logistic model over a handful of features. Its weights are data (`propose_confidence.toml`), fitted by
`python -m tests.benchmarks.mapping_fit` on point lists whose words were partly made unknown, so that a device in words
nobody has seen gets the modest confidence it deserves.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

from edge_agent.onboard.propose_concepts import Described
from edge_agent.onboard.propose_context import Device
from edge_agent.onboard.propose_lexicon import load_lexicon
from edge_agent.onboard.propose_match import Candidate
from protocols.dictionary.entries import load_dictionary

FEATURES = (
    "one",
    "unexplained",
    "evidence",
    "margin",
    "unknown_words",
    "unit_agrees",
    "unit_missing",
    "better_sibling",
    "other_class",
    "left_over",
    "left_role",
    "left_quantity",
    "weak_reading",
    "anywhere",
    "written_measure",
    "read_command",
    "one_concept",
    "bare",
    "unknown_state",
)

CAUTION = 0.5
"""Taken from the log-odds: words of a vendor nobody has seen mislead more often than those the weights were fitted on.

Lists at first sight were right in 93 % of what the weights alone called sure, and in 97 % of it in cross-validation.
"""

Weights = Mapping[str, float]


@lru_cache(maxsize=1)
def load_weights() -> Weights:
    """Return the fitted weight of each feature; read once per process."""
    text = files("edge_agent.onboard").joinpath("propose_confidence.toml").read_text(encoding="utf-8")
    weights: dict[str, float] = tomllib.loads(text)["weights"]
    return weights


def features(
    point: Described, device: Device, found: Sequence[Candidate], best_of_code: Mapping[str, float]
) -> dict[str, float]:
    """Return what the confidence in the first of `found` rests on, each feature about 0..1.

    `best_of_code`: the best score that any point of the device has for each entry.
    """
    best = found[0]
    classes = load_lexicon().class_of
    entry = load_dictionary()[best.code]
    physical = entry.data_type == "REAL_MEASURE" and entry.unit != "C62"
    return {
        "one": 1.0,
        "unexplained": 1.0 - best.score,
        "evidence": min(best.evidence, 3.0) / 3.0,
        "margin": best.score - (found[1].score if len(found) > 1 else 0.0),
        "unknown_words": min(sum(point.unknown.values()), 3.0) / 3.0,
        "unit_agrees": float(physical and bool(point.unit_quantity)),
        "unit_missing": float(physical and not point.unit_quantity),
        "better_sibling": best_of_code.get(best.code, best.score) - best.score,
        "other_class": float(bool(device.kinds) and entry.equipment_class not in {"generic", "sensor", *device.kinds}),
        "left_over": min(len(best.left), 3) / 3.0,
        "left_role": float(any(classes[concept] == "role" for concept in best.left)),
        "left_quantity": float(any(classes[concept] == "quantity" for concept in best.left)),
        "weak_reading": 1.0 - best.preference,
        "anywhere": float(best.anywhere),
        "written_measure": float(
            {"#writable", "#access"} <= point.flags and entry.aggregation in {"avg", "counter_delta"}
        ),
        "read_command": float("#writable" not in point.flags and entry.quantity_kind == "command"),
        "unknown_state": float(entry.quantity_kind in {"state", "command"} and sum(point.unknown.values()) > 0.3),
        "one_concept": float(len(best.explained) == 1),
        "bare": float(not point.unit_quantity and not point.flags & {"#bool", "#text", "#writable"}),
    }


def confidence(of: Mapping[str, float], weights: Weights) -> float:
    """Return the chance that a proposal with these features is right, 0..1."""
    z = sum(weights[name] * of[name] for name in FEATURES) - CAUTION
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, z))))
