"""From a meter's minutes to energy per five minutes; pure functions on arrays.

Counters: the growth from one reading to the next, whatever lay between. It is spread evenly over the time between them, so
no energy is lost over a gap; a gap longer than `MAX_GAP_S` counts as not covered, as nobody knows when it flowed.

- A *reset* - the counter begins again at 0 - counts what the counter shows after it.
- A *rollover* - the counter has passed its last number - counts across it, where the meter's last number is known.
- A *misreading* - a value that is out of order while one before and one after it, within ten minutes, agree - is left out.

Powers: the mean of each minute, integrated over time; between minutes up to `MAX_GAP_S` apart along the straight line, over
longer gaps nothing. Power fed back (below 0) is not consumption and counts as 0.

Times are known to the minute, so what flows across the border of an interval may be counted up to one minute late.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

INTERVAL_S = 300
"""Length of an interval; borders of tariffs and shifts lie on it."""
INTERVALS = 288
"""Intervals of a day."""
DAY_S = 86_400
MAX_GAP_S = 900
"""The longest silence over which the course of a load is taken as known; the period of demand metering."""
CONTEXT_S = 1_800
"""How far beyond a day its minutes are looked at, to tell misreadings."""

_MINUTE_S = 60
_NEIGHBOURS = 10
_NEAR_END = 0.9

Array = NDArray[np.float64]


class Minutes(NamedTuple):
    """Roll-up states of a series' minutes that have usable readings, in the order of time; arrays of one length.

    `time` is in seconds since 1970 UTC, the begin of each minute. `increase` is NaN for a minute with one reading.
    """

    time: NDArray[np.int64]
    mean: Array
    first: Array
    last: Array
    increase: Array

    def at(self, chosen: slice | NDArray[np.bool_]) -> Minutes:
        """Return the chosen minutes."""
        return Minutes(
            self.time[chosen], self.mean[chosen], self.first[chosen], self.last[chosen], self.increase[chosen]
        )


class Intervals(NamedTuple):
    """Energy of consecutive intervals and how many seconds of each are covered."""

    energy: Array
    covered: Array


def counted(minutes: Minutes, start_s: int, count: int, rollover: float | None = None) -> Intervals:
    """Return the energy of the `count` intervals from `start_s` on, in the counter's unit.

    `minutes` reach beyond the intervals on both sides as far as the neighbouring readings.
    """
    time, _, first, last, increase = minutes.at(~_misread(minutes))
    if not len(time):
        return Intervals(np.zeros(count), np.zeros(count))
    growth = np.append(_within(first[:1], last[:1], increase[:1], rollover), _grown(first, last, increase, rollover))
    ends = time + _MINUTE_S
    times = np.append(time[0], ends)
    total = np.append(0.0, np.cumsum(growth))
    spans = np.diff(times)
    covered = np.append(0.0, np.cumsum(np.where(spans <= MAX_GAP_S, spans, 0)))
    return _cut(times, total, covered, start_s, count)


def integrated(minutes: Minutes, start_s: int, count: int) -> Intervals:
    """Return the energy of the `count` intervals from `start_s` on: the time integral of a power, in its unit x hours."""
    if not len(minutes.time):
        return Intervals(np.zeros(count), np.zeros(count))
    begins, ends = minutes.time, minutes.time + _MINUTE_S
    within = np.maximum(minutes.mean, 0) * _MINUTE_S
    gaps = begins[1:] - ends[:-1]
    known = gaps <= MAX_GAP_S
    between = np.where(known, (np.maximum(minutes.last[:-1], 0) + np.maximum(minutes.first[1:], 0)) / 2 * gaps, 0)
    times = np.empty(2 * len(begins), np.int64)
    times[0::2], times[1::2] = begins, ends
    steps, seen = np.zeros(len(times)), np.zeros(len(times))
    steps[1::2], steps[2::2] = within, between
    seen[1::2], seen[2::2] = _MINUTE_S, np.where(known, gaps, 0)
    return _cut(times, np.cumsum(steps) / 3600, np.cumsum(seen), start_s, count)


def occupied(spans: Sequence[tuple[float, float]], start_s: int, count: int) -> Array:
    """Return how many seconds of each of `count` intervals from `start_s` on lie in `spans`, disjoint and in order."""
    if not spans:
        return np.zeros(count)
    times = np.array(spans, float).ravel()
    steps = np.diff(times, prepend=times[0])
    steps[0::2] = 0
    edges = start_s + INTERVAL_S * np.arange(count + 1)
    found: Array = np.diff(np.interp(edges, times, np.cumsum(steps)))
    return found


def _cut(times: NDArray[np.int64], total: Array, covered: Array, start_s: int, count: int) -> Intervals:
    edges = start_s + INTERVAL_S * np.arange(count + 1)
    return Intervals(np.diff(np.interp(edges, times, total)), np.diff(np.interp(edges, times, covered)))


def _misread(minutes: Minutes) -> NDArray[np.bool_]:
    """Tell the minutes whose last value a minute before and one after it contradict in agreement."""
    value, time = minutes.last, minutes.time
    wrong = np.zeros(len(value), bool)
    if len(value) < 3 or np.all(np.diff(value) >= 0):
        return wrong
    near = _NEIGHBOURS * _MINUTE_S
    for back in range(1, _NEIGHBOURS + 1):
        for ahead in range(1, _NEIGHBOURS + 1):
            if back + ahead >= len(value):
                break
            at = slice(back, len(value) - ahead)
            here, before, after = value[at], value[: -back - ahead], value[back + ahead :]
            close = (time[at] - time[: -back - ahead] <= near) & (time[back + ahead :] - time[at] <= near)
            wrong[at] |= close & (before <= after) & ((here < before) | (here > after))
    return wrong


def _within(first: Array, last: Array, increase: Array, rollover: float | None) -> Array:
    rise = last - first
    return np.where(rise >= 0, rise, _fallen(first, last, np.nan_to_num(increase), rollover))


def _grown(first: Array, last: Array, increase: Array, rollover: float | None) -> Array:
    """Return the growth from each minute's last value to the next minute's."""
    before, rise = last[:-1], np.diff(last)
    begun, inside = first[1:], np.nan_to_num(increase[1:])
    # The counter has begun again either between the minutes or within the later one.
    counted_anew = np.where(begun >= before, begun - before + inside, begun + inside)
    return np.where(rise >= 0, rise, _fallen(before, last[1:], counted_anew, rollover))


def _fallen(before: Array, after: Array, counted_anew: Array, rollover: float | None) -> Array:
    if rollover is None:
        return np.maximum(counted_anew, 0)
    passed = (before >= _NEAR_END * rollover) & (after <= (1 - _NEAR_END) * rollover)
    return np.where(passed, after - before + rollover, np.maximum(counted_anew, 0))
