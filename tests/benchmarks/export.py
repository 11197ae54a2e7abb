"""Ten million points as CSV, Parquet and XLSX over HTTP: the most memory the serving process takes, in MB.

The limit is 256 MB of resident memory for the whole process, its pages and libraries among them; ratio = limit / ours.
`SUNMAO_BENCH_POINTS` sets how many points are exported.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil

from cloud.core.embedded import EmbeddedPostgres
from deploy.demo.platform import Platform
from deploy.demo.processes import Plant
from tests.benchmarks.comparison import Comparison
from tests.benchmarks.stored import fill

LIMIT_MB, SERIES = 256.0, 6
POINTS = int(os.environ.get("SUNMAO_BENCH_POINTS", "10000000"))


@contextmanager
def highest_rss(pid: int) -> Iterator[list[float]]:
    """Give a list whose one element is the most resident memory of `pid` seen so far, in MB."""
    process, seen, over = psutil.Process(pid), [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            seen[0] = max(seen[0], process.memory_info().rss / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def measure() -> Comparison:
    days = -(-POINTS // (SERIES * 86_400))
    peaks = []
    with tempfile.TemporaryDirectory() as folder, Plant(Path(folder)) as plant:
        platform = Platform(plant)
        platform.start_cloud()
        platform.create_tenant()
        platform.write_config([("meter-1", "demo-energy-meter", "127.0.0.1:502")])
        platform.enrol()
        postgres = EmbeddedPostgres(plant.folder / platform.data / "postgres")
        try:
            filled = fill(platform, postgres.start(), series=SERIES, days=days, roll_up=False)
            for kind in ("csv", "parquet", "xlsx"):
                params: dict[str, str | list[int]] = {
                    "series_id": filled.series,
                    "start": filled.start.isoformat(),
                    "end": (filled.start + timedelta(days=days)).isoformat(),
                    "format": kind,
                }
                began, size = time.perf_counter(), 0
                with (
                    highest_rss(plant.processes["cloud"].pid) as peak,
                    platform.client.stream("GET", "/export", params=params, timeout=3600) as answer,
                ):
                    answer.raise_for_status()
                    for piece in answer.iter_bytes():
                        size += len(piece)
                peaks.append(peak[0])
                took_s = time.perf_counter() - began
                said = f"{filled.points:,} points as {kind}: {size / 1e6:.0f} MB in {took_s:.0f} s, at most {peak[0]:.0f} MB"
                print(said, file=sys.stderr)
        finally:
            postgres.stop()
    what = f"the limit of resident memory while {filled.points / 1e6:.1f} M points are exported"
    return Comparison("export", what, "MB", round(max(peaks), 1), LIMIT_MB, round(LIMIT_MB / max(peaks), 3))
