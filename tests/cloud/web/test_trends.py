"""What a trend shows and how it is addressed, found, drawn and counted - without a browser."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nicegui import Client, ui

from cloud.core.search import Search
from cloud.telemetry.schemas import Curve, History, Sample
from cloud.web.plant import Point
from cloud.web.trend_chart import Axis, DrawnCurve, instant_of, options
from cloud.web.trend_curves import Dot, dots, figures, with_gaps
from cloud.web.trend_panel import TrendPanel
from cloud.web.trend_view import LONGEST, MOST_SERIES, SHORTEST, TrendView

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")

patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ends = st.none() | st.integers(10**9, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
views = st.builds(
    TrendView,
    series=st.lists(st.integers(0, 2**31 - 1), unique=True, max_size=MOST_SERIES).map(tuple),
    length=st.integers(int(SHORTEST.total_seconds()), int(LONGEST.total_seconds())).map(lambda s: timedelta(seconds=s)),
    end=ends,
    compare=st.sampled_from(["none", "span", "shift", "day", "week"]),
)


def at(
    minute: float, value: float | None, *, low: float | None = None, high: float | None = None, n: int = 1
) -> Sample:
    low, high = (value if low is None else low), (value if high is None else high)
    good = n if value is not None else 0
    return Sample(time=NOON + timedelta(minutes=minute), value=value, low=low, high=high, n=n, good=good)


def curve(*samples: Sample, aggregation: str = "avg", rolled_up: bool = False) -> Curve:
    return Curve(
        series_id=1,
        aggregation=aggregation,
        completeness=0.9,
        covered=0.5 if rolled_up else None,
        samples=list(samples),
    )  # type: ignore[arg-type]


@patiently
@given(views)
def test_an_address_shows_the_same_again(view: TrendView) -> None:
    assert TrendView.read(dict(parse_qsl(urlsplit(view.address).query))) == view


@patiently
@given(st.dictionaries(st.sampled_from(["s", "last", "from", "to", "compare"]), st.text(max_size=20)))
def test_no_address_is_an_error(query: dict[str, str]) -> None:
    view = TrendView.read(query)
    assert SHORTEST <= view.length <= LONGEST
    assert TrendView.read(dict(parse_qsl(urlsplit(view.address).query))) == view


@patiently
@given(views, st.sampled_from([-0.5, 0.5]))
def test_no_look_goes_beyond_now(view: TrendView, share: float) -> None:
    for moved in (view.moved(NOON, share), view.zoomed_out(NOON)):
        start, end = moved.span(NOON)
        assert start < end <= max(NOON, view.span(NOON)[1])
    assert view.moved(NOON, share).length == view.length


def test_a_day_earlier_is_the_same_time_on_the_sites_clock() -> None:
    """Clocks went forward in the night to 29 March 2026; noon of the day before was 25 h before noon of the day after."""
    end = datetime(2026, 3, 29, 10, tzinfo=UTC)  # noon in Berlin
    view = TrendView((1,), timedelta(hours=2), end, "day")
    assert view.compared_span(NOON, BERLIN) == (
        datetime(2026, 3, 28, 9, tzinfo=UTC),
        datetime(2026, 3, 28, 11, tzinfo=UTC),
    )
    before = TrendView((1,), timedelta(hours=2), end, "span").compared_span(NOON, BERLIN)
    assert before == (end - timedelta(hours=4), end - timedelta(hours=2))


def test_the_shift_before_begins_where_the_calendar_says() -> None:
    """Monday's early shift is compared with Saturday's late one; the time within the shift stays the same."""
    hours = timedelta(hours=1)
    saturday = (NOON - 42 * hours, NOON - 34 * hours)
    monday = (NOON - 4 * hours, NOON + 4 * hours)
    view = TrendView((1,), 2 * hours, NOON, "shift")
    assert view.compared_span(NOON, BERLIN, [saturday, monday]) == (NOON - 40 * hours, NOON - 38 * hours)
    assert view.compared_span(NOON, BERLIN, [monday]) is None
    assert view.compared_span(NOON, BERLIN, [saturday]) is None  # between shifts
    assert view.compared_span(NOON, BERLIN) is None


def test_bad_readings_and_silences_are_gaps() -> None:
    drawn = dots(
        curve(at(0, 1), at(1, None), at(2, 2), at(3, 3), at(4, 4), at(30, 5), at(31, 6)), grows=False, steps=False
    )
    assert [dot.value for dot in drawn] == [1, None, 2, 3, 4, None, 5, 6]
    held = dots(curve(at(0, 3), at(1, 2), at(2, 3), at(300, 2)), grows=False, steps=True)
    assert None not in [dot.value for dot in held]


@patiently
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=50))
def test_gaps_add_nothing_but_gaps(apart: list[int]) -> None:
    times = [NOON + timedelta(seconds=sum(apart[:number])) for number in range(len(apart) + 1)]
    drawn = [Dot(time, 1.0) for time in times]
    gapped = with_gaps(drawn)
    assert [dot for dot in gapped if dot.value is not None] == drawn
    assert [dot.time for dot in gapped] == sorted(dot.time for dot in gapped)


def test_a_counter_is_drawn_as_growth_and_a_reset_does_not_take_it_back() -> None:
    readings = curve(at(0, 100), at(1, 104), at(2, 3), at(3, 5), aggregation="counter_delta")
    assert [dot.value for dot in dots(readings, grows=True, steps=False)] == [0, 4, 7, 9]
    assert figures(readings).growth == 9
    buckets = curve(at(0, 4), at(1, 3), at(2, 2), aggregation="counter_delta", rolled_up=True)
    assert [dot.value for dot in dots(buckets, grows=True, steps=False)] == [4, 7, 9]
    assert figures(buckets).growth == 9


def test_figures_weigh_and_use_the_extremes() -> None:
    counted = figures(
        curve(at(0, 10, low=1, high=20, n=30), at(1, None, n=5), at(2, 20, low=15, high=90, n=10), rolled_up=True)
    )
    assert (counted.low, counted.mean, counted.high, counted.last, counted.good) == (1, 12.5, 90, 20, 0.9)
    assert figures(curve(at(0, None))).mean is None


def test_points_are_found_by_any_of_their_names() -> None:
    search = Search(
        [
            (1, ("Melt temperature", "熔体温度", "注塑机-03", "MeltTemp", "melt_temperature", "苏州工厂", "注塑线")),
            (2, ("Mould temperature", "模具温度", "注塑机-03", "MouldTemp", "mould_temperature", "苏州工厂", "注塑线")),
            (3, ("Melt temperature", "熔体温度", "注塑机-01", "MeltTemp", "melt_temperature", "苏州工厂", "注塑线")),
        ]
    )
    for typed in ("熔体 03", "rongti 03", "rtwd zsj-03", "MELT 03", "suzhou melt ３ 0", "szgc rtwd 03"):
        assert search.find(typed, 9)[0] == 1, typed
    assert set(search.find("温度", 9)) == {1, 2, 3}
    assert search.find("temperature 03", 9) == [1, 2]
    assert search.find("temperature", 2) == [1, 2]
    assert search.find("  ", 9) == search.find("xyz", 9) == []


def test_a_place_on_the_axis_is_an_instant_again() -> None:
    summer, winter = datetime(2026, 7, 1, 6, tzinfo=UTC), datetime(2026, 1, 1, 6, tzinfo=UTC)
    for instant in (summer, winter):
        drawn = options(
            [DrawnCurve("c", Axis("kW"), [Dot(instant, 1.0)], 0)],
            start=instant,
            end=instant + timedelta(hours=1),
            zone=BERLIN,
        )
        (place,) = drawn["series"][0]["data"]
        assert place["symbol"] == "circle"  # alone, so that a line would not show it
        assert instant_of(place["value"][0], BERLIN) == instant


async def test_a_slow_answer_does_not_cover_the_curve_asked_for_after_it() -> None:
    """Readings of a long span that come late - here held back by hand - leave the shorter one asked for since alone."""
    slow, quick = timedelta(days=30), timedelta(hours=1)
    let_go = asyncio.Event()

    async def history(_: object, series: list[int], start: datetime, end: datetime, samples: int) -> History:
        if end - start == slow:
            await let_go.wait()
        return History(
            start=start, end=end, resolution="raw", shape="buckets", step_s=0, sql_ms=1.0, curves=[curve(at(0, 1.0))]
        )

    named = SimpleNamespace(
        name_en="Power",
        name_zh="功率",
        aggregation="avg",
        data_type="REAL_MEASURE",
        unit_symbol="kW",
        values={},
        series_id=1,
        property="",
    )
    machine = SimpleNamespace(known=SimpleNamespace(id=1, label="Press"))
    visit = SimpleNamespace(
        domains=SimpleNamespace(telemetry=SimpleNamespace(history=history)),
        scope=None,
        zone=BERLIN,
        language="en",
        say=lambda text, **values: text.to("en").format(**values),
        may=lambda _: False,
    )
    with Client(ui.page("/trends"), request=None):
        panel = TrendPanel(visit, drop=None, zoom=None)  # type: ignore[arg-type]
        chosen = {1: (machine, Point(named))}  # type: ignore[arg-type]
        late = asyncio.create_task(panel.show(TrendView((1,), slow), chosen, None, NOON))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await panel.show(TrendView((1,), quick), chosen, None, NOON)  # type: ignore[arg-type]
        let_go.set()
        await late
        axis = panel._chart.options["xAxis"]
    assert axis["max"] - axis["min"] == quick.total_seconds() * 1000
