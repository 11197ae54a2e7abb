"""The door of the alarms domain.

alarms = Alarms(db, listener, doors)                            app.state.alarms in a running cloud
page = await alarms.page(scope, Filter(is_open=True), limit=50)         -> AlarmPage, newest first
worst = await alarms.worst(scope, limit=5, equipment=machines)           -> list[Alarm], open, the most urgent first
counts = await alarms.counts(scope)                                     -> Counts; the badge in the frame
one = await alarms.alarm(scope, alarm_id)                               -> AlarmDetail; raises NotFound
await alarms.acknowledge(principal, alarm_id, "comment")                also resets one that latches; -> Alarm
await alarms.shelve(principal, alarm_id, minutes=60, reason="...")      -> Alarm
await alarms.unshelve(principal, alarm_id)                              -> Alarm
async for change in alarms.changes(scope, after): ...                   first all open alarms, then those that change
statistics = await alarms.statistics(scope, start, end)                 -> Statistics
alarms.rules                                                            all, one, create, change, remove, back_test, ...
"""

from __future__ import annotations

import asyncio
import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.alarms.evaluator import Doors
from cloud.alarms.rules import Rules
from cloud.alarms.schemas import (
    PRIORITIES,
    Alarm,
    AlarmChange,
    AlarmDetail,
    AlarmEvent,
    AlarmPage,
    Counts,
    Priority,
    Statistics,
)
from cloud.alarms.statistics import gather
from cloud.alarms.store import alarms as store
from cloud.alarms.store import rules as rule_store
from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.listen import Listener, announce
from cloud.core.principal import Principal, TenantScope
from protocols.text import Text

HEARTBEAT_S = 5.0
_SPACING_S = 0.2


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alarms are wanted; None means all.

    Attributes:
        start, end: noticed in [start, end).
        site_id, line_id: of what stands there.
        text: part of the source or the message, in either language; "" for all.
    """

    is_open: bool | None = None
    equipment_id: UUID | None = None
    priority: Priority | None = None
    rule_id: UUID | None = None
    start: datetime | None = None
    end: datetime | None = None
    site_id: UUID | None = None
    line_id: UUID | None = None
    text: str = ""


class Alarms:
    """Alarms of a tenant, and the rules that make them."""

    def __init__(self, db: Database, listener: Listener, doors: Doors) -> None:
        self._db = db
        self._listener = listener
        self.rules = Rules(db, doors)

    async def page(self, scope: TenantScope, wanted: Filter, *, limit: int, before: str | None = None) -> AlarmPage:
        """Return the wanted alarms, noticed last first; `before` is the `next` of the page before this one.

        Raises Invalid for a `before` that is no such mark.
        """
        async with self._db.tenant(scope) as connection:
            rows = await store.select_page(
                connection,
                is_open=wanted.is_open,
                equipment=wanted.equipment_id,
                priority=wanted.priority,
                rule=wanted.rule_id,
                start=wanted.start,
                end=wanted.end,
                site=wanted.site_id,
                line=wanted.line_id,
                text=wanted.text,
                before=_read_mark(before) if before else None,
                limit=limit + 1,
            )
        items = [Alarm(**row) for row in rows[:limit]]
        return AlarmPage(items=items, next=_mark(items[-1]) if len(rows) > limit else None)

    async def counts(self, scope: TenantScope) -> Counts:
        """Return how many alarms are open, and how many of them nobody has acknowledged."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_counts(connection)
        told = [row for row in rows if not row["suppressed"] and not row["shelved"]]
        unseen = [row for row in told if row["unacknowledged"]]
        return Counts(
            unacknowledged=sum(row["n"] for row in unseen),
            open=sum(row["n"] for row in told),
            by_priority={one: sum(row["n"] for row in unseen if row["priority"] == one) for one in PRIORITIES},
            shelved=sum(row["n"] for row in rows if row["shelved"]),
            suppressed=sum(row["n"] for row in rows if row["suppressed"]),
        )

    async def worst(self, scope: TenantScope, *, limit: int, equipment: Collection[UUID] | None = None) -> list[Alarm]:
        """Return at most `limit` open alarms, neither shelved nor suppressed, the most urgent first; of some `equipment`, or all."""
        async with self._db.tenant(scope) as connection:
            chosen = None if equipment is None else list(equipment)
            return [Alarm(**row) for row in await store.select_worst(connection, chosen, limit)]

    async def alarm(self, scope: TenantScope, alarm: UUID) -> AlarmDetail:
        """Return one alarm with all that happened to it; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_alarms(connection, [alarm])
            if not rows:
                raise NotFound
            events = await store.select_events(connection, alarm)
        return AlarmDetail(**rows[0], events=[AlarmEvent(**event) for event in events])

    async def acknowledge(self, principal: Principal, alarm: UUID, comment: str = "") -> Alarm:
        """Note that a person has seen an alarm, or resets one that latches. Raises NotFound, Conflict where it is over.

        Seen by another before, nothing changes.
        """
        async with self._db.tenant(principal.scope) as connection:
            found = await self._locked(connection, alarm)
            if found["state"] in ("unacknowledged", "returned", "latched"):
                change = "reset" if found["state"] == "latched" else "acknowledged"
                await store.set_acknowledged(connection, alarm, principal.email, comment)
                await self._note(connection, principal, found, change, comment)
        return await self._one(principal.scope, alarm)

    async def shelve(self, principal: Principal, alarm: UUID, *, minutes: int, reason: str) -> Alarm:
        """Put the alarm's source aside under its rule; nobody is told meanwhile. Raises NotFound, Conflict where it is over."""
        async with self._db.tenant(principal.scope) as connection:
            found = await self._locked(connection, alarm)
            await rule_store.shelve(
                connection, found["rule_id"], found["source"], minutes=minutes, by=principal.email, reason=reason
            )
            await self._note(connection, principal, found, "shelved", reason, minutes=minutes)
        return await self._one(principal.scope, alarm)

    async def unshelve(self, principal: Principal, alarm: UUID) -> Alarm:
        """Take the alarm's source up again that was put aside, be the alarm over or not; raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            found = await store.lock_alarm(connection, alarm)
            if found is None:
                raise NotFound
            await rule_store.shelve(connection, found["rule_id"], found["source"], minutes=None, by="", reason="")
            await self._note(connection, principal, found, "unshelved", "")
        return await self._one(principal.scope, alarm)

    async def changes(self, scope: TenantScope, after: int | None = None) -> AsyncIterator[AlarmChange]:
        """Yield alarms to which something happens: first all open ones, or those that changed since position `after`.

        Nothing is lost over a reconnection or a restart, as `after` is a position in the database. Every 5 s at the latest
        there is a change, of no alarms if nothing happened.
        """
        with self._listener.waiting(scope) as changed:
            async with self._db.tenant(scope) as connection:
                resumed = None if after is None else await store.select_changed(connection, after)
                if resumed is None:
                    position, rows = await store.select_position(connection), await store.select_open(connection)
                else:
                    position, rows = resumed[0], await store.select_alarms(connection, resumed[1])
            while True:
                yield AlarmChange(position=position, alarms=[Alarm(**row) for row in rows])
                if self._listener.closing:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), HEARTBEAT_S)
                    await asyncio.sleep(_SPACING_S)
                changed.clear()
                async with self._db.tenant(scope) as connection:
                    position, touched = await store.select_changed(connection, position) or (position, [])
                    rows = await store.select_alarms(connection, touched) if touched else []

    async def statistics(self, scope: TenantScope, start: datetime, end: datetime) -> Statistics:
        """Return how the alarm system fares in [start, end); raises Invalid for a span above a year."""
        async with self._db.tenant(scope) as connection:
            return await gather(connection, start, end)

    async def _locked(self, connection: AsyncConnection, alarm: UUID) -> store.Row:
        found = await store.lock_alarm(connection, alarm)
        if found is None:
            raise NotFound
        if found["closed_at"] is not None:
            raise Conflict(Text("This alarm is over.", "该报警已结束。"))
        return found

    async def _note(
        self,
        connection: AsyncConnection,
        principal: Principal,
        found: store.Row,
        change: str,
        comment: str,
        **detail: int,
    ) -> None:
        alarm, verb = (
            found["id"],
            {"acknowledged": "acknowledge", "shelved": "shelve", "unshelved": "unshelve"}.get(change, change),
        )
        await store.insert_event(connection, alarm, change, found["level"], actor=principal.email, comment=comment)
        await announce(connection, principal.scope.tenant_id)
        await audit.record(connection, principal.actor, f"alarm.{verb}", str(alarm), comment=comment, **detail)

    async def _one(self, scope: TenantScope, alarm: UUID) -> Alarm:
        async with self._db.tenant(scope) as connection:
            (row,) = await store.select_alarms(connection, [alarm])
        return Alarm(**row)


def _mark(last: Alarm) -> str:
    return urlsafe_b64encode(f"{last.noticed_at.isoformat()} {last.id}".encode()).decode().rstrip("=")


def _read_mark(text: str) -> tuple[datetime, UUID]:
    try:
        time, _, identity = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(" ")
        parsed = datetime.fromisoformat(time)
        if parsed.tzinfo is None:
            raise ValueError(time)
        return parsed, UUID(identity)
    except (ValueError, binascii.Error) as error:
        raise Invalid(
            Text("before is not the `next` of an earlier page.", "参数 before 不是上一页返回的 next 值。")
        ) from error
