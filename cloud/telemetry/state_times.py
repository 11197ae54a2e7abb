"""How long a machine was in each of its states: exact sums over buckets of time.

A state holds from its reading to the next one. Before the first reading, and after a bad one, nobody can tell: that time is
counted as unknown, never as one state or another. After the last reading the state holds until now.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime

from cloud.telemetry.columns import instant
from cloud.telemetry.retained import us
from cloud.telemetry.schemas import Sample
from cloud.telemetry.store.arrays import Readings
from cloud.telemetry.store.states import StateHour

UNKNOWN = "unknown"


class StateTimes:
    """The times of one series in the buckets between `borders`, in microseconds since 1970 UTC, ascending.

    Tell it what is known in the order of time; nothing before the first border counts.
    """

    def __init__(self, borders: Sequence[int], state: float | None) -> None:
        self._borders = borders
        self._totals: list[dict[float | None, int]] = [{} for _ in borders[:-1]]
        self._state = state
        self._at = borders[0]

    def until(self, time: int) -> None:
        """Hold the present state until `time`."""
        end = min(time, self._borders[-1])
        while self._at < end:
            place = bisect_right(self._borders, self._at) - 1
            held = min(end, self._borders[place + 1])
            self._add(place, self._state, held - self._at)
            self._at = held

    def hour(self, hour: StateHour) -> None:
        """Count an hour that lies wholly in one bucket."""
        self.until(us(hour.first_ts))
        place = bisect_right(self._borders, us(hour.bucket)) - 1
        for state, micros in zip(hour.states, hour.micros, strict=True):
            self._add(place, state, micros)
        self._at, self._state = us(hour.last_ts), hour.last_state

    def readings(self, found: Readings) -> None:
        """Count readings of this series, one by one."""
        for time, value, quality in zip(found.time.tolist(), found.value.tolist(), found.quality.tolist(), strict=True):
            self.until(time)
            self._state = value if quality >= 0 else None

    def samples(self) -> list[Sample]:
        """Return a sample for every bucket: seconds by state, those nobody can tell as `unknown`."""
        return [
            Sample(time=instant(begin), value=None, low=None, high=None, n=0, good=0, seconds=_seconds(totals))
            for begin, totals in zip(self._borders, self._totals, strict=False)
        ]

    def _add(self, place: int, state: float | None, micros: int) -> None:
        totals = self._totals[place]
        totals[state] = totals.get(state, 0) + micros


def _seconds(totals: dict[float | None, int]) -> dict[str, float]:
    known = sorted((state, micros) for state, micros in totals.items() if state is not None)
    seconds = {f"{state:g}": micros / 1e6 for state, micros in known}
    return seconds | ({UNKNOWN: totals[None] / 1e6} if None in totals else {})


def known_share(samples: Iterable[Sample]) -> float | None:
    """Return the share of the counted time whose state is known; None where there is none."""
    every = [(name, seconds) for sample in samples for name, seconds in (sample.seconds or {}).items()]
    total = sum(seconds for _, seconds in every)
    return round(sum(seconds for name, seconds in every if name != UNKNOWN) / total, 6) if total else None


def whole_hours(end: datetime, origin: datetime) -> datetime:
    """Return the last border of hours, counted from `origin`, at or before `end`."""
    return instant(us(end) - (us(end) - us(origin)) % 3_600_000_000)
