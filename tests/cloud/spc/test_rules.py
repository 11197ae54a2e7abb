"""Process control without a database: constants, limits, rules, capability and sampling plans against published figures."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.spc.capability import capability
from cloud.spc.charts import (
    Baseline,
    Ewma,
    baseline,
    constants,
    counted,
    cusum,
    ewma,
    mean_limits,
    signals,
    spread_limits,
    spreads,
    subgroups,
)
from cloud.spc.sampling import AQLS, SIZES, Level, Severity, acceptance, code_letter, plan, severity_after
from cloud.spc.service import Chart, ControlWatch, FrozenLimits

# n: d2, d3, c4, A2, D3, D4 as printed in ASTM's manual on control charts and ISO 7870-2.
PUBLISHED = {
    2: (1.128, 0.853, 0.7979, 1.880, 0.0, 3.267),
    3: (1.693, 0.888, 0.8862, 1.023, 0.0, 2.575),
    5: (2.326, 0.864, 0.9400, 0.577, 0.0, 2.114),
    7: (2.704, 0.833, 0.9594, 0.419, 0.076, 1.924),
    10: (3.078, 0.797, 0.9727, 0.308, 0.223, 1.777),
}


@pytest.mark.parametrize("size", PUBLISHED)
def test_constants_are_the_published_ones(size: int) -> None:
    d2, d3, c4, a2, d_3, d_4 = PUBLISHED[size]
    assert constants(size) == pytest.approx((d2, d3, c4), abs=6e-4)
    base = Baseline(0, 1 / constants(size).d2)  # a mean range of 1
    assert mean_limits(base, size)[1] == pytest.approx(a2, abs=6e-4)
    assert spread_limits(base, size) == pytest.approx((1, d_3, d_4), abs=2e-3)


def test_spread_is_that_within_subgroups_so_that_a_drift_is_seen() -> None:
    noise = np.random.default_rng(1).normal(0, 1, 1000)
    still, drifting = (baseline(subgroups((noise + drift).tolist(), 5)) for drift in (0, np.linspace(0, 50, 1000)))
    assert still.sigma == pytest.approx(1, abs=0.05)
    assert drifting.sigma == pytest.approx(still.sigma, abs=0.05)
    single = baseline(subgroups(noise.tolist(), 1))
    assert single.sigma == pytest.approx(1, abs=0.05)


def test_each_rule_names_its_points() -> None:
    quiet = [0.3, -0.4, 0.2, -0.1, 0.5, -0.3]
    assert signals(quiet) == []
    assert signals([*quiet, 3.1]) == [(6, "beyond")]
    assert signals([*quiet, -2.2, 0.1, -2.4]) == [(8, "two_of_three")]
    assert signals([*quiet, 2.2, 0.1, -2.4]) == [], "on the same side"
    assert signals([*quiet, 1.2, 1.3, -0.2, 1.1, 1.4]) == [(10, "four_of_five")]
    assert signals([-0.1, *[0.2, 0.3, 0.1, 0.3, 0.2, 0.4, 0.1, 0.3]]) == [(8, "eight")]
    assert signals([-0.6, -0.4, -0.2, 0.1, 0.3, 0.5]) == [(5, "trend")]


def test_chance_alone_signals_seldom_and_a_shift_is_found_soon() -> None:
    z = np.random.default_rng(2).normal(0, 1, 20_000)
    assert sum(one.rule == "beyond" for one in signals(z.tolist())) / len(z) == pytest.approx(0.0027, abs=0.001)
    assert len(cusum(z.tolist())[2]) / len(z) < 0.02
    waits = []
    for seed in range(200):
        shifted = np.random.default_rng(seed).normal(1, 1, 60)
        waits.append(cusum(shifted.tolist())[2][0].at + 1)
    assert np.mean(waits) == pytest.approx(10.4, abs=1), "the average run length Montgomery gives for k = 0.5, h = 5"


def test_limits_of_shares_go_by_how_many_parts_there_were() -> None:
    found = counted("p", [2, 2, 12, 2], [100, 400, 100, 100])
    assert found.centre == pytest.approx(18 / 700)
    assert found.upper[1] < found.upper[0] < 0.1
    assert [(one.at, one.rule) for one in found.signals] == [(2, "beyond")]
    assert counted("p", [0, 0], [10, 10]).signals == []


# n: c4, A3, B3, B4 as printed in ISO 7870-2 and ASTM's manual on control charts.
PUBLISHED_S = {
    11: (0.9754, 0.927, 0.321, 1.679),
    15: (0.9823, 0.789, 0.428, 1.572),
    20: (0.9869, 0.680, 0.510, 1.490),
    25: (0.9896, 0.606, 0.565, 1.435),
}


@pytest.mark.parametrize("size", PUBLISHED_S)
def test_constants_of_the_standard_deviation_are_the_published_ones(size: int) -> None:
    c4, a3, b3, b4 = PUBLISHED_S[size]
    assert constants(size).c4 == pytest.approx(c4, abs=6e-5)
    base = Baseline(0, 1 / constants(size).c4)  # a mean standard deviation of 1
    assert mean_limits(base, size)[1] == pytest.approx(a3, abs=6e-4)
    assert spread_limits(base, size) == pytest.approx((1, b3, b4), abs=6e-4)


def test_large_subgroups_go_by_their_standard_deviation() -> None:
    groups = subgroups(np.random.default_rng(5).normal(10, 2, 2500).tolist(), 25)
    assert baseline(groups).sigma == pytest.approx(2, abs=0.1)
    assert spreads(groups) == pytest.approx(groups.std(axis=1, ddof=1))
    assert spreads(groups[:, :10]) == pytest.approx(np.ptp(groups[:, :10], axis=1))


def test_the_moving_average_of_a_worked_example() -> None:
    """NIST/SEMATECH e-Handbook, 6.3.2.4: lambda 0.3, mean 50, sigma 2.0539, L 3; limits 47.4115 and 52.5884."""
    data = [52.0, 47.0, 53.0, 49.3, 50.1, 47.0, 51.0, 50.1, 51.2, 50.5, 49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4,
            53.6, 52.1]  # fmt: skip
    printed = [50.60, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33, 50.11, 49.36, 49.52, 50.05, 49.38,
               49.92, 50.73, 51.23, 51.94, 51.99]  # fmt: skip
    z = [(value - 50) / 2.0539 for value in data]
    averages, away, found = ewma(z, Ewma(0.3, 3.0))
    assert 50 + 2.0539 * averages == pytest.approx(printed, abs=6e-3)
    assert 50 + 2.0539 * away[-1] == pytest.approx(52.5884, abs=2e-3)
    assert found == []


def test_a_small_lasting_shift_is_found_by_the_moving_average_as_soon_as_published() -> None:
    """Lucas and Saccucci (1990): lambda 0.2 and L 2.86 take about ten points for one sigma, and cry wolf once in 370."""
    waits = [ewma(np.random.default_rng(seed).normal(1, 1, 100).tolist())[2][0].at + 1 for seed in range(300)]
    assert 7.5 < np.mean(waits) < 11.5
    alone = np.random.default_rng(9).normal(0, 1, 40_000)
    assert len(ewma(alone.tolist())[2]) / len(alone) < 1 / 250


def test_numbers_of_nonconforming_parts_of_a_worked_example() -> None:
    """Montgomery, "Introduction to Statistical Quality Control", orange juice cans: 347 of 30 samples of 50."""
    found = [12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6]
    shares, numbers = counted("p", found, [50] * 30), counted("np", found, [50] * 30)
    assert (shares.centre[0], shares.lower[0], shares.upper[0]) == pytest.approx((0.2313, 0.0524, 0.4102), abs=1e-4)
    assert (numbers.centre[0], numbers.lower[0], numbers.upper[0]) == pytest.approx((11.567, 2.62, 20.51), abs=6e-3)
    assert numbers.values.tolist() == found
    assert [one.at for one in numbers.signals if one.rule == "beyond"] == [14, 22], "samples 15 and 23"


def test_nonconformities_a_unit_of_a_worked_example() -> None:
    """Montgomery, dyed cloth: 153 defects on 107.5 units of 50 square metres; limits of 10 units 0.29 and 2.55."""
    found = counted("u", [14, 12, 20, 11, 7, 10, 21, 16, 19, 23], [10, 8, 13, 10, 9.5, 10, 12, 10.5, 12, 12.5])
    assert (found.centre[0], found.lower[0], found.upper[0]) == pytest.approx((1.42, 0.29, 2.55), abs=6e-3)
    assert found.upper[2] < found.upper[0] < found.upper[1]
    assert not [one for one in found.signals if one.rule == "beyond"]


def watched(values: list[float], size: int, *charts: Chart) -> list[int]:
    """Return which points signal, counted from 0, of a process with mean 10 and sigma 1."""
    watch = ControlWatch(FrozenLimits(1, size, Baseline(10, 1)), charts)
    points = [found for value in values if (found := watch.add(value)) is not None]
    return [index for index, signals in enumerate(points) if signals]


def test_values_that_come_one_by_one_signal_as_the_chart_does() -> None:
    values = np.random.default_rng(6).normal(10, 1, 400)
    values[300:] += 1
    z = (values.reshape(-1, 4).mean(axis=1) - 10) * 2
    western = [one.at for one in signals(z.tolist()) if one.rule != "trend"]
    assert watched(values.tolist(), 4, "western_electric") == western
    assert watched(values.tolist(), 4, "cusum")[0] == cusum(z.tolist())[2][0].at
    assert watched(values.tolist(), 4, "ewma")[0] == ewma(z.tolist())[2][0].at
    assert watched([10, 10, 10, 17], 1, "spread") == [3]
    assert watched([10.1, 9.9] * 8, 2, "spread") == []
    assert watched([9, 9.2, 9.4, 9.6, 9.8, 10], 1, "trend") == [5]
    assert watched([10.0] * 7, 4, "western_electric", "cusum", "ewma", "spread", "trend") == []


def test_capability_of_a_worked_example() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(10.0, 0.1, 5000)
    found = capability(values, Baseline(10.0, 0.1), 9.7, 10.5)
    assert found
    assert found[:4] == pytest.approx((8 / 6, 1.0, 8 / 6, 1.0), abs=0.03)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1.0 < found.high
    assert found.outside == pytest.approx(0.00135, abs=0.001)
    assert found.expected == pytest.approx(0.00135, abs=0.0004)
    one_sided = capability(values, Baseline(10.0, 0.1), None, 10.3)
    assert one_sided
    assert (one_sided.cp, one_sided.cpk) == (None, pytest.approx(1.0, abs=0.03))
    assert capability(values, Baseline(10.0, 0.1), None, None) is None
    assert capability(values[:24], Baseline(10.0, 0.1), 9, 11) is None


# Cells as printed in ISO 2859-1, tables 2-A and 2-B: lot, level, AQL, severity -> letter, n, Ac.
CELLS: list[tuple[int, Level, float, Severity, tuple[str, int, int]]] = [
    (1000, "II", 1.0, "normal", ("J", 80, 2)),
    (1000, "II", 1.0, "tightened", ("J", 80, 1)),
    (1000, "II", 2.5, "normal", ("J", 80, 5)),
    (90, "II", 2.5, "normal", ("F", 20, 1)),  # E points down
    (90, "II", 1.5, "normal", ("D", 8, 0)),  # E points up
    (2000, "II", 0.65, "normal", ("K", 125, 2)),
    (40_000, "II", 0.4, "normal", ("N", 500, 5)),
    (500, "I", 4.0, "normal", ("F", 20, 2)),
    (30, "S-2", 6.5, "normal", ("A", 2, 0)),  # B points up
    (5, "II", 10.0, "normal", ("C", 5, 1)),  # A has nothing above it to point to
    (300, "II", 10.0, "normal", ("H", 50, 10)),
    (10_000, "III", 0.01, "normal", ("Q", 1250, 0)),
    (1000, "II", 0.25, "tightened", ("J", 80, 0)),
    (1000, "II", 0.4, "tightened", ("L", 200, 1)),  # between 0 and 1 both cells point down
    (1000, "II", 0.65, "tightened", ("K", 125, 1)),
    (1000, "II", 10.0, "tightened", ("J", 80, 12)),
    (8, "II", 10.0, "tightened", ("D", 8, 1)),  # A accepts at no AQL with none found
    (10**6, "III", 0.01, "tightened", ("R", 2000, 0)),
    (10**6, "III", 0.015, "tightened", ("Q", 1250, 0)),  # below R there is nothing to point to
    (10**6, "III", 0.025, "tightened", ("S", 3150, 1)),
    (10**6, "III", 0.015, "normal", ("P", 800, 0)),  # S is tightened inspection's only
]


@pytest.mark.parametrize(("lot", "level", "aql", "severity", "cell"), CELLS)
def test_plans_are_those_of_the_standard(
    lot: int, level: Level, aql: float, severity: Severity, cell: tuple[str, int, int]
) -> None:
    found = plan(lot, level, aql, severity)
    assert (found.letter, found.size, found.accept) == cell


def test_a_lot_just_as_good_as_the_aql_is_nearly_always_accepted() -> None:
    for aql in AQLS:
        for lot in (8, 15, 25, 50, 90, 150, 280, 500, 1200, 3200, 10_000, 35_000, 150_000, 500_000, 10**6):
            found, tighter = plan(lot, "II", aql), plan(lot, "II", aql, "tightened")
            if found.size == lot:
                continue  # all of it is inspected
            assert found.size in SIZES
            assert 0.86 < acceptance(found, aql / 100) < 1.0, (aql, found)
            assert acceptance(tighter, aql / 100) < acceptance(found, aql / 100), (aql, lot)
    assert code_letter(2, "S-1") == "A"
    assert code_letter(10**9, "III") == "R"


def test_inspection_is_tightened_and_eased_by_what_was_found() -> None:
    assert severity_after([]) == "normal"
    assert severity_after([True, False, True, True, True, True, False]) == "normal"
    assert severity_after([True, False, True, True, False]) == "tightened"
    assert severity_after([False, False, *[True] * 4]) == "tightened"
    assert severity_after([False, False, *[True] * 5]) == "normal"
    assert severity_after([False, False, *[False, True] * 5]) == "discontinued"
