"""From what a machine did, when it was planned and what people said of it to the time elements of ISO 22400-2. Pure.

| the machine | time element | as |
|---|---|---|
| producing | APT, actual production time | `producing` |
| being set up | AUST, actual unit setup time | `setup` |
| out of service | ADET, actual unit delay time | `failure` |
| idle, or not available | ADET | `delay` |
| any of these three, for less than the micro-stop limit | ADET | `micro_stop` |
| being maintained | - | `maintenance` |
| a stop a person has given a reason | what the reason's loss says | |
| not known | - | `unknown` |

after OPC 40001-1 Annex C.2 (MachineryItemState and MachineryOperationMode to ISO 22400-2), whose condition "an order is
registered" is taken to hold in all planned busy time unless a person has said that there was none (ADOT, `no_order`).

What is planned comes from the calendar and from people, never from the machine: planned busy time PBT is the shift without
its breaks and without planned stops. Intervals never overlap, so the elements add up to PBT to the microsecond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import UUID

from cloud.production.state_log import Interval, Kind

Element = Literal[
    "producing", "setup", "failure", "micro_stop", "delay", "no_order", "maintenance", "planned_stop", "unknown"
]
Loss = Literal["planned_stop", "setup", "failure", "delay", "no_order", "maintenance"]
"""What a stop for a reason is counted as."""

_SHORT = frozenset({Kind.IDLE, Kind.FAULT, Kind.UNAVAILABLE})
_ELEMENTS: Mapping[Kind, Element] = {
    Kind.UNKNOWN: "unknown",
    Kind.PRODUCING: "producing",
    Kind.SETUP: "setup",
    Kind.IDLE: "delay",
    Kind.FAULT: "failure",
    Kind.UNAVAILABLE: "delay",
    Kind.MAINTENANCE: "maintenance",
}


class Marker(NamedTuple):
    """A person's word: from the instant `at` on the machine stood for this reason, until it ran or the next word."""

    at: int
    reason: UUID
    loss: Loss


class Piece(NamedTuple):
    """[start, end) that counts as one time element.

    Attributes:
        stop: begin of the stop it is part of; pieces of one stop touch. The same as `start` where there is no stop.
        reason: what a person has said of it, if any.
    """

    start: int
    end: int
    element: Element
    stop: int
    reason: UUID | None


@dataclass
class TimeElements:
    """Microseconds per time element, over any set of disjoint shifts. Sums of these are those of the union.

    `failures` is how many failures began; one that lasts into the next shift is counted once.
    """

    shift: int = 0
    breaks: int = 0
    planned_stop: int = 0
    producing: int = 0
    setup: int = 0
    failure: int = 0
    micro_stop: int = 0
    delay: int = 0
    no_order: int = 0
    maintenance: int = 0
    unknown: int = 0
    failures: int = 0

    def __add__(self, other: TimeElements) -> TimeElements:
        return TimeElements(*map(sum, zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def planned_busy(self) -> int:
        """PBT, planned busy time."""
        return self.shift - self.breaks - self.planned_stop

    @property
    def known_busy(self) -> int:
        """PBT without the time in which the machine's state is not known: what ratios are made over."""
        return self.planned_busy - self.unknown


def pieces(log: Sequence[Interval], markers: Sequence[Marker], micro_stop: int) -> list[Piece]:
    """Return `log` as time elements, in the order of time.

    A stop is all the time between two productions that is known not to be one. A marker counts within the stop, or the
    unknown time, it lies in; one that lies in production says nothing. Stops cut off by the ends of `log` are taken to
    end there, so it should reach `micro_stop` beyond what is asked about, and back to the last marker before it.
    """
    found: list[Piece] = []
    for run in _runs(log):
        start, end, kind = run[0].start, run[-1].end, run[0].kind
        if kind is Kind.PRODUCING:
            found.append(Piece(start, end, "producing", start, None))
            continue
        inside = [marker for marker in markers if start <= marker.at < end]
        unmarked = inside[0].at if inside else end
        for part in run:
            if part.start < unmarked:
                short = end - start < micro_stop and part.kind in _SHORT and not inside
                element = "micro_stop" if short else _ELEMENTS[part.kind]
                found.append(Piece(part.start, min(part.end, unmarked), element, start, None))
        for marker, until in zip(inside, [*(one.at for one in inside), end][1:], strict=True):
            found.append(Piece(marker.at, until, marker.loss, start, marker.reason))
    return found


def _runs(log: Sequence[Interval]) -> list[list[Interval]]:
    """Return `log` grouped into productions, stops and unknown times."""
    runs: list[list[Interval]] = []
    for part in log:
        together = runs and _group(runs[-1][-1].kind) == _group(part.kind) and runs[-1][-1].end == part.start
        if together:
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _group(kind: Kind) -> Kind:
    return kind if kind in (Kind.PRODUCING, Kind.UNKNOWN) else Kind.IDLE


Spans = Sequence[tuple[int, int]]
"""Disjoint [start, end), in the order of time."""


def elements(found: Sequence[Piece], working: Spans, shift: tuple[int, int], before: Spans) -> TimeElements:
    """Return the time elements of a shift.

    Args:
        found: as `pieces` gives them; they cover the shift and the one before.
        working: the shift without its breaks.
        shift: from its begin to its end, or to now while it lasts.
        before: the working times of the shift before: a failure that was there already is not counted again.
    """
    total = TimeElements(shift=shift[1] - shift[0])
    total.breaks = total.shift - sum(end - start for start, end in working)
    failed: set[int] = set()
    for piece in found:
        length = overlap(piece, working)
        if length:
            setattr(total, piece.element, getattr(total, piece.element) + length)
            if piece.element == "failure":
                failed.add(piece.stop)
    known = {piece.stop for piece in found if piece.element == "failure" and overlap(piece, before)}
    total.failures = len(failed - known)
    return total


def overlap(piece: Piece, spans: Spans) -> int:
    """Return how much of `piece` lies in `spans`."""
    return sum(max(0, min(piece.end, end) - max(piece.start, start)) for start, end in spans)
