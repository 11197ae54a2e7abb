"""Keeps states and records of shifts up to date: whatever readings, inspections or people touch is made anew.

`note_readings` is told by the roll-ups, in their transaction, which readings are new, so that nothing is ever forgotten;
`bring_up_to_date` then works the notes off and lets the shifts that last go on. Records are always made from what is
stored, never from records before, so one made a hundred times is the same as one made once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cloud.core.db import AsyncConnection, Database
from cloud.core.principal import TenantScope
from cloud.production.observer import Observer, plant
from cloud.production.store import records as store
from cloud.production.store import states
from cloud.telemetry.service import Telemetry

_PERIOD_S = 15.0
_CHANGES_AT_ONCE = 4000
_HOUR = timedelta(hours=1)

_log = logging.getLogger(__name__)


async def note_readings(connection: AsyncConnection, touched: Sequence[tuple[int, datetime]]) -> None:
    """Note what new readings touch; a follower of the roll-ups, in their transaction."""
    await states.note_readings(connection, [series for series, _ in touched], [minute for _, minute in touched])


async def bring_up_to_date(db: Database, telemetry: Telemetry, now: datetime | None = None) -> None:
    """Make anew what is to be, tenant by tenant; every tenant is tried, raises afterwards what befell some."""
    async with db.door() as connection:
        tenants = await states.tenants_in_production(connection)
    failures = []
    for tenant in tenants:
        try:
            while await _bring_up(db, telemetry, tenant, now or datetime.now(UTC)):
                pass
        except Exception as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup("production", failures)


async def _bring_up(db: Database, telemetry: Telemetry, tenant: UUID, now: datetime) -> bool:
    """Work off some of what a tenant has; returns whether there may be more."""
    async with db.tenant(TenantScope(tenant)) as connection:
        if not await states.lock(connection, tenant):
            return False
        changes = await states.take_changes(connection, _CHANGES_AT_ONCE)
        known = await plant(connection)
        touched: dict[UUID, set[datetime]] = defaultdict(set)
        rebuilt: dict[UUID, set[datetime]] = defaultdict(set)
        for change in changes:
            touched[change.equipment_id].add(change.hour)
            if change.states:
                rebuilt[change.equipment_id].add(change.hour)
        last = await store.select_unfinished(connection)
        for equipment in touched.keys() | last.keys():
            observer = Observer(connection, telemetry, known, equipment)
            if any(one.sources.takes_part for one in observer.ever) or equipment in last:
                await _make(observer, touched[equipment], rebuilt[equipment], last.get(equipment), now)
    return len(changes) == _CHANGES_AT_ONCE


async def _make(
    observer: Observer, touched: set[datetime], rebuilt: set[datetime], last: datetime | None, now: datetime
) -> None:
    reach = timedelta(seconds=max(one.settings.hold_s for one in observer.ever))
    # What a reading says holds on until `hold` after it.
    states_of = {hour + n * _HOUR for hour in rebuilt for n in range(2 + int(reach / _HOUR)) if hour + n * _HOUR <= now}
    for first, until in _spans(states_of):
        await observer.make_states(first, until - _HOUR)
    # Whether a stop is a micro-stop may depend on what follows it, in the next shift, too.
    pad = timedelta(seconds=max(one.settings.micro_stop_s for one in observer.ever))
    spans = [(first - pad, until + pad) for first, until in _spans(states_of | touched)]
    # From the last record on, or for a machine that has none from its first hour on, shifts go on with or without readings.
    since = last or min((start for start, _ in spans), default=None)
    if since is not None:
        spans.append((since, now))
    for start, end in _joined(spans):
        if start < now:
            await observer.make_records(start, min(end, now), now)


def _spans(hours: Iterable[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Yield [begin, end) of hours that follow each other."""
    yield from _joined([(hour, hour + _HOUR) for hour in hours])


def _joined(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    joined: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


async def keep_up_to_date(db: Database, telemetry: Telemetry) -> None:
    """Work every 15 seconds until cancelled. What fails stays noted and is tried again."""
    failing = False
    while True:
        try:
            await bring_up_to_date(db, telemetry)
            if failing:
                _log.warning("production is being kept up to date again")
            failing = False
        except Exception:
            if not failing:
                _log.exception("production cannot be kept up to date; trying on")
            failing = True
        await asyncio.sleep(_PERIOD_S)
