"""A program that fills a small buffer with numbered readings and settles what it holds now and then, as `forward` does.

Arguments: the folder and the number of groups. Prints "held N" when numbers below N are on disk, and "gone N" before those
below N are let go.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edge_agent.buffer import Buffer
from edge_agent.config import BufferConfig
from tests.edge_agent.numbered import drain, numbered


async def write(folder: Path, groups: int) -> None:
    buffer = Buffer(folder, BufferConfig(limit_mb=1, group_s=0.01), "en")
    await buffer.open()
    for group in range(1, groups + 1):
        buffer.add_readings(numbered(group * 50 - 50, 50))
        await buffer.flush()
        print(f"held {group * 50}\n", end="", flush=True)
        if group % 7 == 0:
            print(f"gone {group * 50}\n", end="", flush=True)
            await drain(buffer)


asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
