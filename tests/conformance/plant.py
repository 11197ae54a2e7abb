"""The far side of a driver under test: a simulated device, peers that misbehave, and a look at what is left behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import psutil

from protocols.driver import Driver, Simulator
from protocols.reading import Value
from tests.conformance.case import DriverCase


class Plant:
    """The device under test: a simulator whose values the test sets."""

    def __init__(self, case: DriverCase) -> None:
        self.case = case
        self.values: Mapping[str, Value] = case.values
        self.port = 0
        self.address = ""
        self._simulator: Simulator | None = None

    async def start(self) -> None:
        self._simulator = self.case.simulator(lambda: self.values, self.port)
        self.address = await self._simulator.start()
        self.port = int(self.address.rpartition(":")[2].partition("/")[0])

    async def stop(self) -> None:
        if self._simulator is not None:
            await self._simulator.stop()
            self._simulator = None


@asynccontextmanager
async def listening(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve `handler` on 127.0.0.1 and yield the port."""
    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):  # either side has hung up
            try:
                await handler(reader, writer)
            finally:
                writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        waiting = [task for task in tasks if task is not None]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(0)  # lets the event loop close the sockets


@asynccontextmanager
async def opened(driver: Driver) -> AsyncIterator[Driver]:
    """Open `driver`; close it at the end."""
    try:
        await driver.open()
        yield driver
    finally:
        await driver.close()


def client_sockets(port: int) -> int:
    """Return how many sockets of this process are connected to `port` of 127.0.0.1."""
    return sum(
        1
        for connection in psutil.Process().net_connections("tcp")
        if connection.raddr and connection.raddr.port == port
    )


def tasks_and_threads() -> set[object]:
    """Return what runs besides the test itself."""
    return {*asyncio.all_tasks(), *threading.enumerate()}


async def only_left(before: set[object], deadline_s: float) -> None:
    """Wait until nothing runs that is not in `before`; a peer's own handlers need a moment to see the end."""
    deadline = time.monotonic() + deadline_s
    while left := tasks_and_threads() - before:
        assert time.monotonic() < deadline, f"left behind: {left}"
        await asyncio.sleep(0.01)
