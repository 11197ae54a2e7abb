"""Reads what is known of one machine, makes its states, and makes the records of its shifts. Inside one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import NamedTuple
from uuid import UUID

import numpy as np

from cloud.core.db import AsyncConnection
from cloud.production.calendar import Calendar
from cloud.production.calendars import Planned, planned
from cloud.production.counts import Counted, Growth, RunTimes, growth
from cloud.production.places import Machine, machines
from cloud.production.record import Observed, ShiftRecord, instant, records, us
from cloud.production.schemas import EquipmentSettings, Shift
from cloud.production.sources import Point, Sources, sources_of
from cloud.production.state_log import HOUR_US, Interval, Kind, Signal, intervals, whole
from cloud.production.store import records as store
from cloud.production.store import states
from cloud.production.time_elements import Marker
from cloud.quality.service import Outcomes, outcomes
from cloud.telemetry.service import Telemetry, heard_minutes, used_minutes

FURTHEST_MARKER = timedelta(days=35)
"""How long a stop may last and still be known by the reason given at its begin."""

_HOUR = timedelta(hours=1)


class Version(NamedTuple):
    """How a machine is read from a whole hour on, until the next version holds."""

    valid_from: datetime
    settings: EquipmentSettings


@dataclass(frozen=True)
class Plant:
    """What a transaction has to know of a tenant before it looks at machines."""

    machines: Mapping[UUID, Machine]
    settings: Mapping[UUID, Sequence[Version]]
    points: Mapping[UUID, Sequence[Point]]
    calendars: Planned

    def sources(self, equipment_id: UUID, at: datetime | None = None) -> Sources:
        """Return what a machine is read from at `at`, now unless told."""
        return sources_of(self.points.get(equipment_id, ()), self.settings_of(equipment_id, at))

    def settings_of(self, equipment_id: UUID, at: datetime | None = None) -> EquipmentSettings:
        """Return a machine's settings that hold at `at`, now unless told."""
        instant = at or datetime.now(UTC)
        held = [one.settings for one in self.settings.get(equipment_id, ()) if one.valid_from <= instant]
        return held[-1] if held else EquipmentSettings.model_validate({})

    def spells(self, equipment_id: UUID, start: datetime, end: datetime) -> Sequence[tuple[datetime, datetime]]:
        """Return [start, end) in parts, in each of which one version of a machine's settings holds."""
        inside = [one.valid_from for one in self.settings.get(equipment_id, ()) if start < one.valid_from < end]
        return list(pairwise([start, *inside, end]))

    def calendar(self, equipment_id: UUID) -> Calendar:
        """Return the calendar that holds where a machine stands."""
        machine = self.machines[equipment_id]
        return self.calendars.of(machine.site_id, machine.line_id)


async def plant(connection: AsyncConnection) -> Plant:
    """Return the plant of the tenant the running transaction is in."""
    points: dict[UUID, list[Point]] = defaultdict(list)
    for equipment, series, name, code in await states.select_points(connection):
        points[equipment].append(Point(series, name, code))
    settings: dict[UUID, list[Version]] = defaultdict(list)
    for equipment, valid_from, body in await states.select_settings(connection):
        settings[equipment].append(Version(valid_from, EquipmentSettings(**body)))
    return Plant(
        {machine.id: machine for machine in await machines(connection)},
        settings,
        points,
        await planned(connection),
    )


class Observer:
    """One machine, within one transaction, as its settings say at `at`, now unless told; what it makes anew, as they said then."""

    def __init__(
        self,
        connection: AsyncConnection,
        telemetry: Telemetry,
        known: Plant,
        equipment_id: UUID,
        at: datetime | None = None,
    ) -> None:
        self._connection = connection
        self._telemetry = telemetry
        self._known = known
        self._id = equipment_id
        self.settings = known.settings_of(equipment_id, at)
        self.sources = known.sources(equipment_id, at)
        self.calendar = known.calendar(equipment_id)

    @property
    def ever(self) -> Sequence[Observer]:
        """The machine as it is read now, and as each version of its settings has it."""
        return [self, *(self._at(one.valid_from) for one in self._known.settings.get(self._id, ()))]

    def _at(self, instant: datetime) -> Observer:
        return Observer(self._connection, self._telemetry, self._known, self._id, instant)

    async def make_states(self, first: datetime, last: datetime) -> None:
        """Make anew what the machine did in the hours `first` to `last`."""
        for start, end in self._known.spells(self._id, first, last + _HOUR):
            await self._at(start)._make_states(start, end - _HOUR)

    async def _make_states(self, first: datetime, last: datetime) -> None:
        hold = self.settings.hold_s * 1_000_000
        start, end = us(first), us(last) + HOUR_US
        since = first - timedelta(microseconds=hold)
        numbers = await self._telemetry.numbers(self._connection, self.sources.states, first, last + _HOUR)
        signals = []
        for series in self.sources.states:
            mine = numbers.series == series
            usable = numbers.quality[mine] >= 0
            signals.append(Signal(numbers.time[mine], np.where(usable, numbers.value[mine], np.nan)))
        heard = [us(minute) for minute in await heard_minutes(self._connection, self._id, since, last + _HOUR)]
        own = numbers.time[numbers.quality >= 0]
        signs = np.unique(np.concatenate([np.array(heard, np.int64), own]))
        log = (
            intervals(signals, self.sources.kind, signs, hold, (start, end))
            if signals
            else [Interval(start, end, Kind.UNKNOWN)]
        )
        hours = []
        for hour in range(start, end, HOUR_US):
            parts = whole(log, hour, hour + HOUR_US)
            if [part.kind for part in parts] != [Kind.UNKNOWN]:
                starts, kinds = [part.start - hour for part in parts], [int(part.kind) for part in parts]
                hours.append(states.StateHour(instant(hour), starts, kinds))
        await states.replace_hours(self._connection, self._id, first, last + _HOUR, hours)

    async def log(self, start: datetime, end: datetime) -> list[Interval]:
        """Return what the machine did in [start, end), as it is stored."""
        parts = []
        for hour, starts, kinds in await states.select_hours(self._connection, self._id, start, end):
            base = us(hour)
            ends = [*starts[1:], HOUR_US]
            parts += [
                Interval(base + begin, base + until, Kind(kind))
                for begin, until, kind in zip(starts, ends, kinds, strict=True)
            ]
        return whole(parts, us(start), us(end))

    async def marked_log(
        self, start: datetime, end: datetime, now: datetime
    ) -> tuple[list[Interval], list[Marker], list[store.Row]]:
        """Return what the machine did around [start, end) up to `now`, and what people said of it.

        So far around that what counts as a stop within [start, end) is known as in the whole.
        """
        pad = timedelta(seconds=self.settings.micro_stop_s)
        rows = await store.select_markers(self._connection, self._id, start - pad, end + pad)
        reach = [row["at"] for row in rows if row["at"] >= start - FURTHEST_MARKER]
        begin = min([start - pad, *reach])
        log = await self.log(begin, max(min(end + pad, now), begin))
        return log, [Marker(us(row["at"]), row["reason_id"], row["loss"]) for row in rows], rows

    async def make_records(self, start: datetime, end: datetime, now: datetime) -> None:
        """Make anew the records of the shifts that overlap [start, end), each as the settings say that hold at its end."""
        shifts = self.calendar.between(start, end)
        first, last = (shifts[0].start, shifts[-1].end) if shifts else (start, end)
        made: list[store.Stored] = []
        ends = [min(shift.end, now) - timedelta(microseconds=1) for shift in shifts]
        read = [self._known.settings_of(self._id, instant) for instant in ends]
        for _, places in groupby(range(len(shifts)), key=lambda place: read[place]):
            alike = list(places)
            observer = self._at(ends[alike[0]])
            made += await observer._records([shifts[place] for place in alike], now)
        # What begins in the span and is no shift (any more) goes.
        await store.replace(self._connection, self._id, min(first, start), max(last, end), made)

    async def _records(self, shifts: Sequence[Shift], now: datetime) -> list[store.Stored]:
        if not self.sources.takes_part:
            return []
        first = shifts[0].start
        before = self.calendar.between(first - timedelta(days=1), first)[-1:]
        observed = await self.observed((before or shifts)[0].start, shifts[-1].end, now)
        return [
            _stored(shift, until, record)
            for shift, until, record in records(observed, [*before, *shifts], us(now))
            if shift.start >= first
        ]

    async def observed(self, start: datetime, end: datetime, now: datetime) -> Observed:
        """Return all that records of shifts within [start, end) are made of."""
        log, markers, _ = await self.marked_log(start, end, now)
        found = await outcomes(self._connection, self._id, start, end)
        counted, problems = await self._counted(start, end, found)
        return Observed(
            log=log,
            markers=markers,
            counted=counted,
            inspections=[(us(one.minute), one.first, one.first_good) for one in found],
            run_times=await self._run_times(),
            micro_stop=self.settings.micro_stop_s * 1_000_000,
            sources=frozenset(self.sources.codes),
            problems=frozenset(self.sources.problems | problems),
        )

    async def counted(self, start: datetime, end: datetime) -> ShiftRecord:
        """Return what was counted in the whole minutes of [start, end), whatever was planned; a record of nothing else."""
        counted, problems = await self._counted(start, end, await outcomes(self._connection, self._id, start, end))
        span = [(us(start), us(end))]
        total, good, scrap = (one and one.within(span).total for one in counted.quantities)
        return ShiftRecord(total=total, good=good, scrap=scrap, problems=frozenset(self.sources.problems | problems))

    async def _counted(self, start: datetime, end: datetime, found: Sequence[Outcomes]) -> tuple[Counted, set[str]]:
        """Return what was counted: by the counters, by inspections where there is no counter; and what is missing."""
        counters: dict[str, Growth] = {
            role: await self._growth(series, start, end) for role, series in self.sources.counters.items()
        }
        if self.sources.cycles:
            cycles = counters["total"]
            counters["total"] = cycles._replace(pieces=cycles.pieces * self.settings.parts_per_cycle)
        if not counters and self.sources.inspects:
            minute = np.array([us(one.minute) for one in found], np.int64)
            for role, pieces in (
                ("total", [one.inspected for one in found]),
                ("good", [one.good for one in found]),
                ("scrap", [one.defect for one in found]),
            ):
                counters[role] = Growth(minute, np.array(pieces, float), minute)
        if self.settings.all_good and counters.keys() == {"total"}:
            counters["good"] = counters["total"]
        counted = Counted(**counters)
        total, good, _ = counted.quantities
        problems = set()
        if total is None:
            problems.add("no_count")
        if good is None:
            problems.add("no_quality")
        return counted, problems if "several_counts" not in self.sources.problems else set()

    async def _growth(self, series: int, start: datetime, end: datetime) -> Growth:
        minutes = await used_minutes(self._connection, series, start, end)
        found = growth(minutes.time * 1_000_000, minutes.first, minutes.last, minutes.increase)
        return found.within([(us(start), us(end))])

    async def _run_times(self) -> RunTimes:
        rates: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for row in await store.select_run_times(self._connection, self._id):
            rates[row["item"]].append((us(row["valid_from"]), row["run_time_us"]))
        runs = [(us(row["start"]), row["item"]) for row in await store.select_runs(self._connection, self._id)]
        return RunTimes(runs, rates)


def _stored(shift: Shift, until: int, record: ShiftRecord) -> store.Stored:
    return store.Stored(shift.start, instant(until), shift.end, shift.day, shift.name_en, shift.name_zh, record.dump())
