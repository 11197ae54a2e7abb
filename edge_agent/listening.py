"""Which processes run a program, and which TCP ports a process listens on, as Linux tells in /proc (proc(5))."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

_LISTEN = "0A"
"""TCP_LISTEN of include/net/tcp_states.h."""


class Listener(NamedTuple):
    """One open port."""

    address: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        """Return address:port."""
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


def processes_of(program: str) -> list[int]:
    """Return the processes that run `program`, an entry point such as "sunmao-edge"."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            words = (process / "cmdline").read_bytes().split(b"\0")[:3]
            if any(os.path.basename(os.fsdecode(word)) == program for word in words):
                found.append(int(process.name))
    return found


def listeners_of(pid: int) -> list[Listener]:
    """Return the ports on which `pid` listens; [] where the system does not tell (another user's process)."""
    process = Path(f"/proc/{pid}")
    inodes: set[str] = set()
    with suppress(OSError):
        for link in (process / "fd").iterdir():
            with suppress(OSError):
                found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link))
                if found:
                    inodes.add(found[1])
    listening = set()
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (process / "net" / name).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and fields[9] in inodes:
                    host, _, port = fields[1].partition(":")
                    listening.add(Listener(_address(host), int(port, 16)))
    return sorted(listening, key=lambda listener: (listener.port, str(listener.address)))


def _address(written: str) -> IPv4Address | IPv6Address:
    """Return the address of hexadecimal words, each in the byte order of the machine (little-endian on all we run on)."""
    raw = bytes.fromhex(written)
    address = ip_address(b"".join(raw[place : place + 4][::-1] for place in range(0, len(raw), 4)))
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
