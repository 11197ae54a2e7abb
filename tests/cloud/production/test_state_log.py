"""Random state logs keep the identities of ISO 22400-2, and what was asked of the pathologies of state logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import nan
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.production.counts import Counted, Growth, RunTimes, growth
from cloud.production.kpi import (
    KPIS,
    availability,
    completeness,
    effectiveness,
    net_equipment_effectiveness,
    oee_index,
    quality_rate,
)
from cloud.production.record import Observed, ShiftRecord, records
from cloud.production.schemas import Shift, Span
from cloud.production.state_log import MINUTE_US, Interval, Kind, Signal, intervals, whole
from cloud.production.time_elements import Marker, TimeElements, pieces

T0 = 1_780_000_020_000_000 // MINUTE_US * MINUTE_US
S = 1_000_000
BREAKDOWN, MEETING = UUID(int=1), UUID(int=2)
BEGIN = datetime.fromtimestamp(T0 / 1e6, UTC)


def shift(start_min: int, end_min: int, *breaks: tuple[int, int]) -> Shift:
    def at(minute: int) -> datetime:
        return BEGIN + timedelta(minutes=minute)

    return Shift(
        site_id=UUID(int=9),
        line_id=None,
        day=date(2026, 5, 28),
        name_en="A",
        name_zh="甲",
        start=at(start_min),
        end=at(end_min),
        breaks=[Span(start=at(a), end=at(b)) for a, b in breaks],
    )


def observed(
    log: Sequence[Interval],
    markers: Sequence[Marker] = (),
    total: dict[int, float] | None = None,
    good: dict[int, float] | None = None,
    run_times: RunTimes = RunTimes([], {"": [(0, 30 * S)]}),  # noqa: B008
    micro_stop: int = 60 * S,
) -> Observed:
    def counted(by_minute: dict[int, float] | None) -> Growth | None:
        if by_minute is None:
            return None
        minute = np.array([T0 + m * MINUTE_US for m in by_minute], np.int64)
        return Growth(minute, np.array([*by_minute.values()], float), minute)

    return Observed(
        log,
        markers,
        Counted(counted(total), counted(good)),
        [],
        run_times,
        micro_stop,
        frozenset(),
        frozenset(),
    )


def log(*parts: tuple[float, Kind], start: int = T0) -> list[Interval]:
    """Return intervals of these lengths in seconds, one after the other."""
    found, at = [], start
    for seconds, kind in parts:
        found.append(Interval(at, at + round(seconds * S), kind))
        at = found[-1].end
    return found


def only(found: Observed, one: Shift, now_min: int = 10_000) -> ShiftRecord:
    ((_, _, record),) = records(found, [one], T0 + now_min * MINUTE_US)
    return record


P, U, IDLE, F = Kind.PRODUCING, Kind.UNKNOWN, Kind.IDLE, Kind.FAULT

LOGS = st.lists(st.tuples(st.integers(1, 2_000_000_000), st.sampled_from(list(Kind))), min_size=1, max_size=40).map(
    lambda parts: whole(log(*((us / 1e6, kind) for us, kind in parts)), T0, T0 + 480 * MINUTE_US)
)
MARKERS = st.lists(
    st.tuples(st.integers(0, 480 * 60 * S), st.sampled_from(["planned_stop", "failure", "setup", "delay", "no_order"])),
    max_size=5,
    unique_by=lambda one: one[0],
).map(lambda found: sorted(Marker(T0 + at, BREAKDOWN, loss) for at, loss in found))  # type: ignore[arg-type]
QUANTITIES = st.dictionaries(st.integers(0, 479), st.integers(0, 50), max_size=30)


@settings(max_examples=60, deadline=None)
@given(LOGS, MARKERS, QUANTITIES, st.integers(1, 479), st.integers(1, 600))
def test_random_logs_keep_the_identities_and_the_union_is_the_sum(
    found: list[Interval], markers: list[Marker], made: dict[int, float], cut: int, seconds: int
) -> None:
    good = {minute: pieces // 2 for minute, pieces in made.items()}
    rates = RunTimes([], {"": [(0, seconds * S)]})
    all_known = observed(found, markers, made, good, rates)
    both = shift(0, 480, (100, 130))
    record = only(all_known, both)
    times = record.times
    within = (
        times.producing, times.setup, times.failure, times.micro_stop, times.delay, times.no_order, times.maintenance,
        times.unknown,
    )  # fmt: skip
    assert sum(within) == times.planned_busy == times.shift - times.breaks - times.planned_stop
    assert times.shift == 480 * MINUTE_US
    assert min(within) >= 0
    # A break moved to the border, or two shifts instead of one: the same instants, so the same sums.
    parts = [
        shift(0, cut, *((a, min(b, cut)) for a, b in [(100, 130)] if a < cut)),
        shift(cut, 480, *((max(a, cut), b) for a, b in [(100, 130)] if b > cut)),
    ]
    made_of = [part for _, _, part in records(all_known, parts, T0 + 480 * MINUTE_US)]
    together = made_of[0] + made_of[1]
    assert together.times == times
    assert (together.total, together.good, together.ideal_good) == pytest.approx(
        (record.total, record.good, record.ideal_good)
    )
    if times.producing and record.total and times.known_busy:
        oee = oee_index(record).value
        factors = availability(record).value, effectiveness(record).value, quality_rate(record).value
        assert oee == pytest.approx(factors[0] * factors[1] * factors[2])  # type: ignore[operator]
        assert oee == pytest.approx(record.good * seconds * S / times.known_busy)  # type: ignore[operator]
        net = net_equipment_effectiveness(record).value
        assert net is not None
        assert oee is not None
        assert net >= oee - 1e-12
    for kpi in KPIS.values():
        figure = kpi.compute(record)
        assert (figure.value is None) == (figure.reason is not None), kpi.code


def test_stops_given_two_reasons_never_overlap() -> None:
    # Pathology 1: somebody says "breakdown" from minute 10 on and "meeting" from minute 20 on, of one stop to minute 40.
    found = log((600, P), (1800, IDLE), (600, P))
    words = [Marker(T0 + 600 * S, BREAKDOWN, "failure"), Marker(T0 + 1200 * S, MEETING, "planned_stop")]
    times = only(observed(found, words), shift(0, 50)).times
    assert (times.failure, times.planned_stop, times.delay) == (600 * S, 1200 * S, 0)
    assert times.planned_busy == 1800 * S
    # Said of a time in which the machine produced, a word says nothing.
    assert only(observed(found, [Marker(T0 + 60 * S, BREAKDOWN, "failure")]), shift(0, 50)).times.failure == 0


def test_a_failure_over_the_end_of_a_shift_is_one_failure() -> None:
    # Pathology 2: the stop goes on in the next shift; each has its time, the first one the failure.
    found = observed(log((3000, P), (1200, F), (3000, P)))
    first, second = (
        record.times for _, _, record in records(found, [shift(0, 60), shift(60, 120)], T0 + 120 * MINUTE_US)
    )
    assert (first.failure, second.failure) == (600 * S, 600 * S)
    assert (first.failures, second.failures) == (1, 0)


def test_nothing_made_is_an_oee_of_nought_and_no_quality_rate() -> None:
    # Pathology 4: PQ = 0.
    record = only(observed(log((3600, P)), total={}, good={}), shift(0, 60))
    assert oee_index(record).value == 0
    assert quality_rate(record).value is None
    assert "nothing was made" in quality_rate(record).reason.en  # type: ignore[union-attr]


def test_without_a_run_time_there_is_no_oee_and_one_too_large_is_said() -> None:
    # Pathology 5: PRI unset - or larger than what the machine does.
    unset = only(observed(log((3600, P)), total={5: 10}, good={5: 10}, run_times=RunTimes([], {})), shift(0, 60))
    assert oee_index(unset).value is None
    assert "PRI" in oee_index(unset).reason.en  # type: ignore[union-attr]
    assert availability(unset).value == 1
    fast = only(observed(log((3600, P)), total={5: 240}, good={5: 240}), shift(0, 60))
    assert effectiveness(fast).value == 2, "never capped"
    assert "too large" in effectiveness(fast).warning.en  # type: ignore[union-attr]


def test_an_offline_machine_is_neither_running_nor_standing() -> None:
    # Pathology 6: half of the shift nothing was heard.
    half = only(observed(log((1800, P), (1800, U)), total={5: 60}, good={5: 60}), shift(0, 60))
    assert half.times.unknown == 1800 * S
    assert completeness(half) == 0.5
    assert availability(half).value == 1
    # What a counter shows after the silence was made evenly: the half of it that fell into the silence is in no figure.
    shown = Growth(np.array([T0 + 60 * MINUTE_US]), np.array([61.0]), np.array([T0]))
    late = replace(observed(log((1830, P), (1830, U), (1740, P))), counted=Counted(shown, shown))
    record = only(late, shift(0, 90))
    assert (record.total, record.late) == (30.5, 30.5)
    gone = only(observed(log((3600, U)), total={}, good={}), shift(0, 60))
    assert availability(gone).value is None
    assert oee_index(gone).value is None
    assert completeness(gone) == 0


def test_run_times_follow_the_item_and_the_day() -> None:
    def at(minute: int) -> int:
        return T0 + minute * MINUTE_US

    rates = RunTimes([(at(20), "bolt"), (at(40), "")], {"": [(0, 10 * S), (at(50), 12 * S)], "bolt": [(0, 3 * S)]})
    made = {10: 1.0, 20: 1.0, 39: 1.0, 45: 1.0, 55: 1.0}
    record = only(observed(log((3600, P)), total=made, good=made, run_times=rates), shift(0, 60))
    assert record.ideal_total == (10 + 3 + 3 + 10 + 12) * S
    assert record.unrated == 0


def test_micro_stops_are_apart_and_a_stop_at_a_border_is_judged_whole() -> None:
    found = observed(log((1770, P), (59, IDLE), (1771, P), (3570, P), (60, F), (3570, P)))
    times = only(found, shift(0, 60)).times
    assert (times.micro_stop, times.failures) == (59 * S, 0)
    one, other = (
        record.times for _, _, record in records(found, [shift(60, 120), shift(120, 180)], T0 + 180 * MINUTE_US)
    )
    assert (one.failure, other.failure) == (30 * S, 30 * S), "30 s on either side are one stop of a minute"


def test_parts_made_in_a_break_are_apart() -> None:
    record = only(observed(log((3600, P)), total={5: 10, 35: 7}, good={5: 10, 35: 7}), shift(0, 60, (30, 40)))
    assert (record.total, record.beside) == (10, 7)
    assert record.times.producing == 3000 * S


def test_a_state_holds_while_the_machine_is_heard_and_no_longer() -> None:
    def of(*changes: tuple[int, float]) -> Signal:
        return Signal(np.array([T0 + s * S for s, _ in changes], np.int64), np.array([v for _, v in changes], float))

    def meaning(values: tuple[float, ...]) -> Kind:
        return U if np.isnan(values[0]) else P if values[0] else IDLE

    heard = np.array([T0 + s * S for s in (0, 100, 200, 900)], np.int64)
    state = of((-5000, 1), (0, 1), (100, 0), (900, 1), (950, nan))
    assert intervals([state], meaning, heard, 300 * S, (T0, T0 + 1000 * S)) == log(
        (100, P), (400, IDLE), (400, U), (50, P), (50, U)
    )
    # Nothing was ever heard: unknown, though a value from long ago says "running".
    assert intervals([state], meaning, heard[:0], 300 * S, (T0, T0 + 10 * S)) == log((10, U))


def test_counters_begin_again_and_are_never_negative() -> None:
    minute = np.array([0, 1, 2, 5], np.int64) * MINUTE_US
    found = growth(minute, np.array([10.0, 12, 3, 8]), np.array([11.0, 14, 5, 9]), np.array([1.0, 2, nan, 1]))
    assert found.pieces.tolist() == [1, 1 + 2, 3, 3 + 1]
    assert found.since.tolist() == [0, MINUTE_US, 2 * MINUTE_US, 3 * MINUTE_US]


def test_sums_of_records_survive_being_stored() -> None:
    record = only(observed(log((60, IDLE), (3540, P)), total={5: 10}, good={5: 9}), shift(0, 60))
    assert ShiftRecord.load(record.dump()) == record
    assert record.times + TimeElements() == record.times
    assert pieces([], [], 0) == []
