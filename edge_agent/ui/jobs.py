"""Work that goes on while pages come and go: a search, the sampling of a machine, a check."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from protocols.errors import SunmaoError
from protocols.text import Text

_LOG = logging.getLogger("sunmao.ui")


class Job:
    """One piece of work in the background, and how far it is.

    Attributes:
        doing: what it does now, in words.
        done, total: steps; a total of 0 is unknown.
        failed: why it ended without success; None if it did not.
        enough: set by a person to whom what was gathered so far is enough.
    """

    def __init__(self, work: Callable[[Job], Awaitable[None]], doing: Text) -> None:
        self.doing = doing
        self.done = self.total = 0
        self.failed: Text | None = None
        self.mend: Text | None = None
        self.enough = False
        self._task = asyncio.create_task(self._run(work))

    @property
    def running(self) -> bool:
        """True until it has ended, one way or the other."""
        return not self._task.done()

    def begin(self, doing: Text, total: int) -> None:
        """Say that the next part of the work begins: `total` steps of it."""
        self.doing, self.done, self.total = doing, 0, total

    def advance(self) -> None:
        """Count one step."""
        self.done += 1

    @property
    def share(self) -> float:
        """How much of the present part is done, 0..1."""
        return self.done / self.total if self.total else 0.0

    async def ended(self) -> None:
        """Wait for its end."""
        await asyncio.wait([self._task])

    async def stop(self) -> None:
        """End it now."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self, work: Callable[[Job], Awaitable[None]]) -> None:
        try:
            await work(self)
        except SunmaoError as error:
            self.failed, self.mend = error.what, error.mend
        except Exception:
            _LOG.exception("%s", self.doing.en)
            self.failed = Text("the work was broken off by an internal error", "因内部错误中断")
            self.mend = Text("try again; the terminal shows the cause", "请重试；终端窗口中有详细原因")
