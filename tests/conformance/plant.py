"""The far side of a driver under test: a simulated device, peers that misbehave, and a look at what is left behind."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil

from protocols.driver import Driver, Simulator
from protocols.reading import Value
from tests.conformance.case import DriverCase
from tests.doubles.serial_bridge import SerialBridge


class Plant:
    """The device under test: a simulator whose values the test sets. `place` is where messages say that it is."""

    def __init__(self, case: DriverCase, folder: Path) -> None:
        self.case = case
        self.values: Mapping[str, Value] = case.values
        self.port = 0
        self.address = self.place = ""
        self._simulator: Simulator | None = None
        self._bridge: SerialBridge | None = None
        self._path = folder / "ttyPLANT"

    async def start(self) -> None:
        self._simulator = self.case.simulator(lambda: self.values, self.port)
        self.address = await self._simulator.start()
        self.port = int(self.address.rpartition(":")[2].partition("/")[0])
        self.place = f"127.0.0.1:{self.port}"
        if self.case.serial:
            self.address = self.place = str(self._path)
            if self._bridge is None:
                self._bridge = SerialBridge(self._path, self.port)
                await self._bridge.start()

    async def stop(self) -> None:
        """Stop the device; a serial port stays, and nobody answers on it."""
        if self._simulator is not None:
            await self._simulator.stop()
            self._simulator = None

    async def remove(self) -> None:
        """Stop the device and unplug the serial port."""
        await self.stop()
        if self._bridge is not None:
            await self._bridge.stop()
            self._bridge = None


@asynccontextmanager
async def reaching(case: DriverCase, port: int, folder: Path) -> AsyncIterator[str]:
    """Yield the address under which a driver reaches the peer on `port` of 127.0.0.1."""
    if not case.serial:
        yield case.address(port)
        return
    bridge = SerialBridge(folder / "ttyPEER", port)
    await bridge.start()
    try:
        yield str(bridge.path)
    finally:
        await bridge.stop()


def connections(case: DriverCase, port: int, address: str) -> int:
    """Return how many connections to the peer this process has: sockets, or open files of its serial port.

    The far side of a bridge holds the serial port open once; that is not counted.
    """
    if not case.serial:
        return client_sockets(port)
    terminal = os.path.realpath(address)
    files = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]
    return sum(os.path.realpath(file) == terminal for file in files) - 1


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


class Mangler:
    """A relay to `port` of 127.0.0.1 that, once `cutting`, takes the last byte off whatever comes back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cutting = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._port)

        async def back() -> None:
            while data := await back_reader.read(65536):
                writer.write(data[:-1] if self.cutting else data)
            writer.close()

        task = asyncio.create_task(back())
        try:
            while data := await reader.read(65536):
                back_writer.write(data)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            back_writer.transport.abort()


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
