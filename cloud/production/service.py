"""The door of the production domain.

production = Production(db, telemetry)                                app.state.production in a running cloud
shifts = await production.shifts_between(scope, node, start, end)     -> list[Shift] that overlap [start, end), disjoint
shifts = await production.shifts_of_days(scope, node, first, last)    -> list[Shift] of the production days first..last
report = await production.kpis(scope, node, first, last, "shift")     -> KpiReport: rows, total, machines
good = await production.good_parts(scope, node, first, last)          -> {equipment id: good parts}, as the report's
rows = await production.whole_shifts(scope, machines, first, last)    -> {equipment id: list[KpiRow]}: shifts that are over
spans = await production.timeline(scope, node, start, end)            -> {equipment id: list[StateSpan]}: what each did
counts = await production.counts(scope, equipment_id, start, end)     -> Counts: produced, good, scrap
figures = await production.shift_figures(scope, machines, now, running=True)  -> {equipment id: ShiftFigures} of one shift
made = await production.made_today(scope, machines, now)               -> Made: produced, good, scrap, quality_rate
page = await production.stops.page(scope, node, start, end, limit=50, wanted=StopFilter(micro=False)) -> StopPage, newest first
planned = await production.calendars.of_stations(agent, request)       what an agent asks of its stations' shifts
production.calendars / .reasons / .machine_settings                   what people set; each change is in the audit log
note_readings                                                         a follower of the roll-ups
waiting = await changes_wait(connection, equipment_id)               -> bool: what it did may still change
await keep_up_to_date(db, telemetry)                                  a task

`node` is a `Node`: a site, a line or a piece of equipment; one of another tenant does not exist: NotFound. Records of
shifts are made anew every 15 seconds where something has touched them, and up to now for shifts that last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import NotFound
from cloud.core.principal import TenantScope
from cloud.core.since import BEGINNING as BEGINNING  # noqa: PLC0414 - pages say it in words
from cloud.production.calendar import Calendar
from cloud.production.calendars import Calendars, planned
from cloud.production.figures import (
    ELEMENTS,
    Made,
    Question,
    Recorded,
    ShiftFigures,
    by_month,
    good_parts,
    of_shift,
    report,
    shift_figures,
)
from cloud.production.kpi import KPIS
from cloud.production.machine_settings import MachineSettings
from cloud.production.observer import Observer, plant
from cloud.production.places import Machine, place_of
from cloud.production.places import machines as equipment
from cloud.production.reasons import StopReasons, words
from cloud.production.record import ShiftRecord
from cloud.production.schemas import Counts, Granularity, KpiReport, KpiRow, Node, Shift, StateSpan
from cloud.production.stops import StopFilter, StopLoss, Stops
from cloud.production.store import records as store
from cloud.production.store.states import has_changes
from cloud.production.tasks import keep_up_to_date, note_readings
from cloud.production.today import made_today
from cloud.telemetry.service import Telemetry
from protocols.text import Text

__all__ = [
    "ELEMENTS",
    "KPIS",
    "Made",
    "Production",
    "ShiftFigures",
    "StopFilter",
    "StopLoss",
    "changes_wait",
    "keep_up_to_date",
    "note_readings",
]


class Production:
    """Calendars, states, stops, counts and KPIs of a tenant."""

    def __init__(self, db: Database, telemetry: Telemetry) -> None:
        self._db = db
        self._telemetry = telemetry
        self.calendars = Calendars(db)
        self.reasons = StopReasons(db)
        self.machine_settings = MachineSettings(db)
        self.stops = Stops(db, telemetry)

    async def shifts_between(self, scope: TenantScope, node: Node, start: datetime, end: datetime) -> list[Shift]:
        """Return the shifts planned at `node` that overlap [start, end), by their begin; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return (await _calendar(connection, node)).between(start, end)

    async def shifts_of_machines(
        self, scope: TenantScope, machines: Collection[UUID], start: datetime, end: datetime
    ) -> dict[UUID, list[Shift]]:
        """Return what `shifts_between` tells of each of `machines`; without those the tenant has not."""
        async with self._db.tenant(scope) as connection:
            known = [one for one in await equipment(connection) if one.id in machines]
            calendars = await planned(connection)
        places = {(one.site_id, one.line_id) for one in known}
        shifts = {place: calendars.of(*place).between(start, end) for place in places}
        return {one.id: shifts[one.site_id, one.line_id] for one in known}

    async def shifts_of_days(self, scope: TenantScope, node: Node, first: date, last: date) -> list[Shift]:
        """Return the shifts of the production days `first` to `last` at `node`; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return (await _calendar(connection, node)).of_days(first, last)

    async def kpis(
        self,
        scope: TenantScope,
        node: Node,
        first: date,
        last: date,
        granularity: Granularity = "total",
        *,
        machines: bool = True,
    ) -> KpiReport:
        """Return time elements, counts, KPIs and losses of the production days `first` to `last`; raises NotFound.

        By period, over all, and with `machines` of each over all. Those of several machines or shifts are computed on the
        union.
        """
        async with self._db.tenant(scope) as connection:
            place = await place_of(connection, node)
            found = await _recorded(connection, place.machines, first, last)
            reasons = await words(connection, last)
        question = Question(node, first, last, granularity, machines)
        return await asyncio.to_thread(report, question, place.machines, found, reasons)

    async def of_shift(self, scope: TenantScope, node: Node, day: date, start: datetime) -> list[KpiRow]:
        """Return the figures of each machine's shift of production day `day` that begins at `start`; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            place = await place_of(connection, node)
            found = await _recorded(connection, place.machines, day, day)
            reasons = await words(connection, day)
        return await asyncio.to_thread(of_shift, start, place.machines, found, reasons)

    async def good_parts(self, scope: TenantScope, node: Node, first: date, last: date) -> dict[UUID, float | None]:
        """Return the good parts of each machine of `node` as `kpis` counts them, without those it has no records of.

        Raises NotFound. Of thousands of machines it takes a small part of the time of `kpis`.
        """
        async with self._db.tenant(scope) as connection:
            place = await place_of(connection, node)
            return good_parts(await _recorded(connection, place.machines, first, last))

    async def by_month(
        self, scope: TenantScope, machines: Collection[UUID], first: date, last: date
    ) -> dict[UUID, dict[date, tuple[float | None, float | None]]]:
        """Return good parts and availability of `machines`, each as `kpis` tells them, by the first day of the month."""
        async with self._db.tenant(scope) as connection:
            known = [one for one in await equipment(connection) if one.id in machines]
            found = await _recorded(connection, known, first, last)
        return await asyncio.to_thread(by_month, found)

    async def whole_shifts(
        self, scope: TenantScope, machines: Collection[UUID], first: date, last: date
    ) -> dict[UUID, list[KpiRow]]:
        """Return the figures of each machine's planned shifts of the production days `first` to `last` that are over.

        The record of a shift that lasts ends where it was looked at last, so that it is none of those in the plan.
        """
        async with self._db.tenant(scope) as connection:
            known = [one for one in await equipment(connection) if one.id in machines]
            found = await _recorded(connection, known, first, last)
            reasons, calendars = await words(connection, last), await planned(connection)
        plans = {
            place: {(shift.start, shift.end) for shift in calendars.of(*place).of_days(first, last)}
            for place in {(one.site_id, one.line_id) for one in known}
        }
        own: dict[UUID, list[Recorded]] = {}
        for one in found:
            own.setdefault(one.equipment_id, []).append(one)
        told = {}
        for machine in known:
            asked = Question(Node(kind="equipment", id=machine.id), first, last, "shift")
            rows = report(asked, [machine], own.get(machine.id, []), reasons).rows
            plan = plans[machine.site_id, machine.line_id]
            told[machine.id] = [row for row in rows if (row.start, row.until) in plan]
        return told

    async def shift_figures(
        self, scope: TenantScope, machines: Collection[UUID], now: datetime, *, running: bool
    ) -> dict[UUID, ShiftFigures]:
        """Return the KPIs of each machine's shift that lasts, or of its last one that is over; without machines that have none."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_of_shift(connection, list(machines), now, running=running)
        return {
            machine: shift_figures(row.start, Text(row.name_en, row.name_zh), ShiftRecord.load(row.body))
            for machine, row in rows
        }

    async def shifts_over(
        self, scope: TenantScope, machines: Collection[UUID], start: datetime, end: datetime
    ) -> list[tuple[UUID, datetime, ShiftFigures]]:
        """Return machine, end and KPIs of the shifts that were over in (start, end], in the order of time."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_over(connection, list(machines), start, end)
        return [
            (
                machine,
                row.shift_end,
                shift_figures(row.start, Text(row.name_en, row.name_zh), ShiftRecord.load(row.body)),
            )
            for machine, row in rows
        ]

    async def timeline(
        self, scope: TenantScope, node: Node, start: datetime, end: datetime, *, most: int | None = None
    ) -> dict[UUID, list[StateSpan]]:
        """Return what each machine of `node` did in [start, end), as it is counted; nothing after now. Raises NotFound.

        With `most` only of the first so many that tell their state.
        """
        return await self.stops.timeline(scope, node, start, end, most=most)

    async def counts(self, scope: TenantScope, equipment_id: UUID, start: datetime, end: datetime) -> Counts:
        """Return what was counted at a machine in the whole minutes of [start, end); raises NotFound."""
        async with self._db.tenant(scope) as connection:
            known = await plant(connection)
            if equipment_id not in known.machines:
                raise NotFound
            observer = Observer(connection, self._telemetry, known, equipment_id, end - timedelta(microseconds=1))
            counted = await observer.counted(start, end)
        return Counts(
            equipment_id=equipment_id,
            start=start,
            end=end,
            produced=counted.total,
            good=counted.good,
            scrap=counted.scrap,
            sources=sorted(observer.sources.codes),
            problems=sorted(counted.problems),
        )

    async def made_today(self, scope: TenantScope, machines: Collection[UUID], now: datetime) -> Made:
        """Return what `machines` have made together on their sites' present day, counted as the OEE of the day counts it.

        Where no shift calendar holds, all that was counted since midnight of the site. Unknown machines are left aside.
        """
        async with self._db.tenant(scope) as connection:
            return await made_today(connection, self._telemetry, machines, now)


async def changes_wait(connection: AsyncConnection, equipment_id: UUID) -> bool:
    """Tell, within a transaction, whether readings of a machine are rolled up that its states do not yet show."""
    return await has_changes(connection, equipment_id)


async def _recorded(
    connection: AsyncConnection, machines: Sequence[Machine], first: date, last: date
) -> list[Recorded]:
    rows = await store.select(connection, [machine.id for machine in machines], first, last)
    return [
        Recorded(identity, row.day, Text(row.name_en, row.name_zh), row.start, row.until, ShiftRecord.load(row.body))
        for identity, row in rows
    ]


async def _calendar(connection: AsyncConnection, node: Node) -> Calendar:
    place = await place_of(connection, node)
    return (await planned(connection)).of(place.site_id, place.line_id)
