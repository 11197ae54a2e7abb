"""Keeps an open page up to date: the server pushes what changed, the browser never asks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime

from nicegui import background_tasks, ui

from cloud.core.principal import Scope
from cloud.telemetry.schemas import Latest
from cloud.web.visit import Visit

SPACING_S = 0.5
"""Shortest time between two refreshes; what changes in between is shown together."""

BEAT_S = 5.0
"""Longest time between two refreshes: ages grow even where nothing changes, and a session that ended closes the page."""

Refresh = Callable[[Collection[Latest], datetime], Awaitable[None]]
"""Brings the page up to date with the newest value of each point that changed, as of an instant."""

_log = logging.getLogger(__name__)


def follow(
    visit: Visit,
    refresh: Refresh,
    still: Callable[[], Awaitable[bool]] | None = None,
    *,
    only: Collection[int] | None = None,
    every_s: float | None = None,
) -> None:
    """Call `refresh` whenever the tenant's values change, as long as the page being built is open.

    `only` names the series it needs, where that is not all of them; with `every_s` it is given none, and called so often.
    `still` tells whether its reader may still see it; unless told, that is whether their session is alive.
    """
    client = ui.context.client
    asked = still or (lambda: visit.may_still(Scope.READ))
    task = background_tasks.create(
        _follow(visit, refresh, asked, only, every_s), name=f"live {visit.here}", context=client
    )
    client.on_delete(task.cancel)


def fill_in(visit: Visit, fill: Callable[[], Awaitable[None]]) -> None:
    """Run `fill` here as soon as the page being built stands in the browser: what takes long holds no first words up."""
    client = ui.context.client
    place = ui.element().classes("contents").props("aria-busy=true")

    async def run() -> None:
        await client.connected()
        try:
            with place:
                await fill()
        finally:
            if not place.is_deleted:
                place.props("aria-busy=false")

    task = background_tasks.create(run(), name=f"filling {visit.here}", context=client)
    client.on_delete(task.cancel)


async def _follow(
    visit: Visit,
    refresh: Refresh,
    still: Callable[[], Awaitable[bool]],
    only: Collection[int] | None,
    every_s: float | None,
) -> None:
    await ui.context.client.connected()
    failing = False
    while True:
        inbox = _Inbox()
        reader = None if every_s else asyncio.create_task(inbox.fill(visit, only))
        try:
            while await still():
                checked = time.monotonic()
                while time.monotonic() - checked < BEAT_S:
                    await refresh(inbox.take(), datetime.now(UTC))
                    failing = False
                    await asyncio.sleep(SPACING_S)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(inbox.arrived.wait(), every_s or BEAT_S)
                    if reader and reader.done():
                        reader.result()
            return
        except Exception:
            if not failing:
                _log.exception("%s cannot be kept up to date; trying on", visit.here)
            failing = True
            await asyncio.sleep(BEAT_S)
        finally:
            if reader:
                reader.cancel()


class _Inbox:
    """The newest value of each point since the last look: a slow reader misses steps, never the present."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._values: dict[int, Latest] = {}

    async def fill(self, visit: Visit, only: Collection[int] | None) -> None:
        async for change in visit.domains.telemetry.changes(visit.scope, only=only):
            self._values.update((value.series_id, value) for value in change.values)
            self.arrived.set()

    def take(self) -> list[Latest]:
        self.arrived.clear()
        values, self._values = list(self._values.values()), {}
        return values
