"""What machines have made today, counted as their OEE of today counts it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, time
from uuid import UUID

from cloud.core.db import AsyncConnection
from cloud.production.calendar import Calendar
from cloud.production.figures import Made, made
from cloud.production.observer import Observer, plant
from cloud.production.record import ShiftRecord, union
from cloud.production.store import records as store
from cloud.telemetry.service import Telemetry


async def made_today(
    connection: AsyncConnection, telemetry: Telemetry, machines: Collection[UUID], now: datetime
) -> Made:
    """Return what `machines` have made on their sites' present day; unknown ones are left aside.

    Where a shift calendar holds, that is what the records of the day's shifts say. Where there is none nothing is planned, and
    all that was counted since midnight of the site stands for it.
    """
    known = await plant(connection)
    planned: dict[UUID, date] = {}
    counted: list[ShiftRecord] = []
    for machine in known.machines.keys() & set(machines):
        calendar = known.calendar(machine)
        sources = known.sources(machine)
        if calendar.versions:
            planned[machine] = now.astimezone(calendar.zone).date()
        elif sources.counters or sources.inspects:
            observer = Observer(connection, telemetry, known, machine)
            counted.append(await observer.counted(_midnight(calendar, now), now))
    return made([*(await _of_shifts(connection, planned)).values(), *counted])


async def _of_shifts(connection: AsyncConnection, days: dict[UUID, date]) -> dict[UUID, ShiftRecord]:
    """Return the union of the records of each machine's day."""
    if not days:
        return {}
    found: dict[UUID, list[ShiftRecord]] = {}
    for machine, row in await store.select(connection, list(days), min(days.values()), max(days.values())):
        if row.day == days[machine]:
            found.setdefault(machine, []).append(ShiftRecord.load(row.body))
    return {machine: union(records) for machine, records in found.items()}


def _midnight(calendar: Calendar, now: datetime) -> datetime:
    return datetime.combine(now.astimezone(calendar.zone).date(), time(), calendar.zone)
