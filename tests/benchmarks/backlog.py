"""How fast a backlog drains while collection goes on: times real time, beside the ten times it must reach.

An agent's buffer holds a quarter of an hour of 1,000 readings a second, committed four times a second, as after an outage. Then
the cloud is there: the forwarder drains it into a real cloud and its database while the same rate goes on being
collected. What is live must not wait behind the backlog: the age of every live frame when the cloud has committed it is
measured, and printed with the figure; its 99th percentile must stay below two seconds. Every reading of the outage is then
counted in the database: none lost, none twice.

`SUNMAO_BACKLOG_S` and `SUNMAO_BACKLOG_RATE` set how long the outage was and how many readings a second there are:
`SUNMAO_BACKLOG_S=86400 SUNMAO_BACKLOG_RATE=20` is a day of twenty points, time-scaled - its commits follow each other without
the waiting between them; from an hour on there is one a second.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from cloud.core.embedded import EmbeddedPostgres
from deploy.demo.platform import Platform
from deploy.demo.processes import Plant
from edge_agent.buffer import Buffer
from edge_agent.cloud_link import CloudLink
from edge_agent.config import BufferConfig
from edge_agent.forward import Forwarder
from edge_agent.identity import Login
from protocols.reading import GOOD, Reading, now_us
from protocols.uplink.messages import Delivery, PointRef, Receipt
from tests.benchmarks.comparison import Comparison

RATE = int(os.environ.get("SUNMAO_BACKLOG_RATE", "1000"))
BACKLOG_S = int(os.environ.get("SUNMAO_BACKLOG_S", "900"))
GROUP_S = 0.25 if BACKLOG_S < 3600 else 1.0
POINTS = 500
LIMIT, LATEST_S = 10.0, 2.0
REFS = [PointRef("moulder-1", f"p{i}", "", "C62") for i in range(POINTS)]


class WatchedBuffer(Buffer):
    """Notes when every frame was settled."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, BufferConfig.model_validate({"group_s": GROUP_S}), "en")
        self.settled: dict[int, float] = {}

    async def settle(self, delivery: Delivery, receipt: Receipt) -> None:
        now = time.perf_counter()
        self.settled.update(dict.fromkeys(receipt.stored, now))
        await super().settle(delivery, receipt)


def group(number: int, start_us: int) -> list[tuple[PointRef, Reading]]:
    """The readings of one commit."""
    time_us = start_us + int(number * GROUP_S * 1e6)
    size = int(RATE * GROUP_S)
    first = number * size
    return [
        (REFS[n % POINTS], Reading("", n * 0.5, GOOD, time_us + n % size, time_us)) for n in range(first, first + size)
    ]


async def drain(platform: Platform, start_us: int) -> tuple[float, float]:
    """Return times real time, and the 99th percentile of a live frame's age at the cloud's commit, seconds."""
    groups = int(BACKLOG_S / GROUP_S)
    state_dir = platform.plant.folder / "state"
    with tempfile.TemporaryDirectory() as folder:
        buffer = WatchedBuffer(Path(folder))
        await buffer.open()
        for number in range(groups):
            buffer.add_readings(group(number, start_us))
            await buffer.flush()
        waiting = (await buffer.stats()).rows
        assert waiting == BACKLOG_S * RATE
        async with CloudLink(platform.url) as link:
            forwarder = Forwarder(buffer, link, Login(state_dir, link), state_dir, buffer.announce)
            begun = time.perf_counter()
            sending = asyncio.create_task(forwarder.run())
            made: dict[int, float] = {}
            number = groups
            while len(buffer.settled.keys() - made.keys()) < groups:
                buffer.add_readings(group(number, start_us))
                number += 1
                await buffer.flush()
                made[(await buffer.stats()).state.seq] = time.perf_counter()
                await asyncio.sleep(max(begun + (number - groups) * GROUP_S - time.perf_counter(), 0))
            took = time.perf_counter() - begun
            sending.cancel()
        await buffer.close()
    ages = [buffer.settled[seq] - at for seq, at in made.items() if seq in buffer.settled]
    return BACKLOG_S / took, statistics.quantiles(ages, n=100)[98]


def stored(dsn: str, start_us: int) -> tuple[int, int]:
    """Return how many readings of the outage that began at `start_us` are stored, and how many different ones."""
    start, end = (datetime.fromtimestamp(us / 1e6, UTC) for us in (start_us, start_us + BACKLOG_S * 1_000_000))
    with psycopg.connect(dsn) as connection:
        query = "SELECT count(*), count(DISTINCT (series_id, ts)) FROM telemetry WHERE ts >= %s AND ts < %s"
        rows, different = connection.execute(query, [start, end]).fetchone() or (0, 0)
    return rows, different


def measure() -> Comparison:
    start_us = now_us() - BACKLOG_S * 1_000_000
    with tempfile.TemporaryDirectory() as folder, Plant(Path(folder)) as plant:
        platform = Platform(plant)
        platform.start_cloud()
        platform.create_tenant()
        platform.write_config([("moulder-1", "demo-energy-meter", "127.0.0.1:502")])
        platform.enrol()
        speed, age = asyncio.run(drain(platform, start_us))
        postgres = EmbeddedPostgres(plant.folder / platform.data / "postgres")
        try:
            rows, different = stored(postgres.start(), start_us)
        finally:
            postgres.stop()
    print(f"{rows:,} of {BACKLOG_S * RATE:,} readings of the outage stored, {rows - different} twice", file=sys.stderr)
    assert rows == different == BACKLOG_S * RATE
    assert age <= LATEST_S, f"live readings waited {age:.1f} s"
    what = f"the limit: {LIMIT:.0f} times real time with live values at most {LATEST_S:.0f} s old (p99 {age:.2f} s)"
    return Comparison("backlog", what, "x real time", round(speed, 1), LIMIT, round(speed / LIMIT, 3))
