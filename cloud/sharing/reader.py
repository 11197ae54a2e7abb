"""Reads over a grant: what is asked, cut to what the grant shows, checked again and receipted before it is given away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Literal, Protocol
from uuid import UUID

from cloud.core.audit import canonical
from cloud.core.db import Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.listen import Listener
from cloud.core.principal import TenantScope
from cloud.core.rows import Row
from cloud.fleet.schemas import Equipment
from cloud.fleet.service import Fleet
from cloud.production.service import Production
from cloud.sharing import store
from cloud.sharing.schemas import ReadProof, SharedMachine, SharedRead, SharedSeries, SharedValue
from cloud.sharing.terms import KPI, WIDTH, Bucket, Item, Shown, Terms, name_of, shown, unit_of
from cloud.telemetry.schemas import Point, Resolution
from cloud.telemetry.service import Telemetry, csv_table
from cloud.traceability.service import Traceability
from protocols.text import Language, Text

MOST_VALUES = 20_000
"""Values of one read; longer spans are read piece by piece, or exported."""
SETTLE = timedelta(seconds=10)
"""How long after its end a bucket is shown: roll-ups have caught up by then."""
LONGEST = timedelta(days=400)

Way = Literal["api", "stream", "export", "page", "check", "recall"]
"""How something is read; a check looks whether what a programme asks for is there, a recall for what is affected."""

_RESOLUTION: dict[str, Resolution] = {"minute": "1m", "hour": "1h", "day": "1d", "pass_fail": "1h"}
_HOUR = timedelta(hours=1)
_LOOK_S = 2.0
_BOM = "\ufeff".encode()
_HEADINGS = (
    Text("Time (UTC)", "时间(UTC)"),
    Text("Machine", "设备"),
    Text("Point", "点位"),
    Text("Completeness", "完整率"),
    Text("Receipt", "凭据"),
)


@dataclass(frozen=True)
class Doors:
    """Where the data is."""

    fleet: Fleet
    telemetry: Telemetry
    production: Production
    traceability: Traceability
    level: Callable[[TenantScope], Awaitable[int | None]]
    """The level of maturity of a company; the domain that knows it stands above this one."""


@dataclass(frozen=True)
class Question:
    """What is asked over a grant: an entry in [start, end), at one machine or at all that are shown."""

    entry: str
    start: datetime
    end: datetime
    equipment_id: UUID | None = None


class Moved(Exception):
    """The grant was changed while it was read over."""


class Asker(Protocol):
    """Who reads over a grant: a person, or the platform on behalf of their company."""

    @property
    def scope(self) -> TenantScope:
        """The company, as far as they reach it."""

    @property
    def actor(self) -> str:
        """Who is named in the receipt."""


class Reader:
    """The only way to another company's values."""

    def __init__(self, db: Database, listener: Listener, doors: Doors) -> None:
        self._db = db
        self._listener = listener
        self._doors = doors

    async def machines(self, asker: Asker, grant: UUID) -> list[SharedMachine]:
        """Return the machines that a live grant shows, by name, with what of the grant each has; raises NotFound.

        Machines whose class nothing of the grant is about are not told of.
        """
        row = await self._live(asker, grant)
        terms = Terms.model_validate(row["terms"])
        scope = TenantScope(row["supplier_id"])
        has: dict[UUID, set[str]] = {}
        for point in await self._doors.telemetry.points(scope):
            has.setdefault(point.equipment_id, set()).add(point.property)
        return [
            SharedMachine(
                equipment_id=machine.id,
                name=machine.label,
                equipment_class=machine.equipment_class,
                by_hand=machine.state == "by_hand",
                entries=[
                    item.entry
                    for item in terms.items
                    if item.covers(machine.equipment_class)
                    and (item.entry.startswith(KPI) or item.entry in has.get(machine.id, ()))
                ],
            )
            for machine in (await self._machines(scope, terms)).values()
            if not terms.items or any(item.covers(machine.equipment_class) for item in terms.items)
        ]

    async def read(
        self, asker: Asker, grant: UUID, question: Question, *, way: Way = "api", empty: bool = True
    ) -> SharedRead | None:
        """Return what the grant shows of what is asked; with `empty` False nothing is receipted where that is nothing.

        Raises NotFound where nothing live shows it - another's, an ended or expired grant, an entry or a machine that is
        not in it - and Invalid where it is too much at once.
        """
        for _ in range(3):
            with suppress(Moved):
                return await self._read(asker, grant, question, way, empty=empty)
        raise Conflict(Text("The grant is being changed; ask again.", "授权正在变更，请重试。"))

    async def follow(self, asker: Asker, grant: UUID, entry: str, after: datetime) -> AsyncIterator[SharedRead | None]:
        """Yield what becomes visible after `after`, as long as the grant shows it; None every few seconds without any.

        Values that arrive late, with times before those given, are not repeated here: read them. Ends with NotFound.
        """
        with self._listener.waiting_for(grant) as changed:
            while not self._listener.closing:
                question = Question(entry, after, datetime.now(UTC))
                found = None
                if question.start < question.end:
                    found = await self.read(asker, grant, question, way="stream", empty=False)
                if found:
                    after = _after(found)
                yield found
                changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), _LOOK_S)

    async def export(self, asker: Asker, grant: UUID, question: Question, language: Language) -> AsyncIterator[bytes]:
        """Yield a CSV file of what is asked, read and receipted piece by piece; a grant that ends cuts it off.

        Raises as `read`, before the first piece.
        """
        item = Terms.model_validate((await self._live(asker, grant))["terms"]).item(question.entry)
        overlap = _overlap(item) if item else timedelta(0)
        start, step = question.start, LONGEST
        head, told = True, dict[tuple[UUID, str], datetime]()
        while start < question.end:
            piece = Question(question.entry, start, min(start + step, question.end), question.equipment_id)
            try:
                found = await self.read(asker, grant, piece, way="export")
            except Invalid:
                if step <= max(timedelta(minutes=1), 8 * overlap):
                    raise
                step /= 4
                continue
            assert found is not None  # noqa: S101 - only `empty=False` gives none
            for one in found.series:
                key = (one.equipment_id, one.point)
                one.values = [value for value in one.values if key not in told or value.time > told[key]]
                if one.values:
                    told[key] = one.values[-1].time
            yield _csv(found, language, head=head)
            # A bucket that the end of a piece cuts is in neither, so the next one begins before it.
            start, head = piece.end if piece.end == question.end else piece.end - overlap, False

    async def _live(self, asker: Asker, grant: UUID) -> Row:
        async with self._db.tenant(asker.scope) as connection:
            row = await store.select_grant(connection, grant)
        if row is None or row["side"] != "leader" or not row["live"]:
            raise NotFound
        return row

    async def _machines(self, scope: TenantScope, terms: Terms) -> dict[UUID, Equipment]:
        return {each.id: each for each in await self._doors.fleet.equipment_list(scope) if terms.shows(each.id)}

    async def _read(self, asker: Asker, grant: UUID, question: Question, way: Way, *, empty: bool) -> SharedRead | None:
        row = await self._live(asker, grant)
        terms = Terms.model_validate(row["terms"])
        item, scope = terms.item(question.entry), TenantScope(row["supplier_id"])
        if item is None:
            raise NotFound
        shown = await self._machines(scope, terms)
        machines = {identity: one for identity, one in shown.items() if item.covers(one.equipment_class)}
        if question.equipment_id and question.equipment_id not in machines:
            raise NotFound
        if question.equipment_id:
            machines = {question.equipment_id: machines[question.equipment_id]}
        now = datetime.now(UTC)
        start, end = terms.window(question.start, question.end, now if item.granularity == "raw" else now - SETTLE)
        series = await self._series(scope, item, machines, start, end) if start < end else []
        values = sum(len(one.values) for one in series)
        if not empty and not values:
            return None
        digest = sha256(canonical([one.model_dump(mode="json") for one in series]).encode()).hexdigest()
        body = {
            "entry": item.entry,
            "granularity": item.granularity,
            "machines": sorted(str(one.equipment_id) for one in series),
            "start": start,
            "end": max(start, end),
            "values": values,
            "digest": digest,
            "way": way,
        }
        async with self._db.tenant(asker.scope) as connection:
            proof = await store.append_receipt(
                connection, grant, "read", asker.actor, canonical(body), version=row["version"]
            )
        if proof is None:
            raise Moved
        return SharedRead(
            grant_id=grant,
            version=row["version"],
            entry=item.entry,
            granularity=item.granularity,
            unit=unit_of(item.entry),
            start=start,
            end=max(start, end),
            series=series,
            digest=digest,
            receipt=ReadProof(seq=proof["seq"], hash=proof["hash"]),
        )

    async def _series(
        self, scope: TenantScope, item: Item, machines: dict[UUID, Equipment], start: datetime, end: datetime
    ) -> list[SharedSeries]:
        if item.entry.startswith(KPI):
            shifts = await self._shifts(scope, item, machines, (start, end))
            return [
                SharedSeries(
                    equipment_id=machine.id,
                    name=machine.label,
                    by_hand=machine.state == "by_hand",
                    point="",
                    values=[
                        SharedValue(**one._asdict())
                        for one in shown(item, shifts.get(machine.id, []), (start, end), mean=False)
                    ],
                )
                for machine in machines.values()
            ]
        points = [
            point
            for point in await self._doors.telemetry.points(scope)
            if point.property == item.entry and point.equipment_id in machines
        ]
        if item.granularity == "raw":
            found = await self._raw(scope, points, start, end)
        else:
            found = await self._buckets(scope, item, points, start, end)
        return [
            SharedSeries(
                equipment_id=point.equipment_id,
                name=machines[point.equipment_id].label,
                by_hand=machines[point.equipment_id].state == "by_hand",
                point=point.name,
                values=[SharedValue(**one._asdict()) for one in values],
            )
            for point, values in zip(points, found, strict=True)
        ]

    async def _raw(
        self, scope: TenantScope, points: Sequence[Point], start: datetime, end: datetime
    ) -> list[list[Shown]]:
        found: list[list[Shown]] = []
        left = MOST_VALUES
        for point in points:
            page = await self._doors.telemetry.readings(scope, point.series_id, start, end, after=None, limit=left + 1)
            left -= len(page.items)
            if left < 0:
                raise _too_much()
            found.append([Shown(each.time, each.value if each.quality >= 0 else None) for each in page.items])
        return found

    async def _buckets(
        self, scope: TenantScope, item: Item, points: Sequence[Point], start: datetime, end: datetime
    ) -> list[list[Shown]]:
        resolution = _RESOLUTION[item.granularity]
        width = WIDTH.get(item.granularity, _HOUR)
        if (end - start) / width * len(points) > MOST_VALUES:
            raise _too_much()
        if not points:
            return []
        history = await self._doors.telemetry.history(
            scope, [point.series_id for point in points], start, end, resolution=resolution
        )
        # A day may have 25 hours: taken for that long, no day is shown before it is over.
        longest = width + _HOUR if item.granularity == "day" else width
        return [
            list(
                shown(
                    item,
                    (
                        Bucket(
                            one.time,
                            one.time + longest,
                            one.seconds if one.seconds is not None else _number(one.value),
                            one.good,
                            round(one.good / one.n, 6) if one.n else None,
                        )
                        for one in curve.samples
                    ),
                    (start, end),
                    mean=curve.aggregation == "avg",
                )
            )
            for curve in history.curves
        ]

    async def _shifts(
        self, scope: TenantScope, item: Item, machines: Collection[UUID], window: tuple[datetime, datetime]
    ) -> dict[UUID, list[Bucket]]:
        """Return what a KPI was in the shifts of each machine that may be in the window."""
        code, day = item.entry.removeprefix(KPI), timedelta(days=1)
        first, last = (window[0] - day).date(), (window[1] + day).date()
        found = await self._doors.production.whole_shifts(scope, machines, first, last)
        return {
            machine: [
                Bucket(row.start, row.until, row.kpis[code].value, 1, row.kpis[code].completeness) for row in rows
            ]
            for machine, rows in found.items()
        }


def _overlap(item: Item) -> timedelta:
    """Return how far before the end of a piece a bucket may begin that is over after it."""
    if item.entry.startswith(KPI) or item.granularity == "day":
        return timedelta(days=2)
    return timedelta(0) if item.granularity == "raw" else WIDTH.get(item.granularity, _HOUR) + SETTLE


def _after(found: SharedRead) -> datetime:
    last = max(value.time for one in found.series for value in one.values)
    return last + (WIDTH.get(found.granularity) or timedelta(microseconds=1))


def _number(value: float | str | None) -> float | None:
    return None if isinstance(value, str) else value


def _csv(read: SharedRead, language: Language, *, head: bool) -> bytes:
    """Return the values as lines of a spreadsheet, with headings if it is the `head` of the file."""
    unit = f" ({read.unit})" if read.unit and read.granularity != "pass_fail" else ""
    heading = [word.to(language) for word in (*_HEADINGS[:3], name_of(read.entry), *_HEADINGS[3:])]
    heading[3] += unit
    rows: list[list[object]] = [
        [one.time.isoformat(), each.name, each.point, _cell(one.value), one.completeness, read.receipt.seq]
        for each in read.series
        for one in each.values
    ]
    return csv_table([heading, *rows]) if head else csv_table(rows).removeprefix(_BOM)


def _cell(value: object) -> object:
    return canonical(value) if isinstance(value, dict) else value


def _too_much() -> Invalid:
    return Invalid(
        Text(
            f"That is more than {MOST_VALUES:,} values; ask for a shorter time or one machine, or export.",
            f"数据超过 {MOST_VALUES:,} 个，请缩短时段、只选一台设备，或使用导出。",
        )
    )
