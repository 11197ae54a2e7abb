"""What takes seconds to make and is only read: made by the first worker that needs it, for all of them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(folders: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder `name` of this run, which `make` has filled; one that it could not finish is not taken."""
    shared = folders.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made, fresh = shared / name, shared / f"{name}-{os.getpid()}"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            fresh.mkdir()
            make(fresh)
            fresh.rename(made)
    return made
