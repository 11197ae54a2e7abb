"""The durable half of an agent - buffer and forwarder - fed with numbered readings of three tags until it is killed.

Arguments: the state directory (enrolled), the cloud's address, and how many readings to end after (0: never).
Prints the next number at the start and after every group that is on disk.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edge_agent.buffer import Buffer
from edge_agent.cloud_link import CloudLink
from edge_agent.config import BufferConfig
from edge_agent.forward import Forwarder
from edge_agent.identity import Login
from protocols.reading import GOOD, Reading
from protocols.uplink.messages import PointRef

TAGS = [PointRef("press-1", f"tag {number}", "", "C62") for number in range(3)]


async def run(state_dir: Path, url: str, most: int) -> None:
    buffer = Buffer(state_dir, BufferConfig.model_validate({"limit_mb": 64, "group_s": 0.01}), "en")
    await buffer.open()
    number = (await buffer.stats()).state.collected
    print(number, flush=True)
    async with CloudLink(url) as link:
        forwarder = Forwarder(buffer, link, Login(state_dir, link), state_dir, buffer.announce)
        sending = asyncio.create_task(forwarder.run())
        while not most or number < most:
            count = 10
            buffer.add_readings(
                [(TAGS[n % 3], Reading(TAGS[n % 3].name, float(n), GOOD, n, n)) for n in range(number, number + count)]
            )
            number += count
            await buffer.flush()
            print(number, flush=True)
            await asyncio.sleep(0.002)
        while (await buffer.stats()).frames:  # noqa: ASYNC110 - the program ends with an empty buffer
            await asyncio.sleep(0.05)
        sending.cancel()
    await buffer.close()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
