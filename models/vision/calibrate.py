"""Limits that keep their promise: from scores of good pictures no fold of which was seen when it was scored.

A threshold read off the training scores rejects far too much, and so does one from random folds when several pictures
show one part: asked for 5 % they gave 33 % and 11 % on magnetic tiles, part-disjoint folds gave 5.0 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.card import LimitCard
from models.conformal import conformal_quantile, wilson_interval
from models.vision.export import Calibration
from models.vision.features import Doubles
from models.vision.members import standard


class Limits(NamedTuple):
    """The calibration that goes into the graph and what the card says about each limit."""

    calibration: Calibration
    review: LimitCard
    reject: LimitCard


def part_folds(parts: Sequence[str], folds: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield for each fold which pictures it holds out. Parts are dealt to the folds in turn, never split.

    There are as many folds as asked for, or as parts if those are fewer.
    """
    order = {part: index for index, part in enumerate(dict.fromkeys(parts))}
    numbers = np.array([order[part] for part in parts])
    for fold in range(min(folds, len(order))):
        yield numbers % folds == fold


def calibrate(raw: Doubles, parts: Sequence[str], review_rate: float, reject_rate: float) -> Limits:
    """Return the limits from held-out raw scores of good pictures and the parts they show."""
    loc, scale = map(float, standard(raw))
    scores = (raw - loc) / scale
    review = _limit(scores, parts, review_rate)
    reject = _limit(scores, parts, reject_rate)
    return Limits(Calibration(loc, scale, review.value, reject.value), review, reject)


def _limit(scores: Doubles, parts: Sequence[str], rate: float) -> LimitCard:
    value, assured = conformal_quantile(scores, rate)
    value = float(np.float32(value))  # as the graph holds it
    count = len(set(parts))
    measured = float(np.mean(scores > value))
    low, high = wilson_interval(measured * count, count)
    return LimitCard(
        value=value,
        wanted=rate,
        measured=measured,
        low=low,
        high=high,
        provisional=not assured or count < 1 / rate - 1,
    )
