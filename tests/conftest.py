"""In which order the suite runs, what of it stays together where several workers share it, and what is made once for all of it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import httpx
import pytest
from xdist.scheduler import LoadFileScheduling

LONG = (
    "journeys",
    "models",
    "test_serve_killed.py",
    "test_api_fuzzed.py",
    "test_remote_configuration.py",
    "test_many_processes.py",
)
"""Files, or folders of them, that take a minute and more: begun last, one of them would run alone in the end."""


TOGETHER = ("tests/journeys/", "tests/models/")
"""Folders that go to one worker: their files share a cloud with a factory in it, and a fitted model."""


class Together(LoadFileScheduling):
    """Gives a file to one worker, and some folders."""

    def _split_scope(self, nodeid: str) -> str:
        return next(filter(nodeid.startswith, TOGETHER), super()._split_scope(nodeid))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are processors: a worker waits for others a good part of its time."""
    return (os.cpu_count() or 1) + 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Together:
    return Together(config, log)


def pytest_configure() -> None:
    """Set what holds for this process and those it starts, before the tests are imported."""
    gc.set_threshold(20_000, 20, 20)  # by Python's own settings looking for cycles is a seventh of the suite's time
    # Threads that wait for each other at small matrices by spinning: where all processors are busy, a fit took five times as much.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """Look for none among what stays to the end: modules, and thousands of tests."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def authorities_read_once() -> Iterator[None]:
    """Read the authorities whom TLS trusts once: every client does, for 20 ms, and most ask a server that has no TLS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not set(LONG) & set(Path(item.path).parts))
