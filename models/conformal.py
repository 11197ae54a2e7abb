"""Quantiles that keep their promise on the next sample, and how sure a share is."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


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
