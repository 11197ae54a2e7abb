"""The stream of changes: live, resumed where it was cut, never losing what was committed meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from tests.cloud.conftest import Company
from tests.doubles.agent import ENERGY, POWER, frame, readings

pytestmark = pytest.mark.both_databases

START_US = 1_770_000_000_000_000


class StreamEnded(Exception):
    """The cloud has closed the stream."""


class Events:
    """Events of one stream, as a browser's EventSource would see them."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.last_id = ""

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "id":
                    self.last_id = value
                if name == "data":
                    data: dict[str, Any] = json.loads(value)
                    return data
        raise StreamEnded

    async def until(self, wanted: set[float]) -> set[float]:
        """Return the values seen until all of `wanted` were."""
        seen: set[float] = set()
        while not wanted <= seen:
            seen |= {value["value"] for value in (await self.next())["values"]}
        return seen


@asynccontextmanager
async def _stream(company: Company, last_id: str = "") -> AsyncIterator[Events]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with company.http.stream("GET", "/api/v1/changes", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer.aiter_lines())


async def test_a_value_is_pushed_when_it_is_committed(company: Company) -> None:
    async with company.agent() as agent, _stream(company) as events:
        await agent.deliver(frame(1, readings(POWER, [1.0], START_US)))
        await events.until({1.0})
        await agent.deliver(frame(2, readings(POWER, [2.0], START_US + 1_000_000)))
        assert await events.until({2.0}) == {2.0}


async def test_a_stream_resumes_with_what_changed_meanwhile_and_nothing_else(company: Company) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0], START_US) + readings(ENERGY, [50.0], START_US)))
        async with _stream(company) as events:
            await events.until({1.0, 50.0})
        last_id = events.last_id
        # A transaction of any database of the server, open at the cut, has the stream give more rather than less.
        for number in range(2, 8):
            await agent.deliver(frame(number, readings(POWER, [float(number)], START_US + number * 1_000_000)))
            async with _stream(company, last_id) as resumed:
                found = await resumed.until({float(number)})
            if found == {float(number)}:
                break
            last_id = resumed.last_id
    assert found == {float(number)}


async def test_a_transaction_in_flight_at_the_cut_is_not_lost(company: Company, owner_dsn: str) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0], START_US) + readings(ENERGY, [50.0], START_US)))
        with psycopg.connect(owner_dsn) as slow:
            # Began before the event below, commits after it.
            slow.execute("SELECT ensure_telemetry_partition(now())")
            slow.commit()
            slow.execute(
                "INSERT INTO telemetry SELECT id, now(), 77, 0 FROM series WHERE property = 'energy_active_import'"
                " AND tenant_id = %s",
                [company.scope.tenant_id],
            )
            slow.execute(
                "INSERT INTO telemetry_change (tenant_id, minute, series_ids) SELECT tenant_id, now(), array_agg(id)"
                " FROM series WHERE tenant_id = %s GROUP BY tenant_id",
                [company.scope.tenant_id],
            )
            async with _stream(company) as events:
                await events.until({1.0, 50.0})
                await agent.deliver(frame(2, readings(POWER, [2.0], START_US + 1_000_000)))
                await events.until({2.0})
        async with _stream(company, events.last_id) as resumed:
            assert 77.0 in await resumed.until({77.0})


async def test_a_position_that_is_not_remembered_gives_everything_again(company: Company) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0], START_US) + readings(ENERGY, [50.0], START_US)))
        for last_id in ("1", "999999999999"):
            async with _stream(company, last_id) as events:
                await events.until({1.0, 50.0})


async def test_the_stream_ends_with_the_session(company: Company) -> None:
    async with company.agent() as agent, _stream(company) as events:
        await agent.deliver(frame(1, readings(POWER, [1.0], START_US)))
        await events.until({1.0})
        assert (await company.http.delete("/api/v1/sessions/current")).status_code == 204
        await agent.deliver(frame(2, readings(POWER, [2.0], START_US + 1_000_000)))
        with pytest.raises(StreamEnded):
            await events.next()
