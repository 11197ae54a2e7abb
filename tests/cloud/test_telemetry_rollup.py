"""Roll-ups equal what a computation from scratch gives, with data late, doubled and out of order; and what curves say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import nan
from random import Random
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from cloud.core.db import Database
from cloud.core.metrics import Metrics
from cloud.telemetry.curves import aligned, choose, samples
from cloud.telemetry.tasks import roll_up_all
from protocols.reading import BAD, UNCERTAIN
from tests.cloud.conftest import Company
from tests.doubles.agent import ENERGY, POWER, frame, readings

pytestmark = pytest.mark.both_databases

START_US = 1_770_000_000_000_000  # 2026-02-02T02:40:00Z
TABLES = ("rollup_minute", "rollup_hour", "rollup_day")


def _dump(owner_dsn: str) -> dict[str, list[Any]]:
    with psycopg.connect(owner_dsn) as connection:
        return {
            table: connection.execute(
                sql.SQL("SELECT * FROM {} ORDER BY series_id, bucket").format(sql.Identifier(table))
            ).fetchall()
            for table in TABLES
        }


async def test_late_and_replayed_data_give_the_same_bits_as_a_computation_from_scratch(
    company: Company, db: Database, owner_dsn: str
) -> None:
    random = Random(11)
    rows = [
        row
        for point in (POWER, ENERGY)
        for row in readings(point, [random.uniform(-5, 1e6) for _ in range(3000)], START_US, 37_000_000)
    ]
    rows += readings(POWER, [nan, 3.0], START_US, quality=BAD) + readings(POWER, [7.5], START_US, quality=UNCERTAIN)
    random.shuffle(rows)
    frames = [frame(seq, rows[seq::12]) for seq in range(12)]
    async with company.agent() as agent:
        for some in frames + frames[:4]:
            await agent.deliver(some)
            await roll_up_all(db, Metrics())
    kept = _dump(owner_dsn)
    assert {table: len(rows) > 0 for table, rows in kept.items()} == dict.fromkeys(TABLES, True)
    with psycopg.connect(owner_dsn) as connection:
        for table in TABLES:
            connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(table)))
        connection.execute("UPDATE telemetry_change SET rolled_up = false")
    await roll_up_all(db, Metrics())
    assert _dump(owner_dsn) == kept


async def test_changes_are_remembered_for_an_hour_once_rolled_up(
    company: Company, db: Database, owner_dsn: str
) -> None:
    async with company.agent() as agent:
        for seq in range(3):
            await agent.deliver(frame(seq, readings(POWER, [1.0], START_US + seq * 60_000_000)))
        await roll_up_all(db, Metrics())
        with psycopg.connect(owner_dsn) as connection:
            old = "UPDATE telemetry_change SET at = at - interval '61 minutes' WHERE tenant_id = %s AND id IN"
            old += " (SELECT id FROM telemetry_change WHERE tenant_id = %s ORDER BY id LIMIT 2)"
            connection.execute(old, [company.scope.tenant_id] * 2)
        await agent.deliver(frame(9, readings(POWER, [1.0], START_US)))
        await roll_up_all(db, Metrics(), forget=True)
    with psycopg.connect(owner_dsn) as connection:
        count = "SELECT count(*) FROM telemetry_change WHERE tenant_id = %s"
        assert connection.execute(count, [company.scope.tenant_id]).fetchone() == (2,)


async def test_states_are_those_of_the_readings(company: Company, db: Database, owner_dsn: str) -> None:
    async with company.agent() as agent:
        rows = readings(POWER, [4.0, 9.0], START_US) + readings(POWER, [2.0], START_US + 70_000_000)
        rows += readings(POWER, [99.0], START_US + 5_000_000, quality=BAD)
        rows += readings(POWER, [6.0], START_US + 6_000_000, quality=UNCERTAIN)
        await agent.deliver(frame(1, rows))
    await roll_up_all(db, Metrics())
    (point,) = (await company.http.get("/api/v1/points")).json()
    with psycopg.connect(owner_dsn) as connection:
        states = connection.execute(
            "SELECT n, used, good, sum, low, high, first, last FROM rollup_minute WHERE series_id = %s ORDER BY bucket",
            [point["series_id"]],
        ).fetchall()
        hour = connection.execute(
            "SELECT n, used, good, sum, low, high, first, last FROM rollup_hour WHERE series_id = %s",
            [point["series_id"]],
        ).fetchall()
        days = connection.execute("SELECT bucket FROM rollup_day WHERE series_id = %s", [point["series_id"]]).fetchall()
    assert states == [(4, 3, 2, 19.0, 4.0, 9.0, 4.0, 6.0), (1, 1, 1, 2.0, 2.0, 2.0, 2.0, 2.0)]
    assert hour == [(5, 4, 3, 21.0, 2.0, 9.0, 4.0, 2.0)]
    # 02:40 UTC on 2 February is 10:40 in Shanghai; its day began at 16:00 UTC on the 1st.
    assert days == [(datetime(2026, 2, 1, 16, tzinfo=UTC),)]


async def test_numbers_whose_sum_no_double_holds_are_counted_and_not_used(
    company: Company, db: Database, owner_dsn: str
) -> None:
    async with company.agent() as agent:
        values = [1.0, 1.7e308, 1.7e308, -1.7e308, 3.0]
        await agent.deliver(frame(1, readings(POWER, values, START_US) + readings(ENERGY, values, START_US)))
    await roll_up_all(db, Metrics())
    for point in (await company.http.get("/api/v1/points")).json():
        with psycopg.connect(owner_dsn) as connection:
            states = connection.execute(
                "SELECT n, used, sum, low, high, increase FROM rollup_day WHERE series_id = %s", [point["series_id"]]
            ).fetchall()
        assert states == [(5, 2, 4.0, 1.0, 3.0, 2.0)]


async def test_a_company_whose_roll_ups_fail_does_not_keep_others_from_theirs(
    company: Company, db: Database, owner_dsn: str
) -> None:
    failing = [uuid4() for _ in range(6)]
    with psycopg.connect(owner_dsn) as connection:
        for tenant in failing:
            connection.execute("INSERT INTO tenant (id, name) VALUES (%s, 'T')", [tenant])
            connection.execute(
                "INSERT INTO telemetry_change (tenant_id, minute, series_ids) VALUES (%s, '294276-12-31 23:59Z', '{1}')",
                [tenant],
            )
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0], START_US)))
    try:
        with pytest.raises(ExceptionGroup) as failure:
            await roll_up_all(db, Metrics())
        assert len(failure.value.exceptions) == len(failing)
        (point,) = (await company.http.get("/api/v1/points")).json()
        with psycopg.connect(owner_dsn) as connection:
            count = "SELECT count(*) FROM rollup_minute WHERE series_id = %s"
            assert connection.execute(count, [point["series_id"]]).fetchone() == (1,)
    finally:
        with psycopg.connect(owner_dsn) as connection:
            connection.execute("DELETE FROM telemetry_change WHERE tenant_id = ANY(%s)", [failing])


@pytest.mark.parametrize("change", ["2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"])
async def test_where_clocks_are_put_on_or_back_every_reading_counts_once(
    company: Company, db: Database, change: str
) -> None:
    """Both changes take place at 01:00 UTC."""
    site = await company.http.post("/api/v1/sites", json={"name": "Berlin", "time_zone": "Europe/Berlin"})
    berlin = replace(company, site_id=UUID(site.json()["id"]))
    day = datetime.fromisoformat(change).replace(tzinfo=ZoneInfo("Europe/Berlin"))  # midnight in Berlin
    start, end = day - timedelta(days=1), day + timedelta(days=2)
    step_us = 15 * 60_000_000
    start_us = int(start.timestamp() * 1e6)
    rows = readings(POWER, [1.0] * (int(end.timestamp() * 1e6 - start_us) // step_us), start_us, step_us)
    async with berlin.agent() as agent:
        await agent.deliver(frame(1, rows))
    await roll_up_all(db, Metrics())
    (point,) = (await company.http.get("/api/v1/points")).json()
    params = {"series_id": point["series_id"], "start": start.isoformat(), "end": end.isoformat()}
    counts = {}
    for resolution in ("1h", "1d"):
        answer = await company.http.get("/api/v1/history", params={**params, "resolution": resolution})
        counts[resolution] = [sample["n"] for sample in answer.json()["curves"][0]["samples"]]
    hours = (23 if change < "2026-06" else 25) + 24 + 24
    assert counts["1h"] == [4] * hours
    assert counts["1d"] == [96, (hours - 48) * 4, 96]


async def test_an_answer_is_bounded_however_long_the_time(company: Company) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0], START_US)))
    (point,) = (await company.http.get("/api/v1/points")).json()
    params = {"series_id": [point["series_id"]] * 50, "start": "2026-01-01T00:00:00Z", "end": "2026-02-02T00:00:00Z"}
    answers = {
        resolution: (await company.http.get("/api/v1/history", params={**params, "resolution": resolution})).status_code
        for resolution in ("auto", "raw", "1m", "1h", "1d")
    }
    assert answers == {"auto": 200, "raw": 200, "1m": 422, "1h": 200, "1d": 200}


async def test_a_counters_growth_adds_up_over_buckets_and_a_restart(company: Company, db: Database) -> None:
    counts = [100.0, 130.0, 160.0, 5.0, 25.0]  # one a minute; the counter restarts after 160
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(ENERGY, counts, START_US, 60_000_000)))
    await roll_up_all(db, Metrics())
    (point,) = (await company.http.get("/api/v1/points")).json()
    start = datetime.fromtimestamp(START_US / 1e6, UTC)
    params = {"series_id": point["series_id"], "start": start.isoformat()}

    async def curve(minutes: int, resolution: str) -> list[Any]:
        end = (start + timedelta(minutes=minutes)).isoformat()
        answer = await company.http.get("/api/v1/history", params={**params, "end": end, "resolution": resolution})
        assert answer.status_code == 200, answer.text
        return [sample["value"] for sample in answer.json()["curves"][0]["samples"]]

    assert await curve(5, "1m") == [None, 30.0, 30.0, 5.0, 20.0]
    assert await curve(20, "1h") == [85.0]
    assert await curve(5, "raw") == counts


async def test_auto_picks_readings_then_ever_coarser_roll_ups(company: Company, db: Database) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0, 2.0, 3.0] * 1200, START_US, 1_000_000)))
    await roll_up_all(db, Metrics())
    (point,) = (await company.http.get("/api/v1/points")).json()
    start = datetime.fromtimestamp(START_US / 1e6, UTC)
    seen = []
    for hours, max_points in ((0.2, 1000), (1, 100), (1, 20), (48, 60), (24 * 40, 60)):
        end = (start + timedelta(hours=hours)).isoformat()
        params = {"series_id": point["series_id"], "start": start.isoformat(), "end": end, "max_points": max_points}
        answer = (await company.http.get("/api/v1/history", params=params)).json()
        seen.append((answer["resolution"], answer["step_s"]))
        kept = answer["curves"][0]["samples"]
        assert 0 < len(kept) <= max_points + 1
        assert sum(sample["n"] for sample in kept) == (3600 if hours >= 1 else 720)
        assert all(sample["value"] == pytest.approx(2.0) for sample in kept) or answer["resolution"] == "raw"
        assert answer["sql_ms"] > 0
    assert seen == [("raw", 0), ("1m", 60), ("1m", 300), ("1h", 3600), ("1d", 86400)]


async def test_pages_of_readings_join_without_loss_or_repetition(company: Company) -> None:
    rows = [row for i in range(10) for row in readings(POWER, [float(i)] * (i % 3 + 1), START_US + i * 1_000_000, 0)]
    async with company.agent() as agent:
        await agent.deliver(frame(1, rows))
    (point,) = (await company.http.get("/api/v1/points")).json()
    params: dict[str, Any] = {"start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z", "limit": 3}
    values = []
    while True:
        page = (await company.http.get(f"/api/v1/series/{point['series_id']}/readings", params=params)).json()
        values += [item["value"] for item in page["items"]]
        if page["next"] is None:
            break
        params["after"] = page["next"]
    assert values == [float(i) for i in range(10) for _ in range(i % 3 + 1)]


def test_the_width_of_samples_is_the_finest_that_fits() -> None:
    assert choose(timedelta(hours=1), 1000) == ("1m", 60)
    assert choose(timedelta(days=1), 1000) == ("1m", 120)
    assert choose(timedelta(days=30), 1000) == ("1h", 3600)
    assert choose(timedelta(days=3650), 1000) == ("1d", 86_400)


def test_borders_count_from_the_sites_midnight() -> None:
    start = datetime(2026, 2, 2, 2, 40, tzinfo=UTC)
    assert aligned(start, 86_400, "Asia/Shanghai") == datetime(2026, 2, 1, 16, tzinfo=UTC)
    assert aligned(start, 7200, "Asia/Kolkata") == datetime(2026, 2, 2, 2, 30, tzinfo=UTC)


def test_a_sample_without_usable_readings_has_no_value() -> None:
    state = {"bucket": datetime(2026, 1, 1, tzinfo=UTC), "n": 3, "used": 0, "good": 0}
    state |= dict.fromkeys(("sum", "low", "high", "first", "last", "increase"))
    for aggregation in ("avg", "sum", "last", "counter_delta", "duration_by_state"):
        (sample,) = samples([state], aggregation)
        assert (sample.value, sample.n) == (None, 3)
