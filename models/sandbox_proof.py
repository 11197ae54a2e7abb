"""Proves that the walls of `models.sandbox` hold on this machine, by trying to get past them from inside."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_NEWUSER = 0x10000000
DISK, PROCESSES = 8 << 20, 24
"""What is allowed for while it is tried."""


def trespasses(secret: str, pid: int, port: int, line: str) -> list[str]:
    """Return by name what was possible inside and must not be; none if the walls hold.

    Args:
        secret: a file outside that is not given.
        pid: of a process outside.
        port, line: a TCP port of the loopback and a local socket with an abstract name, where somebody listens outside.
    """
    tries: dict[str, Callable[[], object]] = {
        "read a file outside": lambda: Path(secret).read_bytes(),
        "write where it runs": lambda: Path(__file__).touch(),
        "signal a process outside": lambda: os.kill(pid, signal.SIGCONT),
        "see processes outside": lambda: Path(f"/proc/{pid}/stat").read_bytes(),
        "connect to the loopback": lambda: socket.create_connection(("127.0.0.1", port), timeout=1),
        "send to the loopback": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)),
        "connect to a local socket": lambda: socket.socket(socket.AF_UNIX).connect(f"\0{line}"),
        "write without end": lambda: Path("full").write_bytes(bytes(DISK + 1)),
        "be the superuser": lambda: os.chroot("."),
        "start processes without end": lambda: _fork(PROCESSES + 1),
        "be the superuser of a namespace": _own_namespace,
    }
    found = []
    for name, attempt in tries.items():
        with suppress(OSError):
            attempt()
            found.append(name)
    return found


def _own_namespace() -> None:
    """Enter a user namespace, in which there would be every capability again."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")


def _fork(count: int) -> None:
    children: list[int] = []
    try:
        for _ in range(count):
            child = os.fork()
            if not child:
                signal.pause()
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
