"""Trends that a few odd months do not bend: the slope of Theil and Sen with its confidence interval. Pure functions.

P. K. Sen, Estimates of the regression coefficient based on Kendall's tau, J. Am. Stat. Assoc. 63 (1968): the slope is the
median of the slopes between all pairs of points; the interval is cut out of their order by the variance of Kendall's S.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import median
from typing import NamedTuple

LEAST_POINTS = 6
"""Fewer points say nothing of a trend: the interval of Sen needs about this many to be finite."""
_QUANTILE = 1.959964  # of the normal distribution, for 95 % on both sides


class Trend(NamedTuple):
    """A slope per unit of x and its 95 % interval; `level` is the line's value at the last x."""

    slope: float
    low: float
    high: float
    level: float

    @property
    def certain(self) -> bool:
        """True if the interval leaves out 0: it goes up, or down, with 95 % confidence."""
        return self.low > 0 or self.high < 0


def trend(x: Sequence[float], y: Sequence[float]) -> Trend | None:
    """Return the trend of `y` over `x`, both of one length; None with fewer than `LEAST_POINTS` points."""
    count = len(x)
    if count < LEAST_POINTS:
        return None
    slopes = sorted(
        (y[later] - y[earlier]) / (x[later] - x[earlier])
        for earlier in range(count)
        for later in range(earlier + 1, count)
        if x[later] != x[earlier]
    )
    slope = median(slopes)
    spread = _QUANTILE * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(round((len(slopes) - spread) / 2) - 1, 0)
    high = min(round((len(slopes) + spread) / 2), len(slopes) - 1)
    offset = median(value - slope * at for at, value in zip(x, y, strict=True))
    return Trend(slope, slopes[low], slopes[high], offset + slope * x[-1])
