"""Lets as many agents in as the database can take at once; the others wait a little, or are told when to come back.

Agents keep what is not acknowledged and honour Retry-After, so that turning one away loses nothing; taking in more than can
be stored would cost the memory of their bodies and, at last, all database connections.

Who is in stays in: an agent whose deliveries were stored of late has turns that nobody else takes, so that thousands who
come back from an outage do not make the values of the others late. Those who come back are turned away before anything is
read or asked for them, each with a time of its own: as many per second as are served.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import uniform

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.core.db import MAX_CONNECTIONS
from cloud.core.errors import TooMany, problem_answer
from cloud.core.metrics import Metrics

AT_ONCE = MAX_CONNECTIONS - 4
"""Deliveries being stored; the other connections of the pool are for those who read, and for roll-ups."""

LIVE_ONLY = 2
"""Of these, the turns that only agents take who are in."""

QUEUE = 4 * AT_ONCE
"""Deliveries that wait for their turn."""

LOG_INS = 2 * AT_ONCE
"""Requests of agents that are logging in."""

PATIENCE_S = 5.0
"""How long a delivery waits before it is told to come back."""

LIVE_S = 30.0
"""How long an agent is in after a delivery of its was stored."""

_LONGEST_RETRY_S = 60
_SMOOTHING = 0.2
_MAX_LIVE = 100_000


class Gate:
    """The agents of one process, by their ids."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._newcomers = asyncio.Semaphore(AT_ONCE - LIVE_ONLY)
        self._waiting = 0
        self._logging_in = 0
        self._took_s = 0.1
        self._live: OrderedDict[str, float] = OrderedDict()
        self._next_free = 0.0

    def refuse_if_crowded(self, who: str = "") -> None:
        """Raise TooMany, with when to come back, if so many wait that reading one more request is of no use.

        `who` is the agent that delivers; without one it is somebody who begins to log in.
        """
        longest = QUEUE * 2 if self._is_live(who) else QUEUE
        if self._waiting >= longest or (not who and self._logging_in >= LOG_INS):
            raise self._turned_away(who)

    @asynccontextmanager
    async def logging_in(self) -> AsyncIterator[None]:
        """Count a request of an agent that is logging in."""
        self._logging_in += 1
        try:
            yield
        finally:
            self._logging_in -= 1

    @asynccontextmanager
    async def admitted(self, who: str) -> AsyncIterator[None]:
        """Wait for a turn to store a delivery; raises TooMany, with when to come back, if queue or wait is too long."""
        self.refuse_if_crowded(who)
        async with AsyncExitStack() as held:
            self._waiting += 1
            try:
                async with asyncio.timeout(PATIENCE_S):
                    for turns in (self._turns,) if self._is_live(who) else (self._newcomers, self._turns):
                        await held.enter_async_context(turns)
            except TimeoutError:
                raise self._turned_away(who) from None
            finally:
                self._waiting -= 1
            began = time.monotonic()
            try:
                yield
                self._stay(who)
            finally:
                self._took_s += _SMOOTHING * (time.monotonic() - began - self._took_s)

    def _is_live(self, who: str) -> bool:
        return time.monotonic() - self._live.get(who, -math.inf) < LIVE_S

    def _stay(self, who: str) -> None:
        self._live[who] = time.monotonic()
        self._live.move_to_end(who)
        if len(self._live) > _MAX_LIVE:
            self._live.popitem(last=False)

    def _turned_away(self, who: str) -> TooMany:
        """Return the answer: a time after those who wait and, for who is not in, those told before, at the pace of late."""
        self._metrics.turned_away.inc()
        now = time.monotonic()
        # Rather too early, which costs little to be told, than too late, which leaves turns empty.
        pace_s = self._took_s / AT_ONCE
        free = now + (self._waiting + 1) * pace_s
        if not self._is_live(who):
            free = self._next_free = min(max(self._next_free + pace_s, free), now + _LONGEST_RETRY_S)
        wait_s = free - now
        if wait_s >= _LONGEST_RETRY_S:
            wait_s = uniform(_LONGEST_RETRY_S / 2, _LONGEST_RETRY_S)
        return TooMany(math.ceil(wait_s))


def _claimed_by(request: Request) -> str:
    """Return the agent that a token says it is of. That is not verified: it opens no more than the way to who does."""
    try:
        payload = request.headers["authorization"].split(".")[1]
        return str(json.loads(urlsafe_b64decode(f"{payload}==="))["sub"])
    except (LookupError, RecursionError, TypeError, ValueError):
        return "nobody"


class Doorkeeper:
    """ASGI middleware: turns agents away, while too many wait, before their request costs anything.

    `log_in` are the paths an agent without a token asks, the first of them first; `deliver` the one it delivers to.
    """

    def __init__(self, app: ASGIApp, gate: Gate, log_in: tuple[str, ...], deliver: str) -> None:
        self._app = app
        self._gate = gate
        self._log_in = log_in
        self._deliver = deliver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer when to come back."""
        if scope["type"] != "http" or scope["path"] not in (*self._log_in, self._deliver):
            await self._app(scope, receive, send)
            return
        try:
            if scope["path"] == self._deliver:
                self._gate.refuse_if_crowded(_claimed_by(Request(scope)))
            elif scope["path"] == self._log_in[0]:
                self._gate.refuse_if_crowded()
        except TooMany as crowded:
            await problem_answer(Request(scope), crowded)(scope, receive, send)
            return
        if scope["path"] == self._deliver:
            await self._app(scope, receive, send)
        else:
            async with self._gate.logging_in():
                await self._app(scope, receive, send)
