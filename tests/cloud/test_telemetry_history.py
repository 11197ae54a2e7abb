"""Curves: few samples that look like all of them, gaps that stay gaps, and only aggregations that say something true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.core.db import Database
from cloud.core.metrics import Metrics
from cloud.telemetry.downsample import largest_triangles
from cloud.telemetry.tasks import roll_up_all
from protocols.reading import BAD, BAD_TIMEOUT
from protocols.uplink.messages import PointRef
from tests.cloud.conftest import Company
from tests.doubles.agent import ENERGY, POWER, frame, readings

pytestmark = pytest.mark.both_databases

START_US = 1_770_000_000_000_000  # 2026-02-02T02:40:00Z
START = datetime.fromtimestamp(START_US / 1e6, UTC)
STATE = PointRef("meter-1", "State", "machine_state", "C62")


async def _series(company: Company) -> dict[str, int]:
    return {point["name"]: point["series_id"] for point in (await company.http.get("/api/v1/points")).json()}


async def _history(company: Company, series: int | list[int], span: timedelta, **more: Any) -> dict[str, Any]:
    params = {"series_id": series, "start": START.isoformat(), "end": (START + span).isoformat(), **more}
    answer = await company.http.get("/api/v1/history", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _spiky(company: Company, db: Database) -> int:
    """Two hours of a sample a second with one spike, one dip and ten minutes of bad quality."""
    values = [10 + 5 * np.sin(i / 300) for i in range(7200)]
    values[1234], values[5678] = 99.0, -99.0
    good, bad = readings(POWER, values, START_US), readings(POWER, [nan] * 600, START_US + 3000 * 10**6, quality=BAD)
    async with company.agent() as agent:
        await agent.deliver(frame(1, good[:3000] + bad + good[3600:]))
    await roll_up_all(db, Metrics())
    return (await _series(company))["P"]


async def test_picked_samples_keep_the_spike_the_dip_and_the_gap(company: Company, db: Database) -> None:
    series = await _spiky(company, db)
    for resolution in ("auto", "1m"):
        answer = await _history(company, series, timedelta(hours=2), max_points=60, shape="lttb", resolution=resolution)
        assert (answer["resolution"], answer["shape"]) == ("raw" if resolution == "auto" else "1m", "lttb")
        (curve,) = answer["curves"]
        samples = curve["samples"]
        assert len(samples) == 60
        assert max(sample["high"] or 0 for sample in samples) == 99
        assert min(sample["low"] or 0 for sample in samples) == -99
        assert [sample["value"] for sample in samples].count(None) == 5, "ten minutes are five of sixty buckets"
        assert sum(sample["n"] for sample in samples) == 7200
        assert curve["completeness"] == 0.916667
        if resolution == "auto":
            assert {99.0, -99.0} <= {sample["value"] for sample in samples}


async def test_spans_below_a_minute_a_sample_are_condensed_from_the_readings(company: Company, db: Database) -> None:
    series = await _spiky(company, db)
    answer = await _history(company, series, timedelta(minutes=50), max_points=400)
    assert (answer["resolution"], answer["step_s"], answer["shape"]) == ("raw", 10, "buckets")
    samples = answer["curves"][0]["samples"]
    assert len(samples) == 300
    assert all(sample["n"] == 10 for sample in samples)
    assert answer["curves"][0]["covered"] == 1
    assert max(sample["high"] for sample in samples) == 99
    first = [10 + 5 * np.sin(i / 300) for i in range(10)]
    assert abs(samples[0]["value"] - sum(first) / 10) < 1e-9


async def test_aligned_curves_pair_up_and_say_where_nothing_was(company: Company, db: Database) -> None:
    async with company.agent() as agent:
        rows = readings(POWER, [1.0] * 30, START_US, 60_000_000)
        rows += readings(ENERGY, [float(i) for i in range(60)], START_US + 3600 * 10**6, 60_000_000)
        await agent.deliver(frame(1, rows))
    await roll_up_all(db, Metrics())
    series = await _series(company)
    answer = await _history(company, [series["P"], series["EPI"]], timedelta(hours=3), max_points=50, aligned=True)
    power, energy = answer["curves"]
    assert [sample["time"] for sample in power["samples"]] == [sample["time"] for sample in energy["samples"]]
    assert answer["step_s"] == 300
    assert len(power["samples"]) == 36
    assert sum(sample["n"] for sample in power["samples"]) == 30
    assert (power["aggregation"], energy["aggregation"]) == ("avg", "counter_delta")
    assert sum(sample["value"] or 0 for sample in energy["samples"]) == 59
    assert (power["covered"], energy["covered"]) == (round(6 / 36, 6), round(12 / 36, 6))
    for more in ({"shape": "lttb"}, {"resolution": "raw"}):
        params = {"series_id": series["P"], "aligned": True, **more}
        assert (await company.http.get("/api/v1/history", params=params)).status_code == 422


async def test_days_align_over_a_change_of_clocks(company: Company, db: Database) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0] * 4, START_US, 86_400_000_000)))
    await roll_up_all(db, Metrics())
    series = (await _series(company))["P"]
    answer = await _history(company, series, timedelta(days=10), resolution="1d", aligned=True)
    samples = answer["curves"][0]["samples"]
    assert [sample["n"] for sample in samples] == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert {datetime.fromisoformat(sample["time"]).hour for sample in samples} == {16}


async def test_what_says_nothing_true_is_refused(company: Company) -> None:
    async with company.agent() as agent:
        rows = (
            readings(ENERGY, [1.0, 2.0], START_US) + readings(POWER, [1.0], START_US) + readings(STATE, [3], START_US)
        )
        await agent.deliver(frame(1, rows))
    series = await _series(company)
    for name, wrong in (("EPI", "avg"), ("EPI", "sum"), ("P", "sum"), ("P", "counter_delta"), ("State", "avg")):
        params = {"series_id": series[name], "aggregation": wrong}
        answer = await company.http.get("/api/v1/history", params=params)
        assert answer.status_code == 422, (name, wrong, answer.text)
        assert wrong in answer.json()["detail"]
    meter = await _history(company, series["EPI"], timedelta(hours=1), aggregation="last")
    assert meter["curves"][0]["aggregation"] == "last"
    state = await _history(company, series["State"], timedelta(hours=1))
    assert state["curves"][0]["aggregation"] == "last"


async def test_a_bad_reading_is_a_gap_also_among_readings_as_they_came(company: Company) -> None:
    rows = readings(POWER, [1.0], START_US) + readings(POWER, [5.0], START_US + 10**6, quality=BAD_TIMEOUT)
    async with company.agent() as agent:
        await agent.deliver(frame(1, rows + readings(POWER, [2.0], START_US + 2 * 10**6)))
    answer = await _history(company, (await _series(company))["P"], timedelta(hours=1))
    assert [sample["value"] for sample in answer["curves"][0]["samples"]] == [1.0, None, 2.0]
    assert answer["curves"][0]["completeness"] == 0.666667


@given(
    st.lists(st.tuples(st.integers(0, 999_999), st.floats(-1e300, 1e300) | st.just(nan)), max_size=200),
    st.integers(1, 40),
)
def test_every_row_is_in_one_bucket_and_extremes_are_picked(rows: list[tuple[int, float]], points: int) -> None:
    rows.sort(key=lambda row: row[0])
    time = np.array([row[0] for row in rows], np.int64)
    value = np.array([row[1] for row in rows], np.float64)
    bins = largest_triangles(time, value, 0, 1_000_000, points)
    assert len(bins) <= points
    assert [row for first, end, _ in bins for row in range(first, end)] == list(range(len(rows)))
    for first, end, chosen in bins:
        usable = [row for row in range(first, end) if not np.isnan(value[row])]
        assert (chosen is None) == (not usable)
        assert chosen is None or chosen in usable
    if (~np.isnan(value)).any():
        picked = {value[chosen] for _, _, chosen in bins if chosen is not None}
        assert np.nanmin(value) in picked
        lowest, highest = int(np.nanargmin(value)), int(np.nanargmax(value))
        apart = not any(first <= lowest < end and first <= highest < end for first, end, _ in bins)
        assert not apart or np.nanmax(value) in picked


def test_the_triangle_rule_on_an_example_done_by_hand() -> None:
    # Four buckets: row 0, rows 1-2, 3-4, 5-6. From (0, 0) towards the mean (4.5, 0) of rows 3-4 the doubled area is
    # 4.5 * value: row 2. From (3, 8) towards (6.5, -1): row 3 |(3-6.5)(1-8) - (3-4)(-1-8)| = 15.5, row 4
    # |(3-6.5)(-1-8) - (3-5)(-1-8)| = 13.5: row 3. Row 5 is the lowest of all.
    time = np.array([0, 2, 3, 4, 5, 6, 7], np.int64)
    value = np.array([0.0, 1.0, 8.0, 1.0, -1.0, -2.0, 0.0])
    bins = largest_triangles(time, value, 0, 8, 4)
    assert [chosen for _, _, chosen in bins] == [0, 2, 3, 5]
