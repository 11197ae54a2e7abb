"""The second opinion: principal components of the smoothed sensors, in numpy.

What the machine usually does lies along a few directions. T2, Hotelling's statistic, is how far along them a reading goes;
Q, the squared prediction error, is what they cannot explain at all (Jackson and Mudholkar, "Control procedures for
residuals associated with principal component analysis", 1979). It learns from the same readings as the first opinion, but
asks another question: not how unlikely a reading is, but which sensors no longer go together with the others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

SMALLEST = 1e-9
"""Least variance that counts as a direction the machine moves in."""


def components(covariance: Doubles, explained: float) -> tuple[Doubles, Doubles]:
    """Return (main, rest) of an n x n covariance.

    The length of `main` (k x n) @ x is the root of T2 on the fewest components that explain more than the share
    `explained` of the variance; `rest` (n x n) @ x is what they leave, its length the root of Q.
    """
    variances, directions = np.linalg.eigh(covariance)
    variances, directions = np.maximum(variances[::-1], SMALLEST), directions[:, ::-1]
    shares = np.cumsum(variances) / variances.sum()
    count = min(int(np.searchsorted(shares, explained, side="right")) + 1, len(variances))
    kept = directions[:, :count]
    return kept.T / np.sqrt(variances[:count, None]), np.eye(len(variances)) - kept @ kept.T
