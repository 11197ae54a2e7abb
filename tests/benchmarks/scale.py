"""Rows stored per second and pages by 1, 2 and 4 processes of the cloud behind the deployed proxy, beside the same without it.

Twenty agents with a backlog deliver over HTTPS through Caddy, each to whichever process the proxy chose for it, and by turns
in the clear to the processes themselves, dealt out evenly. Then four people ask for the overview over and over, as a
browser's first request does. Agents, proxy, processes and database share this machine, so its cores are what limits.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count, cycle
from pathlib import Path

import httpx

from cloud.core.embedded import EmbeddedPostgres
from deploy.demo.platform import EMAIL, PASSWORD, Platform
from deploy.demo.processes import Plant
from protocols.reading import now_us
from tests.benchmarks.comparison import Comparison, NotHere, compare
from tests.benchmarks.ingest import enrolled, ours
from tests.benchmarks.overview import p95
from tests.doubles.proxied import CADDY, Proxied

PROCESSES = (1, 2, 4)
PEOPLE, ASKED, WARM_UP = 4, 40, 3


def measure() -> Comparison:
    if CADDY is None:
        raise NotHere("Caddy is not installed (apt install caddy)")
    starts = count(now_us() - 7_200_000_000, 300_000_000)
    with tempfile.TemporaryDirectory(prefix="sunmao-bench-") as folder, Plant(Path(folder)) as plant:
        postgres = EmbeddedPostgres(plant.folder / "postgres")
        try:
            dsn = postgres.start()
            platform = Platform(plant, dsn)
            platform.start_cloud()
            platform.create_tenant()
            agents = asyncio.run(enrolled(platform))
            plant.stop("cloud")
            for processes in PROCESSES:
                proxied = Proxied(plant, dsn, processes)
                proxied.start()
                # httpx trusts what is named here; the agents' clients are made in many places.
                os.environ["SSL_CERT_FILE"] = str(proxied.root)
                result = compare(
                    "scale",
                    f"{processes} processes of the cloud without the proxy, in the clear",
                    "rows/s",
                    lambda urls=[proxied.url]: asyncio.run(ours(agents, urls, next(starts))),
                    lambda urls=proxied.bare: asyncio.run(ours(agents, urls, next(starts))),
                )
                pages = [page_ms([proxied.url]), page_ms(proxied.bare)]
                said = "; ".join(f"p50 {statistics.median(each):.0f} ms, p95 {p95(each):.0f} ms" for each in pages)
                print(
                    f"{processes} processes: {result.ours:,.0f} rows/s through the proxy, {result.peer:,.0f} without, "
                    f"ratio {result.ratio:.2f}; page through, and without: {said}",
                    file=sys.stderr,
                )
                for name in list(plant.processes):
                    plant.stop(name)
        finally:
            postgres.stop()
    return result


def page_ms(urls: list[str]) -> list[float]:
    """Return how long each page took, asked for by all people at once."""
    with ThreadPoolExecutor(PEOPLE) as threads:
        each = threads.map(_asking, [url for url, _ in zip(cycle(urls), range(PEOPLE), strict=False)])
        return [taken for person in each for taken in person]


def _asking(url: str) -> list[float]:
    taken = []
    with httpx.Client(base_url=url, timeout=60) as browser:
        browser.post("/login", data={"email": EMAIL, "password": PASSWORD, "next": "/"})
        for turn in range(-WARM_UP, ASKED):
            began = time.perf_counter()
            answer = browser.get("/")
            elapsed = (time.perf_counter() - began) * 1000
            assert (answer.status_code, "workshop-19" in answer.text or "moulder-1" in answer.text) == (200, True)
            if turn >= 0:
                taken.append(elapsed)
    return taken
