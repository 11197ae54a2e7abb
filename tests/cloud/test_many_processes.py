"""Several API processes on one database add up: whatever is repeated, reordered or killed, every reading counts once."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, LiteralString

import httpx
import msgspec
import psycopg
import pytest
from psycopg import sql

from cloud.core.db import Database
from cloud.core.gate import AT_ONCE, QUEUE
from cloud.core.metrics import Metrics
from cloud.fleet.schemas import CodeRequest
from cloud.fleet.service import Fleet
from cloud.identity.schemas import SiteRequest
from cloud.identity.service import Identity
from cloud.telemetry.tasks import roll_up_all
from protocols.uplink.messages import Delivery, Frame, PointRef, Receipt
from tests.cloud.conftest import SECRETS, Company
from tests.doubles.agent import ENERGY, POWER, AgentDouble, frame, readings

pytestmark = pytest.mark.both_databases

START_US = 1_770_000_000_000_000
LATE_US = 72 * 3600 * 10**6
MINUTE_US = 60_000_000
REMAPPED = PointRef(POWER.device, POWER.name, "apparent_power_total", "KVA")
TABLES = ("rollup_minute", "rollup_hour", "rollup_day")


async def _serve(data: Path, dsn: str, port: str = "0") -> tuple[Process, str]:
    command = ("serve", "--json", "--port", port, "--data", str(data), "--dsn", dsn)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from cloud.cli import main; main()", *command, stdout=PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        line = await process.stdout.readline()
    return process, json.loads(line)["url"]


@asynccontextmanager
async def _ended(processes: list[Process]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _frames() -> list[Frame]:
    """Two days' frames, some of them 72 h late, with a point that is mapped otherwise in the middle."""
    random = Random(5)
    frames = []
    for seq in range(60):
        begin = START_US + seq * 7 * MINUTE_US - (LATE_US if seq % 5 == 0 else 0)
        power = REMAPPED if seq in range(20, 40) else POWER
        rows = readings(power, [random.uniform(0, 9) for _ in range(30)], begin, 11_000_000)
        rows += readings(ENERGY, [seq * 40.0 + i for i in range(30)], begin, 11_000_000)
        frames.append(frame(seq, rows))
    return frames


def _everything(owner_dsn: str) -> dict[str, list[Any]]:
    with psycopg.connect(owner_dsn) as connection:
        tables = {
            table: connection.execute(
                sql.SQL("SELECT * FROM {} ORDER BY series_id, bucket").format(sql.Identifier(table))
            ).fetchall()
            for table in TABLES
        }
        tables["telemetry"] = connection.execute("SELECT * FROM telemetry ORDER BY series_id, ts, value").fetchall()
        tables["series"] = connection.execute("SELECT * FROM series ORDER BY id").fetchall()
        tables["ledger"] = connection.execute("SELECT * FROM ledger ORDER BY agent_id, seq").fetchall()
    return tables


async def _until(owner_dsn: str, condition: LiteralString, task: asyncio.Task[None] | None = None) -> None:
    """Wait until the SQL `condition` is true; raise what `task` raises meanwhile."""
    async with asyncio.timeout(60), await psycopg.AsyncConnection.connect(owner_dsn, autocommit=True) as connection:
        while (await (await connection.execute(f"SELECT {condition}")).fetchone()) != (True,):
            if task is not None and task.done():
                task.result()
            await asyncio.sleep(0.05)


async def _rolled_up(owner_dsn: str) -> None:
    await _until(owner_dsn, "NOT EXISTS (SELECT FROM telemetry_change WHERE NOT rolled_up)")


async def _deliver_all(agents: list[AgentDouble], frames: list[Frame], seed: int) -> None:
    """Deliver all frames shuffled, in parts that overlap, by turns to every process, until each is acknowledged."""
    shuffled = Random(seed).sample(frames, len(frames))
    parts = [shuffled[i : i + 6] for i in range(0, len(shuffled), 4)]

    async def deliver(part: list[Frame], turn: int) -> None:
        waiting = {some.seq for some in part}
        while waiting:
            agent = agents[turn % len(agents)]
            delivery = Delivery(agent.epoch, [some for some in part if some.seq in waiting])
            try:
                answer = await agent.post("/uplink/batches", delivery, token=True)
            except httpx.TransportError:
                turn += 1
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code == 200, answer.text
            receipt = msgspec.msgpack.decode(answer.content, type=Receipt)
            assert not receipt.refused
            waiting -= set(receipt.stored)

    await asyncio.gather(*(deliver(part, turn) for turn, part in enumerate(parts)))


async def test_two_processes_shuffled_replays_and_a_kill_change_no_row_and_no_roll_up(
    owner_dsn: str, app_dsn: str, db: Database, tmp_path: Path
) -> None:
    (tmp_path / "secrets.json").write_bytes(msgspec.json.encode(SECRETS))
    (tmp_path / "secrets.json").chmod(0o600)
    scope = await Identity(db, SECRETS).create_tenant("T")
    site = await Identity(db, SECRETS).create_site(scope, SiteRequest(name="main"), "test")
    code = (await Fleet(db, SECRETS).create_code(scope, CodeRequest(site_id=site.id), "test")).code
    frames = _frames()
    served = await asyncio.gather(*(_serve(tmp_path, app_dsn) for _ in range(2)))
    processes = [process for process, _ in served]
    first, second = (AgentDouble(url) for _, url in served)
    async with _ended(processes), first.http, second.http:
        await first.enrol(code)
        await first.log_in()
        second.key, second.agent_id, second.token, second.epoch = first.key, first.agent_id, first.token, first.epoch
        delivering = asyncio.create_task(_deliver_all([first, second], frames, 1))
        await _until(owner_dsn, "count(*) >= 20 FROM ledger", delivering)
        processes[0].kill()
        await processes[0].wait()
        async with asyncio.timeout(90):
            await delivering
        await _rolled_up(owner_dsn)
        once = _everything(owner_dsn)
        assert len(once["telemetry"]) == 60 * 60
        assert len({row[:2] for row in once["telemetry"]}) == 60 * 60
        processes[0], _ = await _serve(tmp_path, app_dsn, str(first.http.base_url.port))
        for seed in (2, 3):
            await _deliver_all([first, second], frames, seed)
        await _rolled_up(owner_dsn)
        assert _everything(owner_dsn) == once
    with psycopg.connect(owner_dsn) as connection:
        current = connection.execute("SELECT property FROM series WHERE name = 'P' AND is_current").fetchall()
        assert current == [(POWER.property,)], "the mapping of the latest reading, in whatever order they were stored"
        for table in TABLES:
            connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(table)))
        connection.execute("UPDATE telemetry_change SET rolled_up = false")
    await roll_up_all(db, Metrics())
    assert _everything(owner_dsn) == once


async def test_a_slow_database_is_answered_with_when_to_come_back_and_nothing_is_lost(
    company: Company, owner_dsn: str
) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(0, readings(POWER, [1.0], START_US)))
        frames = [frame(seq, readings(POWER, [1.0], START_US + seq)) for seq in range(1, AT_ONCE + QUEUE + 11)]
        async with await psycopg.AsyncConnection.connect(owner_dsn) as holder:
            await holder.execute("LOCK TABLE ledger IN EXCLUSIVE MODE")
            bodies = [Delivery(agent.epoch, [one]) for one in frames]
            answers = await asyncio.gather(*(agent.post("/uplink/batches", body, token=True) for body in bodies))
            reading = await company.http.get("/api/v1/points")
            await holder.rollback()
        assert reading.status_code == 200, "who reads is not kept from it"
        assert {answer.status_code for answer in answers} == {429, 503}
        assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in answers)
        assert sum(answer.status_code == 503 for answer in answers) <= AT_ONCE * 2
        receipt = await agent.deliver(*frames)
        assert len(receipt.stored) == len(frames)
    stats = (await company.http.get("/api/v1/telemetry/stats")).json()
    assert (stats["readings"], stats["ledger_readings"]) == (len(frames) + 1, len(frames) + 1)
    assert "sunmao_deliveries_turned_away_total" in (await company.http.get("/metrics")).text
