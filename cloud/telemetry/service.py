"""The door of the telemetry domain.

    telemetry = Telemetry(db, listener, ingest)                   app.state.telemetry in a running cloud
    points = await telemetry.points(scope, equipment_id)          -> list[Point]: series_id, names zh/en, unit symbol, ...
    found = await telemetry.catalogue.find(scope, typed, most)    -> list[Point]: by name, pinyin, machine or place
    latest = await telemetry.latest(scope, equipment_id)          -> list[Latest]: series_id, time, value, quality
    history = await telemetry.history(scope, [series_id], start, end, max_points)   -> History of Curves of Samples
    export = telemetry.export(scope)                              export.plan(...), then export.file(plan, "csv") -> bytes
    async for change in telemetry.changes(scope): ...             first all latest values, then those that change
    receipt = await telemetry.deliver(agent, delivery)
    await telemetry.meanings.set(principal, series_id, "own:...")  an unmapped point has one of the company's own entries
    csv_table(rows), workbook_table(rows)                         -> bytes: a small table for a spreadsheet
    minutes = await used_minutes(connection, series_id, start, end)     -> Minutes, for domains that compute from them
    telemetry.views                                               looks at curves that are kept: all, create, remove
    telemetry.feed                                                readings as they are committed, each once; see `feed.Feed`

`equipment_id` None means all equipment of the tenant. Series and equipment of another tenant do not exist: NotFound.
Readings are rolled up every two seconds, so a chart made from roll-ups may lack the last ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal
from uuid import UUID

from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import NotFound
from cloud.core.keyset import WHOLE, Window
from cloud.core.listen import Listener
from cloud.core.principal import AgentPrincipal, TenantScope
from cloud.core.rows import Row
from cloud.telemetry import computed
from cloud.telemetry.catalogue import Catalogue, PointIndex, points_within
from cloud.telemetry.computed import Computed
from cloud.telemetry.csv_file import csv_table
from cloud.telemetry.delays import quantile_ms
from cloud.telemetry.export import Export
from cloud.telemetry.feed import Feed, groups
from cloud.telemetry.history import Question, Reader, value_of
from cloud.telemetry.ingest import Ingest
from cloud.telemetry.meanings import UNKNOWN_UNIT, Meanings
from cloud.telemetry.retained import Retained, joined
from cloud.telemetry.retention import Retention
from cloud.telemetry.schemas import (
    Change,
    History,
    Latest,
    Point,
    Reading,
    ReadingPage,
    Resolution,
    Shape,
    Stats,
)
from cloud.telemetry.store import query as store
from cloud.telemetry.store.arrays import Minutes, Readings, select_last_before, select_minutes
from cloud.telemetry.views import Views
from protocols.dictionary.entries import Aggregation
from protocols.uplink.messages import Delivery, PointRef, Receipt

__all__ = [
    "UNKNOWN_UNIT",
    "Computed",
    "Feed",
    "PointIndex",
    "Readings",
    "Telemetry",
    "csv_table",
    "groups",
    "heard_minutes",
    "used_minutes",
    "workbook_table",
]

HEARTBEAT_S = 5.0
"""Longest silence of `changes`: a change without values says that nothing has changed."""

_SPACING_S = 0.2
_DELAY_HOURS = 2
_ALL = 2**40


def workbook_table(rows: Iterable[Sequence[object]]) -> bytes:
    """Return a small table, headings first, as a workbook of one sheet."""
    from cloud.telemetry.workbook import table  # noqa: PLC0415 - openpyxl takes a third of a second to load

    return table(rows)


class Telemetry:
    """Readings of a tenant."""

    def __init__(
        self,
        db: Database,
        listener: Listener,
        ingest: Ingest,
        retained: Retained = Retained(None),  # noqa: B008
    ) -> None:
        self._db = db
        self._listener = listener
        self._ingest = ingest
        self._retained = retained
        self.retention = Retention(db, retained)
        self.meanings = Meanings(db)
        self.catalogue = Catalogue(db)
        self.views = Views(db)
        self.feed = Feed()
        self._counting = asyncio.Semaphore(1)

    async def deliver(self, agent: AgentPrincipal, delivery: Delivery) -> Receipt:
        """Store a delivery, each frame exactly once; raises Malformed if it is none."""
        return await self._ingest.deliver(agent, delivery)

    async def points(
        self,
        scope: TenantScope,
        equipment: UUID | Collection[UUID] | None = None,
        window: Window = WHOLE,
        properties: Collection[str] | None = None,
    ) -> list[Point]:
        """Return the points of one equipment, of several or of all, by name; those of some meanings where told."""
        machines = [equipment] if isinstance(equipment, UUID) else equipment
        async with self._db.tenant(scope) as connection:
            return await points_within(connection, await store.select_points(connection, machines, window, properties))

    async def latest(
        self,
        scope: TenantScope,
        equipment_id: UUID | None = None,
        window: Window = WHOLE,
        series: Collection[int] | None = None,
    ) -> list[Latest]:
        """Return the latest reading of every point of one equipment, of `series`, or of all."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_latest(connection, equipment=equipment_id, series=series, window=window)
        return [_latest(row) for row in rows]

    async def readings(
        self, scope: TenantScope, series_id: int, start: datetime, end: datetime, *, after: datetime | None, limit: int
    ) -> ReadingPage:
        """Return about `limit` readings of a series in [start, end) later than `after`; raises NotFound."""

        async def read(connection: AsyncConnection) -> list[Row]:
            await _known(connection, [series_id])
            return await self._retained.readings(connection, series_id, start, end, after=after, limit=limit)

        rows = await self._db.read(scope, read)
        items = [Reading(time=row["time"], value=value_of(row), quality=row["quality"]) for row in rows]
        return ReadingPage(items=items, next=items[-1].time if len(items) >= limit else None)

    async def history(
        self,
        scope: TenantScope,
        series_ids: Sequence[int],
        start: datetime,
        end: datetime,
        max_points: int = 1000,
        *,
        resolution: Resolution | Literal["auto"] = "auto",
        shape: Shape = "buckets",
        aligned: bool = False,
        aggregation: Aggregation | None = None,
    ) -> History:
        """Return the curves of `series_ids` over [start, end), in their order; see `history.Question`.

        All curves together have about 100 000 samples at the most. Raises NotFound, and Invalid where what was asked for
        would give more or says nothing true of the values.
        """
        question = Question(
            series_ids,
            start,
            end,
            max_points,
            resolution=resolution,
            shape=shape,
            aligned=aligned,
            aggregation=aggregation,
        )
        return await self._db.read(scope, lambda connection: Reader(connection, question, self._retained).answer())

    async def numbers(
        self,
        connection: AsyncConnection,
        series_ids: Sequence[int],
        start: datetime,
        end: datetime,
        *,
        limit: int = _ALL,
    ) -> Readings:
        """Return the numeric readings of the tenant's series in [start, end), and of each the last one before.

        Within `connection`, for domains that compute from them; in the order of time. Of more than `limit` at least so many.
        """
        before = await select_last_before(connection, series_ids, start)
        found = await self._retained.numbers(connection, series_ids, start, end, limit)
        return joined([before, found])

    async def append_computed(
        self, connection: AsyncConnection, target: tuple[UUID, UUID], points: Mapping[PointRef, Computed]
    ) -> int:
        """Append readings that a domain has computed; see `computed.append`."""
        return await computed.append(connection, self._retained, target, points)

    def export(self, scope: TenantScope) -> Export:
        """Return what makes files of readings; see `export.Export`."""
        return Export(self._db, scope, self._retained)

    async def changes(
        self,
        scope: TenantScope,
        equipment_id: UUID | None = None,
        after: int | None = None,
        only: Collection[int] | None = None,
    ) -> AsyncIterator[Change]:
        """Yield what changes, until `end_streams`: first all latest values, or what changed since position `after`.

        Every change of a series is followed by a yield of its latest value; changes within 0.2 s come together. Nothing
        is lost over a reconnection or a restart, as `after` is a position in the database; one that is too old, or of
        another database, gives all latest values again. `only` names the series that are asked for; all without it.
        """
        with self._listener.waiting(scope) as changed:
            async with self._db.tenant(scope) as connection:
                if after is not None and await store.can_resume(connection, after):
                    position, values = await _changed(connection, equipment_id, after, only)
                else:
                    position = await store.select_position(connection)
                    rows = await store.select_latest(connection, equipment=equipment_id, series=only)
                    values = [_latest(row) for row in rows]
            sent = {value.series_id: value for value in values}
            yield Change(position=position, values=values)
            while not self._listener.closing:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), HEARTBEAT_S)
                    await asyncio.sleep(_SPACING_S)
                changed.clear()
                async with self._db.tenant(scope) as connection:
                    position, values = await _changed(connection, equipment_id, position, only)
                # What was in flight at the last position comes twice.
                news = [value for value in values if sent.get(value.series_id) != value]
                sent.update({value.series_id: value for value in news})
                yield Change(position=position, values=news)

    def end_streams(self) -> None:
        """End all streams of changes: whoever follows one would keep the cloud from stopping."""
        self._listener.close()

    async def stats(self, scope: TenantScope) -> Stats:
        """Return what is stored; reads every reading of the tenant, for one caller at a time."""
        async with self._counting, self._db.tenant(scope) as connection:
            row = await store.select_stats(connection)
            delays = await store.select_delays(connection, _DELAY_HOURS)
        return Stats(**row, stored_after_ms={"p50": quantile_ms(delays, 0.5), "p95": quantile_ms(delays, 0.95)})


async def used_minutes(connection: AsyncConnection, series_id: int, start: datetime, end: datetime) -> Minutes:
    """Return the minutes of one of the tenant's series in [start, end) that have usable readings, within `connection`.

    With them comes the next such minute on either side, however far away it is.
    """
    return await select_minutes(connection, series_id, start, end)


async def heard_minutes(
    connection: AsyncConnection, equipment_id: UUID, start: datetime, end: datetime
) -> list[datetime]:
    """Return the minutes of [start, end) in which any point of the equipment had a usable reading, within `connection`."""
    return await store.select_heard_minutes(connection, equipment_id, start, end)


async def _known(connection: AsyncConnection, series_ids: Sequence[int]) -> dict[int, store.Row]:
    known = {row["series_id"]: row for row in await store.select_series(connection, series_ids)}
    if not series_ids or any(series not in known for series in series_ids):
        raise NotFound
    return known


async def _changed(
    connection: AsyncConnection, equipment_id: UUID | None, position: int, only: Collection[int] | None
) -> tuple[int, list[Latest]]:
    position, changed = await store.select_changes(connection, position)
    series = changed if only is None else sorted(set(changed).intersection(only))
    if not series:
        return position, []
    return position, [
        _latest(row) for row in await store.select_latest(connection, equipment=equipment_id, series=series)
    ]


def _latest(row: store.Row) -> Latest:
    return Latest(
        series_id=row["series_id"],
        equipment_id=row["equipment_id"],
        time=row["time"],
        value=value_of(row),
        quality=row["quality"],
    )
