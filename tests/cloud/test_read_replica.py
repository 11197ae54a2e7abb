"""Curves and exports from a streaming replica: they know all that was committed before, or the primary answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from fastapi import FastAPI
from psycopg.conninfo import make_conninfo

from cloud.app import create_app
from cloud.core import replica
from cloud.core.db import AsyncConnection, Database
from cloud.core.metrics import Metrics
from cloud.telemetry.cold_store import ColdStore
from cloud.telemetry.retained import Retained
from cloud.telemetry.retention import Retention
from cloud.telemetry.tasks import roll_up_all
from protocols.errors import SunmaoError
from protocols.reading import now_us
from protocols.text import Text
from tests.cloud.conftest import SECRETS, Company
from tests.doubles.agent import POWER, AgentDouble, frame, readings
from tests.doubles.standby import standby

HERE, THERE = (False, "read committed"), (True, "repeatable read")
"""Whether it is a replica, and how it reads: there as of one instant, since no lock keeps the primary from moving readings."""


@pytest.fixture(scope="module")
def replica_dsn(owner_dsn: str) -> Iterator[str]:
    """The owner's, in a replica of the server of this module's database."""
    with TemporaryDirectory(prefix="sunmao-test-") as folder:
        Path(folder).chmod(0o711)  # the user the server runs as has to reach it
        with standby(owner_dsn, Path(folder) / "postgres") as dsn:
            yield dsn


@pytest.fixture(scope="module")
def app_there(replica_dsn: str) -> str:
    return make_conninfo(replica_dsn, user="sunmao_app", password=SECRETS.database_password)


@pytest.fixture(scope="module")
def cloud_app(app_dsn: str, cold_store: str, app_there: str) -> FastAPI:
    return create_app(app_dsn, SECRETS, cold_store, replica=app_there)


class Counted:
    """One who delivers values 0, 1, 2 ... and asks for them by curve, by page and by file."""

    def __init__(self, company: Company, agent: AgentDouble) -> None:
        self._company, self._agent, self.count = company, agent, 0
        self._begin_us = now_us() - 3_600_000_000

    async def deliver(self) -> None:
        at = self._begin_us + self.count * 1_000_000
        await self._agent.deliver(frame(self.count, readings(POWER, [float(self.count)], at)))
        self.count += 1

    async def seen(self) -> set[int]:
        """Return how many values a curve, a page and a file have."""
        http = self._company.http
        (point,) = (await http.get("/api/v1/points")).json()
        begin = datetime.fromtimestamp(self._begin_us / 1e6, UTC)
        hour = {"start": begin.isoformat(), "end": (begin + timedelta(hours=1)).isoformat()}
        one = {"series_id": point["series_id"]} | hour
        curve = (await http.get("/api/v1/history", params=one)).raise_for_status().json()
        page = (await http.get(f"/api/v1/series/{point['series_id']}/readings", params=hour)).raise_for_status().json()
        file = (await http.get("/api/v1/export", params=one)).raise_for_status().text
        samples = sum(sample["n"] for sample in curve["curves"][0]["samples"])
        return {samples, len(page["items"]), len(file.strip().splitlines()) - 1}


async def _place(connection: AsyncConnection) -> object:
    return await (
        await connection.execute("SELECT pg_is_in_recovery(), current_setting('transaction_isolation')")
    ).fetchone()


async def _breaks_off_there(connection: AsyncConnection) -> object:
    place = await _place(connection)
    if place == THERE:
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    return place


async def test_what_is_moved_into_files_meanwhile_is_read_once(
    company: Company, app_dsn: str, app_there: str, replica_dsn: str, cold_store: str
) -> None:
    span = datetime(2026, 2, 2, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    hours = [float(hour) for hour in range(500)]
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, hours, int(span[0].timestamp() * 1e6), 3_600_000_000)))
    (point,) = (await company.http.get("/api/v1/points")).json()
    rules = {"rules": [{"property": "", "keep_days": 20}]}
    (await company.http.put("/api/v1/retention", json=rules)).raise_for_status()
    retained, series = Retained(ColdStore(cold_store)), [point["series_id"]]
    async with Database(app_dsn, app_there) as db:
        await roll_up_all(db, Metrics(), retained=retained)

        async def read(connection: AsyncConnection) -> tuple[object, int]:
            place = await _place(connection)
            assert await retained.files(connection, series, *span) == []
            if place == THERE:
                assert await Retention(db, retained).enforce(span[0] + timedelta(days=40)) > 300
                with psycopg.connect(replica_dsn, autocommit=True) as there:
                    while there.execute("SELECT FROM cold_file").fetchone() is None:  # noqa: ASYNC110 - replayed
                        await asyncio.sleep(0.01)
            return place, len(await retained.numbers(connection, series, *span, 1000))

        assert await db.read(company.scope, read) == (THERE, 500)
        moved = await db.read(company.scope, lambda connection: retained.numbers(connection, series, *span, 1000))
        assert len(moved) == 500


async def _has_no_file_there(connection: AsyncConnection) -> object:
    place = await _place(connection)
    if place == THERE:
        raise SunmaoError(Text("gone", "已不存在"))
    return place


async def test_what_breaks_off_or_cannot_be_trusted_is_answered_here(
    company: Company, app_dsn: str, app_there: str
) -> None:
    async with Database(app_dsn, app_there) as db:
        assert await db.read(company.scope, _place) == THERE
        assert await db.read(company.scope, _has_no_file_there) == HERE
        assert await db.read(company.scope, _place) == THERE, "it does not rest for that"
        assert await db.read(company.scope, _breaks_off_there) == HERE
        assert await db.read(company.scope, _place) == HERE, "it rests"
    away, of_others, no_replica = (
        make_conninfo(app_dsn, host="127.0.0.1", port=1),
        make_conninfo(app_there, dbname="postgres"),
        app_dsn,
    )
    for wrong in (away, of_others, no_replica):
        async with Database(app_dsn, wrong) as db:
            assert await db.read(company.scope, _place) == HERE


async def test_what_was_committed_is_seen_whoever_answers(
    company: Company, replica_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "RESTS_S", 0.0)
    monkeypatch.setattr(replica, "CATCHES_UP_S", 0.1)
    async with company.agent() as agent:
        counted = Counted(company, agent)
        with psycopg.connect(replica_dsn, autocommit=True) as there:
            for _ in range(5):
                since = there.execute("SELECT clock_timestamp()").fetchone()
                await counted.deliver()
                assert await counted.seen() == {counted.count}
                asked = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'sunmao_app' AND query_start > %s"
                assert (there.execute(asked, since).fetchone() or (0,))[0] > 0, "the replica was not asked"

            there.execute("SELECT pg_wal_replay_pause()")
            await counted.deliver()
            assert await counted.seen() == {counted.count}, "one that is behind does not answer"
            there.execute("SELECT pg_wal_replay_resume()")
        with psycopg.connect(replica_dsn, autocommit=True) as there:
            there.execute("SELECT pg_promote()")
        await counted.deliver()
        assert await counted.seen() == {counted.count}, "one that follows nobody any more does not answer"
