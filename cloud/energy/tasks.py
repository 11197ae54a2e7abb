"""Keeps what meters have measured up to date: recomputes, from the roll-ups, every day that new readings touch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import numpy as np

from cloud.core.db import AsyncConnection, Database
from cloud.core.principal import TenantScope
from cloud.energy.carriers import CARRIERS, COUNTERS, METER_CLASS, POWERS
from cloud.energy.metering import CONTEXT_S, DAY_S, INTERVALS, Intervals, Minutes, counted, integrated, occupied
from cloud.energy.store import days as store
from cloud.energy.store.meters import adopt, place_unconfirmed, select_meter
from cloud.energy.store.places import select_places
from cloud.energy.store.rows import Row
from cloud.production.schemas import Node
from cloud.production.service import Production, changes_wait
from cloud.telemetry.service import used_minutes
from protocols.dictionary.units import conversion

_PERIOD_S = 30.0
_DAYS_AT_ONCE = 31
_REACH = timedelta(hours=1)

_log = logging.getLogger(__name__)


async def note_changes(connection: AsyncConnection, dirty: Sequence[tuple[int, datetime]]) -> None:
    """Note which meters have new readings; a follower of the roll-ups, in their transaction.

    Series that measure energy and belong to no meter yet become one.
    """
    series = sorted({one for one, _ in dirty})
    await adopt(connection, series, counters=COUNTERS, powers=POWERS, meter_class=METER_CLASS)
    await store.mark_dirty(connection, dirty)


async def meter_all(db: Database, production: Production) -> None:
    """Compute anew what is to be, tenant by tenant. Every meter is tried; raises afterwards what befell some.

    With a machine's meter comes what the machine did on the same days, by production's timeline.
    """
    async with db.door() as connection:
        tenants = await store.tenants_to_meter(connection)
    failures = []
    for tenant in tenants:
        scope = TenantScope(tenant)
        async with db.tenant(scope) as connection:
            await place_unconfirmed(connection, METER_CLASS)
            meters = await store.dirty_meters(connection)
        for meter in meters:
            try:
                async with db.tenant(scope) as connection:
                    await _meter(connection, production, scope, meter)
            except Exception as error:
                failures.append(error)
    if failures:
        raise ExceptionGroup("meters", failures)


async def keep_metered(db: Database, production: Production) -> None:
    """Compute every 30 seconds what new readings have touched, until cancelled. What fails stays noted."""
    failing = False
    while True:
        try:
            await meter_all(db, production)
            if failing:
                _log.warning("meters are being computed again")
            failing = False
        except Exception:
            if not failing:
                _log.exception("meters cannot be computed; trying on")
            failing = True
        await asyncio.sleep(_PERIOD_S)


async def _meter(connection: AsyncConnection, production: Production, scope: TenantScope, meter_id: UUID) -> None:
    spans = await store.take_dirty(connection, meter_id)
    meter = await select_meter(connection, meter_id)
    if not spans or meter is None or meter["series_id"] is None:
        return
    if meter["equipment_id"] and await changes_wait(connection, meter["equipment_id"]):
        # Production has still to look at the machine: what it did may change without a new reading.
        await store.note(connection, meter_id, spans)
    machines = {row["equipment_id"] for row in await select_places(connection, [meter_id])}
    machines = (machines | {meter["equipment_id"]}) - {None}
    for first, last in _merged([await _affected(connection, meter["series_id"], *span) for span in spans]):
        for begin in _days(first, last, _DAYS_AT_ONCE):
            count = min(_DAYS_AT_ONCE, (last - begin).days + 1)
            days = await _computed(connection, meter, begin, count)
            until = begin + timedelta(days=count - 1)
            await store.replace_days(connection, meter_id, begin, until, days)
            for machine in machines:
                # A state lasts until the next one, which may come a day later.
                did = await _activity(production, scope, machine, begin, count + 1)
                await store.replace_activity(connection, machine, begin, until + timedelta(days=1), did)


async def _affected(connection: AsyncConnection, series: int, first: datetime, last: datetime) -> tuple[date, date]:
    """Return the UTC days, first and last, whose energy may depend on readings of [first, last].

    The growth of a counter is spread between readings, so these are all the days up to its neighbours outside `_REACH`.
    """
    before, after = first - _REACH, last + _REACH
    minutes = (await used_minutes(connection, series, before, before)).time.tolist()
    begin = min(minutes[0], before.timestamp()) if minutes else before.timestamp()
    minutes = (await used_minutes(connection, series, after, after)).time.tolist()
    end = max(minutes[-1], after.timestamp()) if minutes else after.timestamp()
    reach = _REACH.total_seconds()
    return _day(begin - reach), _day(end + reach)


async def _computed(connection: AsyncConnection, meter: Row, begin: date, count: int) -> list[store.Day]:
    """Return `count` days of a meter from `begin` on, without those of which nothing is known.

    Each day is computed from its own minutes and those around it alone, so that it comes out the same whatever days are
    computed with it.
    """
    start = datetime(begin.year, begin.month, begin.day, tzinfo=UTC)
    context = timedelta(seconds=CONTEXT_S)
    end = start + timedelta(days=count)
    stored = await used_minutes(connection, meter["series_id"], start - context, end + context)
    found = Minutes(stored.time, stored.mean, stored.first, stored.last, stored.increase)
    days = []
    for index in range(count):
        day = begin + timedelta(days=index)
        day_s = int(start.timestamp()) + index * DAY_S
        intervals = _intervals(_around(found, day_s - CONTEXT_S, day_s + DAY_S + CONTEXT_S), day_s, meter)
        if intervals.covered.any() or intervals.energy.any():
            covered = np.rint(intervals.covered).astype(np.int16)
            days.append(store.Day(meter["id"], day, intervals.energy, covered))
    return days


async def _activity(
    production: Production, scope: TenantScope, equipment: UUID, begin: date, count: int
) -> list[store.Activity]:
    """Return what a machine did on `count` days from `begin` on, without those of which nothing is known."""
    start = datetime(begin.year, begin.month, begin.day, tzinfo=UTC)
    node = Node(kind="equipment", id=equipment)
    spans = (await production.timeline(scope, node, start, start + timedelta(days=count))).get(equipment, [])
    known = [span for span in spans if span.element != "unknown" and span.start < span.end]
    idle = [span for span in known if span.element != "producing"]
    start_s, total = int(start.timestamp()), count * INTERVALS
    seconds = [
        np.rint(occupied([(one.start.timestamp(), one.end.timestamp()) for one in chosen], start_s, total))
        .astype(np.int16)
        .reshape(count, INTERVALS)
        for chosen in (known, idle)
    ]
    return [
        store.Activity(equipment, begin + timedelta(days=index), known_s, idle_s)
        for index, (known_s, idle_s) in enumerate(zip(*seconds, strict=True))
        if known_s.any()
    ]


def _around(minutes: Minutes, start_s: int, end_s: int) -> Minutes:
    """Return the minutes of [start, end) and the next one on either side."""
    begin = max(int(np.searchsorted(minutes.time, start_s)) - 1, 0)
    end = int(np.searchsorted(minutes.time, end_s)) + 1
    return minutes.at(slice(begin, end))


def _intervals(minutes: Minutes, start_s: int, meter: Row) -> Intervals:
    carrier = CARRIERS[meter["carrier"]]
    if meter["basis"] == "power":
        factor, _ = conversion(meter["unit"], "KWT")
        intervals = integrated(minutes, start_s, INTERVALS)
    else:
        factor, _ = conversion(meter["unit"], carrier.unit)
        rollover = meter["rollover"] / factor if meter["rollover"] else None
        intervals = counted(minutes, start_s, INTERVALS, rollover)
    return intervals if factor == 1.0 else Intervals(intervals.energy * factor, intervals.covered)


def _merged(spans: Sequence[tuple[date, date]]) -> list[tuple[date, date]]:
    merged: list[tuple[date, date]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _days(first: date, last: date, step: int) -> Iterator[date]:
    for offset in range(0, (last - first).days + 1, step):
        yield first + timedelta(days=offset)


def _day(time_s: float) -> date:
    return datetime.fromtimestamp(time_s, UTC).date()
