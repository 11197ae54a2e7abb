"""Fits the proposals: `python -m tests.benchmarks.mapping_fit` writes propose_rank.bin and propose_confidence.toml.

Ranking: a conditional logit (see `edge_agent/onboard/propose_rank.py`) by maximum likelihood with a Gaussian prior, on every
labelled list as it is and as a vendor nobody has seen would have written it (`mapping_masked`). Confidence: a logistic model
on how rankings fared that were fitted without the vendor they are asked about.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edge_agent.onboard.propose import Fitted
from edge_agent.onboard.propose_confidence import FEATURES, features
from edge_agent.onboard.propose_context import describe
from edge_agent.onboard.propose_pairs import PAIR_SIGNALS
from edge_agent.onboard.propose_rank import NONE, Weights, pack, rank
from edge_agent.onboard.propose_signals import Seen, see
from protocols.dictionary.entries import load_dictionary
from tests.benchmarks.mapping_lists import Labelled, all_lists, dictionary_names
from tests.benchmarks.mapping_masked import masked, vendors_of_spellings
from tests.benchmarks.minimum import minimum

FOLDS = 4
"""Parts of the vendors, each judged by what was fitted on the others."""

PRIOR, PAIR_PRIOR = 1.5, 0.01
"""Inverse variances of the weights: of an entry's own, and of those common to all, which many points bear out."""

MASKED_WEIGHT, NAME_WEIGHT = 0.5, 0.5
"""What a point with masked words, and the dictionary's own name of an entry, count beside a real point."""

FEWEST_VENDORS = 2
"""A signal of a single vendor is worth nothing to others."""

SMALLEST = 0.06
"""Weights nearer to nothing than that are left out of the file."""

STEPS = 60
RIDGE = 0.02
FOLDER = Path("edge_agent/onboard")


class Example(msgspec.Struct, frozen=True):
    """A labelled point: who made the device, what is known of it, what it is, how much it counts."""

    vendor: str
    seen: Seen
    gold: str
    weight: float


def examples(lists: Sequence[Labelled]) -> list[Example]:
    """Return every point of `lists` as it is and as at first sight, and the names of the entries themselves."""
    vendors = vendors_of_spellings(lists)
    named = [
        Example("", seen, one.gold["1"], NAME_WEIGHT)
        for one in dictionary_names()
        for seen in see(describe(one.points))
    ]
    return named + [
        Example(one.vendor, seen, one.gold[seen.point.point.address], weight)
        for one in lists
        for points, weight in ((one.points, 1.0), (masked(one, vendors), MASKED_WEIGHT))
        for seen in see(describe(points))
    ]


def fold_of(vendor: str) -> int:
    """Return the part that `vendor` is in, the same in every run; -1, in none, where there is no vendor."""
    return zlib.crc32(vendor.casefold().encode()) % FOLDS if vendor else -1


def fitted_without(rows: Sequence[Example]) -> list[Fitted]:
    """Return for each fold what is fitted without its vendors.

    The confidence of a fold rests on how the others' points fared, each with a ranking fitted without its own fold.
    """
    rankings = [fit_ranking([row for row in rows if fold_of(row.vendor) != fold]) for fold in range(FOLDS)]
    fared = [
        [judged for row in rows if fold_of(row.vendor) == fold and (judged := _judged(row, rankings[fold]))]
        for fold in range(FOLDS)
    ]
    return [
        Fitted(rankings[fold], fit_confidence([one for other in range(FOLDS) if other != fold for one in fared[other]]))
        for fold in range(FOLDS)
    ]


def fit_all(rows: Sequence[Example], parts: Sequence[Fitted]) -> Fitted:
    """Return what is fitted on all of `rows`, the confidence on how `parts` fared, each fitted without a fold."""
    fared = [judged for row in rows if row.vendor and (judged := _judged(row, parts[fold_of(row.vendor)].ranking))]
    return Fitted(fit_ranking(rows), fit_confidence(fared))


Judged = tuple[dict[str, float], bool, float]


def _judged(row: Example, ranking: Weights) -> Judged | None:
    """Return (features of the likeliest entry, whether it is right, the point's weight); None where nothing is near."""
    if not row.seen.pairs:
        return None
    ranked, none = rank(row.seen.signals, row.seen.pairs, ranking)
    return features(row.seen, ranked, none), ranked[0].code == row.gold, row.weight


def fit_ranking(rows: Sequence[Example], steps: int = STEPS) -> Weights:
    """Return the weights under which the labels of `rows` are likeliest; points without their entry near say nothing."""
    rows = [row for row in rows if row.seen.pairs and (row.gold == NONE or row.gold in row.seen.pairs)]
    entries = (NONE, *load_dictionary().collected)
    place = {code: at for at, code in enumerate(entries)}
    signals = _vocabulary(rows)
    table = _Table(rows, signals, place)
    keys, of_key = np.unique(table.keys, return_inverse=True)
    own = len(keys)
    prior = np.concatenate([np.full(own, PRIOR), np.full(len(PAIR_SIGNALS), PAIR_PRIOR)])

    def cost(weights: np.ndarray) -> tuple[float, np.ndarray]:
        utility = np.add.reduceat(table.strengths * weights[of_key], table.options[:-1]) + table.pairs @ weights[own:]
        chance = table.softmax(utility)
        slope = table.weights * (chance - table.right)
        likelihood = float(table.weights @ (table.right * np.log(np.maximum(chance, 1e-12))))
        spread = np.repeat(slope, np.diff(table.options))
        gradient = np.concatenate([np.bincount(of_key, table.strengths * spread, minlength=own), table.pairs.T @ slope])
        return 0.5 * float(prior @ weights**2) - likelihood, gradient + prior * weights

    weights = minimum(cost, np.zeros(own + len(PAIR_SIGNALS)), steps)
    return _packed(entries, list(signals), keys, weights)


class _Table:
    """The examples as arrays: one row per point and option (none first), the signals of each row one after the other."""

    def __init__(self, rows: Sequence[Example], signals: Mapping[str, int], place: Mapping[str, int]) -> None:
        keys, strengths, options, points = [], [], [0], [0]
        pairs, right, weights = [], [], []
        for row in rows:
            known = [(signals[name], strength) for name, strength in row.seen.signals.items() if name in signals]
            numbers = np.array([number for number, _ in known], dtype=np.int64) * len(place)
            strong = np.array([strength for _, strength in known], dtype=np.float32)
            for code, beside in ((NONE, (0.0,) * len(PAIR_SIGNALS)), *row.seen.pairs.items()):
                keys.append(numbers + place[code])
                strengths.append(strong)
                options.append(options[-1] + len(known))
                pairs.append(beside)
                right.append(float(code == row.gold))
                weights.append(row.weight)
            points.append(len(pairs))
        self.keys, self.strengths = np.concatenate(keys), np.concatenate(strengths)
        self.options = np.array(options)
        self.pairs, self.right, self.weights = np.array(pairs), np.array(right), np.array(weights)
        self._starts, self._of_point = np.array(points[:-1]), np.repeat(np.arange(len(rows)), np.diff(points))

    def softmax(self, utility: np.ndarray) -> np.ndarray:
        """Return the chance of each option among those of its point."""
        power = np.exp(utility - np.maximum.reduceat(utility, self._starts)[self._of_point])
        return power / np.add.reduceat(power, self._starts)[self._of_point]


def _vocabulary(rows: Sequence[Example]) -> dict[str, int]:
    vendors: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for name in row.seen.signals:
            vendors[name].add(row.vendor)
    return {name: at for at, name in enumerate(sorted(n for n, who in vendors.items() if len(who) >= FEWEST_VENDORS))}


def _packed(entries: tuple[str, ...], signals: Sequence[str], keys: np.ndarray, weights: np.ndarray) -> Weights:
    own = weights[: len(keys)]
    step = float(np.abs(own).max()) / 127
    whole = np.rint(own / step).astype(int)
    of_signal: dict[str, tuple[bytearray, bytearray]] = {}
    for key, weight, exact in zip(keys.tolist(), whole.tolist(), own.tolist(), strict=True):
        if weight and abs(exact) >= SMALLEST:
            places, worths = of_signal.setdefault(signals[key // len(entries)], (bytearray(), bytearray()))
            places.append(key % len(entries))
            worths.append(weight % 256)
    return Weights(
        entries=entries,
        step=step,
        of_signal={name: (bytes(places), bytes(worths)) for name, (places, worths) in of_signal.items()},
        of_pair=tuple(round(float(weight), 4) for weight in weights[len(keys) :]),
    )


def fit_confidence(fared: Sequence[Judged]) -> dict[str, float]:
    """Return the weights of a ridge-regularised logistic regression, its cost the negative log-likelihood."""
    table = np.array([[row[name] for name in FEATURES] for row, _, _ in fared])
    right = np.array([float(is_right) for _, is_right, _ in fared])
    weight = np.array([weight for _, _, weight in fared])
    ridge = RIDGE * len(fared) / 100

    def cost(weights: np.ndarray) -> tuple[float, np.ndarray]:
        chance = 1.0 / (1.0 + np.exp(-np.clip(table @ weights, -30.0, 30.0)))
        likelihood = right * np.log(np.maximum(chance, 1e-12)) + (1 - right) * np.log(np.maximum(1 - chance, 1e-12))
        gradient = table.T @ (weight * (chance - right)) + ridge * weights
        return 0.5 * ridge * float(weights @ weights) - float(weight @ likelihood), gradient

    weights = minimum(cost, np.zeros(len(FEATURES)), 200)
    return {name: round(float(one), 4) for name, one in zip(FEATURES, weights, strict=True)}


def main() -> None:
    rows = examples(all_lists())
    fitted = fit_all(rows, fitted_without(rows))
    (FOLDER / "propose_rank.bin").write_bytes(pack(fitted.ranking))
    head = "# Written by `python -m tests.benchmarks.mapping_fit`: weights of propose_confidence.FEATURES.\n[weights]\n"
    lines = "".join(f"{name} = {weight}\n" for name, weight in fitted.confidence.items())
    (FOLDER / "propose_confidence.toml").write_text(head + lines, encoding="utf-8")


if __name__ == "__main__":
    main()
