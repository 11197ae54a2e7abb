"""asyncua's client transport, bounded in size, able to say why it closed, and quiet."""

from __future__ import annotations

import logging
from typing import Any

from asyncua import ua
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.client.ua_session import UaSession

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Largest answer taken from a server; asyncua's own bound is 100 MB (or none, if the server says so)."""

MAX_CHUNKS = MAX_MESSAGE_BYTES // 8192 + 1
"""8192 bytes is the smallest chunk size a peer may choose (Part 6, 7.1.2.3)."""

_FIRST_CHUNK_BYTES = 65536
"""Largest chunk taken before the server has said how large its chunks are."""

_CHUNKS = {ua.MessageType.Acknowledge, ua.MessageType.Error, ua.MessageType.SecureOpen, ua.MessageType.SecureMessage}
"""What a server sends (Part 6, 7.1.2.2)."""


class Socket(UASocketProtocol):  # type: ignore[misc]
    """asyncua's socket, bounded in size and able to say why it closed."""

    refusal: int | None = None
    garbled = False
    _chunk_bytes = _FIRST_CHUNK_BYTES

    async def send_hello(self, url: str, max_messagesize: int = 0, max_chunkcount: int = 0) -> Any:
        """Say hello, and hold the server to our limits whatever its own are."""
        acknowledge = await super().send_hello(url, max_messagesize, max_chunkcount)
        # asyncua takes the server's limits for requests as ours for answers, and the two buffers crosswise.
        limits = self._connection._limits
        limits.max_message_size = MAX_MESSAGE_BYTES
        limits.max_chunk_count = MAX_CHUNKS
        limits.max_recv_buffer = self._chunk_bytes = min(acknowledge.SendBufferSize, MAX_MESSAGE_BYTES)
        limits.max_send_buffer = min(acknowledge.ReceiveBufferSize, _FIRST_CHUNK_BYTES)
        return acknowledge

    def data_received(self, data: bytes) -> None:
        """Take bytes from the server; hang up on what cannot be the beginning of a chunk, without waiting for its end."""
        super().data_received(data)
        begun = self.receive_buffer or b""
        size = int.from_bytes(begun[4:8], "little")
        if len(begun) >= 8 and not (begun[:3] in _CHUNKS and 8 < size <= self._chunk_bytes):
            self.disconnect_socket()

    def _process_received_message(self, message: Any) -> None:
        if isinstance(message, ua.ErrorMessage):
            self.refusal = message.Error.value
        elif isinstance(message, ua.Message) and isinstance(message.SecurityHeader(), ua.AsymmetricAlgorithmHeader):
            # A refused channel is answered with a fault; unchecked it becomes an AssertionError without a reason.
            self.check_answer(message.body(), "")
        super()._process_received_message(message)

    def disconnect_socket(self) -> None:
        """Hang up, by asyncua's decision or by ours."""
        self.garbled = True  # nobody asks after an orderly close
        super().disconnect_socket()


class _UaSession(UaSession):  # type: ignore[misc]
    """asyncua's session without its publish loop, which logs failures and carries on."""

    def ensure_publish_loop(self) -> None:
        """Do nothing: `subscription.py` publishes."""


class Transport(UaClient):  # type: ignore[misc]
    """asyncua's transport over our socket."""

    reached = False
    """Whether anybody took the connection."""

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.session = _UaSession(self)

    def _make_protocol(self) -> Socket:
        self.reached = True  # the event loop asks for a protocol when it has a connection for it
        self.protocol = Socket(self._timeout, security_policy=self.security_policy)
        return self.protocol


def silence(*names: str) -> None:
    """Keep these loggers of asyncua from telling what we report ourselves; those somebody has set are left alone."""
    for name in names:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL + 1)
