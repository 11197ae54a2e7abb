"""Two speeds measured side by side: ours, and that of the bare library doing the same work."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from multiprocessing.connection import Connection
from typing import Any

import msgspec

ROUNDS = 3


class NotHere(Exception):
    """What would be measured cannot be had on this machine; says why."""


class Comparison(msgspec.Struct, frozen=True):
    """`ours` and `peer` in `unit`, each the median of rounds taken by turns; `ratio` = ours / peer, more is better."""

    name: str
    what: str
    unit: str
    ours: float
    peer: float
    ratio: float


def compare(name: str, what: str, unit: str, ours: Callable[[], float], peer: Callable[[], float]) -> Comparison:
    """Measure by turns, so that a busy moment of the machine hits both."""
    rounds = [(ours(), peer()) for _ in range(ROUNDS)]
    mine, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    return Comparison(name, what, unit, round(mine, 1), round(theirs, 1), round(mine / theirs, 3))


class CpuClock:
    """Seconds of processor time this process has used since the clock was made."""

    def __init__(self) -> None:
        self._start = time.process_time()

    def seconds(self) -> float:
        return time.process_time() - self._start


Serving = Callable[[], AbstractAsyncContextManager[Any]]
"""A function of a module, so that another process can import it; it yields where it listens."""


def _serve(pipe: Connection, serving: Serving) -> None:
    async def main() -> None:
        async with serving() as address:
            pipe.send(address)
            await asyncio.to_thread(_wait_for_the_end, pipe)

    asyncio.run(main())


def _wait_for_the_end(pipe: Connection) -> None:
    with contextlib.suppress(EOFError):
        pipe.recv()


@contextmanager
def server(serving: Serving) -> Iterator[Any]:
    """Run `serving` in a process of its own, so that its work is not counted, and yield where it listens."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there, serving), daemon=True)
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        process.join(10)
        process.kill()
