"""How the pages write numbers, times, states and qualities, and what they draw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from cloud.quality.schemas import Inspection
from cloud.web.charts import Sample, line_chart
from cloud.web.gallery import place_on_scale
from cloud.web.highlights import ANY_MACHINE, LEADING, METER_CLASS, STATE, SUPPORTING, leading, working_state
from cloud.web.icons import svg
from cloud.web.language import NOTHING, age, duration, moment, number
from cloud.web.words import ALARM, FAULT, IDLE, ONLINE, RUNNING, STOPPED, quality_mark
from protocols import reading
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.reading import BAD_DEVICE_FAILURE, GOOD, Quality

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"), (0.0254, "0.025"), (7.0, "7.00"), (99.994, "99.99"), (-12.345, "-12.35"), (231.06, "231.1"),
        (2480.4, "2,480"), (1_234_567.8, "1,234,568"), (None, NOTHING), (math.nan, NOTHING), (math.inf, NOTHING),
    ],
)  # fmt: skip
def test_numbers(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_counts_have_no_decimals() -> None:
    assert (number(7, whole=True), number(12_804, whole=True)) == ("7", "12,804")


def test_times_are_the_sites() -> None:
    """16:30 UTC is past midnight in Shanghai: the site's day decides whether the date is needed."""
    now = datetime(2026, 3, 2, 16, 30, tzinfo=UTC)
    assert moment(now, SHANGHAI, "zh", now=now) == "00:30:00"
    earlier = now - timedelta(hours=1)
    assert moment(earlier, SHANGHAI, "zh", now=now) == "3月2日 23:30:00"
    assert moment(earlier, SHANGHAI, "en", now=now, seconds=False) == "2 Mar, 23:30"
    assert moment(earlier, ZoneInfo("UTC"), "en", now=now) == "15:30:00"
    last_year = datetime(2025, 12, 31, 4, tzinfo=UTC)
    assert moment(last_year, SHANGHAI, "zh", now=now, seconds=False) == "2025年12月31日 12:00"
    assert moment(last_year, SHANGHAI, "en", now=now, seconds=False) == "31 Dec 2025, 12:00"


@pytest.mark.parametrize(
    ("seconds", "zh"),
    [(59.9, "59 秒"), (60, "1 分钟"), (3599, "59 分钟"), (3600, "1 小时"), (86400 * 3 + 5, "3 天"), (-5, "0 秒")],
)
def test_lengths_of_time(seconds: float, zh: str) -> None:
    assert duration(seconds).zh == zh


def test_ages() -> None:
    assert (age(0.4).en, age(12).en, age(125).zh) == ("just now", "12 s ago", "2 分钟前")


def test_every_quality_has_words_in_both_languages() -> None:
    named = {value for name, value in vars(reading).items() if isinstance(value, Quality)}
    assert len(named) > 15
    for quality in named:
        mark = quality_mark(quality)
        assert mark.tone == ("good", "warn", "bad")[quality.severity]
        assert not any("a" <= letter.lower() <= "z" for letter in mark.text.zh), mark
    assert quality_mark(BAD_DEVICE_FAILURE).text.en == "Bad: device failure"
    assert quality_mark(Quality.from_status_code(0x80AB_0000)).text.en == "Bad: 0x80AB0000"


@dataclass
class Point:
    code: str
    value: float | str | None
    quality: Quality = GOOD


@pytest.mark.parametrize(
    ("points", "state"),
    [
        ([Point("machine_state", 3)], RUNNING),
        ([Point("machine_state", 2)], IDLE),
        ([Point("machine_state", 1)], STOPPED),
        ([Point("machine_running", 1), Point("alarm_active", 0)], RUNNING),
        ([Point("machine_running", 1), Point("alarm_active", 1)], ALARM),
        ([Point("machine_state", 3), Point("fault_active", 1), Point("alarm_active", 1)], FAULT),
        ([Point("machine_running", 0), Point("compressor_running", 0)], IDLE),
        ([Point("active_power_total", 3.5)], ONLINE),
        ([Point("fault_active", 1, BAD_DEVICE_FAILURE), Point("machine_state", 3)], RUNNING),
    ],
    ids=str,
)
def test_the_state_is_what_good_values_say(points: list[Point], state: object) -> None:
    assert working_state(points) == state


def test_leading_values_are_entries_of_the_dictionary() -> None:
    named = {code for codes in (*LEADING.values(), ANY_MACHINE, STATE) for code in codes}
    assert named <= set(load_dictionary())
    assert {*LEADING, METER_CLASS, *SUPPORTING} - {""} <= set(equipment_classes())


def test_the_most_telling_values_come_first_and_states_are_no_values() -> None:
    points = [Point(code, 1.0) for code in ("clamp_force", "machine_state", "", "cycle_time", "part_count_good")]
    assert [point.code for point in leading("injection_moulding", points, 3)] == [
        "cycle_time",
        "part_count_good",
        "clamp_force",
    ]
    assert {point.code for point in leading("injection_moulding", points, None)} == {point.code for point in points}
    assert [point.code for point in leading("of another kind", points, 2)] == ["part_count_good", "cycle_time"]


def test_every_class_of_equipment_can_be_drawn() -> None:
    assert all(svg(code).startswith("<svg") for code in equipment_classes())


def test_a_chart_shows_the_sites_clock_through_a_change_of_time() -> None:
    """On 29 March 2026 Berlin's clock jumps from 02:00 to 03:00."""
    times = [datetime(2026, 3, 29, 0, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)]
    options = line_chart(
        [Sample(time, 1.0) for time in times], start=times[0], end=times[1], zone=BERLIN, name="n", unit=" kW"
    )
    shown = [datetime.fromtimestamp(x / 1000, UTC).strftime("%H:%M") for x, _ in options["series"][-1]["data"]]
    assert (shown, options["useUTC"]) == (["01:59", "03:00"], True)


def test_a_chart_leaves_gaps_and_draws_extremes() -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    samples = [
        Sample(start, 2.0, 1.0, 4.0),
        Sample(start + timedelta(minutes=1), None),
        Sample(start + timedelta(minutes=2), 3.0, 2.5, 3.5),
    ]
    options = line_chart(
        samples, start=start, end=samples[-1].time, zone=SHANGHAI, name="n", unit="", extremes=("lowest", "highest")
    )
    curve, named = options["series"][-1], {series["name"]: series for series in options["series"]}
    assert [value for _, value in curve["data"]] == [2.0, None, 3.0]
    assert curve["connectNulls"] is False
    assert [value for _, value in named["lowest"]["data"]] == [1.0, None, 2.5]
    assert [value for _, value in named["highest"]["data"]] == [4.0, None, 3.5]


def test_a_units_symbol_can_break_no_chart() -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    options = line_chart([], start=start, end=start, zone=SHANGHAI, name="n", unit="""'"</script>\\""")
    assert r"'\"</script>\\" in options["tooltip"][":valueFormatter"]


@pytest.mark.parametrize(
    ("score", "zone"),
    [(-1.2, (0, 45)), (0.0, (0, 45)), (2.99, (0, 45)), (3.0, (45, 68)), (4.4, (45, 68)), (4.5, (68, 100)), (6.5, (68, 100)), (900.0, (68, 100))],
)  # fmt: skip
def test_the_needle_stands_in_the_zone_of_its_verdict(score: float, zone: tuple[int, int]) -> None:
    assert zone[0] <= place_on_scale(judged(score)) <= zone[1]


def test_a_higher_score_never_stands_further_left_within_a_zone() -> None:
    for low, high in ((0.0, 2.9), (3.0, 4.4), (4.5, 7.0)):
        places = [place_on_scale(judged(low + (high - low) * step / 20)) for step in range(21)]
        assert places == sorted(places)


def judged(score: float) -> Inspection:
    return Inspection(
        id=UUID(int=1), equipment_id=UUID(int=2), time=datetime(2026, 3, 2, tzinfo=UTC), part="p", verdict="pass", score=score,
        review_limit=3.0, reject_limit=4.5, model="m", model_version="1", latency_us=1, picture=True, heatmap=True, oversize=[],
    )  # fmt: skip
