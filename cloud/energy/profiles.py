"""The course of a meter's energy over time, and the windows it is told for; pure functions.

Energy is additive: of windows that adjoin, it is the sum. Where a window begins within an interval of five minutes, the
interval's energy is divided in proportion to time, so this holds for any window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cloud.energy.metering import DAY_S, INTERVAL_S, INTERVALS
from cloud.energy.schemas import Window

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """Energy by interval.

    Attributes:
        start_s: begin of the first interval, seconds since 1970 UTC; a multiple of five minutes.
        energy: in the carrier's unit.
        covered: seconds of each interval in which the meter was read often enough.
        seconds: length of the time this is about; intervals at its ends may lie in it in part.
        here: 1 for each interval in which the meter measured what is asked for, else 0; None for all.
    """

    start_s: int
    energy: Array
    covered: Array
    seconds: float
    here: Array | None = None

    @property
    def total(self) -> float:
        """The energy."""
        return float(self.energy.sum())

    @property
    def completeness(self) -> float:
        """The share of the time that is covered, 0 to 1."""
        return min(float(self.covered.sum()) / self.seconds, 1.0) if self.seconds else 0.0

    @property
    def starts_s(self) -> NDArray[np.int64]:
        """Begin of each interval, seconds since 1970 UTC."""
        return self.start_s + INTERVAL_S * np.arange(len(self.energy))

    def within(self, window: Window) -> Profile:
        """Return the part in `window`; beyond what this is about nothing is known."""
        begin, end = window.start.timestamp() - self.start_s, window.end.timestamp() - self.start_s
        first = max(int(begin // INTERVAL_S), 0)
        last = max(min(int(-(-end // INTERVAL_S)), len(self.energy)), first)
        energy, covered = self.energy[first:last], self.covered[first:last]
        at = self.start_s + first * INTERVAL_S
        outer = {0, last - first - 1} if last > first else set()  # only these may lie in the window in part
        shares = {index: float(shares_of(window, at + index * INTERVAL_S, 1)[0]) for index in outer}
        if any(share < 1 for share in shares.values()):
            energy, covered = energy.copy(), covered.copy()
            for index, share in shares.items():
                energy[index] *= share
                covered[index] *= share
        return Profile(at, energy, covered, window.seconds, None if self.here is None else self.here[first:last])

    def before(self, at: datetime) -> Profile:
        """Return what was known at `at`: the intervals that begin before it."""
        count = max(math.ceil((at.timestamp() - self.start_s) / INTERVAL_S), 0)
        return Profile(self.start_s, self.energy[:count], self.covered[:count], self.seconds)

    def only(self, here: Array) -> Profile:
        """Return what was measured in the intervals where `here` is 1."""
        return Profile(self.start_s, self.energy * here, self.covered * here, self.seconds, here)


def shares_of(window: Window, start_s: int, count: int) -> Array:
    """Return the share of each interval that lies in `window`."""
    begins = start_s + INTERVAL_S * np.arange(count)
    end = np.minimum(begins + INTERVAL_S, window.end.timestamp())
    shares: Array = np.maximum(end - np.maximum(begins, window.start.timestamp()), 0.0) / INTERVAL_S
    return shares


def combined(parts: Sequence[tuple[int, Profile]], like: Profile) -> Profile:
    """Return the sum of `parts`, each added or taken away by its factor; covered as far as all of them are."""
    if not parts:
        return like
    energy = sum((factor * part.energy for factor, part in parts), np.zeros(len(like.energy)))
    covered = np.min([part.covered for _, part in parts], axis=0)
    return Profile(like.start_s, energy, covered, like.seconds)


def summed(parts: Sequence[Profile], like: Profile) -> Profile:
    """Return the sum of `parts`; covered in the share of them that is, as what is missing of one is missing of the sum.

    Of those that measured it only for a time, each counts then; where none did, nothing is known.
    """
    if len(parts) < 2:
        return parts[0] if parts else like
    energy = np.sum([part.energy for part in parts], axis=0)
    count = np.sum([np.ones(len(like.energy)) if part.here is None else part.here for part in parts], axis=0)
    covered = np.sum([part.covered for part in parts], axis=0) / np.maximum(count, 1)
    return Profile(like.start_s, energy, covered, like.seconds)


def empty(window: Window) -> Profile:
    """Return a profile over the whole UTC days around `window` in which nothing flows and nothing is known."""
    first = int(window.start.timestamp()) // DAY_S
    count = -(-int(window.end.timestamp()) // DAY_S) - first
    nothing = np.zeros(max(count, 1) * INTERVALS)
    return Profile(first * DAY_S, nothing, nothing, float(len(nothing) * INTERVAL_S))


def hours(window: Window) -> Iterator[Window]:
    """Yield the hours that cover `window`, cut to it."""
    yield from _cut(window, lambda at: at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))


def days(window: Window, zone: ZoneInfo) -> Iterator[Window]:
    """Yield the days of `zone` that cover `window`, cut to it; a day lasts from midnight to midnight."""
    yield from _cut(window, lambda at: midnight(at.astimezone(zone).date() + timedelta(days=1), zone))


def months(window: Window, zone: ZoneInfo) -> Iterator[Window]:
    """Yield the months of `zone` that cover `window`, cut to it."""
    yield from _cut(window, lambda at: month_of(at.astimezone(zone).date(), zone).end)


def month_of(day: date, zone: ZoneInfo) -> Window:
    """Return the calendar month that `day` is in."""
    first = day.replace(day=1)
    return Window(midnight(first, zone), midnight((first + timedelta(days=32)).replace(day=1), zone))


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return when `day` begins in `zone`."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _cut(window: Window, following: Callable[[datetime], datetime]) -> Iterator[Window]:
    at = window.start
    while at < window.end:
        until = min(following(at), window.end)
        yield Window(at, until)
        at = until
