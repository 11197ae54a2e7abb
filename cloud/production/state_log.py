"""What a machine did, as intervals without gap or overlap, made of its readings. Pure: no database, no clock.

Times are whole microseconds since 1970 UTC, so that lengths add up exactly.

A state holds from its reading to the next one, but only while the machine is heard of: where none of its points has given a
usable reading for `hold`, or its state is of bad quality, the machine's state is unknown until it is heard of again.
Unknown is a state of its own; it is never taken for running or standing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000


class Kind(IntEnum):
    """What a machine does; `time_elements` says which time element of ISO 22400-2 each becomes. Stored by number."""

    UNKNOWN = 0
    PRODUCING = 1
    SETUP = 2
    IDLE = 3
    FAULT = 4
    UNAVAILABLE = 5
    MAINTENANCE = 6


class Interval(NamedTuple):
    """[start, end) in which a machine did one thing."""

    start: int
    end: int
    kind: Kind


class Signal(NamedTuple):
    """Readings of one point in the order of time; NaN where a reading may not be used.

    The first may lie before the time asked about: it holds then.
    """

    time: NDArray[np.int64]
    value: NDArray[np.float64]


Meaning = Callable[[tuple[float, ...]], Kind]
"""Says what a machine does when its points - those of `signals`, in their order - have these values; NaN is not known."""


def intervals(
    signals: Sequence[Signal], meaning: Meaning, heard: NDArray[np.int64], hold: int, span: tuple[int, int]
) -> list[Interval]:
    """Return what a machine did in `span`, [start, end).

    `heard` are times at which any point of the machine gave a usable reading, from `start - hold` on.
    """
    start, end = span
    changes = [_changes(signal, start, end) for signal in signals]
    edges = np.unique(np.concatenate([[start], *(time for time, _ in changes), _borders(heard, hold, start, end)]))
    known = _is_heard(edges, heard, hold)
    columns = [value[np.searchsorted(time, edges, side="right") - 1] for time, value in changes]
    found: list[Interval] = []
    for i, edge in enumerate(edges.tolist()):
        kind = meaning(tuple(float(column[i]) for column in columns)) if known[i] else Kind.UNKNOWN
        until = int(edges[i + 1]) if i + 1 < len(edges) else end
        found.append(Interval(edge, until, kind))
    return merged(found)


def merged(parts: Sequence[Interval]) -> list[Interval]:
    """Return `parts`, which are in the order of time, with those joined that touch and are of one kind."""
    joined: list[Interval] = []
    for part in parts:
        if joined and joined[-1].kind == part.kind and joined[-1].end == part.start:
            joined[-1] = joined[-1]._replace(end=part.end)
        else:
            joined.append(part)
    return joined


def whole(parts: Sequence[Interval], start: int, end: int) -> list[Interval]:
    """Return `parts` cut to [start, end), and unknown wherever there is none."""
    found: list[Interval] = []
    at = start
    for part in parts:
        begin, until = max(part.start, at), min(part.end, end)
        if begin >= until:
            continue
        if begin > at:
            found.append(Interval(at, begin, Kind.UNKNOWN))
        found.append(Interval(begin, until, part.kind))
        at = until
    if at < end:
        found.append(Interval(at, end, Kind.UNKNOWN))
    return merged(found)


def _changes(signal: Signal, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return when the value became another within [start, end), beginning with what holds at `start`."""
    before = int(np.searchsorted(signal.time, start, side="right"))
    carried = signal.value[before - 1] if before else np.nan
    time = np.concatenate([[start], signal.time[before : np.searchsorted(signal.time, end)]])
    value = np.concatenate([[carried], signal.value[before : before + len(time) - 1]])
    # Of several readings of one instant the last counts.
    last = np.append(time[1:] != time[:-1], True)
    time, value = time[last], value[last]
    new = np.append(True, (value[1:] != value[:-1]) & ~(np.isnan(value[1:]) & np.isnan(value[:-1])))
    return time[new], value[new]


def _borders(heard: NDArray[np.int64], hold: int, start: int, end: int) -> NDArray[np.int64]:
    """Return where a silence begins or ends within (start, end)."""
    if not len(heard):
        return heard
    gap = np.flatnonzero(np.diff(heard) > hold)
    edges = np.concatenate([heard[:1], heard[gap] + hold, heard[gap + 1], heard[-1:] + hold])
    return edges[(edges > start) & (edges < end)]


def _is_heard(edges: NDArray[np.int64], heard: NDArray[np.int64], hold: int) -> NDArray[np.bool_]:
    last = np.searchsorted(heard, edges, side="right") - 1
    return (last >= 0) & (edges - heard[last] < hold) if len(heard) else np.zeros(len(edges), bool)
