"""A link that can be cut so that nobody is told: what is sent into it is swallowed, and nothing comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class SilentLink:
    """Forwards connections to `port` of this machine; see `silent_link`."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""

    def cut(self) -> None:
        """Swallow everything from now on."""
        self._open.clear()

    def heal(self) -> None:
        """Forward new connections again; those that were cut are reset, as a router would that knows them no more."""
        for writer in self._writers:
            writer.transport.abort()
        self._open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection."""
        self._writers.add(writer)
        try:
            await self._open.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(back)
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
            self._writers.discard(back)
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def silent_link(url: str) -> AsyncIterator[SilentLink]:
    """Have a link to what answers at `url`."""
    link = SilentLink(urlsplit(url).port or 80)
    server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
    link.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield link
    finally:
        link.heal()
        server.close()
