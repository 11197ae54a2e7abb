"""Learns to name defects from parts whose defect people have named.

A ridge, chosen by what is said of parts not learnt from, is what a few dozen parts can fill. By such words the probabilities are made to
mean what they say (Guo et al., "On calibration of modern neural networks", 2017), and the floor is set from which on a name counts: the
conformal set of names leaves out the true one in `RATE` of parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.card import KindCard
from models.conformal import conformal_quantile, wilson_interval
from models.kinds import missing
from models.vision.calibrate import part_folds
from models.vision.features import Doubles
from models.vision.sort import SPECK, Head, Indices, Named, named_by, probabilities

RATE = 0.1
"""Share of parts whose true name may be missing from the set of names."""

RIDGES = (0.003, 0.01, 0.03, 0.1, 0.3)
TEMPERATURES = np.geomspace(0.25, 8, 41)
FOLDS = 10
STEPS = 400


class Sorted(NamedTuple):
    """A head, and for the card what it said of parts it had not learnt from."""

    head: Head
    cards: list[KindCard]


def sort(described: Doubles, named: Sequence[Named]) -> Sorted | None:
    """Return what names the defects of `named`, described by the rows of `described`; None below two kinds of enough parts."""
    enough = [kind for kind, lacks in missing([(one.kind, one.part) for one in named]).items() if not lacks]
    if len(enough) < 2:
        return None
    order = sorted((index for index, one in enumerate(named) if one.kind in enough), key=lambda at: named[at].kind)
    rows, parts = described[order], [named[at].part for at in order]
    truth = np.array([enough.index(named[at].kind) for at in order])
    folds = list(part_folds(parts, FOLDS))
    said = {ridge: _held_out(rows, truth, folds, len(enough), ridge) for ridge in RIDGES}
    found = {ridge: _temperature(odds, truth) for ridge, odds in said.items()}
    ridge = min(RIDGES, key=lambda each: found[each][1])
    warmth = found[ridge][0]
    chances = probabilities(said[ridge] / warmth)
    beyond, _ = conformal_quantile(1 - chances[np.arange(len(truth)), truth], RATE)
    # A name counts that is above the floor, and the one the quantile was read off belongs to its set.
    floor = float(np.nextafter(np.float32(1 - beyond), np.float32(-1)))
    weights, bias = _logistic(rows, truth, len(enough), ridge)
    head = Head(enough, (weights / warmth).astype(np.float32), (bias / warmth).astype(np.float32), floor)
    return Sorted(head, _cards(enough, truth, named_by(chances, floor), parts))


def _held_out(
    rows: Doubles, truth: Indices, folds: Sequence[npt.NDArray[np.bool_]], kinds: int, ridge: float
) -> Doubles:
    odds = np.zeros((len(rows), kinds))
    for fold in folds:
        weights, bias = _logistic(rows[~fold], truth[~fold], kinds, ridge)
        odds[fold] = rows[fold] @ weights + bias
    return odds


def _logistic(rows: Doubles, truth: Indices, kinds: int, ridge: float) -> tuple[Doubles, Doubles]:
    """Return weights (dimensions, kinds) and bias (kinds,), each kind counted as much; by Nesterov's method."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + SPECK
    inputs = np.concatenate([(rows - mean) / spread, np.ones((len(rows), 1))], axis=1)
    counted = np.bincount(truth, minlength=kinds)
    weight = 1 / np.maximum(counted, 1)[truth] / np.count_nonzero(counted)
    wanted = np.eye(kinds)[truth]
    held = np.r_[np.full(rows.shape[1], ridge), 1e-4][:, None]
    pace = 1 / (0.5 * np.linalg.norm(inputs * np.sqrt(weight)[:, None], 2) ** 2 + ridge)
    here = before = np.zeros((inputs.shape[1], kinds))
    for step in range(STEPS):
        ahead = here + step / (step + 3) * (here - before)
        slope = inputs.T @ (weight[:, None] * (probabilities(inputs @ ahead) - wanted)) + held * ahead
        before, here = here, ahead - pace * slope
    plain = here[:-1] / spread[:, None]
    return plain, here[-1] - mean @ plain


def _temperature(odds: Doubles, truth: Indices) -> tuple[float, float]:
    """Return what log-odds are to be divided by, and the mean surprise (nats) that is left."""
    losses = [
        float(-np.log(probabilities(odds / each)[np.arange(len(truth)), truth] + 1e-12).mean()) for each in TEMPERATURES
    ]
    best = int(np.argmin(losses))
    return float(TEMPERATURES[best]), losses[best]


def _cards(kinds: list[str], truth: Indices, said: Indices, parts: Sequence[str]) -> list[KindCard]:
    cards = []
    for number, kind in enumerate(kinds):
        words = said[truth == number]
        count = len({part for part, at in zip(parts, truth.tolist(), strict=True) if at == number})
        share = float(np.mean(words == number))
        low, high = wilson_interval(share * count, count)
        counted = [int(np.sum(words == other)) for other in (*range(len(kinds)), -1)]
        cards.append(KindCard(kind, count, counted, share, low, high))
    return cards
