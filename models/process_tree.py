"""What a process and all it has started use together; see proc(5)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PARENT, _TIMES, _RSS = 1, slice(11, 15), 21


class Use(NamedTuple):
    """Computing time so far, in ms, also of what has ended; resident memory now, in bytes."""

    cpu_ms: int
    memory: int


def use_of(pid: int) -> Use:
    """Return what a process and its descendants use; nothing if there is none."""
    fields: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with suppress(OSError, ValueError):
                rest = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                fields[int(entry)] = [0, *map(int, rest[1:])]
    below: dict[int, list[int]] = {}
    for child, found in fields.items():
        below.setdefault(found[_PARENT], []).append(child)
    known, ticks, pages = [pid] if pid in fields else [], 0, 0
    for one in known:  # grows while it is gone through
        known += below.get(one, ())
        ticks += sum(fields[one][_TIMES])
        pages += fields[one][_RSS]
    return Use(ticks * 1000 // os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))
