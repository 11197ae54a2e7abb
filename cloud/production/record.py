"""One machine in one shift: everything its KPIs are made of. Pure; sums of records are those of the union."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from cloud.production.counts import Counted, Growth, RunTimes
from cloud.production.schemas import Shift
from cloud.production.state_log import MINUTE_US, Interval, Kind
from cloud.production.time_elements import Marker, Piece, Spans, TimeElements, elements, overlap, pieces

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class ShiftRecord:
    """Amounts over any set of shifts and machines that do not overlap.

    Attributes:
        times: microseconds per time element.
        total, good, scrap: PQ, GQ, SQ, counted in planned time without breaks in which the machine's state was known; None
            where the machine has no such source.
        beside: pieces counted in breaks.
        late, late_good, late_scrap: pieces of planned time in which the state was not known, see `_known`.
        ideal_total, ideal_good: PRI x PQ and PRI x GQ, microseconds.
        unrated: pieces without a PRI.
        inspected, passed_first: IP and GP, parts inspected for the first time and those that were good then.
        losses: reason or time element -> (microseconds in planned busy time, stops).
        sources: codes of the dictionary entries all this was read from.
        problems: what is missing, see `sources.PROBLEMS`.
    """

    times: TimeElements = field(default_factory=TimeElements)
    total: float | None = None
    good: float | None = None
    scrap: float | None = None
    beside: float = 0.0
    late: float = 0.0
    late_good: float = 0.0
    late_scrap: float = 0.0
    ideal_total: float = 0.0
    ideal_good: float = 0.0
    unrated: float = 0.0
    inspected: int = 0
    passed_first: int = 0
    losses: dict[str, tuple[int, int]] = field(default_factory=dict)
    sources: frozenset[str] = frozenset()
    problems: frozenset[str] = frozenset()

    def __add__(self, other: ShiftRecord) -> ShiftRecord:
        return union([self, other])

    def dump(self) -> dict[str, Any]:
        """Return the record as JSON has it."""
        return asdict(self) | {"sources": sorted(self.sources), "problems": sorted(self.problems)}

    @classmethod
    def load(cls, body: Mapping[str, Any]) -> ShiftRecord:
        """Return what `dump` gave."""
        return cls(
            **dict(body)
            | {
                "times": TimeElements(**body["times"]),
                "losses": {key: tuple(value) for key, value in body["losses"].items()},
                "sources": frozenset(body["sources"]),
                "problems": frozenset(body["problems"]),
            }
        )


def union(some: Sequence[ShiftRecord]) -> ShiftRecord:
    """Return the sum of records; of none, an empty one. A quantity that one of them does not have, the sum has not."""
    if not some:
        return ShiftRecord()
    columns = dict(zip(vars(some[0]), zip(*(vars(record).values() for record in some), strict=True), strict=True))
    losses: dict[str, tuple[int, int]] = {}
    for record in some:
        for key, (length, stops) in record.losses.items():
            before = losses.get(key, (0, 0))
            losses[key] = (before[0] + length, before[1] + stops)
    return ShiftRecord(
        times=TimeElements(*map(sum, zip(*(vars(record.times).values() for record in some), strict=True))),
        total=_sum(columns["total"]),
        good=_sum(columns["good"]),
        scrap=_sum(columns["scrap"]),
        **{name: sum(columns[name]) for name in _AMOUNTS},
        losses=losses,
        sources=frozenset().union(*columns["sources"]),
        problems=frozenset().union(*columns["problems"]),
    )


def _sum(quantities: Sequence[float | None]) -> float | None:
    known = [one for one in quantities if one is not None]
    return sum(known) if len(known) == len(quantities) else None


_AMOUNTS = (
    "beside", "late", "late_good", "late_scrap", "ideal_total", "ideal_good", "unrated", "inspected", "passed_first",
)  # fmt: skip


@dataclass(frozen=True)
class Observed:
    """What is known of a machine around some shifts: all that records are made of."""

    log: Sequence[Interval]
    markers: Sequence[Marker]
    counted: Counted
    inspections: Sequence[tuple[int, int, int]]  # (minute, parts inspected for the first time, of these good)
    run_times: RunTimes
    micro_stop: int
    sources: frozenset[str]
    problems: frozenset[str]


def records(observed: Observed, shifts: Sequence[Shift], now: int) -> list[tuple[Shift, int, ShiftRecord]]:
    """Return (shift, how far it has come, its record) for those of `shifts`, in the order of time, that have begun."""
    found = pieces(observed.log, observed.markers, observed.micro_stop)
    made = []
    before: Spans = []
    for shift in shifts:
        start, until = us(shift.start), min(us(shift.end), now)
        working = _clipped([(us(one.start), us(one.end)) for one in shift.working], until)
        if start < until:
            made.append((shift, until, _record(observed, found, working, (start, until), before)))
        before = working
    return made


def _record(
    observed: Observed, found: Sequence[Piece], working: Spans, shift: tuple[int, int], before: Spans
) -> ShiftRecord:
    since = before[0][0] if before else shift[0]
    near = [piece for piece in found if piece.start < shift[1] and piece.end > since]
    inside = [piece for piece in near if piece.end > shift[0]]
    record = ShiftRecord(
        times=elements(near, working, shift, before), sources=observed.sources, problems=observed.problems
    )
    begun: set[tuple[str, int]] = set()
    for piece in inside:
        length = overlap(piece, working)
        if piece.element != "producing" and length:
            key = str(piece.reason) if piece.reason else piece.element
            new = piece.start >= shift[0] and (key, piece.stop) not in begun
            begun.add((key, piece.stop))
            spent, stops = record.losses.get(key, (0, 0))
            record.losses[key] = (spent + length, stops + new)
    _count(record, observed, working, shift)
    return record


def _count(record: ShiftRecord, observed: Observed, working: Spans, shift: tuple[int, int]) -> None:
    silences = [(part.start, part.end) for part in observed.log if part.kind is Kind.UNKNOWN]
    counted = [one and one.within(working) for one in observed.counted.quantities]
    known = [one and _known(one, silences, shift[0]) for one in counted]
    total, good, _ = known
    record.total, record.good, record.scrap = (one and one.total for one in known)
    record.late, record.late_good, record.late_scrap = (
        whole.total - some.total if whole and some else 0.0 for whole, some in zip(counted, known, strict=True)
    )
    if total is not None and observed.counted.quantities[0] is not None and counted[0] is not None:
        record.beside = observed.counted.quantities[0].within([shift]).total - counted[0].total
        record.ideal_total, record.unrated = observed.run_times.weighed(total)
    if good is not None:
        record.ideal_good, _ = observed.run_times.weighed(good)
    for minute, inspected, passed in observed.inspections:
        if any(start <= minute < end for start, end in working):
            record.inspected += inspected
            record.passed_first += passed


def _known(counted: Growth, silences: Spans, start: int) -> Growth:
    """Return the part of `counted` that was made while the machine's state was known.

    What a counter shows after a while was made evenly in it, as far as anybody knows; so the share of that while, since
    the begin of the shift at the most, in which the state was known.
    """
    if not silences or not len(counted.minute):
        return counted
    edges = np.array(silences, np.int64).ravel()
    lengths = np.diff(edges, prepend=edges[0])
    lengths[::2] = 0  # from the end of a silence to the next one nothing is added
    silent = np.cumsum(lengths)
    since, until = np.maximum(counted.since, start), counted.minute + MINUTE_US
    unknown = np.interp(until, edges, silent) - np.interp(since, edges, silent)
    return counted._replace(pieces=counted.pieces * (1 - unknown / np.maximum(until - since, 1)))


def _clipped(spans: Spans, until: int) -> Spans:
    return [(start, min(end, until)) for start, end in spans if start < until]


def us(time: datetime) -> int:
    """Return a time in microseconds since 1970 UTC."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def instant(time: int) -> datetime:
    """Return microseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(microseconds=time)
