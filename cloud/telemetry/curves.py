"""Which roll-up a chart is made from, and what one of its samples is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cloud.core.errors import Invalid
from cloud.telemetry.schemas import Resolution, Sample
from protocols.dictionary.entries import Aggregation
from protocols.text import Text

LEVEL_S: Mapping[Resolution, int] = {"1m": 60, "1h": 3600, "1d": 86_400}
_FINE_STEPS_S = (1, 2, 5, 10, 15, 30)
_STEPS_S = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


def choose(span: timedelta, max_points: int) -> tuple[Resolution, int]:
    """Return the coarsest roll-up, and the width of a sample in s, that give `span` at most `max_points` samples.

    Beyond `max_points` days the samples stay days.
    """
    wanted = span.total_seconds() / max_points
    step_s = next((step for step in _STEPS_S if step >= wanted), _STEPS_S[-1])
    return level_of(step_s), step_s


def choose_fine(span: timedelta, max_points: int) -> int:
    """Return the width in s of buckets finer than any roll-up that give at most `max_points`; 0 where a roll-up does."""
    wanted = span.total_seconds() / max_points
    return next((step for step in _FINE_STEPS_S if step >= wanted), 0)


_LEGAL: Mapping[Aggregation, tuple[Aggregation, ...]] = {
    "avg": ("avg", "last"),
    "sum": ("sum", "avg", "last"),
    "last": ("last",),
    "counter_delta": ("counter_delta", "last"),
    "duration_by_state": ("duration_by_state", "last"),
}


def legal(own: Aggregation, asked: Aggregation | None, entry: str) -> Aggregation:
    """Return how buckets of a series are made into samples: as `asked`, else by the entry's `own` aggregation.

    A bucket of a state shows its last unless its durations are asked for. Raises Invalid where what is asked says nothing true of such values: the mean of
    a counter, the sum of temperatures.
    """
    wanted = asked or ("last" if own == "duration_by_state" else own)
    if wanted not in _LEGAL[own]:
        may = ", ".join(_LEGAL[own])
        raise Invalid(
            Text(
                f"'{entry}' is aggregated by {own}; {wanted} would say nothing true of it. Possible: {may}.",
                f"“{entry}”的聚合方式为 {own}，不能使用 {wanted}；可选：{may}。",
            )
        )
    return wanted


def filled(found: Iterable[Sample], borders: Iterable[datetime]) -> list[Sample]:
    """Return a sample for every bucket that begins at one of `borders`: what was found, or an empty one."""
    by_time = {sample.time: sample for sample in found}
    return [
        by_time.get(border) or Sample(time=border, value=None, low=None, high=None, n=0, good=0) for border in borders
    ]


def level_of(step_s: int) -> Resolution:
    """Return the coarsest roll-up that merges into samples of `step_s`."""
    return max((level for level, width in LEVEL_S.items() if width <= step_s), key=LEVEL_S.__getitem__)


def aligned(start: datetime, step_s: int, zone: str) -> datetime:
    """Return the last border of samples at or before `start`; borders count from the site's midnight."""
    local = start.astimezone(ZoneInfo(zone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    passed = int((start - midnight.astimezone(start.tzinfo)).total_seconds())
    return midnight.astimezone(start.tzinfo) + timedelta(seconds=passed - passed % step_s)


def samples(states: Iterable[Mapping[str, Any]], aggregation: Aggregation) -> list[Sample]:
    """Turn the merged states of one series, in order of time, into samples by the entry's aggregation.

    A counter's growth between two samples belongs to the later one.
    """
    before: float | None = None
    result = []
    for state in states:
        value: float | None = None
        if state["used"]:
            if aggregation == "avg":
                value = state["sum"] / state["used"]
            elif aggregation == "sum":
                value = state["sum"]
            elif aggregation == "counter_delta":
                value = _growth(before, state)
            else:
                value = state["last"]
            before = state["last"]
        result.append(
            Sample(
                time=state["bucket"],
                value=value,
                low=state["low"],
                high=state["high"],
                n=state["n"],
                good=state["good"],
            )
        )
    return result


def _growth(before: float | None, state: Mapping[str, Any]) -> float | None:
    within: float | None = state["increase"]
    if before is None:
        return within
    step: float = state["first"] - before
    return (within or 0.0) + (step if step >= 0 else state["first"])
