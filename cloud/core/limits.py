"""Limits how often something may be tried."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.core.errors import TooMany

API_BURST, API_PERIOD_S = 600, 1 / 60
"""Requests of a company that one process takes at once, and after how many seconds it takes another."""

_MAX_KEYS = 100_000


class RecentKeys:
    """The last 100,000 keys added."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, key: str) -> None:
        """Add `key`, or make it the newest."""
        self._keys[key] = None
        self._keys.move_to_end(key)
        if len(self._keys) > _MAX_KEYS:
            self._keys.popitem(last=False)


class RateLimit:
    """A token bucket per key: `burst` tries at once, then one more every `period_s`.

    Kept in the process's memory: a restart forgives, and n processes allow n times as much. The number of keys is
    bounded, so that an attacker who varies them costs a fixed amount of memory.
    """

    def __init__(self, burst: int, period_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._period_s = period_s
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def spend(self, *keys: str) -> None:
        """Count one try against every one of `keys`; raises TooMany, counting nothing, if one of them has none left."""
        now = self._clock()
        bounds = [max(self._full_at.get(key, now), now) + self._period_s for key in keys]
        wait_s = max(bounds, default=now) - now - self._burst * self._period_s
        if wait_s > 0:
            raise TooMany(math.ceil(wait_s))
        for key, full_at in zip(keys, bounds, strict=True):
            self._full_at[key] = full_at
            self._full_at.move_to_end(key)
        while len(self._full_at) > _MAX_KEYS:
            self._full_at.popitem(last=False)

    def headers(self, key: str) -> dict[str, str]:
        """Return what is left to `key` as RateLimit headers (draft-ietf-httpapi-ratelimit-headers)."""
        to_full_s = max(self._full_at.get(key, 0.0) - self._clock(), 0.0)
        left = max(int(self._burst - to_full_s / self._period_s), 0)
        return {
            "RateLimit-Policy": f'"company";q={self._burst};w={math.ceil(self._burst * self._period_s)}',
            "RateLimit": f'"company";r={left};t={math.ceil(to_full_s)}',
        }

    def forgive(self, key: str) -> None:
        """Forget the tries of `key`."""
        self._full_at.pop(key, None)


class RateHeaders:
    """ASGI middleware: tells the caller what `request.state.rate_headers` holds, whatever the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        state = scope.setdefault("state", {})

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(state.get("rate_headers", {}))
            await send(message)

        await self._app(scope, receive, told)
