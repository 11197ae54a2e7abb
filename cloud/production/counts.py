"""From counters and inspections to what was made. Pure.

A counter's growth is booked in the minute of the reading that shows it; where a counter falls, it has begun again at 0 and
the new value is its growth. Shifts and breaks begin at whole minutes, so that every piece is booked in exactly one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud.production.state_log import MINUTE_US
from cloud.production.time_elements import Spans


class Growth(NamedTuple):
    """What was counted, as arrays of one length: the minute (microseconds since 1970), how many, and since when."""

    minute: NDArray[np.int64]
    pieces: NDArray[np.float64]
    since: NDArray[np.int64]

    def within(self, spans: Spans) -> Growth:
        """Return what was counted in `spans`, which begin and end at whole minutes."""
        inside = np.zeros(len(self.minute), bool)
        for start, end in spans:
            inside |= (self.minute >= start) & (self.minute < end)
        return Growth(self.minute[inside], self.pieces[inside], self.since[inside])

    @property
    def total(self) -> float:
        """All that was counted."""
        return float(self.pieces.sum())


def growth(
    minute: NDArray[np.int64], first: NDArray[np.float64], last: NDArray[np.float64], inside: NDArray[np.float64]
) -> Growth:
    """Return the growth of a counter, minute by minute.

    Args:
        minute: minutes with usable readings, ascending, in microseconds; the first may lie before what is asked about.
        first: the first reading of each.
        last: the last reading of each.
        inside: growth between these two; NaN for a single reading.
    """
    if len(minute) < 1:
        return Growth(minute, first, minute)
    step = first[1:] - last[:-1]
    between = np.append(0.0, np.where(step >= 0, step, first[1:]))
    return Growth(minute, between + np.nan_to_num(inside), np.append(minute[0], minute[:-1] + MINUTE_US))


def added(parts: Sequence[Growth]) -> Growth:
    """Return what several counters of one thing have counted together."""
    if len(parts) == 1:
        return parts[0]
    return Growth(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


@dataclass(frozen=True)
class RunTimes:
    """PRI of a machine, and what was made on it. Times in microseconds; `rates` by item, ascending in time.

    Attributes:
        runs: (from when, item), ascending.
        rates: item -> (from when, PRI in microseconds); the item '' stands for any that has none of its own.
    """

    runs: Sequence[tuple[int, str]]
    rates: Mapping[str, Sequence[tuple[int, int]]]

    def at(self, minute: int) -> int | None:
        """Return the PRI that holds at `minute`; None if none was set for what was made then."""
        item = next((item for start, item in reversed(self.runs) if start <= minute), "")
        for name in (item, ""):
            for valid_from, rate in reversed(self.rates.get(name, ())):
                if valid_from <= minute:
                    return rate
        return None

    def weighed(self, counted: Growth) -> tuple[float, float]:
        """Return (PRI x pieces in microseconds, pieces for which there is no PRI)."""
        edges = {start for start, _ in self.runs} | {at for rates in self.rates.values() for at, _ in rates}
        ideal = unrated = 0.0
        bounds = [-(2**62), *sorted(edges), 2**62]
        for start, end in pairwise(bounds):
            pieces = counted.within([(start, end)]).total
            rate = self.at(start)
            if rate is None:
                unrated += pieces
            else:
                ideal += rate * pieces
        return ideal, unrated


@dataclass(frozen=True)
class Counted:
    """What was counted by the sources a machine has; None where it has no such counter."""

    total: Growth | None = None
    good: Growth | None = None
    scrap: Growth | None = None

    @property
    def quantities(self) -> tuple[Growth | None, Growth | None, Growth | None]:
        """PQ, GQ and SQ: what there is no counter for follows from the other two."""
        total, good, scrap = self.total, self.good, self.scrap
        if total is None and good is not None and scrap is not None:
            total = added([good, scrap])
        if good is None and total is not None and scrap is not None:
            good = added([total, scrap._replace(pieces=-scrap.pieces)])
        if scrap is None and total is not None and good is not None:
            scrap = added([total, good._replace(pieces=-good.pieces)])
        return total, good, scrap
