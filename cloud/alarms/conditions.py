"""What a reading means for a rule: pure functions of the value, and of where the source stood before."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple, Protocol

from cloud.alarms.condition_kinds import (
    AgentHealth,
    BadQuality,
    EnergyLimit,
    InState,
    KpiLimit,
    OutOfControl,
    Rate,
    RejectRate,
    Stale,
    Threshold,
)
from cloud.alarms.schemas import Level, RuleRequest
from cloud.spc.service import ControlWatch, FrozenLimits

NORMAL: Level = ""
_HIGH: tuple[Level, ...] = ("high_high", "high")
_LOW: tuple[Level, ...] = ("low_low", "low")
_EVERY_VALUE = (-math.inf, math.inf)
_NO_VALUE = (math.inf, -math.inf)


class Band(NamedTuple):
    """Values strictly between `low` and `high` change nothing."""

    low: float
    high: float


class Judge(Protocol):
    """What a kind of condition makes of usable values."""

    def level(self, time_us: int, value: float, was: Level) -> Level:
        """Return where the source stands with `value`, having stood at `was`."""

    def band(self, value: float, was: Level) -> Band:
        """Return values that leave a source at `was`, whose last value is `value`."""

    def limit(self, level: Level) -> float | None:
        """Return the limit that `level` is beyond."""

    def shown(self, value: float) -> float:
        """Return what people are told of a source whose last value is `value`."""


class LimitJudge:
    """Four limits with a deadband: a value is beyond a limit until it is back by more than the deadband."""

    def __init__(self, limits: Threshold) -> None:
        self._limits: dict[Level, float | None] = {
            "high_high": limits.high_high,
            "high": limits.high,
            "low_low": limits.low_low,
            "low": limits.low,
        }
        self._deadband = limits.deadband

    def level(self, time_us: int, value: float, was: Level) -> Level:
        """Return the outermost limit `value` is beyond."""
        for name in _HIGH:
            limit = self._limits[name]
            if limit is not None and value > limit - (self._deadband if _keeps(was, name) else 0.0):
                return name
        for name in _LOW:
            limit = self._limits[name]
            if limit is not None and value < limit + (self._deadband if _keeps(was, name) else 0.0):
                return name
        return NORMAL

    def band(self, value: float, was: Level) -> Band:
        """Return what lies between the limit that is passed and the next one."""
        high_high, high = self._limits["high_high"], self._limits["high"]
        low_low, low = self._limits["low_low"], self._limits["low"]
        if was == NORMAL:
            return Band(_first(low, low_low, -math.inf), _first(high, high_high, math.inf))
        if was == "high_high" and high_high is not None:
            return Band(high_high - self._deadband, math.inf)
        if was == "high" and high is not None:
            return Band(high - self._deadband, _first(high_high, math.inf))
        if was == "low" and low is not None:
            return Band(_first(low_low, -math.inf), low + self._deadband)
        if was == "low_low" and low_low is not None:
            return Band(-math.inf, low_low + self._deadband)
        return Band(*_NO_VALUE)

    def limit(self, level: Level) -> float | None:
        """Return the limit of that name."""
        return self._limits.get(level)

    def shown(self, value: float) -> float:
        """Return the value."""
        return value


def _keeps(was: Level, name: Level) -> bool:
    """Whether a source that stood at `was` is let out of `name` by the deadband only."""
    return was == name or (was == "high_high" and name == "high") or (was == "low_low" and name == "low")


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


class StateJudge:
    """One of some coded values."""

    def __init__(self, condition: InState) -> None:
        self._values = frozenset(map(float, condition.values))

    def level(self, time_us: int, value: float, was: Level) -> Level:
        """Return "on" for a value that is listed."""
        return "on" if value in self._values else NORMAL

    def band(self, value: float, was: Level) -> Band:
        """Return the value itself and no other."""
        return Band(math.nextafter(value, -math.inf), math.nextafter(value, math.inf))

    def limit(self, level: Level) -> float | None:
        """Return None: there is none."""
        return None

    def shown(self, value: float) -> float:
        """Return the value."""
        return value


class RateJudge:
    """The slope from the oldest reading of the last window to the newest; known once they span half of it."""

    def __init__(self, condition: Rate) -> None:
        self._condition = condition
        self._window_us = condition.window_s * 1_000_000
        self._readings: deque[tuple[int, float]] = deque()
        self._slope = 0.0

    def level(self, time_us: int, value: float, was: Level) -> Level:
        """Return "on" where the slope is beyond the limit; the limit is left at nine tenths of it."""
        readings = self._readings
        readings.append((time_us, value))
        while readings[0][0] < time_us - self._window_us:
            readings.popleft()
        since, before = readings[0]
        if 2 * (time_us - since) < self._window_us:
            return was
        self._slope = (value - before) / (time_us - since) * 60e6
        wanted = self._condition.direction
        size = {"rising": self._slope, "falling": -self._slope, "either": abs(self._slope)}[wanted]
        return "on" if size > self._condition.per_minute * (0.9 if was else 1.0) else NORMAL

    def forget(self) -> None:
        """Begin anew: what comes next has nothing to do with what was before."""
        self._readings.clear()

    def band(self, value: float, was: Level) -> Band:
        """Return nothing: every reading counts."""
        return Band(*_NO_VALUE)

    def limit(self, level: Level) -> float | None:
        """Return the rate."""
        return self._condition.per_minute

    def shown(self, value: float) -> float:
        """Return the slope per minute."""
        return self._slope


class ControlJudge:
    """A control chart that signals; over once no point of it has for a while. It begins anew with the process that evaluates."""

    def __init__(self, condition: OutOfControl, limits: FrozenLimits) -> None:
        self._watch = ControlWatch(limits, condition.charts)
        self._calm_points = condition.calm_points
        self._calm = 0

    def level(self, time_us: int, value: float, was: Level) -> Level:
        """Return "on" where the point that `value` completes signals, and until enough points do not."""
        signals = self._watch.add(value)
        if signals is None:
            return was
        self._calm = 0 if signals else self._calm + 1
        return "on" if signals or (was and self._calm < self._calm_points) else NORMAL

    def band(self, value: float, was: Level) -> Band:
        """Return nothing: every reading counts."""
        return Band(*_NO_VALUE)

    def limit(self, level: Level) -> float | None:
        """Return None: there are several."""
        return None

    def shown(self, value: float) -> float:
        """Return the mean of the last whole subgroup."""
        return self._watch.mean


class BadJudge:
    """Bad quality; `Track` sees to it that a bad reading is "on"."""

    def level(self, time_us: int, value: float, was: Level) -> Level:
        """Return that a usable value is normal."""
        return NORMAL

    def band(self, value: float, was: Level) -> Band:
        """Return every usable value where the source is normal."""
        return Band(*(_NO_VALUE if was else _EVERY_VALUE))

    def limit(self, level: Level) -> float | None:
        """Return None: there is none."""
        return None

    def shown(self, value: float) -> float:
        """Return that there is no value."""
        return math.nan


def judge_of(rule: RuleRequest, limits: FrozenLimits | None = None) -> Judge:
    """Return what a rule makes of values; a fresh one per source, for some remember. `limits`: of a source's control chart."""
    made: Judge
    match rule.condition:
        case OutOfControl() as condition:
            if limits is None:
                raise TypeError("a point without frozen limits is no source")
            made = ControlJudge(condition, limits)
        case Rate() as condition:
            made = RateJudge(condition)
        case InState() as condition:
            made = StateJudge(condition)
        case BadQuality():
            made = BadJudge()
        case AgentHealth(measure="silent_s" | "clock_offset_s", limit=limit):
            made = LimitJudge(Threshold(high=limit))
        case AgentHealth(limit=limit):
            made = LimitJudge(Threshold(low=limit))
        case RejectRate(percent=percent):
            made = LimitJudge(Threshold(high=percent))
        case KpiLimit(high=high, low=low, deadband=deadband) | EnergyLimit(high=high, low=low, deadband=deadband):
            made = LimitJudge(Threshold(high=high, low=low, deadband=deadband))
        case Stale():
            raise TypeError("a source that goes silent is a StaleTrack")
        case Threshold() as condition:
            made = LimitJudge(condition)
    return made
