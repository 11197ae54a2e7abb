"""Shifts in time: on the wall's clock, disjoint, over midnight, over the change of the clocks, on holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.production.calendar import Calendar, Version, misplaced_break, overlapping, own_or_inherited
from cloud.production.schemas import BreakPattern, ShiftPattern

SITE = UUID(int=1)
EVERY_DAY = {1, 2, 3, 4, 5, 6, 7}
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")


def shift(
    start: str, end: str, *breaks: tuple[str, str], days: set[int] | None = None, name: str = "S"
) -> ShiftPattern:
    walls = [BreakPattern(start=time.fromisoformat(a), end=time.fromisoformat(b)) for a, b in breaks]
    return ShiftPattern(
        name_en=name,
        name_zh=name,
        weekdays=days or EVERY_DAY,
        start=time.fromisoformat(start),
        end=time.fromisoformat(end),
        breaks=walls,
    )


def calendar(
    *shifts: ShiftPattern, zone: str = "Asia/Shanghai", exceptions: dict[date, int | None] | None = None
) -> Calendar:
    return Calendar(SITE, None, ZoneInfo(zone), [Version(date(2020, 1, 1), shifts)], exceptions or {})


def test_a_shift_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    night = calendar(shift("22:00", "06:00", ("02:00", "02:30")))
    (found,) = night.of_days(date(2026, 3, 2), date(2026, 3, 2))
    assert found.day == date(2026, 3, 2)
    assert (found.start, found.end) == (datetime(2026, 3, 2, 14, tzinfo=UTC), datetime(2026, 3, 2, 22, tzinfo=UTC))
    assert found.working_time == timedelta(hours=7.5)
    at_four = datetime(2026, 3, 2, 20, tzinfo=UTC)  # 04:00 on the 3rd
    assert [one.day for one in night.between(at_four, at_four + timedelta(minutes=1))] == [date(2026, 3, 2)]


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 28), 7), (date(2026, 10, 24), 9), (date(2026, 6, 1), 8)])
def test_the_night_the_clocks_change_is_an_hour_shorter_or_longer(day: date, hours: int) -> None:
    (found,) = calendar(shift("22:00", "06:00"), zone="Europe/Berlin").of_days(day, day)
    assert found.end - found.start == timedelta(hours=hours)


def test_a_holiday_has_no_shift_and_a_day_worked_as_another_has_its_shifts() -> None:
    weekdays = shift("08:00", "17:00", days={1, 2, 3, 4, 5})
    plan = calendar(weekdays, exceptions={date(2026, 10, 1): None, date(2026, 10, 10): 4})
    days = [one.day for one in plan.of_days(date(2026, 9, 30), date(2026, 10, 11))]
    assert days == [date(2026, 9, 30), *(date(2026, 10, day) for day in (2, 5, 6, 7, 8, 9, 10))]


def test_a_new_version_holds_from_its_day_and_cuts_the_night_before() -> None:
    versions = [
        Version(date(2026, 1, 1), [shift("20:00", "08:00")]),
        Version(date(2026, 5, 2), [shift("06:00", "14:00")]),
    ]
    plan = Calendar(SITE, None, ZoneInfo("Asia/Shanghai"), versions, {})
    last_night, early = plan.of_days(date(2026, 5, 1), date(2026, 5, 2))
    assert last_night.end == early.start
    assert plan.of_days(date(2025, 12, 1), date(2025, 12, 31)) == []


def test_a_line_follows_its_site_until_it_has_a_calendar_of_its_own() -> None:
    site = calendar(shift("08:00", "16:00"), exceptions={date(2026, 5, 1): None})
    own = Calendar(SITE, UUID(int=2), site.zone, [Version(date(2026, 6, 1), [shift("10:00", "12:00")])], {})
    line = own_or_inherited(own, site)
    assert [one.day.month for one in line.of_days(date(2026, 4, 30), date(2026, 5, 2))] == [4, 5]
    (late,) = line.of_days(date(2026, 6, 1), date(2026, 6, 1))
    assert late.working_time == timedelta(hours=2)
    assert late.line_id == UUID(int=2)


def test_what_overlaps_is_found_even_from_sunday_into_monday() -> None:
    night, early = shift("22:00", "06:00", days={7}), shift("05:00", "13:00", days={1})
    assert overlapping([early, night]) == (night, early)
    assert overlapping([shift("22:00", "05:00", days={7}), early]) is None
    assert overlapping([shift("00:00", "00:00")]) is None
    assert misplaced_break(shift("22:00", "06:00", ("01:00", "01:30"), ("01:15", "02:00"))) is not None
    assert misplaced_break(shift("22:00", "06:00", ("05:30", "06:30"))) is not None
    assert misplaced_break(shift("22:00", "06:00", ("05:30", "06:00"), ("22:00", "22:10"))) is None


MINUTES = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
WEEKS = st.lists(
    st.builds(
        lambda days, start, end: ShiftPattern(name_en="S", name_zh="S", weekdays=days, start=start, end=end),
        st.sets(st.integers(1, 7), min_size=1),
        MINUTES,
        MINUTES,
    ),
    max_size=4,
)


@settings(max_examples=40)
@given(WEEKS, st.sampled_from(ZONES), st.dates(date(2026, 1, 10), date(2027, 1, 10)), st.integers(0, 20))
def test_shifts_are_disjoint_whatever_the_pattern_and_the_clocks(
    week: list[ShiftPattern], zone: str, first: date, days: int
) -> None:
    plan = calendar(*week, zone=zone)
    last = first + timedelta(days=days)
    shifts = plan.of_days(first, last)
    assert all(one.start < one.end for one in shifts)
    assert all(one.end <= other.start for one, other in pairwise(shifts))
    # Day by day, or all at once: the same shifts.
    alone = [one for ordinal in range(days + 1) for one in plan.of_days(*[first + timedelta(days=ordinal)] * 2)]
    assert alone == shifts
    assert not shifts or plan.between(shifts[0].start, shifts[-1].end) == shifts
