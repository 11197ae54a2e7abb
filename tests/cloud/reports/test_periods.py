"""Periods cover time without gap and overlap, whatever the shifts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.production.calendar import Calendar, Version
from cloud.production.schemas import ShiftPattern
from cloud.reports.periods import LONGEST, Clock
from cloud.reports.schemas import Kind

SITE = uuid4()
EVERY_DAY = set(range(1, 8))


def clock(at: datetime, zone: str = "Asia/Shanghai", *shifts: ShiftPattern) -> Clock:
    calendar = Calendar(SITE, None, ZoneInfo(zone), [Version(date(2020, 1, 1), shifts)], {})
    return Clock(calendar.zone, calendar.between(at - LONGEST, at + LONGEST))


def shift(start: str, end: str, weekdays: set[int] = EVERY_DAY) -> ShiftPattern:
    return ShiftPattern.model_validate(
        {"name_en": start, "name_zh": start, "weekdays": weekdays, "start": start, "end": end}
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_night_shift_belongs_to_the_day_it_begins_on() -> None:
    at = utc("2026-11-25T23:00")  # 07:00 on the 26th in Shanghai
    day = clock(at, "Asia/Shanghai", shift("08:00", "20:00"), shift("20:00", "08:00")).containing("day", at)
    assert day is not None
    assert (day.first, day.start, day.end) == (date(2026, 11, 25), utc("2026-11-25T00:00"), utc("2026-11-26T00:00"))


def test_a_day_of_rest_begins_where_the_last_night_shift_ends() -> None:
    at = utc("2026-11-28T12:00")  # a Saturday; the Friday's night shift has ended at 06:00 on it
    rest = clock(at, "UTC", shift("22:00", "06:00", {1, 2, 3, 4, 5})).containing("day", at)
    assert rest is not None
    assert (rest.start, rest.end) == (utc("2026-11-28T06:00"), utc("2026-11-29T00:00"))


def test_between_shifts_there_is_none_but_a_last_one() -> None:
    at = utc("2026-11-25T18:00")
    found = clock(at, "UTC", shift("06:00", "14:00"))
    assert found.containing("shift", at) is None
    last = found.last_complete("shift", at)
    assert last is not None
    assert last.name.en == "2026-11-25 06:00, 06:00–14:00"
    before = found.before(last)
    assert before is not None
    assert before.first == date(2026, 11, 24)
    assert clock(at).last_complete("shift", at) is None


def test_the_hour_that_summer_time_takes_is_no_ones() -> None:
    at = utc("2026-03-29T12:00")
    day = clock(at, "Europe/Berlin").containing("day", at)
    assert day is not None
    assert day.end - day.start == timedelta(hours=23)


@pytest.mark.parametrize("kind", ["day", "week", "month"])
@given(
    at=st.datetimes(
        utc("2025-01-01").replace(tzinfo=None), utc("2027-01-01").replace(tzinfo=None), timezones=st.just(UTC)
    ),
    zone=st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/St_Johns"]),
    night=st.booleans(),
)
def test_periods_touch_and_hold_what_lies_in_them(kind: Kind, at: datetime, zone: str, night: bool) -> None:
    found = clock(at, zone, *([shift("21:30", "05:30", {1, 2, 3, 5})] if night else []))
    period = found.containing(kind, at)
    assert period is not None
    assert period.start <= at < period.end
    before = found.before(period)
    assert before is not None
    assert before.end == period.start
    assert before.last + timedelta(days=1) == period.first
    assert found.last_complete(kind, period.end) == period
    assert found.last_complete(kind, at) == (before if at < period.end else period)
