"""What people write into cells: what is certain is understood, what is not is refused, and nothing else is raised."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloud.uploads.cell import Cell, WrongCell, number_in, time_in, value_in
from protocols.dictionary.entries import load_dictionary

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
ENTRY = load_dictionary().entry


def at(cell: Cell, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromtimestamp(time_in(cell, zone, NOW) / 1e6, UTC)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12.5", 12.5),
        ("12,5", 12.5),
        ("0,234", 0.234),
        ("１２．５", 12.5),
        ("－１２，５", -12.5),
        ("−3", -3),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("1,234,567", 1234567),
        ("1 234 567", 1234567),
        ("1\u00a0234,5", 1234.5),
        ("2.5e-3", 0.0025),
        ("12.5 kW", 12.5),
        ("12.5ｋＷ", 12.5),
        (".5", 0.5),
        (7, 7),
        (7.25, 7.25),
    ],
)
def test_numbers_that_are_certain(cell: Cell, value: float) -> None:
    assert number_in(cell, "kW") == value


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("1,234", "1234 or 1.234"),
        ("12.5 MW", "another unit than kW"),
        ("twelve", "no number"),
        ("#DIV/0!", "no number"),
        ("1,23,4", "no number"),
        ("1.2.3", "no number"),
        ("1e999", "no number"),
        ("", "no number"),
        (True, "no number"),
        (date(2026, 1, 1), "no number"),
        (float("inf"), "no number"),
    ],
)
def test_numbers_that_are_not(cell: Cell, why: str) -> None:
    with pytest.raises(WrongCell) as refused:
        number_in(cell, "kW")
    assert why in refused.value.words.en
    assert refused.value.words.zh


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_a_number_comes_back_as_it_was_written(value: float) -> None:
    assert number_in(repr(value)) == value
    fullwidth = repr(value).translate({ord(" "): None} | {ord("0") + d: 0xFF10 + d for d in range(10)})
    assert number_in(fullwidth) == value
    assert number_in(f"{value:,.2f}") == pytest.approx(value, abs=0.01)


@example(10**400, "active_power_total")
@example(float("inf"), "lot_id")
@given(
    st.one_of(st.text(max_size=30), st.floats(), st.integers(), st.booleans(), st.datetimes(), st.dates(), st.none()),
    st.sampled_from(sorted(load_dictionary().collected)),
)
def test_any_cell_is_a_value_or_refused(cell: Cell, code: str) -> None:
    entry = ENTRY(code)
    for read in (lambda: value_in(cell, entry), lambda: time_in(cell, SHANGHAI, NOW)):
        with suppress(WrongCell):
            assert isinstance(read(), float | str | int)


@given(st.datetimes(datetime(2000, 1, 2), datetime(2026, 2, 28)).map(lambda one: one.replace(microsecond=0)))  # noqa: DTZ001
def test_a_time_comes_back_however_it_is_written(wall: datetime) -> None:
    expected = wall.replace(tzinfo=SHANGHAI).astimezone(UTC)
    assert at(wall) == at(f"{wall:%Y-%m-%d %H:%M:%S}") == at(f"{wall:%Y/%m/%dT%H:%M:%S}") == expected
    assert at(f"{wall.year}年{wall.month}月{wall.day}日{wall.hour}时{wall.minute}分{wall.second}秒") == expected
    half = "上午" if wall.hour < 12 else "下午"
    assert at(f"{wall.year}.{wall.month}.{wall.day} {half}{wall.hour % 12 or 12}:{wall:%M:%S}") == expected
    serial = (wall - datetime(1899, 12, 30)) / timedelta(days=1)  # noqa: DTZ001
    assert at(serial) == at(str(serial)) == expected
    assert at(f"{wall:%Y-%m-%d %H:%M:%S}+00:00") == wall.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("31.1.2026", "write the year first"),
        ("1/2/2026", "write the year first"),
        ("2026-02-30", "no time"),
        ("2026-01-31 25:00", "no time"),
        ("2026-03-02", "future"),
        ("1999-12-31", "before the year 2000"),
        ("8 o'clock", "no time"),
        (12, "no time"),
        (True, "no time"),
        (None, "no time"),
    ],
)
def test_times_that_are_none(cell: Cell, why: str) -> None:
    with pytest.raises(WrongCell) as refused:
        at(cell)
    assert why in refused.value.words.en


def test_dates_alone_and_compact_ones_are_midnight() -> None:
    midnight = datetime(2026, 1, 30, 16, tzinfo=UTC)
    assert (
        at("2026-01-31") == at("20260131") == at(20260131) == at(date(2026, 1, 31)) == at("2026年1月31日") == midnight
    )
    assert at("２０２６－０１－３１") == midnight


def test_hours_that_clocks_leave_out_or_have_twice_are_refused() -> None:
    for wall, why in (("2025-03-30 02:30", "no such time"), ("2025-10-26 02:30", "twice")):
        with pytest.raises(WrongCell, match=why):
            at(wall, BERLIN)
    assert at("2025-10-26 02:30+01:00", BERLIN) == datetime(2025, 10, 26, 1, 30, tzinfo=UTC)


def test_values_by_their_meaning() -> None:
    state, running, count, power = map(
        ENTRY, ("machine_state", "machine_running", "part_count_total", "active_power_total")
    )
    assert {value_in(cell, state) for cell in ("运行", "executing", "3", 3, "运行 Executing")} == {3.0}
    assert [value_in(cell, running) for cell in ("是", "No", 1, False, "０")] == [1, 0, 1, 0, 0]
    assert value_in("12", ENTRY("lot_id")) == value_in(12.0, ENTRY("lot_id")) == "12"
    for cell, entry, why in (
        ("flying", state, "none of"),
        ("perhaps", running, "neither yes nor no"),
        ("1.5", count, "whole number"),
        (1e9, power, "outside"),
        ("a\nb", ENTRY("lot_id"), "one line"),
    ):
        with pytest.raises(WrongCell, match=why):
            value_in(cell, entry)
