"""A program that fills a buffer with numbered readings until it is killed, printing what is safely on disk.

Arguments: the folder and, to end by itself, the number of groups.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edge_agent.buffer import Buffer
from edge_agent.config import BufferConfig
from tests.edge_agent.numbered import numbered


async def write(folder: Path, groups: float) -> None:
    buffer = Buffer(folder, BufferConfig(limit_mb=64, group_s=0.01), "en")
    await buffer.open()
    number = (await buffer.stats()).state.collected
    while groups > 0:
        groups -= 1
        buffer.add_readings(numbered(number, 7))
        number += 7
        await buffer.flush()
        print(number, flush=True)
    await buffer.close()


asyncio.run(write(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else float("inf")))
