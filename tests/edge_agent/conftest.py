"""What the tests of the agent share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from edge_agent.buffer import Buffer
from edge_agent.cloud_link import CloudLink
from edge_agent.config import BufferConfig
from edge_agent.forward import Forwarder
from edge_agent.identity import Login
from tests.doubles.cloud import CloudDouble

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


@pytest.fixture
async def cloud() -> AsyncIterator[CloudDouble]:
    """A running double of the cloud."""
    double = CloudDouble()
    await double.start()
    yield double
    await double.stop()


@asynccontextmanager
async def forwarding(buffer: Buffer, cloud: CloudDouble, state_dir: Path) -> AsyncIterator[Forwarder]:
    """A forwarder at work."""
    async with CloudLink(cloud.url) as link:
        forwarder = Forwarder(buffer, link, Login(state_dir, link), state_dir, buffer.announce)
        task = asyncio.create_task(forwarder.run())
        try:
            yield forwarder
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    """Wait for `condition`, which nothing announces; fails after `deadline_s`."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - it may come true in another process
            await asyncio.sleep(0.005)
