"""A month's chart of one-second readings at 1,000 pixels, among very many stored points: 95th percentile in ms.

Rows are loaded by direct COPY and rolled up by the cloud's own statements; then charts are asked for over HTTP from a
served cloud, warm, by turns as buckets and as picked samples, of ever another series. The limit is 200 ms; the ratio is
limit / ours, so more is better, as everywhere. `SUNMAO_BENCH_POINTS` sets how many points are stored (20,736,000: eight
series; 103,680,000 in `make bench-full`).
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import httpx

from cloud.core.embedded import EmbeddedPostgres
from deploy.demo.platform import Platform
from deploy.demo.processes import Plant
from tests.benchmarks.comparison import Comparison
from tests.benchmarks.stored import Filled, fill

DAYS, LIMIT_MS, PIXELS = 30, 200.0, 1000
WARM_UP, ASKED = 16, 100
POINTS = int(os.environ.get("SUNMAO_BENCH_POINTS", str(8 * DAYS * 86_400)))


def ask(client: httpx.Client, filled: Filled) -> dict[str, list[float]]:
    """Return the ms of `ASKED` charts of either shape."""
    taken: dict[str, list[float]] = {"buckets": [], "lttb": []}
    for turn in range(-WARM_UP, ASKED):
        for shape, times in taken.items():
            params: dict[str, str | int] = {
                "series_id": filled.series[turn % len(filled.series)],
                "start": filled.start.isoformat(),
                "end": (filled.start + timedelta(days=DAYS)).isoformat(),
                "max_points": PIXELS,
                "shape": shape,
            }
            began = time.perf_counter()
            answer = client.get("/history", params=params)
            elapsed = (time.perf_counter() - began) * 1000
            samples = answer.json()["curves"][0]["samples"]
            assert sum(sample["n"] for sample in samples) == DAYS * 86_400, answer.text[:300]
            if turn >= 0:
                times.append(elapsed)
    return taken


def p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


def measure() -> Comparison:
    with tempfile.TemporaryDirectory() as folder, Plant(Path(folder)) as plant:
        platform = Platform(plant)
        platform.start_cloud()
        platform.create_tenant()
        platform.write_config([("meter-1", "demo-energy-meter", "127.0.0.1:502")])
        platform.enrol()
        postgres = EmbeddedPostgres(plant.folder / platform.data / "postgres")
        try:
            filled = fill(platform, postgres.start(), series=max(POINTS // (DAYS * 86_400), 1), days=DAYS)
            taken = ask(platform.client, filled)
        finally:
            postgres.stop()
    slowest = max(p95(times) for times in taken.values())
    said = ", ".join(f"{shape} p95 {p95(times):.0f} ms" for shape, times in taken.items())
    print(f"{filled.points:,} points stored: {said}", file=sys.stderr)
    what = f"the limit for a {DAYS}-day chart at {PIXELS} px among {filled.points / 1e6:.0f} M points"
    return Comparison("chart", what, "ms p95", round(slowest, 1), LIMIT_MS, round(LIMIT_MS / slowest, 3))
