"""Readings arrive in the store exactly once, whatever is repeated, reordered or raced."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from math import inf, nan
from random import Random

import psycopg
import pytest

from protocols.reading import BAD_NO_DATA, BAD_TIMEOUT, EARLIEST_US
from protocols.uplink.messages import Frame, PointRef
from tests.cloud.conftest import Company
from tests.doubles.agent import ENERGY, POWER, frame, readings

pytestmark = pytest.mark.both_databases

START_US = 1_770_000_000_000_000
TEXT = PointRef("meter-1", "Model", "", "C62")


async def _stats(company: Company) -> dict[str, int]:
    answer = await company.http.get("/api/v1/telemetry/stats")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_delivery_is_stored_and_can_be_read(company: Company) -> None:
    async with company.agent() as agent:
        receipt = await agent.deliver(
            frame(1, readings(POWER, [1.5, 2.5], START_US) + readings(TEXT, ["ADL"], START_US))
        )
    assert (receipt.stored, receipt.refused) == ([1], [])
    latest = {item["series_id"]: item for item in (await company.http.get("/api/v1/latest")).json()}
    points = {point["name"]: point for point in (await company.http.get("/api/v1/points")).json()}
    assert latest[points["P"]["series_id"]]["value"] == 2.5
    assert latest[points["Model"]["series_id"]]["value"] == "ADL"
    assert (points["P"]["name_zh"], points["P"]["unit_symbol"]) == ("总有功功率", "kW")
    page = (await company.http.get(f"/api/v1/series/{points['P']['series_id']}/readings", params=_around())).json()
    assert [item["value"] for item in page["items"]] == [1.5, 2.5]
    assert page["items"][0]["time"] == "2026-02-02T02:40:00Z"
    assert page["next"] is None


def _around() -> dict[str, str]:
    start = datetime.fromtimestamp(START_US / 1e6, UTC)
    return {"start": start.isoformat(), "end": start.replace(year=2027).isoformat()}


async def test_three_shuffled_replays_with_racing_deliveries_change_nothing(company: Company) -> None:
    random = Random(7)
    frames = [frame(seq, readings(POWER, [seq] * 20, START_US + seq * 20_000_000)) for seq in range(40)]
    deliveries = [random.sample(frames, len(frames)) for _ in range(3)]
    async with company.agent() as agent:
        receipts = await asyncio.gather(
            *(agent.deliver(*some) for shuffled in deliveries for some in _split(shuffled, 5))
        )
    assert all(not receipt.refused for receipt in receipts)
    stats = await _stats(company)
    assert (stats["readings"], stats["ledger_readings"], stats["frames"], stats["duplicates"]) == (800, 800, 40, 0)


def _split(frames: list[Frame], parts: int) -> list[list[Frame]]:
    return [frames[i::parts] for i in range(parts)]


async def test_a_number_used_twice_is_refused_and_noted(company: Company) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(5, readings(POWER, [1.0], START_US)))
        receipt = await agent.deliver(frame(5, readings(POWER, [9.0], START_US)))
    assert receipt.stored == []
    assert [(verdict.seq, "other content" in verdict.reason) for verdict in receipt.refused] == [(5, True)]
    assert (await _stats(company))["readings"] == 1
    acts = [entry["act"] for entry in (await company.http.get("/api/v1/audit")).json()["items"]]
    assert "frame.refuse" in acts


async def test_a_poisoned_frame_is_refused_and_the_rest_is_stored(company: Company) -> None:
    good = frame(2, readings(POWER, [1.0], START_US))
    nul = frame(3, readings(PointRef("meter-1", "a\0b", "", "C62"), [1.0], START_US))
    aeons = frame(4, readings(POWER, [1.0], 2**62))
    async with company.agent() as agent:
        receipt = await agent.deliver(Frame(1, b"garbage"), nul, aeons, good)
    assert receipt.stored == [2]
    assert [verdict.seq for verdict in receipt.refused] == [1, 3, 4]
    assert (await _stats(company))["readings"] == 1


async def test_a_reading_without_a_value_is_never_good(company: Company, owner_dsn: str) -> None:
    rows = readings(POWER, [nan, inf], START_US) + readings(ENERGY, [None], START_US, quality=BAD_TIMEOUT)
    async with company.agent() as agent:
        await agent.deliver(frame(1, rows))
    latest = (await company.http.get("/api/v1/latest")).json()
    assert {(item["value"], item["quality"]) for item in latest} == {
        (None, int(BAD_NO_DATA)),
        (None, int(BAD_TIMEOUT)),
    }
    with psycopg.connect(owner_dsn) as connection:
        stored = connection.execute("SELECT DISTINCT value = 'NaN', quality < 0 FROM telemetry WHERE value = 'NaN'")
        assert stored.fetchall() == [(True, True)]


async def test_late_readings_of_any_year_that_can_be_are_stored_as_they_are(company: Company) -> None:
    times = [datetime(year, 1, 1, tzinfo=UTC) for year in (2000, 2011, 2026, 2099)]
    async with company.agent() as agent:
        for seq, time in enumerate(times):
            receipt = await agent.deliver(frame(seq, readings(POWER, [float(seq)], int(time.timestamp()) * 1_000_000)))
            assert receipt.stored == [seq]
        impossible = await agent.deliver(frame(9, readings(POWER, [1.0], EARLIEST_US - 1)))
        assert [verdict.seq for verdict in impossible.refused] == [9]
    (point,) = (await company.http.get("/api/v1/points")).json()
    params = {"start": "1999-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}
    page = (await company.http.get(f"/api/v1/series/{point['series_id']}/readings", params=params)).json()
    assert [datetime.fromisoformat(item["time"]) for item in page["items"]] == times


async def test_a_point_mapped_anew_gets_a_series_of_its_own(company: Company) -> None:
    remapped = PointRef(POWER.device, POWER.name, "apparent_power_total", "KVA")
    async with company.agent() as agent:
        for seq, point in enumerate((POWER, remapped, POWER)):
            await agent.deliver(frame(seq, readings(point, [float(seq)], START_US + seq)))
            (current,) = (await company.http.get("/api/v1/points")).json()
            assert current["property"] == point.property
    assert (await _stats(company))["readings"] == 3
