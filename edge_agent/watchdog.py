"""Tells systemd that the agent is ready and that it lives (sd_notify(3)); elsewhere it does nothing.

What is proven is that the event loop turns: an agent that hangs is killed and started again, with all that was acknowledged
on disk. A device, a disk or a cloud that does not answer is no reason: all of these have their own way of being said.
"""

from __future__ import annotations

import asyncio
import os
import socket

_US = 1_000_000


async def keep_watched() -> None:
    """Say that it is ready, then that it lives, twice in the time systemd allows, until cancelled."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # a name of the abstract kind
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.setblocking(False)
        _say(systemd, address, b"READY=1")
        allowed = int(os.environ.get("WATCHDOG_USEC", "0"))
        # Set for every child of the unit; only the one that is meant shall answer.
        if not allowed or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            return
        while True:
            _say(systemd, address, b"WATCHDOG=1")
            await asyncio.sleep(allowed / _US / 2)


def _say(systemd: socket.socket, address: str, what: bytes) -> None:
    try:
        systemd.sendto(what, address)
    except OSError:
        return  # one word lost; the next one counts
