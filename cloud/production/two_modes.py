"""Finds the value that parts the two ways a machine has of being: running and standing. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAST_SEPARATION = 0.8
"""Share of the variance that the two modes must explain: values evenly spread reach 0.75, a single bell 0.64."""

LEAST_SHARE = 0.02
_BINS = 256


class Modes(NamedTuple):
    """Two modes: the value between them, their means, and the share of values in the upper one."""

    threshold: float
    low: float
    high: float
    share_high: float


def two_modes(values: NDArray[np.float64]) -> Modes | None:
    """Return the modes of `values` by Otsu's method (1979): the threshold with the largest variance between the classes.

    The threshold is put in the middle between the two means, where a little noise in either mode does not reach it. None
    if one mode explains the values as well.
    """
    if len(values) < 100 or np.ptp(values) == 0:
        return None
    counts, edges = np.histogram(values, _BINS)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    sums = np.cumsum(counts * middle)
    above = len(values) - below
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[:-1] / below, (sums[-1] - sums[:-1]) / above
        between = below * above * (means[1] - means[0]) ** 2 / len(values) ** 2
    best = int(np.nanargmax(between))
    low, high, share = float(means[0][best]), float(means[1][best]), float(above[best]) / len(values)
    if between[best] / values.var() < LEAST_SEPARATION or not LEAST_SHARE <= share <= 1 - LEAST_SHARE:
        return None
    return Modes((low + high) / 2, low, high, share)
