"""Readings by an even clock: the value that holds at each instant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def held(
    at: NDArray[np.int64], time: NDArray[np.int64], value: NDArray[np.float64], hold_us: int
) -> NDArray[np.float64]:
    """Return the value that holds at each instant: the last one at or before it, NaN where that is older than `hold_us`."""
    if not len(time):
        return np.full(len(at), np.nan)
    last = np.searchsorted(time, at, side="right") - 1
    known = (last >= 0) & (at - time[last] <= hold_us)
    return np.where(known, value[last], np.nan)
