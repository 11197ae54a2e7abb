"""Rows stored per second: deliveries of 20 agents over HTTP beside a bare psycopg loop into the same table.

Ours logs in, decodes, keeps the ledger, the index of series and the roll-ups, and acknowledges after the commit; agents with
a backlog send eight batches of 1,000 rows a delivery, as `forward` does. The peer copies ready-made records of the same
batches into `telemetry` by one binary COPY and one commit each. Bars: half the peer's rate, and 100,000 rows/s.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import count, cycle
from pathlib import Path
from uuid import uuid4

import numpy as np
import psutil
import psycopg

from cloud.core.embedded import EmbeddedPostgres
from cloud.telemetry.columns import COPY_HEADER, COPY_TRAILER, Numbers
from deploy.demo.platform import Platform
from deploy.demo.processes import Plant
from protocols.reading import GOOD, now_us
from protocols.uplink.codec import encode
from protocols.uplink.messages import Batch, Columns, Frame, PointRef
from tests.benchmarks.comparison import Comparison, compare
from tests.doubles.agent import AgentDouble

AGENTS, FRAMES, ROWS, POINTS = 20, 40, 1000, 50
FRAMES_PER_DELIVERY = 8
REFS = [PointRef("moulder-1", f"p{i}", "", "C62") for i in range(POINTS)]
NO_SERIES = 1_000_000_000  # numbers of the bare loop's series, beyond all of ours


def batches(start_us: int) -> list[Columns]:
    """Return `FRAMES` batches of `ROWS` rows, a sample of each point every 100 ms."""
    row = np.arange(FRAMES * ROWS)
    times = (start_us + row // POINTS * 100_000).reshape(FRAMES, ROWS)
    values = (row * 0.1).reshape(FRAMES, ROWS)
    return [
        Columns(
            points=REFS,
            point=(np.arange(ROWS) % POINTS).astype("<u4").tobytes(),
            source_time=times[frame].astype("<i8").tobytes(),
            value=values[frame].astype("<f8").tobytes(),
            quality=np.full(ROWS, GOOD, "<i2").tobytes(),
            delay=np.zeros(ROWS, "<u4").tobytes(),
        )
        for frame in range(FRAMES)
    ]


async def enrolled(platform: Platform) -> list[AgentDouble]:
    (site,) = platform.get("/sites")
    agents = [AgentDouble(platform.url, f"workshop-{number}") for number in range(AGENTS)]
    for agent in agents:
        code = platform.client.post("/enrolment-codes", json={"site_id": site["id"]})
        await agent.enrol(code.raise_for_status().json()["code"])
        await agent.http.aclose()
    return agents


async def ours(agents: list[AgentDouble], urls: Sequence[str], start_us: int) -> float:
    frames = [Frame(seq, encode(Batch(columns=columns))) for seq, columns in enumerate(batches(start_us), 1)]
    ready: list[AgentDouble] = []
    for agent, url in zip(agents, cycle(urls), strict=False):
        one = AgentDouble(url, agent.name)
        one.key, one.agent_id, one.epoch = agent.key, agent.agent_id, str(uuid4())
        await one.log_in()
        ready.append(one)

    async def deliver(agent: AgentDouble) -> None:
        for first in range(0, FRAMES, FRAMES_PER_DELIVERY):
            receipt = await agent.deliver(*frames[first : first + FRAMES_PER_DELIVERY])
            assert len(receipt.stored) == FRAMES_PER_DELIVERY

    start = time.perf_counter()
    await asyncio.gather(*(deliver(agent) for agent in ready))
    rate = AGENTS * FRAMES * ROWS / (time.perf_counter() - start)
    for agent in ready:
        await agent.http.aclose()
    return rate


def bare(connection: psycopg.Connection, start_us: int) -> float:
    payloads = [
        COPY_HEADER + Numbers(columns).records(np.arange(POINTS) + NO_SERIES + agent * POINTS) + COPY_TRAILER
        for agent in range(AGENTS)
        for columns in batches(start_us)
    ]
    start = time.perf_counter()
    for payload in payloads:
        with connection.transaction(), connection.cursor().copy("COPY telemetry FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(payload)
    return AGENTS * FRAMES * ROWS / (time.perf_counter() - start)


def measure() -> Comparison:
    with tempfile.TemporaryDirectory() as folder, Plant(Path(folder)) as plant:
        platform = Platform(plant)
        platform.start_cloud()
        postgres = EmbeddedPostgres(plant.folder / platform.data / "postgres")
        try:
            return beside("ingest", platform, postgres.start())
        finally:
            postgres.stop()


def beside(name: str, platform: Platform, dsn: str) -> Comparison:
    """Measure the running cloud of `platform` beside a bare loop on its database, whose owner's DSN is `dsn`."""
    starts = count(now_us() - 3_600_000_000, 300_000_000)
    platform.create_tenant()
    agents = asyncio.run(enrolled(platform))
    with psycopg.connect(dsn, autocommit=True) as connection:
        result = compare(
            name,
            "binary COPY through psycopg into the same table",
            "rows/s",
            lambda: asyncio.run(ours(agents, [platform.url], next(starts))),
            lambda: bare(connection, next(starts)),
        )
    rss = psutil.Process(platform.plant.processes["cloud"].pid).memory_info().rss
    print(f"the serving process afterwards: {rss / 1e6:.0f} MB", file=sys.stderr)
    return result
