"""Lets as many deliveries in as the database can take at once; the others wait a little, or are told when to come back.

Agents keep what is not acknowledged and honour Retry-After, so that turning one away loses nothing; taking in more than can
be stored would cost the memory of their bodies and, at last, all database connections.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cloud.core.db import MAX_CONNECTIONS
from cloud.core.errors import TooMany
from cloud.core.metrics import Metrics

AT_ONCE = MAX_CONNECTIONS - 4
"""Deliveries being stored; the other connections of the pool are for those who read, and for roll-ups."""

QUEUE = 4 * AT_ONCE
"""Deliveries that wait for their turn."""

PATIENCE_S = 5.0
"""How long one waits before it is told to come back."""

_LONGEST_RETRY_S = 60
_SMOOTHING = 0.2


class Gate:
    """The deliveries of one process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._took_s = 0.1
        self._began: dict[object, float] = {}

    def refuse_if_crowded(self) -> None:
        """Raise TooMany if so many wait that there is no use in reading one more body."""
        if self._waiting >= QUEUE:
            raise self._turned_away()

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Wait for a turn; raises TooMany, with when to come back, if the queue or the wait is too long."""
        self.refuse_if_crowded()
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._turns.acquire()
        except TimeoutError:
            raise self._turned_away() from None
        finally:
            self._waiting -= 1
        turn = object()
        self._began[turn] = time.monotonic()
        try:
            yield
        finally:
            took_s = time.monotonic() - self._began.pop(turn)
            self._took_s += _SMOOTHING * (took_s - self._took_s)
            self._turns.release()

    def _turned_away(self) -> TooMany:
        """Return the answer; the time is that in which those before will be through, at the pace of late."""
        self._metrics.turned_away.inc()
        now = time.monotonic()
        longest_s = max((now - began for began in self._began.values()), default=0.0)
        wait_s = max(self._took_s, longest_s) * (self._waiting + 1) / AT_ONCE
        return TooMany(min(max(math.ceil(wait_s), 1), _LONGEST_RETRY_S))
