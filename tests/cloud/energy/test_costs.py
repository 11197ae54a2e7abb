"""What energy costs: cost is additive, times of use follow the wall clock, bills follow their rules."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cloud.energy import figures
from cloud.energy.bills import adjustment_percent, bill_lines, demand_charge, mean_power_factor, total_of
from cloud.energy.carriers import CARRIERS
from cloud.energy.metering import INTERVAL_S
from cloud.energy.profiles import Profile, days, midnight, months
from cloud.energy.schemas import Window
from cloud.energy.tariff_terms import DemandCharge, TariffTerms
from cloud.energy.tariffs import Version, cost, price, within
from cloud.web.tariff_text import NotUnderstood, bands_text, months_text, read_bands, read_dates, read_months

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
ALL = list(range(1, 13))
TERMS = TariffTerms.model_validate(
    {
        "prices": {"peak": 1.0, "flat": 0.6, "valley": 0.3, "sharp": 1.2},
        "surcharge": 0.03,
        "schedules": [
            {"months": [7, 8], "days": "workdays", "bands": [
                {"minute": 0, "band": "valley"}, {"minute": 480, "band": "flat"}, {"minute": 840, "band": "sharp"},
                {"minute": 1080, "band": "flat"}]},
            {"months": ALL, "days": "holidays", "bands": [{"minute": 0, "band": "valley"}]},
            {"months": ALL, "bands": [
                {"minute": 0, "band": "valley"}, {"minute": 480, "band": "flat"}, {"minute": 1035, "band": "peak"},
                {"minute": 1320, "band": "flat"}]},
        ],
        "holidays": ["2026-02-17"],
    }
)  # fmt: skip


def profile(start: datetime, hours: float, kw: float = 12.0) -> Profile:
    count = round(hours * 3600 / INTERVAL_S)
    return Profile(int(start.timestamp()), np.full(count, kw / 12), np.full(count, 300.0), hours * 3600)


def costs(part: Profile, zone: ZoneInfo = SHANGHAI, versions: Any = None) -> Any:
    versions = versions or (Version(date(2026, 1, 1), TERMS),)
    return cost(part, price(versions, zone, part.start_s, len(part.energy)))


def test_a_working_day_by_its_bands() -> None:
    found = costs(profile(midnight(date(2026, 2, 3), SHANGHAI), 24))
    assert {band.band: round(band.energy, 6) for band in found.bands} == {
        "peak": 12 * 4.75, "flat": 12 * 11.25, "valley": 12 * 8.0
    }  # fmt: skip
    assert found.energy_charge == pytest.approx(12 * (4.75 * 1.0 + 11.25 * 0.6 + 8 * 0.3))
    assert found.surcharge == pytest.approx(24 * 12 * 0.03)
    assert found.valley == pytest.approx(24 * 12 * 0.3)


@pytest.mark.parametrize(
    ("day", "zone", "hours", "valley"),
    [
        (date(2026, 2, 17), SHANGHAI, 24, 24),  # a holiday
        (date(2026, 7, 4), SHANGHAI, 24, 8),  # a Saturday in July is not a working day
        (date(2026, 3, 29), BERLIN, 23, 7),  # an hour of the night is skipped
        (date(2026, 10, 25), BERLIN, 25, 9),  # an hour of the night comes twice
    ],
)
def test_kinds_of_days(day: date, zone: ZoneInfo, hours: int, valley: int) -> None:
    begin, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    assert end - begin == timedelta(hours=hours)
    found = costs(profile(begin, hours), zone)
    assert {band.band: band.energy for band in found.bands}["valley"] == pytest.approx(12 * valley)


def test_a_later_version_holds_from_its_midnight_and_nothing_holds_before_the_first() -> None:
    dearer = TERMS.model_copy(update={"prices": {band: 2 * each for band, each in TERMS.prices.items()}})
    versions = (Version(date(2026, 2, 4), dearer), Version(date(2026, 2, 3), TERMS))
    first = midnight(date(2026, 2, 2), SHANGHAI)
    before, on, after = (costs(profile(first + timedelta(days=n), 24), versions=versions) for n in range(3))
    assert (before.bands, before.unpriced, before.total) == ([], pytest.approx(288), 0)
    assert after.energy_charge == pytest.approx(2 * on.energy_charge)
    assert costs(profile(first, 72), versions=versions).total == pytest.approx(on.total + after.total)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 900 * 300), min_size=1, max_size=6),
)
def test_the_cost_of_a_union_is_the_sum_of_the_costs(seed: int, cuts: list[int]) -> None:
    energies = np.random.default_rng(seed).uniform(0, 100, 750)
    start = datetime(2026, 10, 24, 21, 0, tzinfo=UTC)
    whole = Profile(int(start.timestamp()), energies, np.full(len(energies), 300.0), len(energies) * 300.0)
    prices = price((Version(date(2026, 10, 25), TERMS),), BERLIN, whole.start_s, len(energies))
    edges = sorted({0, len(energies) * 300, *(cut for cut in cuts if cut < len(energies) * 300)})
    parts = [
        whole.within(Window(start + timedelta(seconds=a), start + timedelta(seconds=b))) for a, b in pairwise(edges)
    ]
    found = [cost(part, within(prices, (part.start_s - whole.start_s) // 300, len(part.energy))) for part in parts]
    assert sum(one.total for one in found) == pytest.approx(cost(whole, prices).total, abs=1e-6)
    assert sum(part.total for part in parts) == pytest.approx(whole.total, abs=1e-6)
    assert sum(part.covered.sum() for part in parts) == pytest.approx(whole.covered.sum(), abs=1e-6)


@pytest.mark.parametrize("zone", [SHANGHAI, BERLIN])
def test_days_and_months_tile_a_year(zone: ZoneInfo) -> None:
    year = Window(midnight(date(2026, 1, 1), zone), midnight(date(2027, 1, 1), zone))
    for parts in (list(days(year, zone)), list(months(year, zone))):
        assert parts[0].start == year.start
        assert parts[-1].end == year.end
        assert all(one.end == other.start for one, other in pairwise(parts))
    assert (len(list(days(year, zone))), len(list(months(year, zone)))) == (365, 12)


def test_the_adjustment_by_power_factor_is_the_published_table() -> None:
    """Rows of the table of (83)水电财字第215号, by standard."""
    rows = {
        "0.90": {1.0: -0.75, 0.95: -0.75, 0.94: -0.6, 0.91: -0.15, 0.9: 0, 0.89: 0.5, 0.86: 2, 0.75: 7.5, 0.7: 10,
                 0.69: 11, 0.65: 15, 0.64: 17, 0.6: 25},
        "0.85": {1.0: -1.1, 0.94: -1.1, 0.93: -0.95, 0.91: -0.65, 0.9: -0.5, 0.86: -0.1, 0.85: 0, 0.84: 0.5, 0.65: 10,
                 0.64: 11, 0.6: 15, 0.59: 17},
        "0.80": {1.0: -1.3, 0.92: -1.3, 0.91: -1.15, 0.9: -1.0, 0.81: -0.1, 0.8: 0, 0.79: 0.5, 0.6: 10, 0.59: 11,
                 0.55: 15, 0.54: 17},
    }  # fmt: skip
    for standard, table in rows.items():
        for power_factor, percent in table.items():
            assert adjustment_percent(standard, power_factor) == pytest.approx(percent), (standard, power_factor)
    assert adjustment_percent("0.90", 0.8949) == pytest.approx(0.5), "rounded to 0.89"
    assert adjustment_percent("0.90", 0.895) == 0, "rounded half up to 0.90"
    assert mean_power_factor(4.0, 3.0) == pytest.approx(0.8)


def test_demand_charges() -> None:
    contracted = DemandCharge(kind="maximum_demand", price=40, contract=1000)
    assert demand_charge(contracted, 700) == (1000, 40_000)
    assert demand_charge(contracted, 1050) == (1000, 40_000)
    assert demand_charge(contracted, 1100) == (1100, pytest.approx((1050 + 2 * 50) * 40))
    assert demand_charge(contracted, None) is None
    assert demand_charge(DemandCharge(kind="maximum_demand", price=40), 700) == (700, 28_000)
    assert demand_charge(DemandCharge(kind="capacity", price=25, contract=400), None) == (400, 10_000)


def test_a_bill_adds_up_and_says_what_it_lacks() -> None:
    part = profile(midnight(date(2026, 2, 3), SHANGHAI), 24)
    charge = DemandCharge(kind="maximum_demand", price=40)
    terms = TERMS.model_copy(update={"power_factor": "0.90", "demand": charge})
    lines = bill_lines(terms, costs(part), maximum_kw=12.0, active=part.total, reactive=part.total * 0.75)
    charged = costs(part).energy_charge + 480
    assert total_of(lines) == pytest.approx(charged * 1.05 + costs(part).surcharge)
    assert all(
        line.amount == pytest.approx(line.quantity * line.price) for line in lines if line.quantity and line.price
    )
    lines = bill_lines(terms, costs(part), maximum_kw=None, active=part.total, reactive=None)
    assert [line.note_zh for line in lines if line.amount is None] == ["最大需量未知", "没有无功电能计量"]


def test_figures_of_a_load() -> None:
    carrier, start = CARRIERS["electricity"], datetime(2026, 2, 6, 16, tzinfo=UTC)  # Saturday 00:00 in Shanghai
    loads = np.full(288, 1.0)
    loads[100:103] = 10.0
    part = Profile(int(start.timestamp()), loads, np.full(288, 300.0), 86_400)
    found = figures.demand(part)
    assert found is not None
    assert (found.load, found.window.start) == (120.0, start + timedelta(seconds=100 * 300))
    hidden = Profile(part.start_s, loads, np.where(np.arange(288) == 101, 0, 300.0), 86_400)
    assert figures.maximum_demand(hidden, carrier, []).value == pytest.approx(48.0), "only what was measured throughout"
    assert figures.base_load(part, carrier, []).value == pytest.approx(12.0)
    assert figures.load_factor(part, carrier, []).value == pytest.approx(100 * (12 * loads.sum() / 288) / 120)
    assert figures.at_weekends(part, SHANGHAI) == pytest.approx(loads.sum())
    assert figures.at_night(part, SHANGHAI) == pytest.approx(8 * 12)
    idle = np.zeros(288)
    idle[:3] = 300, 300, 120
    idle[12:24] = 300
    assert figures.idle_energy(part, idle, np.full(288, 300.0), carrier, []).value == pytest.approx(12 * 1.2)
    assert figures.standby_load(part, idle, carrier, []).value == pytest.approx(12.0)
    nothing = figures.specific_energy(figures.consumption(part, carrier, []), None, [])
    assert (nothing.value, bool(nothing.why_zh)) == (None, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prices": {"flat": 1}}, "没有价格"),
        ({"schedules": [{"months": [1], "bands": [{"minute": 0, "band": "flat"}]}]}, "没有时段安排"),
        ({"schedules": [{"months": ALL, "bands": [{"minute": 60, "band": "flat"}]}]}, "从 0 分开始"),
        ({"schedules": [{"months": ALL, "bands": [{"minute": 7, "band": "flat"}]}]}, "15"),
        ({"prices": {"flat": -1, "peak": 1, "valley": 1, "sharp": 1}}, "电价应在"),
        ({"demand": {"kind": "capacity", "price": 20}}, "变压器容量"),
    ],
)
def test_terms_that_do_not_hold_are_refused_with_what_is_wrong(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TariffTerms.model_validate(TERMS.model_dump(mode="json") | change)


def test_times_of_use_are_read_as_they_are_written_and_a_mistake_is_named() -> None:
    bands = [(0, "valley"), (480, "peak"), (1320, "deep_valley")]
    for language in ("en", "zh"):
        read = read_bands(bands_text(bands, language))
        assert [(each["minute"], each["band"]) for each in read] == bands
    assert read_bands("0:00 谷，08:00 峰") == [{"minute": 0, "band": "valley"}, {"minute": 480, "band": "peak"}]
    assert read_months(months_text([1, 7, 8, 12])) == [1, 7, 8, 12]
    assert read_dates("2026-02-17, 2026/02/18") == [date(2026, 2, 17), date(2026, 2, 18)]
    for read, wrong in (
        (read_bands, "25:00 峰"),
        (read_bands, "08:00 亮"),
        (read_months, "0-3"),
        (read_dates, "17.2."),
    ):
        with pytest.raises(NotUnderstood) as fault:
            read(wrong)
        assert wrong in fault.value.text.zh
