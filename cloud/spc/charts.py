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
Rule = Literal["beyond", "two_of_three", "four_of_five", "eight", "trend", "cusum"]

CUSUM_SLACK, CUSUM_LIMIT = 0.5, 5.0
"""k and h in standard deviations: finds a lasting shift of one within about ten points (Montgomery, "Introduction to
Statistical Quality Control", 9.1)."""
LARGEST_SUBGROUP = 10
"""Above it the range says too little of the spread."""


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
    """Return centre and within-subgroup sigma of rows; of single values by their moving ranges of two."""
    if groups.shape[1] == 1:
        ranges, size = np.abs(np.diff(groups[:, 0])), 2
    else:
        ranges, size = np.ptp(groups, axis=1), groups.shape[1]
    spread = float(ranges.mean()) / constants(size).d2 if len(ranges) else nan
    return Baseline(float(groups.mean()) if groups.size else nan, spread)


def moving_ranges(groups: Doubles) -> Doubles:
    """Return what the spread chart plots: each row's range, or of single values the range to the one before (NaN first)."""
    if groups.shape[1] == 1:
        return np.concatenate([[nan], np.abs(np.diff(groups[:, 0]))])
    ranges: Doubles = np.ptp(groups, axis=1)
    return ranges


def mean_limits(base: Baseline, size: int) -> tuple[float, float]:
    """Return the limits of a mean of `size` values: centre -+ 3 sigma / sqrt(size)."""
    away = 3 * base.sigma / sqrt(size)
    return base.centre - away, base.centre + away


def range_limits(base: Baseline, size: int) -> tuple[float, float, float]:
    """Return centre line, lower and upper limit of a range: d2, and d2 -+ 3 d3 not below 0, in sigmas."""
    known = constants(max(size, 2))
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
        rule = _rule(z, index)
        if rule:
            found.append(Signal(index, rule))
    return found


def _rule(z: Doubles, index: int) -> Rule | None:
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
    high = low = 0.0
    found: list[Signal] = []
    beyond = False
    for index, z in enumerate(standardised):
        high, low = max(0.0, high + z - CUSUM_SLACK), max(0.0, low - z - CUSUM_SLACK)
        up[index], down[index] = high, low
        if max(high, low) > CUSUM_LIMIT and not beyond:
            found.append(Signal(index, "cusum"))
        beyond = max(high, low) > CUSUM_LIMIT
    return up, down, found


class Proportions(NamedTuple):
    """A p chart: shares, the centre line, and each point's limits, which go by how many parts it has."""

    shares: Doubles
    centre: float
    lower: Doubles
    upper: Doubles
    signals: list[Signal]


def proportions(hits: Sequence[int], parts: Sequence[int]) -> Proportions:
    """Return the p chart of `hits` among `parts`, all of them above 0: p -+ 3 sqrt(p (1 - p) / n), within 0 and 1."""
    n = np.asarray(parts, dtype=np.float64)
    shares = np.asarray(hits, dtype=np.float64) / n
    centre = float(sum(hits) / n.sum()) if len(n) else nan
    spread = np.sqrt(centre * (1 - centre) / n)
    z = np.divide(shares - centre, spread, out=np.zeros_like(shares), where=spread > 0)
    return Proportions(
        shares, centre, np.clip(centre - 3 * spread, 0, 1), np.clip(centre + 3 * spread, 0, 1), signals(z.tolist())
    )


def autocorrelation(values: Sequence[float]) -> float:
    """Return how much a value tells of the next, -1..1; 0 where nothing varies. Above about 0.5 limits are too narrow."""
    apart = np.asarray(values, dtype=np.float64) - np.mean(values)
    power = float((apart**2).sum())
    return float((apart[1:] * apart[:-1]).sum()) / power if power > 0 else 0.0
