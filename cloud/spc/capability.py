"""Whether a process can keep its tolerance: Cp, Cpk by the spread within subgroups, Pp, Ppk by the whole (ISO 22514-2)."""

from __future__ import annotations

from math import erfc, sqrt
from typing import NamedTuple

import numpy as np

from cloud.spc.charts import Baseline, Doubles

LEAST = 25
"""Values of which an index says anything."""


class Capability(NamedTuple):
    """The indices; None where a limit is missing or nothing varies. `low`, `high`: 95 % interval of Ppk.

    `outside`: share of the values outside the limits; `expected`: share a normal process of this mean and spread has.
    """

    cp: float | None
    cpk: float | None
    pp: float | None
    ppk: float | None
    low: float | None
    high: float | None
    outside: float
    expected: float


def capability(values: Doubles, base: Baseline, lower: float | None, upper: float | None) -> Capability | None:
    """Return the indices of `values` within [lower, upper]; None without a limit or with fewer than `LEAST` values.

    Cp = (U - L) / 6 sigma, Cpk = min(U - mean, mean - L) / 3 sigma, sigma within subgroups; Pp and Ppk with the standard
    deviation of all. The interval of Ppk is Bissell's: Ppk -+ 1.96 sqrt(1 / 9n + Ppk^2 / (2n - 2)) (Applied Statistics 39, 1990).
    """
    if (lower is None and upper is None) or len(values) < LEAST:
        return None
    mean, whole = float(values.mean()), float(values.std(ddof=1))
    sides = [] if upper is None else [upper - mean]
    sides += [] if lower is None else [mean - lower]
    width = upper - lower if upper is not None and lower is not None else None

    def both(sigma: float) -> tuple[float | None, float | None]:
        if sigma <= 0:
            return None, None
        return None if width is None else width / (6 * sigma), min(sides) / (3 * sigma)

    (cp, cpk), (pp, ppk) = both(base.sigma), both(whole)
    low = high = None
    if ppk is not None:
        half = 1.96 * sqrt(1 / (9 * len(values)) + ppk**2 / (2 * len(values) - 2))
        low, high = ppk - half, ppk + half
    below = values < (-np.inf if lower is None else lower)
    above = values > (np.inf if upper is None else upper)
    expected = sum(_beyond(side / whole) for side in sides) if whole > 0 else 0.0
    return Capability(cp, cpk, pp, ppk, low, high, float((below | above).mean()), expected)


def _beyond(z: float) -> float:
    """Return the share of a standard normal distribution above `z` (erfc)."""
    return erfc(z / sqrt(2)) / 2
