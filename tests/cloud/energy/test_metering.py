"""Energy from counters and powers: nothing is lost or made up, whatever the counter does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.energy.metering import INTERVAL_S, Minutes, counted, integrated

T0 = 1_770_000_000 // INTERVAL_S * INTERVAL_S


def minutes_of(samples: dict[int, list[float]]) -> Minutes:
    """Return the roll-up states of a series with these readings, by minute since T0; as rollups.py makes them."""
    rows = []
    for minute, values in sorted(samples.items()):
        steps = [later - earlier if later >= earlier else later for earlier, later in pairwise(values)]
        rows.append((T0 + 60 * minute, np.mean(values), values[0], values[-1], sum(steps) if steps else np.nan))
    columns = list(zip(*rows, strict=True))
    return Minutes(np.array(columns[0], np.int64), *(np.array(column, float) for column in columns[1:]))


def energy(samples: dict[int, list[float]], rollover: float | None = None) -> float:
    return float(counted(minutes_of(samples), T0 - 10 * INTERVAL_S, 400, rollover).energy.sum())


def test_a_counter_gives_its_growth_and_a_gap_keeps_it_but_is_not_covered() -> None:
    found = counted(minutes_of({0: [100.0], 5: [105.0], 65: [165.0], 70: [170.0]}), T0, 15)
    assert found.energy.sum() == pytest.approx(70.0)
    assert found.energy[3] == pytest.approx(5.0), "spread evenly over the silence"
    assert found.covered[0] == 300
    assert found.covered[3] == 0
    assert found.covered[13] == 240, "until the minute of the first reading after it nobody knows"


@pytest.mark.parametrize(
    ("samples", "rollover", "expected"),
    [
        ({0: [100.0], 1: [101.0], 2: [0.5], 3: [1.5]}, None, 2.5),  # begun again: what it shows counts
        ({0: [100.0], 1: [101.0, 102.0, 0.5, 1.0]}, None, 3.0),  # ... within a minute
        ({0: [9998.0], 1: [9999.0], 2: [1.0]}, 10_000.0, 3.0),  # its last number passed
        ({0: [9998.0, 9999.5, 0.5]}, 10_000.0, 2.5),  # ... within a minute
        ({0: [500.0], 1: [0.5]}, 10_000.0, 0.5),  # far from its last number it is a reset all the same
        ({0: [100.0], 1: [0.0], 2: [101.0]}, None, 1.0),  # a misreading below
        ({0: [100.0], 1: [9e8], 2: [101.0]}, None, 1.0),  # ... and above
        ({0: [100.0, 0.0, 101.0]}, None, 1.0),  # ... within a minute
        ({0: [99.0], 1: [100.0, 0.0], 2: [101.0, 102.0]}, None, 3.0),  # ... across the border of two
        ({0: [100.0]}, None, 0.0),
    ],
)
def test_resets_rollovers_and_misreadings(
    samples: dict[int, list[float]], rollover: float | None, expected: float
) -> None:
    assert energy(samples, rollover) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 200), st.floats(0, 50)), min_size=1, max_size=40), st.integers(1, 200))
def test_intervals_of_any_cut_add_up_to_the_growth(steps: list[tuple[int, float]], cut: int) -> None:
    samples, at, value = {0: [1e5]}, 0, 1e5
    for gap, growth in steps:
        at, value = at + gap, value + growth
        samples[at] = [value]
    minutes, count = minutes_of(samples), at // 5 + 3
    whole = counted(minutes, T0 - INTERVAL_S, count)
    assert whole.energy.sum() == pytest.approx(value - 1e5, abs=1e-6)
    cut = min(cut, count)
    pieces = [counted(minutes, T0 - INTERVAL_S, cut), counted(minutes, T0 + INTERVAL_S * (cut - 1), count - cut)]
    assert np.concatenate([piece.energy for piece in pieces]) == pytest.approx(whole.energy, abs=1e-6)
    assert (whole.covered >= 0).all()
    assert (whole.covered <= INTERVAL_S).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 500), min_size=2, max_size=120))
def test_the_integral_of_a_power_agrees_with_a_counter_that_integrates_it(powers: list[float]) -> None:
    power = minutes_of({minute: [kw] * 3 for minute, kw in enumerate(powers)})
    total, readings = 1000.0, {}
    for minute, kw in enumerate(powers):
        readings[minute] = [total, total + kw / 60]
        total += kw / 60
    counter = counted(minutes_of(readings), T0, 30)
    integral = integrated(power, T0, 30)
    assert integral.energy == pytest.approx(counter.energy, rel=1e-9, abs=1e-6)
    assert integral.covered == pytest.approx(counter.covered)


def test_a_power_is_known_between_readings_but_not_over_a_silence_and_feeding_back_is_not_consumption() -> None:
    found = integrated(minutes_of({0: [60.0], 10: [120.0], 60: [60.0], 61: [-300.0]}), T0, 13)
    # 1 min at 60, 9 min at 90, 1 min at 120; nothing over 49 min; 1 min at 60; feeding back counts as none.
    assert found.energy.sum() == pytest.approx((60 + 9 * 90 + 120 + 60) / 60)
    assert found.covered.sum() == 60 * (1 + 9 + 1 + 2)
