"""What the tests of the agent share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.buffer import Buffer
from edge_agent.config import BufferConfig

OpenBuffer = Callable[..., Awaitable[Buffer]]


@pytest.fixture
async def open_buffer(tmp_path: Path) -> AsyncIterator[OpenBuffer]:
    """Opens buffers in the test's folder and closes them afterwards."""
    opened: list[Buffer] = []

    async def open_one(folder: Path = tmp_path, **settings: Any) -> Buffer:
        buffer = Buffer(folder, BufferConfig(**({"limit_mb": 64, "group_s": 0.01} | settings)), "en")
        await buffer.open()
        opened.append(buffer)
        return buffer

    yield open_one
    for buffer in opened:
        await buffer.close()
