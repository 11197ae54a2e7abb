"""The door of the uploads domain: values that people enter, as files against a template.

asked = await uploads.asked(scope)                               -> Asks: what others ask for, and who
file = await uploads.template(principal, order, language)        -> bytes, CSV or XLSX, to be filled in
report = await uploads.check(principal, site_id, file)           -> UploadReport: all that is wrong, or how it is understood
report = await uploads.store(principal, site_id, file)           -> the same; without a fault all of it is stored
files = await uploads.uploads(scope)                             -> list[Upload]: what was taken, newest first

Values go the way of an agent's: `Telemetry.deliver`, as one frame of the site's desk (`fleet.desks`), with a quality that says
they were entered by hand. What is stored is never changed: a file that says otherwise of the same time is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import Invalid, NotFound, TooMany
from cloud.core.keyset import LATEST, Window
from cloud.core.principal import Principal, TenantScope
from cloud.dictionary.service import unit_symbol
from cloud.fleet.schemas import Equipment
from cloud.fleet.service import Fleet
from cloud.identity.schemas import Site
from cloud.identity.service import Identity
from cloud.sharing.service import Sharing
from cloud.telemetry.service import Readings, Telemetry
from cloud.uploads import store
from cloud.uploads.batch import delivery_of, digest_of, found_in, ordered, without
from cloud.uploads.schemas import Upload, UploadedSeries, UploadReport
from cloud.uploads.sheet import Series, Sheet, read_sheet
from cloud.uploads.table import MAX_BYTES, MAX_CELLS
from cloud.uploads.template import Asks, Template, TemplateOrder, asks_of
from protocols.text import Language, Text

__all__ = ["MAX_BYTES", "MAX_CELLS", "Asks", "TemplateOrder", "Uploads"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_AT_ONCE = 8
_WAIT_S = 10
_MOST_STORED = 2_000_000
"""Values in the span of a file that are looked through for its times."""
_MOST_TEXTS = 20_000
_TOO_DENSE = Text(
    "Too many values are stored in the time this file spans; divide it by time.",
    "该文件时间范围内已有的数据过多，请按时间拆分。",
)
_TOO_MANY_TEXTS = Text(
    f"The file has more than {_MOST_TEXTS:,} texts; divide it.", f"文件中的文本超过 {_MOST_TEXTS:,} 个，请拆分后上传。"
)
_STORED = Text(
    "{value} is stored for this time already and what is stored is never changed; leave the cell empty, or enter the value at"
    " its own time",
    "该时间已有数值 {value}，已入库的数据不可更改；请将此格留空，或用另一时间填写",
)


@dataclass(frozen=True)
class _Found:
    """A file that was read: what it says that is not stored yet, and all it says."""

    sheet: Sheet
    series: list[Series]
    fresh: list[Series]
    digest: bytes

    @property
    def values(self) -> int:
        return sum(len(one.times) for one in self.series)

    def report(self, *, stored: bool = False, repeated: bool = False) -> UploadReport:
        """Return what became of it."""
        left = sum(len(one.times) for one in self.fresh)
        return UploadReport(
            rows=self.sheet.rows,
            fault_count=self.sheet.fault_count,
            faults=self.sheet.faults,
            series=[_summary(one) for one in self.series],
            values=self.values,
            known=self.values - left,
            stored=stored,
            repeated=repeated,
        )


class Uploads:
    """Files of a tenant. A process reads one at a time, and takes in no more than `MOST_AT_ONCE` of 20 MB each meanwhile."""

    def __init__(self, db: Database, identity: Identity, fleet: Fleet, telemetry: Telemetry, sharing: Sharing) -> None:
        self._db = db
        self._identity = identity
        self._fleet = fleet
        self._telemetry = telemetry
        self._sharing = sharing
        self._reading = asyncio.Semaphore(1)
        self._storing = asyncio.Semaphore(1)  # whoever stores holds one connection and needs another
        self._inside = 0

    @contextmanager
    def room(self) -> Iterator[None]:
        """Make room for a file before its body is read; raises TooMany where as many are there as memory is for."""
        if self._inside >= MOST_AT_ONCE:
            raise TooMany(_WAIT_S)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def machines(self, scope: TenantScope, site: UUID) -> list[Equipment]:
        """Return the machines of a site whose values are entered by hand, as far as they are reached."""
        listed = await self._fleet.equipment_list(scope)
        return [one for one in listed if one.state == "by_hand" and one.site_id == site]

    async def asked(self, scope: TenantScope) -> Asks:
        """Return what others ask the company for, in requests that wait for an answer and in live grants."""
        return asks_of(await self._sharing.requests(scope), await self._sharing.grants(scope))

    async def template(self, scope: TenantScope, order: TemplateOrder, language: Language) -> bytes:
        """Return a file to be filled in; raises NotFound for a site or a machine that is not reached, Invalid without machines."""
        site = await self._site(scope, order.site_id)
        machines = await self.machines(scope, site.id)
        if order.equipment_id:
            machines = [one for one in machines if one.id in order.equipment_id]
            if len(machines) < len(set(order.equipment_id)):
                raise NotFound
        template = Template(await self.asked(scope), machines, site.time_zone, language, of_class=order.of_class)
        return await asyncio.to_thread(template.file, order.format)

    async def check(self, principal: Principal, site: UUID, content: bytes) -> UploadReport:
        """Return what is wrong with a file, or how it is understood; nothing is stored.

        Raises NotFound for a site that is not reached, Invalid for what is no file of values or too large.
        """
        found = await self._read(principal, site, content)
        async with self._db.tenant(principal.scope) as connection:
            repeated = await store.is_known(connection, site, found.digest)
        if not repeated:
            found = await self._compared(principal.scope, found)
        return found.report(repeated=repeated)

    async def store(self, principal: Principal, site: UUID, content: bytes) -> UploadReport:
        """Store all values of a file or - where anything is wrong - none; the same values again change nothing.

        Raises as `check`.
        """
        found = await self._read(principal, site, content)
        if found.sheet.fault_count:
            return found.report()
        desk = await self._fleet.desks.of_site(principal.scope, site)
        async with self._storing, self._db.tenant(desk.scope) as connection:
            await store.lock_desk(connection, desk.agent_id)
            if await store.is_known(connection, site, found.digest):
                return found.report(stored=True, repeated=True)
            found = await self._compared(desk.scope, found)
            if found.sheet.fault_count:
                return found.report()
            if found.fresh:
                # Of the fresh ones: after a crash between the two commits they are all known, and nothing comes twice.
                delivery = await asyncio.to_thread(delivery_of, digest_of(site, found.fresh), found.fresh)
                receipt = await self._telemetry.deliver(desk, delivery)
                if receipt.refused:
                    raise Invalid(Text(receipt.refused[0].reason, receipt.refused[0].reason))
            row = {
                "id": uuid7(),
                "site_id": site,
                "digest": found.digest,
                "rows": found.sheet.rows,
                "readings": found.values,
                "earliest": _instant(min(one.times[0] for one in found.series)),
                "latest": _instant(max(one.times[-1] for one in found.series)),
                "uploaded_by": principal.actor,
            }
            await store.insert_upload(connection, row)
            await audit.record(
                *(connection, principal.actor, "upload.store", str(row["id"])),
                site=str(site),
                readings=found.values,
                digest=found.digest.hex(),
            )
        return found.report(stored=True)

    async def uploads(self, scope: TenantScope, window: Window = LATEST) -> list[Upload]:
        """Return the files that were taken, newest first."""
        async with self._db.tenant(scope) as connection:
            return [Upload(**row) for row in await store.select_uploads(connection, window)]

    async def _site(self, scope: TenantScope, identity: UUID) -> Site:
        site = next((one for one in await self._identity.sites(scope) if one.id == identity), None)
        if site is None:
            raise NotFound
        return site

    async def _read(self, principal: Principal, identity: UUID, content: bytes) -> _Found:
        site = await self._site(principal.scope, identity)
        machines = await self.machines(principal.scope, identity)
        async with self._reading:
            return await asyncio.to_thread(_read, content, machines, site, datetime.now(UTC))

    async def _compared(self, scope: TenantScope, found: _Found) -> _Found:
        """Return what was found without what is stored already; another value for a time that has one is a fault."""
        points = {(one.equipment_id, one.property): one.series_id for one in await self._telemetry.points(scope)}
        there = {points[key]: one for one in found.series if (key := (one.machine.id, one.entry.code)) in points}
        if not there:
            return found
        start = _instant(min(one.times[0] for one in there.values()))
        end = _instant(max(one.times[-1] for one in there.values()) + 1)
        stored: dict[int, dict[int, float | str]] = {identity: {} for identity in there}
        async with self._db.tenant(scope) as connection:
            read = await self._telemetry.numbers(connection, list(there), start, end, limit=_MOST_STORED)
        for identity, one in there.items():
            if one.texts:
                page = await self._telemetry.readings(scope, identity, start, end, after=None, limit=_MOST_TEXTS)
                if page.next:
                    raise Invalid(_TOO_DENSE)
                stored[identity] = {_us(each.time): each.value or "" for each in page.items}
        if len(read) >= _MOST_STORED:
            raise Invalid(_TOO_DENSE)
        return await asyncio.to_thread(_without_stored, found, there, stored, read)


def _read(content: bytes, machines: Sequence[Equipment], site: Site, now: datetime) -> _Found:
    sheet = read_sheet(content, machines, ZoneInfo(site.time_zone), now)
    series = ordered(sheet.series.values())
    if sum(len(one.texts) for one in series) > _MOST_TEXTS:
        raise Invalid(_TOO_MANY_TEXTS)
    return _Found(sheet, series, series, digest_of(site.id, series))


def _without_stored(
    found: _Found, there: Mapping[int, Series], stored: dict[int, dict[int, float | str]], read: Readings
) -> _Found:
    for identity, time, value in zip(read.series.tolist(), read.time.tolist(), read.value.tolist(), strict=True):
        stored[identity][time] = value
    identities = {id(one): identity for identity, one in there.items()}
    fresh = []
    for one in found.series:
        known, other = found_in(one, stored.get(identities.get(id(one), -1), {}))
        for row, value in other:
            shown = value if isinstance(value, str) else f"{value:g}"
            words = Text(_STORED.en.format(value=shown), _STORED.zh.format(value=shown))
            found.sheet.fault(row, one.column, words)
        if left := without(one, known):
            fresh.append(left)
    return replace(found, fresh=fresh)


def _summary(series: Series) -> UploadedSeries:
    values = series.values or series.texts
    return UploadedSeries(
        equipment_id=series.machine.id,
        machine=series.machine.label,
        entry=series.entry.code,
        unit=unit_symbol(series.entry.unit),
        values=len(values),
        earliest=_instant(series.times[0]),
        latest=_instant(series.times[-1]),
        low=min(series.values, default=None),
        high=max(series.values, default=None),
        last=values[-1],
    )


def _instant(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)


def _us(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)
