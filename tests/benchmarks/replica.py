"""What a streaming replica takes off the database: processor ms of the primary for a curve, beside the same without the replica.

A real cloud has 800,000 readings of 1,000 points. Curves of four points over all their readings are asked for over HTTP, by turns
of a process that knows the replica and of one that does not. Printed beside it: how long after a delivery was acknowledged
the replica knew it. All share this machine, so what is taken off the one server is done by the other.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import httpx
import psutil
import psycopg

from cloud.core.embedded import EmbeddedPostgres
from deploy.demo.platform import EMAIL, PASSWORD, Platform
from deploy.demo.processes import Plant, free_port, wait_until
from protocols.reading import now_us
from protocols.text import Text
from tests.benchmarks.comparison import Comparison
from tests.benchmarks.ingest import enrolled, ours
from tests.benchmarks.overview import p95
from tests.doubles.agent import POWER, AgentDouble, frame, readings
from tests.doubles.standby import standby

CURVES, ROUNDS, DELIVERIES = 150, 3, 100


def measure() -> Comparison:
    with tempfile.TemporaryDirectory(prefix="sunmao-bench-") as folder, Plant(Path(folder)) as plant:
        Path(folder).chmod(0o711)  # the user the servers run as has to reach them
        primary = EmbeddedPostgres(plant.folder / "postgres")
        try:
            dsn = primary.start()
            platform = Platform(plant, dsn)
            platform.start_cloud()
            platform.create_tenant()
            begin_us = now_us() - 3_600_000_000
            agents = asyncio.run(enrolled(platform))
            asyncio.run(ours(agents, [platform.url], begin_us))
            with standby(dsn, plant.folder / "replica") as there:
                lags = asyncio.run(_lags(platform, there))
                port = free_port()
                plant.start(
                    "with-replica", "sunmao-cloud", "serve", "--data", "cloud", "--dsn", dsn, "--port", str(port), "--read-dsn", there
                )  # fmt: skip
                url = f"http://127.0.0.1:{port}"
                wait_until(lambda: _answers(url), 60, Text("the cloud", "云端就绪"), plant.check)
                points = [point["series_id"] for point in platform.get("/points")]
                postmaster = psutil.Process(int((plant.folder / "postgres" / "postmaster.pid").read_text().split()[0]))
                taken: list[list[float]] = [[], []]
                for _ in range(ROUNDS):
                    for place, each in enumerate((url, platform.url)):
                        before = _cpu_ms(postmaster)
                        times = _curves(each, points, begin_us)
                        taken[place].append((_cpu_ms(postmaster) - before) / CURVES)
                        print(
                            f"{'without' if place else 'with'}: p50 {statistics.median(times):.0f} ms, p95 {p95(times):.0f} ms",
                            file=sys.stderr,
                        )
        finally:
            primary.stop()
    print(f"known to the replica after {statistics.median(lags):.1f} ms, p95 {p95(lags):.1f} ms", file=sys.stderr)
    mine, theirs = map(statistics.median, taken)
    what = "the primary without a replica"
    return Comparison(
        "replica", what, "ms CPU of the primary", round(mine, 2), round(theirs, 2), round(theirs / mine, 3)
    )


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", timeout=5).status_code == httpx.codes.OK
    return False


def _cpu_ms(postmaster: psutil.Process) -> float:
    total = 0.0
    for one in (postmaster, *postmaster.children()):
        with suppress(psutil.NoSuchProcess):
            total += sum(one.cpu_times()[:4])
    return total * 1000


def _curves(url: str, points: list[int], begin_us: int) -> list[float]:
    """Return how long each curve took, in ms."""
    taken = []
    span = {"start": _iso(begin_us), "end": _iso(begin_us + 120_000_000), "max_points": 500}
    with httpx.Client(base_url=url, timeout=60) as client:
        client.post("/api/v1/sessions", json={"email": EMAIL, "password": PASSWORD}).raise_for_status()
        for number in range(CURVES):
            began = time.perf_counter()
            four = [points[(number * 4 + each) % len(points)] for each in range(4)]
            client.get("/api/v1/history", params=span | {"series_id": four}).raise_for_status()
            taken.append((time.perf_counter() - began) * 1000)
    return taken


def _iso(us: int) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(us / 1e6))}Z"


async def _lags(platform: Platform, there: str) -> list[float]:
    """Return how long after its acknowledgement each delivery was in the replica, in ms."""
    agent = AgentDouble(platform.url, "live")
    lags = []
    async with agent.http, await psycopg.AsyncConnection.connect(there, autocommit=True) as replica:
        await agent.enrol(platform.code())
        await agent.log_in()
        for seq in count(1):
            await agent.deliver(frame(seq, readings(POWER, [float(seq)], now_us())))
            began = time.perf_counter()
            asked = "SELECT count(*) FROM ledger WHERE agent_id = %s AND seq = %s"
            while (await (await replica.execute(asked, [agent.agent_id, seq])).fetchone()) != (1,):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            lags.append((time.perf_counter() - began) * 1000)
            if seq == DELIVERIES:
                return lags
            await asyncio.sleep(0.05)
    return lags
