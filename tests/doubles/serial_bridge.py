"""A serial port that leads to a TCP port: what a serial server does, the other way round."""

from __future__ import annotations

import asyncio
import os
import tty
from contextlib import suppress
from pathlib import Path


class SerialBridge:
    """A pseudo terminal, under the name `path`, whose far end speaks to `port` of 127.0.0.1.

    It connects at the first byte and hangs up when the other side does; bytes nobody takes are lost, as on a wire.
    """

    def __init__(self, path: Path, port: int) -> None:
        self.path = path
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Make the port."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path.symlink_to(os.ttyname(self._slave))
        os.set_blocking(self._master, False)
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._loop.add_reader(self._master, self._on_bytes)
        self._spawn(self._carry())

    def _spawn(self, work: object) -> None:
        task = self._loop.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_bytes(self) -> None:
        with suppress(BlockingIOError):
            self._queue.put_nowait(os.read(self._master, 4096))

    async def _carry(self) -> None:
        while True:
            data = await self._queue.get()
            try:
                if self._writer is None or self._writer.is_closing():
                    reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
                    self._spawn(self._back(reader, self._writer))
                self._writer.write(data)
            except OSError:
                self._writer = None

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                os.write(self._master, data)
        writer.transport.abort()

    async def stop(self) -> None:
        """Unplug it."""
        self._loop.remove_reader(self._master)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._writer is not None:
            self._writer.transport.abort()
            await asyncio.sleep(0)
        os.close(self._master)
        os.close(self._slave)
        self.path.unlink()
