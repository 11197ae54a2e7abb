"""One machine in one shift: everything its KPIs are made of. Pure; sums of records are those of the union."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from cloud.production.counts import Counted, Growth, RunTimes
from cloud.production.schemas import Shift
from cloud.production.state_log import Interval, Kind
from cloud.production.time_elements import Marker, Piece, Spans, TimeElements, elements, overlap, pieces

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class ShiftRecord:
    """Amounts over any set of shifts and machines that do not overlap.

    Attributes:
        times: microseconds per time element.
        total, good, scrap: PQ, GQ, SQ, counted in planned time without breaks; None where the machine has no such source.
        beside: pieces counted in breaks.
        late: of `total`, counted after a silence, so that nobody knows when they were made.
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
    ideal_total: float = 0.0
    ideal_good: float = 0.0
    unrated: float = 0.0
    inspected: int = 0
    passed_first: int = 0
    losses: dict[str, tuple[int, int]] = field(default_factory=dict)
    sources: frozenset[str] = frozenset()
    problems: frozenset[str] = frozenset()

    def __add__(self, other: ShiftRecord) -> ShiftRecord:
        losses = dict(self.losses)
        for key, (length, stops) in other.losses.items():
            before = losses.get(key, (0, 0))
            losses[key] = (before[0] + length, before[1] + stops)
        return ShiftRecord(
            times=self.times + other.times,
            total=_sum(self.total, other.total),
            good=_sum(self.good, other.good),
            scrap=_sum(self.scrap, other.scrap),
            beside=self.beside + other.beside,
            late=self.late + other.late,
            ideal_total=self.ideal_total + other.ideal_total,
            ideal_good=self.ideal_good + other.ideal_good,
            unrated=self.unrated + other.unrated,
            inspected=self.inspected + other.inspected,
            passed_first=self.passed_first + other.passed_first,
            losses=losses,
            sources=self.sources | other.sources,
            problems=self.problems | other.problems,
        )

    def dump(self) -> dict[str, Any]:
        """Return the record as JSON has it."""
        return asdict(self) | {"sources": sorted(self.sources), "problems": sorted(self.problems)}

    @classmethod
    def load(cls, body: Mapping[str, Any]) -> ShiftRecord:
        """Return what `dump` gave."""
        known = {f.name: body[f.name] for f in fields(cls)}
        return cls(
            **known
            | {
                "times": TimeElements(**body["times"]),
                "losses": {key: tuple(value) for key, value in body["losses"].items()},
                "sources": frozenset(body["sources"]),
                "problems": frozenset(body["problems"]),
            }
        )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


@dataclass(frozen=True)
class Observed:
    """What is known of a machine around some shifts: all that records are made of."""

    log: Sequence[Interval]
    markers: Sequence[Marker]
    counted: Counted
    inspections: Sequence[tuple[int, int, int]]  # (minute, parts inspected for the first time, of these good)
    run_times: RunTimes
    micro_stop: int
    hold: int
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
    inside = [piece for piece in found if piece.start < shift[1] and piece.end > shift[0]]
    record = ShiftRecord(
        times=elements(inside, working, shift, before), sources=observed.sources, problems=observed.problems
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
    total, good, scrap = (one and one.within(working) for one in observed.counted.quantities)
    record.good, record.scrap = good and good.total, scrap and scrap.total
    if total is not None and observed.counted.quantities[0] is not None:
        record.total = total.total
        record.beside = observed.counted.quantities[0].within([shift]).total - total.total
        record.ideal_total, record.unrated = observed.run_times.weighed(total)
        record.late = _late(total, observed)
    if good is not None:
        record.ideal_good, _ = observed.run_times.weighed(good)
    for minute, inspected, passed in observed.inspections:
        if any(start <= minute < end for start, end in working):
            record.inspected += inspected
            record.passed_first += passed


def _late(counted: Growth, observed: Observed) -> float:
    """Return how many pieces were counted over a time in which the machine's state was not known."""
    silences = [part for part in observed.log if part.kind is Kind.UNKNOWN]
    long = (counted.pieces > 0) & (counted.minute - counted.since >= observed.hold)
    late = 0.0
    for minute, quantity, since in zip(*(array[long].tolist() for array in counted), strict=True):
        if any(part.start < minute and part.end > since for part in silences):
            late += quantity
    return late


def _clipped(spans: Spans, until: int) -> Spans:
    return [(start, min(end, until)) for start, end in spans if start < until]


def us(time: datetime) -> int:
    """Return a time in microseconds since 1970 UTC."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def instant(time: int) -> datetime:
    """Return microseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(microseconds=time)
