"""The overview of fifty machines: 95th percentile in ms of its data as the API answers it; printed beside it, the page's.

A real cloud has a day of fifty machines in five lines, a value a minute of eight points each, and has rolled it up; then the
data and the page built of them are asked for over HTTP, warm. The ratio is limit / ours, so more is better, as everywhere.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np

from deploy.demo.platform import EMAIL, PASSWORD, Platform
from deploy.demo.processes import Plant as Processes
from protocols.reading import GOOD, now_us
from protocols.uplink.messages import Batch, Columns, DeviceReport, Health, HealthReply, PointRef
from tests.benchmarks.comparison import Comparison
from tests.doubles.plant import Plant

MACHINES, LINES, MINUTES, LIMIT_MS = 50, 5, 1440, 150.0
WARM_UP, ASKED = 10, 100
POINTS = (
    ("State", "machine_state", "C62"), ("Power", "active_power_total", "KWT"), ("Energy", "energy_active_import", "KWH"),
    ("GoodCnt", "part_count_good", "C62"), ("RejCnt", "part_count_reject", "C62"), ("Cycle", "cycle_time", "SEC"),
    ("Melt", "melt_temperature", "CEL"), ("Mould", "mould_temperature", "CEL"),
)  # fmt: skip
DATA = [f"/api/v1/{name}" for name in ("equipment", "points", "latest", "agents", "inspections?limit=6")]
ROLLED_UP_WITHIN_S = 900


def fill(platform: Platform) -> None:
    """Deliver the machines' past as an agent of who is signed in does, and place them in lines."""
    site = platform.get("/sites")[0]["id"]
    code = platform.client.post("/enrolment-codes", json={"site_id": site}).raise_for_status().json()["code"]
    with httpx.Client(base_url=platform.url, timeout=120) as agents:
        plant = Plant(agents)
        plant.enrol(code)
        names = [f"press-{number:02}" for number in range(MACHINES)]
        minutes = now_us() - 60_000_000 * np.arange(MINUTES, dtype=np.int64)[::-1]
        random = np.random.default_rng(7)
        for name in names:
            plant.deliver(Batch(columns=_columns(name, minutes, random)))
        devices = [
            DeviceReport(name, "opcua", "", "injection_moulding", "up", 1, len(POINTS), 0, "", "") for name in names
        ]
        now = now_us()
        health = Health(
            "0.1.0", now, now, devices, 1, 0, 0, 0, 0, 2 << 30, 0, 5 << 30, 88 << 20, buffer_hours_left=90.0
        )
        plant._post("/api/v1/uplink/health", health, HealthReply)
    lines = [
        platform.client.post("/lines", json={"site_id": site, "name": f"line {n}"}).json()["id"] for n in range(LINES)
    ]
    for number, machine in enumerate(platform.get("/equipment")):
        placed = platform.client.patch(f"/equipment/{machine['id']}", json={"line_id": lines[number % LINES]})
        placed.raise_for_status()


def _columns(name: str, minutes: np.ndarray, random: np.random.Generator) -> Columns:
    works = random.random(len(minutes)) > 0.1
    power = np.where(works, 31.0, 6.0)
    values = (
        np.where(works, 3.0, 2.0), power, np.cumsum(power) / 60, np.cumsum(works * 3.0), np.cumsum(works * 0.1),
        np.full(len(minutes), 18.0), np.full(len(minutes), 231.0), np.full(len(minutes), 62.0),
    )  # fmt: skip
    rows = len(minutes) * len(POINTS)
    return Columns(
        [PointRef(name, *point) for point in POINTS],
        np.tile(np.arange(len(POINTS), dtype="<u4"), len(minutes)).tobytes(),
        np.repeat(minutes.astype("<i8"), len(POINTS)).tobytes(),
        np.column_stack(values).astype("<f8").tobytes(),
        np.full(rows, int(GOOD), "<i2").tobytes(),
        np.full(rows, 3000, "<u4").tobytes(),
    )


def wait_for_roll_ups(platform: Platform) -> None:
    """Wait until the minutes of all machines are rolled up."""
    last = max(point["series_id"] for point in platform.get("/points"))
    deadline = time.monotonic() + ROLLED_UP_WITHIN_S
    end = datetime.now(UTC)
    span = {"start": (end - timedelta(minutes=MINUTES + 60)).isoformat(), "end": end.isoformat()}
    while True:
        answer = platform.get("/history", series_id=last, resolution="1h", **span)
        if sum(sample["n"] for sample in answer["curves"][0]["samples"]) >= MINUTES:
            return
        assert time.monotonic() < deadline, "the cloud does not roll up"
        time.sleep(1)


def answer_ms(platform: Platform, paths: Sequence[str]) -> list[float]:
    """Return how long it took to ask for all `paths` one after the other, over HTTP, signed in."""
    taken = []
    with httpx.Client(base_url=platform.url, timeout=60) as browser:
        browser.post("/login", data={"email": EMAIL, "password": PASSWORD, "next": "/"})
        for turn in range(-WARM_UP, ASKED):
            began = time.perf_counter()
            answers = [browser.get(path) for path in paths]
            elapsed = (time.perf_counter() - began) * 1000
            assert {answer.status_code for answer in answers} == {200}
            assert any("press-49" in answer.text for answer in answers)
            if turn >= 0:
                taken.append(elapsed)
    return taken


def p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


def measure() -> Comparison:
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        platform = Platform(processes)
        platform.start_cloud()
        platform.create_tenant()
        fill(platform)
        wait_for_roll_ups(platform)
        data, page = answer_ms(platform, DATA), answer_ms(platform, ["/"])
    print(f"data: p50 {statistics.median(data):.0f} ms, p95 {p95(data):.0f} ms", file=sys.stderr)
    print(f"whole page: p50 {statistics.median(page):.0f} ms, p95 {p95(page):.0f} ms", file=sys.stderr)
    what = f"the limit for the data of the overview of {MACHINES} machines"
    return Comparison("overview", what, "ms p95", round(p95(data), 1), LIMIT_MS, round(LIMIT_MS / p95(data), 3))
