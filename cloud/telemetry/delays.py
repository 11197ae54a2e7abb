"""How long readings take from source to store, as a histogram that can be added up and asked for percentiles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_PER_OCTAVE = 4
_MAX_BUCKET = 140  # 2^35 ms, a little over a year


def buckets_of(delays_us: NDArray[np.int64]) -> dict[int, int]:
    """Return how many delays fall into each bucket; bucket b ends at 2^(b/4) ms. Negative delays count as none."""
    milliseconds = np.maximum(delays_us / 1000, 1.0)
    buckets = np.minimum(np.ceil(_PER_OCTAVE * np.log2(milliseconds)), _MAX_BUCKET).astype(np.int64)
    numbers, counts = np.unique(buckets, return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def quantile_ms(histogram: Mapping[int, int], share: float) -> float | None:
    """Return the delay, in ms, that `share` of all did not exceed: the end of its bucket, at most 19 % too high."""
    wanted = share * sum(histogram.values())
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= wanted:
            return float(2 ** (bucket / _PER_OCTAVE))
    return None
