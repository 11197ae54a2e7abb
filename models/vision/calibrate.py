"""Limits that keep their promise: from scores of good pictures no fold of which was seen when it was scored.

A threshold read off the training scores rejects far too much, and so does one from random folds when several pictures
show one part: asked for 5 % they gave 33 % and 11 % on magnetic tiles, part-disjoint folds gave 5.0 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.card import LimitCard
from models.vision.export import Calibration
from models.vision.features import Doubles

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""


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


def conformal_quantile(scores: Doubles, rate: float) -> tuple[float, bool]:
    """Return the limit that a further good score exceeds with probability at most `rate`, and whether that is assured.

    It is the ceil((n + 1)(1 - rate))-th smallest of n exchangeable scores (Vovk et al., "Algorithmic learning in a
    random world", 2005). With n < 1/rate - 1 no finite limit assures the rate; then it is the largest score, and False.
    """
    rank = ceil((len(scores) + 1) * (1 - rate) - 1e-9)
    ordered = np.sort(scores)
    return float(ordered[min(rank, len(scores)) - 1]), rank <= len(scores)


def wilson_interval(hits: float, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson, 1927); `hits` may be fractional."""
    share = hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    spread = z / (1 + z * z / count) * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(centre - spread, 0.0), min(centre + spread, 1.0)


def calibrate(raw: Doubles, parts: Sequence[str], review_rate: float, reject_rate: float) -> Limits:
    """Return the limits from held-out raw scores of good pictures and the parts they show."""
    loc = float(np.median(raw))
    scale = max(MAD_TO_SIGMA * float(np.median(np.abs(raw - loc))), 1e-6)
    standard = (raw - loc) / scale
    review = _limit(standard, parts, review_rate)
    reject = _limit(standard, parts, reject_rate)
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
