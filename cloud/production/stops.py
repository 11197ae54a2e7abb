"""Stops of machines, and what people say of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.production.observer import FURTHEST_MARKER, Observer, plant
from cloud.production.places import Machine, place_of
from cloud.production.reasons import stop_reasons
from cloud.production.record import instant, us
from cloud.production.schemas import Node, StateSpan, Stop, StopPage, StopWord
from cloud.production.store import reasons as store
from cloud.production.store import states
from cloud.production.time_elements import Piece, overlap, pieces
from cloud.telemetry.service import Telemetry
from protocols.text import Text

_MACHINE_RUNS = Text(
    "The machine was producing at that time; give the begin of a stop, or a time within one.",
    "该时刻设备正在生产，请给出某次停机的开始时间或其间的某一时刻。",
)
_NOT_YET = Text("That time has not come yet.", "该时刻尚未到来。")
_NOTHING_KNOWN = Text("Nothing is known of this machine at that time yet.", "该时刻尚无此设备的任何状态数据。")
_RETIRED = Text("This reason is no longer offered; choose another one.", "该停机原因已停用，请选择其他原因。")


StopLoss = Literal["setup", "failure", "micro_stop", "delay", "no_order", "maintenance", "planned_stop", "unknown"]
"""What a stop is counted as: a time element."""


@dataclass(frozen=True, slots=True)
class StopFilter:
    """Which stops are wanted; None means all.

    Attributes:
        least_s: that lasted so long or longer.
        micro: also those so short that they are counted as micro-stops.
        loss: what they are counted as, a time element.
        reason_id: given this reason, or one under it.
        unexplained: those only that nobody has given a reason.
    """

    least_s: float = 0
    micro: bool = True
    loss: StopLoss | None = None
    reason_id: UUID | None = None
    unexplained: bool = False

    def takes(self, stop: Stop, reasons: Collection[UUID]) -> bool:
        """Tell whether a stop is wanted; `reasons` are `reason_id` and those under it."""
        return (
            stop.seconds >= self.least_s
            and (self.micro or stop.element != "micro_stop")
            and (self.loss is None or stop.element == self.loss)
            and (self.reason_id is None or stop.reason_id in reasons)
            and not (self.unexplained and stop.reason_id)
        )


ANY = StopFilter()


class Stops:
    """Lists stops and takes people's words on them."""

    def __init__(self, db: Database, telemetry: Telemetry) -> None:
        self._db = db
        self._telemetry = telemetry

    async def timeline(
        self, scope: TenantScope, node: Node, start: datetime, end: datetime, *, most: int | None = None
    ) -> dict[UUID, list[StateSpan]]:
        """Return what the machines of `node` did in [start, end), as it is counted; nothing after now. Raises NotFound.

        With `most` only of the first so many that tell their state.
        """
        now = datetime.now(UTC)
        told: dict[UUID, list[StateSpan]] = {}
        async with self._db.tenant(scope) as connection:
            place = await place_of(connection, node)
            async for machine, _, found, _ in self._pieces(connection, place.machines, start, min(end, now)):
                told[machine.id] = [
                    StateSpan(
                        start=instant(max(piece.start, us(start))),
                        end=instant(min(piece.end, us(min(end, now)))),
                        element=piece.element,
                        reason_id=piece.reason,
                    )
                    for piece in found
                ]
                if len(told) == most:
                    break
        return told

    async def page(
        self,
        scope: TenantScope,
        node: Node,
        start: datetime,
        end: datetime,
        *,
        limit: int,
        wanted: StopFilter = ANY,
    ) -> StopPage:
        """Return the last `limit` wanted stops that overlap [start, end) and begin in it or the day before, newest first.

        Only what lies in planned time is a stop: a machine that stands at night has not stopped. Raises NotFound.
        """
        now = datetime.now(UTC)
        begin = start - timedelta(days=1)
        found: list[Stop] = []
        async with self._db.tenant(scope) as connection:
            place = await place_of(connection, node)
            reasons = {one.id for one in await stop_reasons(connection) if wanted.reason_id in (one.id, one.parent_id)}
            async for machine, observer, parts, notes in self._pieces(connection, place.machines, begin, min(end, now)):
                spans = [
                    (us(one.start), us(one.end))
                    for shift in observer.calendar.between(begin, now)
                    for one in shift.working
                ]
                for stop in _stops(machine, parts, spans, us(now), notes):
                    within = stop.end > start and stop.start < end and stop.planned_s
                    if within and wanted.takes(stop, reasons):
                        found.append(stop)
        found.sort(key=lambda stop: (stop.start, stop.equipment_id), reverse=True)
        if len(found) <= limit:
            return StopPage(items=found)
        last = found[limit - 1].start
        # Stops of one instant are never parted.
        items = [stop for stop in found if stop.start >= last]
        return StopPage(items=items, next=last if len(items) < len(found) else None)

    async def classify(self, principal: Principal, equipment_id: UUID, at: datetime, word: StopWord) -> None:
        """Give the stop that `at` lies in a reason from `at` on; a word within a stop parts it there.

        The figures of the shifts it touches are made anew at once. Raises NotFound for no such machine or reason, Invalid
        if the machine was producing.
        """
        now = datetime.now(UTC)
        if at > now:
            raise Invalid(_NOT_YET)
        async with self._db.tenant(principal.scope) as connection:
            observer = await self._observer(connection, equipment_id)
            reason = next((one for one in await stop_reasons(connection) if one.id == word.reason_id), None)
            if reason is None:
                raise NotFound
            if reason.retired:
                raise Invalid(_RETIRED)
            first = await states.select_first_hour(connection, equipment_id)
            if first is None or at < first:
                raise Invalid(_NOTHING_KNOWN)
            log = await observer.log(at, at + timedelta(microseconds=1))
            if log[0].kind.name == "PRODUCING":
                raise Invalid(_MACHINE_RUNS)
            await store.upsert_marker(
                connection, equipment_id, at, reason=reason.id, note=word.note, made_by=principal.email
            )
            await _make_anew(observer, at, now)
            await audit.record(
                connection,
                principal.actor,
                "stop.classify",
                str(equipment_id),
                at=at.isoformat(),
                reason=reason.name_en,
                note=word.note,
            )

    async def unclassify(self, principal: Principal, equipment_id: UUID, at: datetime) -> None:
        """Take back what was said of a stop from `at` on; raises NotFound if nothing was."""
        async with self._db.tenant(principal.scope) as connection:
            observer = await self._observer(connection, equipment_id)
            reason = await store.delete_marker(connection, equipment_id, at)
            if reason is None:
                raise NotFound
            await _make_anew(observer, at, datetime.now(UTC))
            await audit.record(
                connection, principal.actor, "stop.unclassify", str(equipment_id), at=at.isoformat(), reason=str(reason)
            )

    async def _observer(self, connection: AsyncConnection, equipment_id: UUID) -> Observer:
        known = await plant(connection)
        if equipment_id not in known.machines:
            raise NotFound
        return Observer(connection, self._telemetry, known, equipment_id)

    async def _pieces(
        self, connection: AsyncConnection, machines: Sequence[Machine], start: datetime, end: datetime
    ) -> AsyncIterator[tuple[Machine, Observer, list[Piece], list[store.Row]]]:
        """Yield (machine, its observer, its pieces within [start, end), the rows of its markers)."""
        known = await plant(connection)
        for machine in machines:
            observer = Observer(connection, self._telemetry, known, machine.id, end - timedelta(microseconds=1))
            if not observer.sources.takes_part or start >= end:
                continue
            log, markers, rows = await observer.marked_log(start, end, end)
            found = pieces(log, markers, observer.settings.micro_stop_s * 1_000_000)
            yield machine, observer, [one for one in found if one.end > us(start) and one.start < us(end)], rows


async def _make_anew(observer: Observer, at: datetime, now: datetime) -> None:
    """Make anew the records of the shifts that the stop at `at` lies in: until the machine ran again."""
    end = min(now, at + FURTHEST_MARKER)
    for part in await observer.log(at, end):
        if part.kind.name == "PRODUCING":
            end = instant(part.start)
            break
    await observer.make_records(at, max(end, at + timedelta(microseconds=1)), now)


def _stops(
    machine: Machine, found: Sequence[Piece], working: Sequence[tuple[int, int]], now: int, notes: Sequence[store.Row]
) -> Iterator[Stop]:
    """Yield the stops among `found`; parts of a stop that nobody has said anything of are one, called by its longest."""
    said = {us(row["at"]): row for row in notes}
    grouped: list[list[Piece]] = []
    for piece in found:
        if piece.element == "producing":
            continue
        if grouped and grouped[-1][-1].stop == piece.stop and grouped[-1][-1].reason == piece.reason is None:
            grouped[-1].append(piece)
        else:
            grouped.append([piece])
    for parts in grouped:
        start, end = parts[0].start, parts[-1].end
        note = said.get(start, {})
        yield Stop(
            equipment_id=machine.id,
            equipment=machine.name,
            start=instant(start),
            end=instant(end),
            ongoing=end >= now,
            seconds=(end - start) / 1e6,
            planned_s=sum(overlap(part, working) for part in parts) / 1e6,
            element=max(parts, key=lambda part: part.end - part.start).element,
            reason_id=parts[0].reason,
            note=note.get("note", ""),
            made_by=note.get("made_by", ""),
        )
