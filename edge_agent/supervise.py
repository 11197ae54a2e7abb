"""Keeps a part of the agent running."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from edge_agent.events import Announce
from protocols.errors import SunmaoError
from protocols.text import Text

RESTARTS, RESTARTS_WITHIN_S, REST_S = 5, 60.0, 60.0
"""A part that fails unexpectedly is restarted at once, but at most so often within that time; then it rests."""

_log = logging.getLogger("sunmao.edge")


async def supervise(
    name: str, work: Callable[[], Awaitable[None]], announce: Announce, failed: Callable[[], None] = lambda: None
) -> None:
    """Run `work`; restart it after an error nobody foresaw. One part's failure never ends another.

    What keeps failing for the same reason is said once. `failed` is called at every failure.
    """
    restarts: deque[float] = deque(maxlen=RESTARTS)
    clock = asyncio.get_running_loop().time
    said: Text | None = None
    while True:
        begun = clock()
        unforeseen: Exception | None = None
        try:
            await work()
        except SunmaoError as error:
            reason = Text(error.explain("en"), error.explain("zh"))
        except Exception as error:
            unforeseen = error
            reason = Text(f"stopped by an internal error: {error!r}", f"因内部错误停止：{error!r}")
        else:
            return
        failed()
        if reason != said or clock() - begun > REST_S:
            if unforeseen is not None:
                _log.error("%s", name, exc_info=unforeseen)
            announce(name, "part_failed", reason)
            said = reason
        restarts.append(clock())
        if len(restarts) == RESTARTS and restarts[-1] - restarts[0] < RESTARTS_WITHIN_S:
            await asyncio.sleep(REST_S)
