"""Fewer points that look the same: largest triangle three buckets.

S. Steinarsson, "Downsampling Time Series for Visual Representation", University of Iceland 2013, section 4.2, with two
decisions of ours: buckets are equally wide in time, so that points stand evenly on a chart's axis whatever the rate; and
the bucket that holds the lowest or the highest value of all gives that one (the lowest if it holds both).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Bin(NamedTuple):
    """One bucket that has rows: rows `first` to `end` (exclusive); `chosen` is its point, None where no value is usable."""

    first: int
    end: int
    chosen: int | None


def largest_triangles(
    time: NDArray[np.int64], value: NDArray[np.float64], start_us: int, end_us: int, points: int
) -> list[Bin]:
    """Return the buckets of [start_us, end_us), at most `points` of them, in the order of time.

    `time` ascends and lies within the span; NaN values are never chosen. The first bucket with a usable value gives its
    first, the last its last, as in the paper.
    """
    if not len(time):
        return []
    span_us = max(end_us - start_us, 1)
    number = (time - start_us) * points // span_us
    chosen = _chosen(number, (time - start_us) / span_us, value)
    firsts = _begins(number)
    ends = np.append(firsts[1:], len(time))
    return [
        Bin(first, end, chosen.get(bucket))
        for first, end, bucket in zip(firsts.tolist(), ends.tolist(), number[firsts].tolist(), strict=True)
    ]


def _begins(number: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first row of each run of equal numbers."""
    return np.flatnonzero(np.append(True, number[1:] != number[:-1]))


def _chosen(number: NDArray[np.int64], x: NDArray[np.float64], value: NDArray[np.float64]) -> dict[int, int]:
    """Return the row chosen in each bucket that has a usable value, by the bucket's number.

    `x` is the time in units of the span, so that areas keep their digits.
    """
    rows = np.flatnonzero(~np.isnan(value))
    if not len(rows):
        return {}
    number, x, value = number[rows], x[rows], value[rows]
    firsts = _begins(number)
    ends = np.append(firsts[1:], len(rows))
    forced = {int(number[row]): int(row) for row in (np.argmax(value), np.argmin(value))}
    chosen: dict[int, int] = {}
    before = 0
    with np.errstate(over="ignore", invalid="ignore"):
        mean_x = np.add.reduceat(x, firsts) / (ends - firsts)
        mean_value = np.add.reduceat(value, firsts) / (ends - firsts)
        last = len(firsts) - 1
        for place, (first, end, bucket) in enumerate(
            zip(firsts.tolist(), ends.tolist(), number[firsts].tolist(), strict=True)
        ):
            if bucket in forced:
                before = forced[bucket]
            elif place in (0, last):
                before = first if place == 0 else end - 1
            else:
                x0, y0 = float(x[before]), float(value[before])
                dx, dy = x0 - float(mean_x[place + 1]), float(mean_value[place + 1]) - y0
                # Twice the area of the triangle with the point before and the mean of the bucket after.
                area = np.abs(dx * (value[first:end] - y0) - (x0 - x[first:end]) * dy)
                before = first + int(np.argmax(area))
            chosen[bucket] = int(rows[before])
    return chosen
