"""What the tests of this room share: points of a test plant, an open driver, an inbox for what is delivered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.opcua.driver import OpcuaDriver
from protocols.reading import Reading

DEADLINE_S = 20.0
"""After this a wait has failed; far above anything a loaded machine needs."""

NAMESPACE = "urn:test:plant"


class Inbox:
    """Collects what a subscription delivers."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self._news = asyncio.Event()

    def deliver(self, readings: Sequence[Reading]) -> None:
        self.readings += readings
        self._news.set()

    def latest(self) -> dict[str, Reading]:
        return {reading.point: reading for reading in self.readings}

    async def until(self, condition: Callable[[dict[str, Reading]], bool]) -> dict[str, Reading]:
        """Wait until `condition` holds for the latest reading of each point, and return these."""

        async def wait() -> None:
            while not condition(self.latest()):
                self._news.clear()
                await self._news.wait()

        try:
            await asyncio.wait_for(wait(), DEADLINE_S)
        except TimeoutError:
            pytest.fail(f"not within {DEADLINE_S} s; the latest readings are {self.latest()}")
        return self.latest()


def point(name: str, node: str | None = None, **fields: Any) -> OpcuaPoint:
    """A point of the test plant; its node has the point's name unless given."""
    return OpcuaPoint(name=name, node=node or f"nsu={NAMESPACE};s={name}", **fields)


@asynccontextmanager
async def opened(endpoint: str, points: Sequence[OpcuaPoint] = (), **fields: Any) -> AsyncIterator[OpcuaDriver]:
    """An open driver of `endpoint`; closed at the end."""
    connection = OpcuaConnection.model_validate({"endpoint": endpoint, "security": "none", **fields})
    driver = OpcuaDriver("machine-1", connection, points)
    try:
        await driver.open()
        yield driver
    finally:
        await driver.close()
