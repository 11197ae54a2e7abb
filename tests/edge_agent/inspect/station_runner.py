"""A program that runs an inspection station on a real buffer until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edge_agent.buffer import Buffer
from edge_agent.config import BufferConfig, InspectionConfig, parse_config
from edge_agent.inspect.station import Station


async def work(folder: Path, bundle: Path, trust: str) -> None:
    buffer = Buffer(folder, BufferConfig(limit_mb=64, group_s=0.01), "en")
    await buffer.open()
    whole = parse_config('[agent]\nname = "a"\n[cloud]\nurl = "http://127.0.0.1:1"', folder / "agent.toml")
    config = InspectionConfig(device="camera-1", folder=folder / "pictures", bundle=bundle, trust=[trust], keep=200)
    await Station(config, buffer, lambda: whole).run()


asyncio.run(work(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
