"""Keeps what a page shows of alarms up to date: pushed by the server when something happens to one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from nicegui import background_tasks, ui

from cloud.core.principal import Scope
from cloud.web.elements import Words
from cloud.web.visit import Visit

_RETRY_S = 5.0

_log = logging.getLogger(__name__)


def follow_alarms(visit: Visit, refresh: Callable[[], Awaitable[None]]) -> None:
    """Call `refresh` when something happens to an alarm, as long as the page being built is open."""
    client = ui.context.client
    task = background_tasks.create(_follow(visit, refresh), name=f"alarms {visit.here}", context=client)
    client.on_delete(task.cancel)


async def _follow(visit: Visit, refresh: Callable[[], Awaitable[None]]) -> None:
    await ui.context.client.connected()
    failing = False
    while True:
        try:
            async for change in visit.domains.alarms.changes(visit.scope):
                if not await visit.may_still(Scope.READ):
                    return
                if change.alarms:
                    await refresh()
                failing = False
            return
        except Exception:
            if not failing:
                _log.exception("%s: alarms cannot be followed; trying on", visit.here)
            failing = True
            await asyncio.sleep(_RETRY_S)


class Badge:
    """How many alarms nobody has acknowledged, beside the places that lead to them; nothing where there are none."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._shown: list[Words] = []

    def show(self) -> None:
        """Put it here; it may stand in several places."""
        words = Words("", "badge")
        self._shown.append(words)
        self._write(words, self._visit.unacknowledged)

    def keep(self) -> None:
        """Keep it up to date from now on."""
        follow_alarms(self._visit, self._refresh)

    async def _refresh(self) -> None:
        count = (await self._visit.domains.alarms.counts(self._visit.scope)).unacknowledged
        for words in self._shown:
            self._write(words, count)

    @staticmethod
    def _write(words: Words, count: int) -> None:
        words.show(str(count) if count < 100 else "99+")
        words.set_visibility(count > 0)
