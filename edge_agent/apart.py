"""Runs what needs much memory for a moment in a process of its own, so that the agent does not keep what it left behind.

Python returns memory to the system by the megabyte, and one object that lives on holds its megabyte back: reading
a configuration of 10,000 points left 15 MB of holes between its points.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def apart(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what `function` does, or raise what it raises, having run it in a fork of this process.

    Only for a process with one thread. What it returns is pickled; what it changes here, in memory, is not seen.
    It is run here if the fork comes to no end.
    """
    reading, writing = os.pipe()
    if not (child := os.fork()):
        try:
            os.close(reading)
            try:
                outcome = pickle.dumps((function(*args, **kwargs), None), pickle.HIGHEST_PROTOCOL)
            except Exception as error:
                outcome = pickle.dumps((None, error), pickle.HIGHEST_PROTOCOL)
            with open(writing, "wb") as result:
                result.write(outcome)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        with open(reading, "rb") as result:
            returned, raised = pickle.load(result)  # noqa: S301 - from ourselves
    except (EOFError, pickle.UnpicklingError):
        return function(*args, **kwargs)
    finally:
        os.waitpid(child, 0)
    if raised is not None:
        raise raised
    return returned  # type: ignore[no-any-return]
