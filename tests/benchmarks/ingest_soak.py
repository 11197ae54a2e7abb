"""The cloud under full load for long: `python -m tests.benchmarks.ingest_soak [MINUTES]`, 20 agents with a backlog.

Prints rate and memory of the serving process, early and late, and writes .bench/ingest_soak.json. Memory has to stay flat.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil
from rich.console import Console

from deploy.demo.platform import Platform
from deploy.demo.processes import Plant
from protocols.reading import now_us
from tests.benchmarks.ingest import AGENTS, FRAMES, ROWS, enrolled, ours


class IngestSoak(msgspec.Struct, frozen=True):
    """What was seen. Rates in rows/s; resident memory of the serving process in megabytes; `growth` in percent."""

    minutes: float
    rows: int
    rate: float
    memory_first: float
    memory_last: float
    memory_most: float
    growth: float


def soak(minutes: float, folder: Path) -> IngestSoak:
    """Deliver for `minutes`; the first round is for warming up."""
    with Plant(folder) as plant:
        platform = Platform(plant)
        platform.start_cloud()
        platform.create_tenant()
        agents = asyncio.run(enrolled(platform))
        start_us = now_us() - 6 * 3_600_000_000
        asyncio.run(ours(agents, [platform.url], start_us))
        serving = psutil.Process(plant.processes["cloud"].pid)
        memory, began, rounds = [], time.monotonic(), 0
        while (seconds := time.monotonic() - began) < minutes * 60:
            rounds += 1
            asyncio.run(ours(agents, [platform.url], start_us + rounds * 80_000_000))
            memory.append(serving.memory_info().rss / 1e6)
    quarter = max(len(memory) // 4, 1)
    early, late = sum(memory[:quarter]) / quarter, sum(memory[-quarter:]) / quarter
    rows = rounds * AGENTS * FRAMES * ROWS
    return IngestSoak(
        round(seconds / 60, 1),
        rows,
        round(rows / seconds),
        round(early, 1),
        round(late, 1),
        round(max(memory), 1),
        round(100 * (late / early - 1), 2),
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = soak(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0, Path(folder))
    Console().print(found)
    Path(".bench").mkdir(exist_ok=True)
    Path(".bench/ingest_soak.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


if __name__ == "__main__":
    main()
