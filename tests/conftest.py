"""In which order the suite runs, and what of it stays together, where several workers share it."""

from __future__ import annotations

import os
from pathlib import Path

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not set(LONG) & set(Path(item.path).parts))
