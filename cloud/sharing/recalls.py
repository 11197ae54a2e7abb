"""Recalls: what is affected, who is told of it, and what they answer.

Told is every company with a live grant that shows events, whichever of the two shows them, if its own events name something
that is affected. It is told what of that is its own, with what its own events say came of it: nothing that is another's. The
issuer learns who was told, and of their things what it is shown anyway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.notify.schemas import Notice
from cloud.sharing import store
from cloud.sharing.chain_trace import ChainTracer
from cloud.sharing.schemas import ChainTrace, Recall, RecallAnswer, RecallBody, RecallKind, RecallReply, RecallTold
from cloud.traceability.service import Traceability
from protocols.text import Text

Tell = Callable[[AsyncConnection, UUID, Notice], Awaitable[None]]
"""Tells a company, in whose tenant the transaction is from then on."""

MOST = 100
"""Recalls of one list."""
_FIRST, _ALL = 20, 2**31 - 1
"""Things of each in a list, and of one that is asked for."""

_RECALLED: dict[RecallKind, Text] = {
    "alert": Text("{issuer} warns of something that you have", "{issuer}发出质量预警，涉及贵公司物料"),
    "investigation": Text("{issuer} asks you to look into something of yours", "{issuer}请贵公司排查相关物料"),
    "block": Text("{issuer} recalls something that you have: stop it", "{issuer}发起召回，请立即停用相关物料"),
}
_ANSWERED: dict[RecallAnswer, Text] = {
    "acknowledged": Text("{company} has taken note of your recall", "{company}已知悉贵公司的召回"),
    "contained": Text("{company} has contained what you recalled", "{company}已控制召回物料"),
    "not_affected": Text("{company} says it is not affected by your recall", "{company}答复不受召回影响"),
}


class _Told(NamedTuple):
    """A company to be told: what of its own is affected, and how much of it the issuer sees (None: it is shown nothing)."""

    company_id: UUID
    company: str
    things: list[str]
    shown: int | None


class Recalls:
    """Recalls that a tenant has issued or was told of."""

    def __init__(self, db: Database, tracer: ChainTracer, traces: Traceability, tell: Tell) -> None:
        self._db = db
        self._tracer = tracer
        self._traces = traces
        self._tell = tell

    async def issue(self, principal: Principal, body: RecallBody) -> Recall:
        """Find what is affected, keep it, and tell who has it; raises as `ChainTracer.trace`."""
        up = body.kind == "investigation"
        trace = await self._tracer.trace(principal, body.things, up=up, way="recall")
        affected = [*trace.asked, *(each.thing for each in trace.things)]
        async with self._db.tenant(principal.scope) as connection:
            grants = await store.select_traced(connection)
        told = [one for one in [await self._affected(each, trace, up=up) for each in _companies(grants)] if one]
        identity = uuid7()
        async with self._db.tenant(principal.scope) as connection:
            # Nobody is told whose last grant has ended meanwhile.
            live = {row["company_id"] for row in await store.select_traced(connection)}
            told = [one for one in told if one.company_id in live]
            company = await store.select_company(connection)
            row = {"id": identity, "issuer": company["name"], "kind": body.kind, "reason": body.reason}
            await store.insert_recall(connection, row | {"complete": trace.complete, "issued_by": principal.actor})
            await store.insert_recall_things(connection, identity, affected)
            for one in told:
                await store.insert_recall_notice(connection, identity, one.company_id, one.company, one.shown)
            await audit.record(
                *(connection, principal.actor, "share.recall", str(identity)),
                after=body.model_dump(mode="json"),
                affected=len(affected),
                told=len(told),
            )
            recall = await _recall(connection, identity)
            for one in told:
                await self._tell(connection, one.company_id, _recalled(recall, len(one.things)))
                await store.insert_recall_things(connection, identity, one.things)
        return recall

    async def recalls(self, scope: TenantScope, before: UUID | None = None) -> list[Recall]:
        """Return the last recalls by and to the tenant, newest first."""
        async with self._db.tenant(scope) as connection:
            return await _read(connection, await store.select_recalls(connection, MOST, _FIRST, before=before))

    async def recall(self, scope: TenantScope, identity: UUID) -> Recall:
        """Return a recall with all of its things; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return await _recall(connection, identity)

    async def answer(self, principal: Principal, identity: UUID, reply: RecallReply) -> Recall:
        """Answer a recall that the tenant was told of, as often as there is news; raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            company = await store.answer_recall(connection, identity, reply.answer, reply.text, principal.actor)
            if company is None:
                raise NotFound
            (row,) = await store.select_recalls(connection, 1, _ALL, only=identity)
            (recall,) = await _read(connection, [row])
            await audit.record(
                connection, principal.actor, "share.recall_answer", str(identity), after=reply.model_dump(mode="json")
            )
            await self._tell(connection, row["issuer_id"], _replied(recall, company, reply))
        return recall

    async def _affected(self, grants: list[Row], trace: ChainTrace, *, up: bool) -> _Told | None:
        """Return what a company is to be told, None if its events name nothing that is affected."""
        scope = TenantScope(grants[0]["company_id"])
        affected = [*trace.asked, *(each.thing for each in trace.things)]
        known = await self._traces.known(scope, affected)
        if not known:
            return None
        links = await self._traces.links(scope, known, up=up)
        further = (link.used if up else link.made for link in links)
        things = list(dict.fromkeys([*(thing for thing in affected if thing in known), *further]))
        over = {row["id"] for row in grants if row["seen"]}
        seen = {thing for step in trace.steps if step.grant_id in over for thing in (step.used, step.made)}
        return _Told(scope.tenant_id, grants[0]["company"], things, len(seen & set(things)) if over else None)


def _companies(grants: Collection[Row]) -> list[list[Row]]:
    """Return the grants with each company together."""
    found: dict[UUID, list[Row]] = {}
    for row in grants:
        found.setdefault(row["company_id"], []).append(row)
    return list(found.values())


async def _read(connection: AsyncConnection, rows: list[Row]) -> list[Recall]:
    notices = await store.select_recall_notices(connection, [row["id"] for row in rows])
    return [
        Recall(**row, companies=[RecallTold(**one) for one in notices if one["recall_id"] == row["id"]]) for row in rows
    ]


async def _recall(connection: AsyncConnection, identity: UUID) -> Recall:
    found = await _read(connection, await store.select_recalls(connection, 1, _ALL, only=identity))
    if not found:
        raise NotFound
    return found[0]


def _recalled(recall: Recall, things: int) -> Notice:
    title = _RECALLED[recall.kind]
    return Notice(
        title_en=title.en.format(issuer=recall.issuer),
        title_zh=title.zh.format(issuer=recall.issuer),
        body_en=f"{recall.reason} - affected: {things}",
        body_zh=f"{recall.reason}。受影响对象 {things} 个",
        link="/trace",
        tone="bad",
        data={"kind": "share.recall", "recall_id": str(recall.id)},
    )


def _replied(recall: Recall, company: str, reply: RecallReply) -> Notice:
    title = _ANSWERED[reply.answer]
    return Notice(
        title_en=title.en.format(company=company),
        title_zh=title.zh.format(company=company),
        body_en=reply.text,
        body_zh=reply.text,
        link="/trace",
        tone="info" if reply.answer == "acknowledged" else "good",
        data={"kind": "share.recall_answer", "recall_id": str(recall.id)},
    )
