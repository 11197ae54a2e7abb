"""What suppliers' values come to, compared: pure. A comparison needs `K` companies, so that nobody is known from it alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, quantiles, stdev

from cloud.suppliers.schemas import Place

K = 5
"""A benchmark is of at least so many companies (k-anonymity; Sweeney 2002)."""
FEWEST_DAYS = 7
_SIGMAS = 3.0
_LEAST_SPREAD = 0.01
"""Of the mean: a value that hardly ever moved is not drifting because it moved a hair's breadth."""


def drifts(before: Sequence[float], today: float) -> bool:
    """Return whether `today` is beyond three standard deviations of the days before (Shewhart); False where those are too few."""
    if len(before) < FEWEST_DAYS:
        return False
    centre = fmean(before)
    spread = max(stdev(before), _LEAST_SPREAD * abs(centre))
    return abs(today - centre) > _SIGMAS * spread


def places(means: Mapping[str, float]) -> Mapping[str, Place]:
    """Return for each of the companies whether its value is in the highest quarter, the lowest or between; none of fewer than `K`."""
    if len(means) < K:
        return {}
    low, _, high = quantiles(means.values(), n=4, method="inclusive")
    return {one: "highest" if mean > high else "lowest" if mean < low else "middle" for one, mean in means.items()}
