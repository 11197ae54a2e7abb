"""Rows made durable per second: the agent's buffer beside bare SQLite, WAL and synchronous=FULL, 2,000 rows a commit."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path

from edge_agent.buffer import Buffer
from edge_agent.config import BufferConfig
from protocols.reading import GOOD, Reading
from protocols.uplink.messages import PointRef
from tests.benchmarks.comparison import Comparison, compare

GROUPS, ROWS = 50, 2000
REFS = [PointRef("moulder-1", f"p{i}", "", "C62") for i in range(50)]


async def ours(folder: Path) -> float:
    buffer = Buffer(folder, BufferConfig(), "en")
    await buffer.open()
    start = time.perf_counter()
    for group in range(GROUPS):
        buffer.add_readings([(REFS[row % 50], Reading("", row * 0.5, GOOD, group, group)) for row in range(ROWS)])
        await buffer.flush()
    seconds = time.perf_counter() - start
    assert (await buffer.stats()).state.collected == GROUPS * ROWS
    await buffer.close()
    return GROUPS * ROWS / seconds


def bare(folder: Path) -> float:
    db = sqlite3.connect(folder / "bare.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE reading (device, point, property, unit, value, quality, source_time, arrival_time)")
    start = time.perf_counter()
    for group in range(GROUPS):
        readings = [(*_fields(REFS[row % 50]), row * 0.5, 0, group, group) for row in range(ROWS)]
        db.execute("BEGIN")
        db.executemany("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, ?, ?)", readings)
        db.execute("COMMIT")
    seconds = time.perf_counter() - start
    assert db.execute("SELECT count(*) FROM reading").fetchone() == (GROUPS * ROWS,)
    db.close()
    return GROUPS * ROWS / seconds


def _fields(ref: PointRef) -> tuple[str, str, str, str]:
    return ref.device, ref.name, ref.property, ref.unit


def measure() -> Comparison:
    def in_a_folder(run: object) -> float:
        with tempfile.TemporaryDirectory() as folder:
            return asyncio.run(ours(Path(folder))) if run is ours else bare(Path(folder))

    return compare(
        "buffer_write",
        "sqlite3, one row per reading",
        "rows/s",
        lambda: in_a_folder(ours),
        lambda: in_a_folder(bare),
    )
