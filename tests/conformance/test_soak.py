"""Memory stays flat while a driver reads, is closed and made anew: seconds here, `SOAK_S=600` for the long run."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import tracemalloc

from tests.conformance.case import DriverCase
from tests.conformance.plant import Plant, opened

SOAK_S = float(os.environ.get("SOAK_S", "0"))
ROUNDS, READS = 2, 10
"""Connections in the short run, and reads in each."""

MOST_BYTES = 200_000
"""Growth that is none: caches fill, numbers get longer. A reading that is kept takes over 200 bytes."""


async def test_memory_is_flat(case: DriverCase, plant: Plant) -> None:
    async def round_of_reads() -> None:
        async with opened(case.driver(plant.address)) as driver:
            for _ in range(READS // 3 if case.serial else READS):  # a port is taken anew for each request
                await driver.read(case.points)
                await asyncio.sleep(0)

    await round_of_reads()
    tracemalloc.start()
    try:
        await round_of_reads()
        before = _held()
        end = time.monotonic() + SOAK_S
        rounds = 0
        while rounds < ROUNDS or time.monotonic() < end:
            await round_of_reads()
            rounds += 1
        assert _held() - before < MOST_BYTES, f"after {rounds} connections"
    finally:
        tracemalloc.stop()


def _held() -> int:
    """Return the bytes that Python objects hold."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
