"""One source under one rule: when it is raised and when it is back, from readings in the order of their source time.

A value holds until the next one. The condition must hold for the on-delay before the alarm is raised, and the normal state
for the off-delay before it is back; both count by the source's clock, so the same readings give the same alarms however
they are cut into deliveries. A bad reading has no value: it ends a condition that was not raised yet and leaves an alarm
that was as it is - except for the rule that watches for bad quality.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud.alarms.conditions import NORMAL, BadJudge, Band, Judge, RateJudge
from cloud.alarms.schemas import Level

_RANK: dict[Level, int] = {"": 0, "on": 1, "high": 1, "low": 1, "high_high": 2, "low_low": 2}


class Transition(NamedTuple):
    """A source comes from one level to another, at a time of its own clock, with a value."""

    time_us: int
    before: Level
    after: Level
    value: float

    @property
    def raises(self) -> bool:
        """Whether it gets worse."""
        return is_worse(self.before, self.after)


def is_worse(before: Level, after: Level) -> bool:
    """Return whether `after` is further out than `before`, or out on the other side."""
    return _RANK[after] > _RANK[before] or (after != NORMAL and before[:3] != after[:3])


class Track:
    """Where one source stands.

    Attributes:
        level: what has been said.
        wanted: what the last value says; where it is another, `since` when.
        seen: time of the last reading; 0 before the first.
        value: the last usable value, NaN where there is none.
    """

    __slots__ = ("_bad_is_on", "_judge", "_off_delay_us", "_on_delay_us", "level", "seen", "since", "value", "wanted")

    def __init__(self, judge: Judge, on_delay_s: float, off_delay_s: float) -> None:
        self._judge = judge
        self._bad_is_on = isinstance(judge, BadJudge)
        self._on_delay_us = int(on_delay_s * 1_000_000)
        self._off_delay_us = int(off_delay_s * 1_000_000)
        self.level: Level = NORMAL
        self.wanted: Level = NORMAL
        self.since = 0
        self.seen = 0
        self.value = math.nan

    def step(self, time_us: int, value: float, usable: bool) -> list[Transition]:
        """Take the next reading and return what comes of it. Readings must come in the order of time."""
        made = self.advance(time_us)
        self.seen = time_us
        if usable:
            self.value = value
            self._want(self._judge.level(time_us, value, self.wanted), time_us)
        else:
            self.value = math.nan
            if isinstance(self._judge, RateJudge):
                self._judge.forget()
            self._want("on" if self._bad_is_on else self.level, time_us)
        return made + self.advance(time_us)

    def skip(self, time_us: int, value: float) -> None:
        """Take usable readings up to `time_us` that are all within `band`; `value` is the last one."""
        self.seen = time_us
        self.value = value

    def advance(self, time_us: int) -> list[Transition]:
        """Let the last value hold until `time_us` and return what comes of that: nothing, or one transition."""
        if self.wanted == self.level:
            return []
        due = self.since + (self._on_delay_us if is_worse(self.level, self.wanted) else self._off_delay_us)
        if time_us < due:
            return []
        made = Transition(due, self.level, self.wanted, self._judge.shown(self.value))
        self.level = self.wanted
        return [made]

    def band(self) -> Band:
        """Return values that change nothing: between them readings may be skipped."""
        return self._judge.band(self.value, self.wanted)

    @property
    def steady(self) -> bool:
        """Whether only another value will change it, and time will not."""
        return self.wanted == self.level

    def limit(self, level: Level) -> float | None:
        """Return the limit `level` is beyond."""
        return self._judge.limit(level)

    def _want(self, now: Level, time_us: int) -> None:
        if now == self.wanted:
            return
        out_already = self.level == NORMAL and self.wanted != NORMAL and now[:3] == self.wanted[:3]
        if not out_already:  # what gets worse, or a little better, while the delay runs has left normal when it did
            self.since = time_us
        self.wanted = now


class StaleTrack:
    """A source that is raised when no usable reading has come for `seconds`."""

    __slots__ = ("_off_delay_us", "_seconds_us", "level", "seen", "since", "value", "wanted")

    def __init__(self, seconds: float, on_delay_s: float, off_delay_s: float) -> None:
        self._seconds_us = int((seconds + on_delay_s) * 1_000_000)
        self._off_delay_us = int(off_delay_s * 1_000_000)
        self.level: Level = NORMAL
        self.wanted: Level = NORMAL
        self.since = 0
        self.seen = 0
        self.value = math.nan

    def step(self, time_us: int, value: float, usable: bool) -> list[Transition]:
        """Take a reading; a usable one brings the source back."""
        if not usable:
            return []
        self.skip(time_us, value)
        if NORMAL not in (self.level, self.wanted):
            self.wanted, self.since = NORMAL, time_us
        return self._back(time_us)

    def skip(self, time_us: int, value: float) -> None:
        """Take usable readings up to `time_us`."""
        self.seen = time_us
        self.value = value

    def advance(self, time_us: int) -> list[Transition]:
        """Let time pass without a reading until `time_us`."""
        made = self._back(time_us)
        if self.seen and self.wanted == NORMAL and time_us - self.seen > self._seconds_us:
            self.wanted = "on"
            if self.level == NORMAL:
                self.level = "on"
                made.append(Transition(self.seen + self._seconds_us, NORMAL, "on", math.nan))
        return made

    def band(self) -> Band:
        """Return every value where the source is normal."""
        return Band(math.inf, -math.inf) if self.level != NORMAL else Band(-math.inf, math.inf)

    @property
    def steady(self) -> bool:
        """Whether usable readings change nothing."""
        return self.level == NORMAL

    def limit(self, level: Level) -> float | None:
        """Return the seconds."""
        return self._seconds_us / 1e6

    def _back(self, time_us: int) -> list[Transition]:
        if self.level == NORMAL or self.wanted != NORMAL or time_us - self.since < self._off_delay_us:
            return []
        self.level = NORMAL
        return [Transition(self.since + self._off_delay_us, "on", NORMAL, self.value)]


AnyTrack = Track | StaleTrack


_STRIDE = 256


def steps(
    track: AnyTrack, times: NDArray[np.int64], values: NDArray[np.float64], usable: NDArray[np.bool_]
) -> list[Transition]:
    """Take readings of one length in the order of time and return what comes of them, as one `step` after another would."""
    made: list[Transition] = []
    at, end = 0, len(times)
    while at < end:
        if track.steady:
            band = track.band()
            ahead = slice(at, at + _STRIDE)
            calm = usable[ahead] & (values[ahead] > band.low) & (values[ahead] < band.high)
            skipped = len(calm) if calm.all() else int(np.argmin(calm))
            if skipped:
                at += skipped
                track.skip(int(times[at - 1]), float(values[at - 1]))
                continue
        made += track.step(int(times[at]), float(values[at]), bool(usable[at]))
        at += 1
    return made
