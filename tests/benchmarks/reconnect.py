"""10,000 agents come back at once after an outage of the cloud: seconds until all have logged in and delivered, live ones beside.

Each has a network address of its own (127.x.y.z) and a connection of its own, proves its key, gets a token and delivers the
five minutes it holds: 30 frames of ten points. Refused for now, it comes back when told and with jitter, as `forward` does.
Ten live agents deliver a frame a second all the while. Agents, cloud and database share this machine; what the agents take of
it is printed. The cloud knows the points from before the outage; SUNMAO_NEW=1 makes them all new to it. Bars: all back
within 180 s, and the 99th percentile of live deliveries below 2 s. SUNMAO_AGENTS sets another number.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import psycopg

from cloud.core.embedded import EmbeddedPostgres
from deploy.demo.platform import Platform
from deploy.demo.processes import Plant
from protocols.reading import now_us
from tests.benchmarks.comparison import Comparison
from tests.doubles.returning import FRAMES, POINTS, Returning, backlog, enrolled, one_of_each

AGENTS = int(os.environ.get("SUNMAO_AGENTS", "10000"))
KNOWN = not os.environ.get("SUNMAO_NEW")
LIVE, LIMIT_S, LIVE_LIMIT_S = 10, 180.0, 2.0


def measure() -> Comparison:
    with tempfile.TemporaryDirectory() as folder, Plant(Path(folder)) as plant:
        platform = Platform(plant)
        platform.start_cloud()
        platform.create_tenant()
        postgres = EmbeddedPostgres(plant.folder / platform.data / "postgres")
        try:
            dsn = postgres.start()
            with psycopg.connect(dsn) as connection:
                doubles = enrolled(connection, platform.url, AGENTS + LIVE, known=KNOWN)
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("ANALYZE")
            family = platform.family("cloud")
            before = _cpu_s(family), time.process_time()
            took, live = asyncio.run(_come_back(doubles[LIVE:], doubles[:LIVE]))
            spent = _cpu_s(platform.family("cloud")) - before[0], time.process_time() - before[1]
            with psycopg.connect(dsn) as connection:
                _count(connection, len(live))
        finally:
            postgres.stop()
    refused = sum((agent.answers for agent in doubles), Counter[int]())
    print(
        f"answers {dict(refused)}; cloud and database {spent[0]:.0f} s of CPU, agents {spent[1]:.0f} s", file=sys.stderr
    )
    p99 = statistics.quantiles(live, n=100, method="inclusive")[-1]
    what = f"the bar for {AGENTS:,}; live deliveries p99 {p99:.2f} s, the bar is {LIVE_LIMIT_S:g}"
    return Comparison("reconnect", what, "s", round(took, 1), LIMIT_S, round(LIMIT_S / took, 3))


def _cpu_s(family: list[psutil.Process]) -> float:
    total = 0.0
    for one in family:
        with suppress(psutil.NoSuchProcess):  # a worker of the database that has ended; its parent has its time
            total += sum(one.cpu_times()[:4])
    return total


def _count(connection: psycopg.Connection, live: int) -> None:
    """Check that every reading is there once."""
    found = connection.execute("SELECT count(*), count(DISTINCT (series_id, ts)) FROM telemetry").fetchone()
    expected = AGENTS * FRAMES * POINTS + live * POINTS
    assert found == (expected, expected), f"{found}, not {expected}"


async def _come_back(returning: list[Returning], living: list[Returning]) -> tuple[float, list[float]]:
    over, taken = asyncio.Event(), list[float]()
    lives = [asyncio.create_task(_live(agent, over, taken)) for agent in living]
    while len(taken) < len(living):  # noqa: ASYNC110 - they are in before the others come
        await asyncio.sleep(0.1)
    held = backlog()  # the same for all: what it costs to make is not the cloud's
    began = time.perf_counter()
    await asyncio.gather(*(agent.come_back(held) for agent in returning))
    took = time.perf_counter() - began
    over.set()
    await asyncio.gather(*lives)
    return took, taken


async def _live(agent: Returning, over: asyncio.Event, taken: list[float]) -> None:
    """Deliver a frame a second."""
    await agent.until_done(agent.log_in)
    seq = 0
    while not over.is_set():
        seq += 1
        began = time.perf_counter()
        rows = [one_of_each(seq, now_us())]
        await agent.until_done(partial(agent.deliver, rows))
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(max(0.0, 1.0 - taken[-1]))
    agent.hang_up()
