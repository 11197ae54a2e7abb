"""Which stretch of time a report is about. Pure: no database, no clock.

A production day begins with its first shift. One without shifts begins at midnight on the site's clock, or where the last
shift of the day before ends, so that days touch and every hour belongs to one of them. Weeks begin on Monday (ISO 8601).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cloud.production.schemas import Shift
from cloud.reports.schemas import Kind, Period
from protocols.text import Text

_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)

LONGEST = timedelta(days=40)
"""Shifts this far before and after an instant suffice to find the period it lies in, and the one before."""


@dataclass(frozen=True)
class Clock:
    """The site's time zone and the shifts around the time that is asked about, by their begin, disjoint."""

    zone: ZoneInfo
    shifts: Sequence[Shift]

    def containing(self, kind: Kind, at: datetime) -> Period | None:
        """Return the period that `at` lies in; None between shifts."""
        if kind == "shift":
            found = next((one for one in self.shifts if one.start <= at < one.end), None)
            return self._of_shift(found) if found else None
        first, after = _span(kind, self._production_day(at))
        return Period(kind, self._begin(first), self._begin(after), first, after - _DAY, _name(kind, first))

    def last_complete(self, kind: Kind, at: datetime) -> Period | None:
        """Return the last period that is over at `at`; None where no shift is."""
        if kind == "shift":
            over = [one for one in self.shifts if one.end <= at]
            return self._of_shift(over[-1]) if over else None
        found = self.containing(kind, at)
        return self.containing(kind, found.start - _INSTANT) if found and found.end > at else found

    def before(self, period: Period) -> Period | None:
        """Return the period of the same kind before `period`: what its figures are compared with."""
        if period.kind == "shift":
            return self.last_complete("shift", period.start)
        return self.containing(period.kind, period.start - _INSTANT)

    def _of_shift(self, shift: Shift) -> Period:
        local = [instant.astimezone(self.zone) for instant in (shift.start, shift.end)]
        hours = f"{local[0]:%H:%M}–{local[1]:%H:%M}"
        name = Text(f"{shift.day} {shift.name_en}, {hours}", f"{shift.day} {shift.name_zh} {hours}")
        return Period("shift", shift.start, shift.end, shift.day, shift.day, name)

    def _production_day(self, at: datetime) -> date:
        day = at.astimezone(self.zone).date()
        return day - _DAY if at < self._begin(day) else day

    def _begin(self, day: date) -> datetime:
        if starts := [one.start for one in self.shifts if one.day == day]:
            return starts[0]
        midnight = datetime.combine(day, time(), self.zone).astimezone(UTC)
        return max([midnight, *(one.end for one in self.shifts if one.day == day - _DAY)])


def _span(kind: Kind, day: date) -> tuple[date, date]:
    """Return the first production day of the period that `day` is in, and the first after it."""
    if kind == "week":
        monday = day - day.weekday() * _DAY
        return monday, monday + 7 * _DAY
    if kind == "month":
        first = day.replace(day=1)
        return first, (first + 31 * _DAY).replace(day=1)
    return day, day + _DAY


def _name(kind: Kind, first: date) -> Text:
    if kind == "week":
        year, week, _ = first.isocalendar()
        return Text(f"week {week} of {year}, from {first}", f"{year} 年第 {week} 周，{first} 起")
    if kind == "month":
        return Text(f"{first:%B %Y}", f"{first.year} 年 {first.month} 月")
    return Text(f"{first}", f"{first}")
