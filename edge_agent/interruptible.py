"""Runs a command's work so that Ctrl-C ends it between two steps of the event loop, never within one.

asyncio's own handler cancels wherever Python is just then, also within a callback that has just looked whether it was
cancelled; the loop then prints a traceback that no person has use for.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_work(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` in an event loop of its own and return its result; raises KeyboardInterrupt after Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)
    interrupted = False

    async def until_interrupted() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            return await work
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    try:
        return asyncio.run(until_interrupted())
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
