"""The door of the traceability domain.

captured = await traces.capture(principal, document)       -> Captured: an EPCIS 2.0 document, wholly or not at all
page = await traces.events(scope, EventQuery(...))         -> EventPage, newest first
trace = await traces.trace(scope, thing, up=True)          -> Trace: what a thing was made of, or what was made of it
links = await traces.links(scope, things, up=True)         -> the same from many things at once, within a span, as mere links
known = await traces.known(scope, things)                  -> which of them the tenant's events name
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.traceability import store
from cloud.traceability.events import Wrong, document_of, events_of, thing_of
from cloud.traceability.schemas import Captured, EventPage, Link, Step, Trace
from cloud.traceability.store import MOST_LINKS, MOST_THINGS
from protocols.text import Text

__all__ = ["MOST_LINKS", "MOST_THINGS", "EventQuery", "Link", "Traceability", "document_of", "thing_of"]

MOST_EVENTS = 10_000
"""Events of one document."""


@dataclass(frozen=True)
class EventQuery:
    """Which events; what is None is not asked. `after` is the `next` of the page before."""

    thing: str | None = None
    kind: str | None = None
    biz_step: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    limit: int = 30
    after: str | None = None


class Traceability:
    """Events of a tenant, and what came of what."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def capture(self, principal: Principal, document: object) -> Captured:
        """Store the events of a document; one that is there already changes nothing. Raises Invalid for the first that is amiss."""
        try:
            found = events_of(document)
        except Wrong as wrong:
            raise Invalid(Text(f"{wrong.where}: {wrong.what.en}", f"{wrong.where}：{wrong.what.zh}")) from wrong
        if len(found) > MOST_EVENTS:
            raise Invalid(
                Text(
                    f"More than {MOST_EVENTS:,} events; divide the document.", f"事件超过 {MOST_EVENTS:,} 个，请拆分。"
                )
            )
        stored = 0
        async with self._db.tenant(principal.scope) as connection:
            for event in found:
                row = {
                    "id": event.id,
                    "declares": event.declares,
                    "kind": event.kind,
                    "event_time": event.time,
                    "biz_step": event.biz_step,
                    "body": audit.canonical(event.body),
                    "captured_by": principal.actor,
                }
                if await store.insert_event(connection, row):
                    stored += 1
                    await store.insert_things(connection, event.id, sorted(event.things), sorted(event.links))
            await audit.record(
                *(connection, principal.actor, "trace.capture", f"{stored} events"), known=len(found) - stored
            )
        return Captured(stored=stored, known=len(found) - stored)

    async def events(self, scope: TenantScope, query: EventQuery) -> EventPage:
        """Return events, newest first; raises Invalid for a `thing` or an `after` that is none."""
        thing = thing_of(query.thing) if query.thing is not None else None
        if query.thing is not None and thing is None:
            raise Invalid(_NO_THING)
        before_time, before_id = _mark(query.after)
        asked = {
            "thing": thing,
            "kind": query.kind,
            "biz_step": query.biz_step,
            "start": query.start,
            "end": query.end,
            "before_time": before_time,
            "before_id": before_id,
            "limit": query.limit,
        }
        async with self._db.tenant(scope) as connection:
            rows = await store.select_events(connection, asked)
        events = [
            row["body"]
            | {"eventID": row["declares"] or row["id"], "recordTime": row["record_time"].astimezone(UTC).isoformat()}
            for row in rows
        ]
        more = len(rows) == query.limit
        return EventPage(events=events, next=f"{rows[-1]['event_time'].isoformat()}|{rows[-1]['id']}" if more else None)

    async def trace(self, scope: TenantScope, thing: str, *, up: bool) -> Trace:
        """Follow a thing to what it was made of, or to what was made of it; raises NotFound for one no event names."""
        named = thing_of(thing)
        if named is None:
            raise Invalid(_NO_THING)
        async with self._db.tenant(scope) as connection:
            if not await store.select_known(connection, [named]):
                raise NotFound(Text("No event names this.", "没有事件涉及该对象。"))
            rows = await store.follow(connection, [named], up=up)
        steps = [Step(**row) for row in rows]
        there, here = ("used", "made") if up else ("made", "used")
        met = dict.fromkeys(getattr(step, there) for step in steps if getattr(step, there) != named)
        leading = {getattr(step, here) for step in steps}
        return Trace(
            thing=named,
            things=list(met),
            ends=[one for one in met if one not in leading],
            steps=steps,
            complete=len(met) < MOST_THINGS and len(rows) < MOST_LINKS,
        )

    async def known(self, scope: TenantScope, things: Collection[str]) -> set[str]:
        """Return which of the things the tenant's events name."""
        async with self._db.tenant(scope) as connection:
            return await store.select_known(connection, list(things))

    async def links(
        self,
        scope: TenantScope,
        things: Collection[str],
        *,
        up: bool,
        span: tuple[datetime, datetime] | None = None,
        places: bool = False,
    ) -> list[Link]:
        """Follow things as `trace` does, whether known or not; there is more where `MOST_THINGS` or `MOST_LINKS` are reached.

        Only events in `span`, [start, end), count. With `places` each link says where it happened.
        """
        async with self._db.tenant(scope) as connection:
            rows = await store.follow(connection, list(things), up=up, span=span)
            events = {row["event_id"] for row in rows}
            found = await store.select_places(connection, list(events)) if places else []
        where = {row.pop("id"): row for row in found}
        return [Link(**row, **where.get(row["event_id"], {})) for row in rows]


_NO_THING = Text(
    "Name a thing by a URI - an EPC, a GS1 Digital Link, one of your own - or a Handle as 88.118.8/abc.",
    "请用 URI(EPC、GS1 Digital Link 或自有标识)或 88.118.8/abc 这样的 Handle 标识对象。",
)


def _mark(after: str | None) -> tuple[datetime | None, str | None]:
    if after is None:
        return None, None
    time, bar, identity = after.partition("|")
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not bar:
        raise Invalid(Text("nextPageToken is the `next` of an answer.", "nextPageToken 应为上一次答复中的 next。"))
    return found, identity
