"""In which order the suite runs where several workers share it."""

from __future__ import annotations

from pathlib import Path

import pytest

LONG = (
    "journeys",
    "test_serve_killed.py",
    "test_api_fuzzed.py",
    "test_remote_configuration.py",
    "test_many_processes.py",
)
"""Files, or folders of them, that take a minute and more: begun last, one of them would run alone in the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not set(LONG) & set(Path(item.path).parts))
