"""Rows stored per second: deliveries over HTTP into the cloud beside bare binary COPY into the same PostgreSQL.

Ours logs in, decodes, keeps the ledger and commits frame by frame; the peer copies ready-made records of the same rows
into a table with the same columns and index, one transaction per frame.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from uuid import uuid4

import numpy as np
import psycopg

from cloud.core.embedded import EmbeddedPostgres
from cloud.telemetry.columns import COPY_HEADER, COPY_TRAILER, Numbers
from deploy.demo.platform import Platform
from deploy.demo.processes import Plant
from edge_agent.cloud_link import CloudLink
from edge_agent.forward import BATCHES
from edge_agent.identity import Login
from protocols.reading import GOOD, Reading, now_us
from protocols.uplink.codec import columns_of, encode
from protocols.uplink.messages import Batch, Columns, Delivery, Frame, PointRef, Receipt
from tests.benchmarks.comparison import Comparison, compare

FRAMES, ROWS, POINTS = 40, 5000, 200
FRAMES_PER_DELIVERY = 8
REFS = [PointRef("moulder-1", f"p{i}", "", "C62") for i in range(POINTS)]


def batches(start_us: int) -> Iterator[Columns]:
    """Yield `FRAMES` batches of `ROWS` rows, a sample of each point every 100 ms."""
    for frame in range(FRAMES):
        first = frame * ROWS
        readings = [
            (REFS[row % POINTS], Reading("", row * 0.1, GOOD, start_us + row // POINTS * 100_000, start_us))
            for row in range(first, first + ROWS)
        ]
        columns, _ = columns_of(readings)
        assert columns is not None
        yield columns


async def ours(platform: Platform, start_us: int) -> float:
    frames = [Frame(seq, encode(Batch(columns=columns))) for seq, columns in enumerate(batches(start_us), 1)]
    epoch = str(uuid4())
    async with CloudLink(platform.url) as link:
        token = await Login(platform.plant.folder / "state", link).token()
        start = time.perf_counter()
        for first in range(0, FRAMES, FRAMES_PER_DELIVERY):
            delivery = Delivery(epoch, frames[first : first + FRAMES_PER_DELIVERY])
            receipt = await link.post(BATCHES, delivery, Receipt, token)
            assert len(receipt.stored) == FRAMES_PER_DELIVERY
        return FRAMES * ROWS / (time.perf_counter() - start)


def bare(connection: psycopg.Connection, start_us: int) -> float:
    ids = np.arange(POINTS)
    payloads = [COPY_HEADER + Numbers(columns).records(ids) + COPY_TRAILER for columns in batches(start_us)]
    start = time.perf_counter()
    for payload in payloads:
        with connection.transaction(), connection.cursor().copy("COPY bare FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(payload)
    return FRAMES * ROWS / (time.perf_counter() - start)


def measure() -> Comparison:
    starts = count(now_us() - 3_600_000_000, 300_000_000)
    with tempfile.TemporaryDirectory() as folder, Plant(Path(folder)) as plant:
        platform = Platform(plant)
        platform.start_cloud()
        platform.create_tenant()
        platform.write_config([("moulder-1", "demo-energy-meter", "127.0.0.1:502")])
        platform.enrol()
        postgres = EmbeddedPostgres(plant.folder / platform.data / "postgres")
        try:
            with psycopg.connect(postgres.start(), autocommit=True) as connection:
                connection.execute(
                    "CREATE TABLE bare (series_id int NOT NULL, ts timestamptz NOT NULL, value float8 NOT NULL,"
                    " quality smallint NOT NULL)"
                )
                connection.execute("CREATE INDEX ON bare (series_id, ts)")
                return compare(
                    "ingest",
                    "binary COPY through psycopg",
                    "rows/s",
                    lambda: asyncio.run(ours(platform, next(starts))),
                    lambda: bare(connection, next(starts)),
                )
        finally:
            postgres.stop()
