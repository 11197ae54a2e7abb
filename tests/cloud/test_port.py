"""Answers leave at once: no connection to the cloud's or the box's pages waits for an acknowledgement first."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from cloud.core import port
from edge_agent.ui import app


@pytest.mark.parametrize("listen", [port.listen, app.listen])
def test_connections_send_at_once(listen: Callable[[str, int], socket.socket]) -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
