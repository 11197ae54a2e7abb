"""Control charts after Shewhart and Page: what is plotted, its limits, and which points say that something has changed.

Limits of the mean and of single values rest on the spread within subgroups (ISO 7870-2): a drift between them must not
widen the limits that are to find it. Constants are computed from the normal distribution, not copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import gamma, isnan, nan, sqrt
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Rule = Literal["beyond", "two_of_three", "four_of_five", "eight", "trend", "cusum", "ewma"]
Counts = Literal["p", "np", "u"]

CUSUM_SLACK, CUSUM_LIMIT = 0.5, 5.0
"""k and h in standard deviations: finds a lasting shift of one within about ten points (Montgomery, "Introduction to
Statistical Quality Control", 9.1)."""
EWMA_WEIGHT, EWMA_LIMIT = 0.2, 2.86
"""Lambda and L: finds a lasting shift of one standard deviation within about ten points, with a false signal in 370 (Lucas and
Saccucci, "Exponentially weighted moving average control schemes", Technometrics 32, 1990)."""
LARGEST_SUBGROUP = 25
RANGE_UP_TO = 10
"""Above it the range says too little of the spread, and the standard deviation takes its place (ISO 7870-2)."""


class Baseline(NamedTuple):
    """What limits rest on: the centre of the values and their standard deviation within subgroups."""

    centre: float
    sigma: float


class Signal(NamedTuple):
    """A point, counted from 0, that says something has changed, and the rule by which it does."""

    at: int
    rule: Rule


class Constants(NamedTuple):
    """Of subgroups of n values from a normal distribution: mean and standard deviation of the range in sigmas, and c4."""

    d2: float
    d3: float
    c4: float


@cache
def constants(size: int) -> Constants:
    """Return the constants of subgroups of `size` values, 2 to 25.

    E[R] = integral of 1 - F^n - (1 - F)^n; E[R^2] from the joint distribution of the extremes (Tippett, Biometrika 17, 1925).
    """
    x = np.linspace(-8, 8, 1601)
    step = x[1] - x[0]
    f = _normal(x)
    d2 = float(np.sum(1 - f**size - (1 - f) ** size) * step)
    low, high = f[:, None], f[None, :]
    beyond = 1 - high**size - (1 - low) ** size + np.clip(high - low, 0, None) ** size
    square = 2 * float(np.sum(np.triu(beyond, 1)) + 0.5 * np.sum(np.diag(beyond))) * step * step
    c4 = sqrt(2 / (size - 1)) * gamma(size / 2) / gamma((size - 1) / 2)
    return Constants(d2, sqrt(square - d2 * d2), c4)


def _normal(x: Doubles) -> Doubles:
    """Return the standard normal distribution function, by Simpson's rule from -9 on; good to 1e-9."""
    fine = np.linspace(-9, 8.5, 35_001)
    density = np.exp(-(fine**2) / 2) / sqrt(2 * np.pi)
    area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2) * (fine[1] - fine[0])])
    return np.asarray(np.interp(x, fine, area), dtype=np.float64)


def subgroups(values: Sequence[float], size: int) -> Doubles:
    """Return values in order as rows of `size`; what is left over at the end is not used."""
    rows = len(values) // size
    return np.asarray(values[: rows * size], dtype=np.float64).reshape(rows, size)


def baseline(groups: Doubles) -> Baseline:
    """Return centre and within-subgroup sigma of rows; of single values by their moving ranges of two.

    Sigma is the mean range over d2, above `RANGE_UP_TO` values a row the mean standard deviation over c4.
    """
    if groups.shape[1] == 1:
        ranges, size = np.abs(np.diff(groups[:, 0])), 2
    elif groups.shape[1] > RANGE_UP_TO:
        spread = float(groups.std(axis=1, ddof=1).mean()) / constants(groups.shape[1]).c4 if groups.size else nan
        return Baseline(float(groups.mean()) if groups.size else nan, spread)
    else:
        ranges, size = np.ptp(groups, axis=1), groups.shape[1]
    spread = float(ranges.mean()) / constants(size).d2 if len(ranges) else nan
    return Baseline(float(groups.mean()) if groups.size else nan, spread)


def spreads(groups: Doubles) -> Doubles:
    """Return what the spread chart plots: each row's range, above `RANGE_UP_TO` values its standard deviation, or of single values
    the range to the one before (NaN first)."""
    if groups.shape[1] > RANGE_UP_TO:
        deviations: Doubles = groups.std(axis=1, ddof=1)
        return deviations
    if groups.shape[1] == 1:
        return np.concatenate([[nan], np.abs(np.diff(groups[:, 0]))])
    ranges: Doubles = np.ptp(groups, axis=1)
    return ranges


def mean_limits(base: Baseline, size: int) -> tuple[float, float]:
    """Return the limits of a mean of `size` values: centre -+ 3 sigma / sqrt(size)."""
    away = 3 * base.sigma / sqrt(size)
    return base.centre - away, base.centre + away


def spread_limits(base: Baseline, size: int) -> tuple[float, float, float]:
    """Return centre line, lower and upper limit of what `spreads` gives, not below 0.

    In sigmas: of a range d2 and d2 -+ 3 d3; of a standard deviation c4 and c4 -+ 3 sqrt(1 - c4^2), its B5 and B6.
    """
    known = constants(max(size, 2))
    if size > RANGE_UP_TO:
        away = 3 * sqrt(1 - known.c4**2)
        return known.c4 * base.sigma, max(0.0, known.c4 - away) * base.sigma, (known.c4 + away) * base.sigma
    return (
        known.d2 * base.sigma,
        max(0.0, known.d2 - 3 * known.d3) * base.sigma,
        (known.d2 + 3 * known.d3) * base.sigma,
    )


def signals(standardised: Sequence[float]) -> list[Signal]:
    """Return the points at which a rule holds, of values in standard deviations from the centre line.

    One beyond 3; two of three beyond 2; four of five beyond 1; eight in a row on one side (Western Electric, "Statistical
    Quality Control Handbook", 1956); six in a row rising or falling (Nelson, 1984). A point is named by the strongest.
    """
    z = np.asarray(standardised, dtype=np.float64)
    found: list[Signal] = []
    for index in range(len(z)):
        rule = rule_at(z, index)
        if rule:
            found.append(Signal(index, rule))
    return found


def rule_at(z: Doubles, index: int) -> Rule | None:
    """Return the rule that holds at this point of `signals`, which looks back seven points at most."""
    here = z[index]
    if isnan(here):
        return None
    side = np.sign(here) * z[max(0, index - 7) : index + 1]
    steps = np.diff(z[max(0, index - 5) : index + 1])
    held: dict[Rule, bool] = {
        "beyond": side[-1] > 3,
        "two_of_three": side[-1] > 2 and np.sum(side[-3:] > 2) >= 2,
        "four_of_five": side[-1] > 1 and len(side) >= 5 and np.sum(side[-5:] > 1) >= 4,
        "eight": len(side) == 8 and bool(np.all(side > 0)),
        "trend": len(steps) == 5 and bool(np.all(steps > 0) or np.all(steps < 0)),
    }
    return next((rule for rule, holds in held.items() if holds), None)


def cusum(standardised: Sequence[float]) -> tuple[Doubles, Doubles, list[Signal]]:
    """Return the two one-sided cumulative sums, upward and downward, and where one of them crosses its limit (Page, 1954).

    A shift signals once, where it is found, and not at every point while it lasts.
    """
    up, down = np.zeros(len(standardised)), np.zeros(len(standardised))
    sums = Cusum()
    found: list[Signal] = []
    beyond = False
    for index, z in enumerate(standardised):
        before, beyond = beyond, sums.add(z)
        up[index], down[index] = sums.high, sums.low
        if beyond and not before:
            found.append(Signal(index, "cusum"))
    return up, down, found


class Cusum:
    """The two one-sided cumulative sums, `high` and `low`, one point after the other."""

    def __init__(self) -> None:
        self.high = self.low = 0.0

    def add(self, z: float) -> bool:
        """Take the next standardised value; returns whether one of the sums is beyond the limit."""
        self.high, self.low = max(0.0, self.high + z - CUSUM_SLACK), max(0.0, self.low - z - CUSUM_SLACK)
        return max(self.high, self.low) > CUSUM_LIMIT


class Ewma:
    """The exponentially weighted moving average of standardised values (Roberts, 1959), one point after the other.

    Attributes:
        average: after the last point; limit: its own, 3 or fewer sigmas of it, which widens over the first points (NIST/SEMATECH
            e-Handbook, 6.3.2.4: L sqrt(lambda / (2 - lambda) (1 - (1 - lambda)^2i))).
    """

    def __init__(self, weight: float = EWMA_WEIGHT, limit: float = EWMA_LIMIT) -> None:
        self._weight, self._sigmas = weight, limit
        self._points = 0
        self.average, self.limit = 0.0, nan

    def add(self, z: float) -> bool:
        """Take the next standardised value; returns whether the average is beyond its limit."""
        self._points += 1
        self.average += self._weight * (z - self.average)
        grown = 1 - (1 - self._weight) ** (2 * self._points)
        self.limit = self._sigmas * sqrt(self._weight / (2 - self._weight) * grown)
        return abs(self.average) > self.limit


def ewma(standardised: Sequence[float], average: Ewma | None = None) -> tuple[Doubles, Doubles, list[Signal]]:
    """Return the averages, how far each may be from 0, and where one comes to be further: a shift signals once."""
    average = average or Ewma()
    averages, limits = np.zeros(len(standardised)), np.zeros(len(standardised))
    found: list[Signal] = []
    beyond = False
    for index, z in enumerate(standardised):
        before, beyond = beyond, average.add(z)
        averages[index], limits[index] = average.average, average.limit
        if beyond and not before:
            found.append(Signal(index, "ewma"))
    return averages, limits, found


class Counted(NamedTuple):
    """A chart of counts: what is plotted, and each point's centre line and limits, which go by how much was looked at."""

    values: Doubles
    centre: Doubles
    lower: Doubles
    upper: Doubles
    signals: list[Signal]


def counted(kind: Counts, hits: Sequence[int], looked_at: Sequence[float]) -> Counted:
    """Return the chart of `hits` in `looked_at`, all of which are above 0 (ISO 7870-2, attribute charts).

    p: share of nonconforming parts, p -+ 3 sqrt(p (1 - p) / n). np: their number, n p -+ 3 sqrt(n p (1 - p)). u: nonconformities a
    unit, of which one may have several, u -+ 3 sqrt(u / n). No limit lies where no point can.
    """
    n = np.asarray(looked_at, dtype=np.float64)
    shares = np.asarray(hits, dtype=np.float64) / n
    mean = float(sum(hits) / n.sum()) if len(n) else nan
    spread = np.sqrt(mean * (1 if kind == "u" else 1 - mean) / n)
    z = np.divide(shares - mean, spread, out=np.zeros_like(shares), where=spread > 0)
    lower, upper = np.clip(mean - 3 * spread, 0, None), np.clip(mean + 3 * spread, None, np.inf if kind == "u" else 1)
    each = n if kind == "np" else np.ones_like(n)
    values = np.asarray(hits, dtype=np.float64) if kind == "np" else shares
    return Counted(values, mean * each, lower * each, upper * each, signals(z.tolist()))


def autocorrelation(values: Sequence[float]) -> float:
    """Return how much a value tells of the next, -1..1; 0 where nothing varies. Above about 0.5 limits are too narrow."""
    apart = np.asarray(values, dtype=np.float64) - np.mean(values)
    power = float((apart**2).sum())
    return float((apart[1:] * apart[:-1]).sum()) / power if power > 0 else 0.0
