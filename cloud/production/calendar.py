"""From a calendar's pattern to shifts in time. Pure: no database, no clock.

A pattern is on the site's wall clock: a shift begins and ends when the clock on the wall says so, so one that the change to
or from summer time falls into is an hour shorter or longer. A wall time that the change skips is read with the offset
before it, one that comes twice is the first (PEP 495, fold 0). A shift belongs to the production day it begins on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from cloud.production.schemas import Shift, ShiftPattern, Span

_DAY = timedelta(days=1)
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class Version:
    """What a week looks like from the production day `valid_from` on. No shifts: no work is planned."""

    valid_from: date
    shifts: Sequence[ShiftPattern]


@dataclass(frozen=True)
class Calendar:
    """When work is planned at a site, or on one of its lines.

    Attributes:
        versions: by `valid_from`, ascending; before the first one nothing is known.
        exceptions: days that are worked as another ISO weekday, or, None, not at all.
    """

    site_id: UUID
    line_id: UUID | None
    zone: ZoneInfo
    versions: Sequence[Version]
    exceptions: Mapping[date, int | None]

    def between(self, start: datetime, end: datetime) -> list[Shift]:
        """Return the shifts that overlap [start, end), by their begin, disjoint."""
        first, last = start.astimezone(self.zone).date() - _DAY, end.astimezone(self.zone).date()
        return [shift for shift in self.of_days(first, last) if shift.start < end and start < shift.end]

    def of_days(self, first: date, last: date) -> list[Shift]:
        """Return the shifts of the production days `first` to `last`, by their begin.

        Disjoint whatever the calendar says: a shift ends at the latest where the next one begins, as at the change from
        one version to another.
        """
        shifts = sorted(self._planned(first - _DAY, last + _DAY), key=lambda shift: shift.start)
        cut = [_cut(shift, shifts[i + 1].start if i + 1 < len(shifts) else shift.end) for i, shift in enumerate(shifts)]
        return [shift for shift in cut if first <= shift.day <= last and shift.start < shift.end]

    def _planned(self, first: date, last: date) -> Iterator[Shift]:
        for ordinal in range(first.toordinal(), last.toordinal() + 1):
            day = date.fromordinal(ordinal)
            version = next((one for one in reversed(self.versions) if one.valid_from <= day), None)
            weekday = self.exceptions.get(day, day.isoweekday())
            for pattern in version.shifts if version else ():
                if weekday in pattern.weekdays:
                    yield self._shift(day, pattern)

    def _shift(self, day: date, pattern: ShiftPattern) -> Shift:
        breaks = [
            Span(start=self._instant(day, pattern, one.start), end=self._instant(day, pattern, one.end, is_end=True))
            for one in pattern.breaks
        ]
        return Shift(
            site_id=self.site_id,
            line_id=self.line_id,
            day=day,
            name_en=pattern.name_en,
            name_zh=pattern.name_zh,
            start=self._instant(day, pattern, pattern.start),
            end=self._instant(day, pattern, pattern.end, is_end=True),
            breaks=sorted((one for one in breaks if one.start < one.end), key=lambda one: one.start),
        )

    def _instant(self, day: date, pattern: ShiftPattern, wall: time, *, is_end: bool = False) -> datetime:
        tomorrow = wall < pattern.start or (is_end and wall == pattern.start)
        return datetime.combine(day + _DAY if tomorrow else day, wall, self.zone).astimezone(UTC)


def _cut(shift: Shift, end: datetime) -> Shift:
    if end >= shift.end:
        return shift
    breaks = [Span(start=one.start, end=min(one.end, end)) for one in shift.breaks if one.start < end]
    return shift.model_copy(update={"end": end, "breaks": breaks})


def own_or_inherited(own: Calendar, site: Calendar) -> Calendar:
    """Return the calendar of a line: its own where it has any version, with the site's holidays where it has none.

    Before the line's first version the site's holds.
    """
    if not own.versions:
        return replace(site, line_id=own.line_id, exceptions={**site.exceptions, **own.exceptions})
    inherited = [one for one in site.versions if one.valid_from < own.versions[0].valid_from]
    return replace(own, versions=[*inherited, *own.versions], exceptions={**site.exceptions, **own.exceptions})


def overlapping(patterns: Sequence[ShiftPattern]) -> tuple[ShiftPattern, ShiftPattern] | None:
    """Return two shifts of a week that overlap, if any do; the week's last minute is followed by its first."""
    week = 7 * _DAY_MINUTES
    spans = sorted(
        ((weekday - 1) * _DAY_MINUTES + _minute(pattern.start), length(pattern), index)
        for index, pattern in enumerate(patterns)
        for weekday in pattern.weekdays
    )
    for (start, minutes, one), (following, _, other) in zip(
        spans, [*spans[1:], *((start + week, minutes, index) for start, minutes, index in spans[:1])], strict=True
    ):
        if start + minutes > following:
            return patterns[one], patterns[other]
    return None


def length(pattern: ShiftPattern) -> int:
    """Return how long a shift lasts on the wall clock, in minutes: 1 to a whole day."""
    return (_minute(pattern.end) - _minute(pattern.start) - 1) % _DAY_MINUTES + 1


def misplaced_break(pattern: ShiftPattern) -> Span | None:
    """Return the first break that lies outside its shift or overlaps another, on an arbitrary day; None if none does."""
    day = datetime(2000, 1, 1, tzinfo=UTC)
    until, shift = 0, length(pattern)
    for one in sorted(pattern.breaks, key=lambda one: _after(pattern, one.start)):
        begin = _after(pattern, one.start)
        finish = begin + (_minute(one.end) - _minute(one.start) - 1) % _DAY_MINUTES + 1
        if begin < until or finish > shift:
            return Span(start=day + timedelta(minutes=begin), end=day + timedelta(minutes=finish))
        until = finish
    return None


def _after(pattern: ShiftPattern, wall: time) -> int:
    return (_minute(wall) - _minute(pattern.start)) % _DAY_MINUTES


def _minute(wall: time) -> int:
    return wall.hour * 60 + wall.minute
