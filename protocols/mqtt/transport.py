"""paho's client on asyncio's transport.

paho speaks MQTT, asyncio holds the socket: paho's own connecting blocks, its TLS handshake as well, and its loop wants
a thread. So paho is given a socket that is asyncio's transport on the one side and a buffer on the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

_VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}


class Pipe:
    """The socket paho is given: it reads what asyncio has received, and what it writes asyncio sends."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.transport: asyncio.Transport | None = None

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes; raises BlockingIOError where there are none yet."""
        if not self.received:
            raise BlockingIOError
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def send(self, data: bytes | bytearray) -> int:
        """Hand `data` to asyncio and return its length."""
        if self.transport is None or self.transport.is_closing():
            raise ConnectionError
        self.transport.write(data)
        return len(data)

    def fileno(self) -> int:
        """Return that there is no file descriptor."""
        return -1

    def setblocking(self, flag: bool) -> None:
        """Do nothing; it never blocks."""

    def close(self) -> None:
        """Do nothing; the link closes its transport."""


class Paho(Client):
    """paho's client on a socket it did not make.

    Args:
        socket: what it reads and writes.
        answered: called when the broker answers a ping.
        client_id: name at the broker.
        version: of MQTT, "3.1.1" or "5".
    """

    def __init__(self, socket: Pipe, answered: Callable[[], None], client_id: str, version: str) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=_VERSIONS[version], reconnect_on_failure=False
        )
        self._given = socket
        self._answered = answered

    def _create_socket(self) -> Any:
        return self._given

    def _handle_pingresp(self) -> MQTTErrorCode:
        self._answered()
        return super()._handle_pingresp()

    def ping(self) -> None:
        """Ask the broker for a sign of life."""
        self._send_pingreq()

    @property
    def announced_bytes(self) -> int:
        """Size of the packet that is being received."""
        return self._in_packet["remaining_length"]
