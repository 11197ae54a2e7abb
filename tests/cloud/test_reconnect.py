"""Hundreds of agents come back at one instant, and others go on: everything arrives once, and nobody is kept out."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections import Counter
from contextlib import AsyncExitStack

import psycopg
import pytest

from cloud.core.errors import TooMany
from cloud.core.gate import AT_ONCE, LIVE_ONLY, QUEUE, Gate
from cloud.core.metrics import Metrics
from protocols.reading import now_us
from tests.cloud.conftest import Company
from tests.doubles.returning import FRAMES, POINTS, Returning, backlog, enrolled, one_of_each


@pytest.mark.parametrize(("agents", "known"), [(200, True), (100, False)])
async def test_hundreds_come_back_at_once_and_who_is_in_goes_on(
    company: Company, cloud_url: str, owner_dsn: str, agents: int, known: bool
) -> None:
    with psycopg.connect(owner_dsn) as connection:
        (before,) = connection.execute("SELECT count(*) FROM telemetry").fetchone() or (0,)
        living, *returning = enrolled(connection, cloud_url, agents + 1, known=known)
    await living.until_done(living.log_in)
    over = asyncio.Event()
    going_on = asyncio.create_task(_go_on(living, over))
    held = backlog()
    await asyncio.gather(*(agent.come_back(held) for agent in returning))
    over.set()
    live = await going_on
    with psycopg.connect(owner_dsn) as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT (series_id, ts)) FROM telemetry").fetchone()
    expected = before + agents * FRAMES * POINTS + live * POINTS
    assert found == (expected, expected)
    assert sum((agent.answers for agent in returning), Counter[int]())[429] > 0, "so many are not served at once"
    assert (await company.http.get("/api/v1/telemetry/stats")).status_code == 200


async def _go_on(agent: Returning, over: asyncio.Event) -> int:
    """Deliver a frame at a time until `over`; return how many were stored."""
    seq = 0
    while not over.is_set() or seq == 0:
        seq += 1
        frames = [one_of_each(seq, now_us())]
        await agent.until_done(lambda frames=frames: agent.deliver(frames))
        await asyncio.sleep(0.1)
    agent.hang_up()
    return seq


async def test_who_is_in_has_a_turn_while_those_who_come_back_wait() -> None:
    gate = Gate(Metrics())
    async with gate.admitted("in"):
        pass
    async with AsyncExitStack() as held:
        for number in range(AT_ONCE - LIVE_ONLY):
            await held.enter_async_context(gate.admitted(f"back {number}"))
        waiting = [asyncio.create_task(_deliver(gate, f"later {number}")) for number in range(QUEUE)]
        await asyncio.sleep(0)
        async with gate.admitted("in"):
            assert not any(task.done() for task in waiting)
        with pytest.raises(TooMany):
            gate.refuse_if_crowded("one more")
    await asyncio.gather(*waiting)


async def test_those_turned_away_are_told_different_times() -> None:
    gate = Gate(Metrics())
    async with AsyncExitStack() as held:
        for number in range(AT_ONCE - LIVE_ONLY):
            await held.enter_async_context(gate.admitted(f"back {number}"))
        waiting = [asyncio.create_task(_deliver(gate, f"later {number}")) for number in range(QUEUE)]
        await asyncio.sleep(0)
        told = [int(_refusal(gate).headers["Retry-After"]) for _ in range(5000)]
    await asyncio.gather(*waiting)
    assert told[:1000] == sorted(told[:1000])
    assert set(told) == set(range(1, 61)), "spread over all of the longest wait"


@pytest.mark.parametrize("payload", [b"", b"[]", b"7", b"\xff", b'{"sub": null}', b"[" * 20_000])
async def test_a_token_that_is_none_is_refused_and_nothing_worse(company: Company, payload: bytes) -> None:
    token = f"Bearer x.{urlsafe_b64encode(payload).decode()}.x"
    answer = await company.http.post("/api/v1/uplink/batches", headers={"Authorization": token})
    assert answer.status_code == 401


async def _deliver(gate: Gate, who: str) -> None:
    async with gate.admitted(who):
        pass


def _refusal(gate: Gate) -> TooMany:
    with pytest.raises(TooMany) as refused:
        gate.refuse_if_crowded("one more")
    return refused.value
