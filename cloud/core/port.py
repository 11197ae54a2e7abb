"""The port the cloud listens on."""

from __future__ import annotations

import socket

from protocols.errors import ConfigError
from protocols.text import Text


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `port` of `host`, 0 for one of the system's choice; raises ConfigError.

    asyncio sends at once only over sockets that name their protocol, which this one does not: without TCP_NODELAY, which
    connections inherit, an answer's body would wait 40 ms for the headers to be acknowledged.
    """
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise ConfigError(
            Text(f"cannot listen on {host}:{port}: {error.strerror}", f"无法监听 {host}:{port}:{error.strerror}"),
            Text(
                "stop what uses it, or choose another --port (0: the system's choice)",
                "请停止占用该端口的程序，或更换 --port(0 表示自动选择)",
            ),
            key="--port",
        ) from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
