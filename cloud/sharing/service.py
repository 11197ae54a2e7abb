"""The door of the sharing domain: requests, grants, reads over them, and receipts of all of it.

request = await sharing.ask(principal, body)                     a leader asks a company, by its credit code
grant = await sharing.accept(principal, request_id, acceptance)  the supplier says yes, to all of it or to less
await sharing.refuse(principal, request_id)                      the supplier declines, or the leader withdraws
grant = await sharing.narrow(principal, grant_id, terms)         the supplier alone shows less, at once
grant = await sharing.end(principal, grant_id, reason)           either side alone, at once
read = await sharing.reader.read(principal, grant_id, question)  -> SharedRead: what is asked, cut to the live grant
level = await sharing.levels.read(principal, grant_id)           -> SharedLevel: the level of maturity, where that is granted
trace = await sharing.tracer.trace(principal, things, up=True)   -> ChainTrace: through one's own events and what grants show
recall = await sharing.recalls.issue(principal, body)            -> Recall: what is affected; who has it is told, and answers
page = await sharing.receipts(scope, grant_id)                   -> ReceiptPage: who read what
text = sharing.chain(scope, grant_id)                            -> lines that `receipts.verify` proves whole

What may be shown of an entry: `granularities`, and of what is shown already: `coarser`.
Every act and every read is a receipt in the grant's chain, in the transaction that makes it true.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

from pydantic import ValidationError
from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database, enter
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.listen import Listener, announce
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.notify.schemas import Notice
from cloud.notify.service import Notify
from cloud.sharing import store
from cloud.sharing.chain_trace import ChainTracer
from cloud.sharing.levels import Levels
from cloud.sharing.reader import Asker, Doors, Question, Reader
from cloud.sharing.recalls import Recalls
from cloud.sharing.receipts import head_line, line
from cloud.sharing.schemas import Acceptance, Grant, Receipt, ReceiptPage, RequestBody, ShareRequest
from cloud.sharing.terms import (
    KPI,
    WIDTH,
    Ask,
    Compare,
    Granularity,
    Item,
    Terms,
    TraceDepth,
    coarser,
    granularities,
    less_trace,
    name_of,
    unit_of,
    within,
)
from protocols.text import Text

__all__ = [
    "KPI",
    "WIDTH",
    "Ask",
    "Asker",
    "Compare",
    "Doors",
    "Granularity",
    "Item",
    "Question",
    "Sharing",
    "Terms",
    "TraceDepth",
    "coarser",
    "granularities",
    "less_trace",
    "name_of",
    "unit_of",
]

MOST = 500
"""Requests and grants of one answer."""
_CHAIN_PAGE = 1000
_NOT_LESS = Text(
    "That is more than was asked; say yes to all of it, or to less.", "超出了对方的申请范围，只能全部同意或缩小范围。"
)
_NOTHING = Text("That would show nothing; decline instead.", "这样不会共享任何内容，请改为拒绝。")
_NOT_NARROWER = Text(
    "That shows more than the grant does now; ask to be asked for it.",
    "超出了当前授权范围；如需扩大，请由对方重新申请。",
)
_ENDED = Text("This grant has ended.", "该授权已终止。")
_ANSWERED = Text("This request has been answered already.", "该申请已处理。")


class Sharing:
    """What a tenant shows others, and what others show it."""

    def __init__(self, db: Database, listener: Listener, doors: Doors, notify: Notify) -> None:
        self._db = db
        self._fleet = doors.fleet
        self._notify = notify
        self.reader = Reader(db, listener, doors)
        self.levels = Levels(db, doors.level)
        self.tracer = ChainTracer(db, doors.traceability)
        self.recalls = Recalls(db, self.tracer, doors.traceability, self._tell)

    async def requests(self, scope: TenantScope, before: UUID | None = None) -> list[ShareRequest]:
        """Return the last requests of and to the tenant, newest first."""
        async with self._db.tenant(scope) as connection:
            return [ShareRequest(**row) for row in await store.select_requests(connection, MOST, before=before)]

    async def grants(self, scope: TenantScope, before: UUID | None = None) -> list[Grant]:
        """Return the last grants of and to the tenant, newest first."""
        async with self._db.tenant(scope) as connection:
            return [Grant(**row) for row in await store.select_grants(connection, MOST, before=before)]

    async def grant(self, scope: TenantScope, identity: UUID) -> Grant:
        """Return a grant; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return Grant(**await _grant(connection, identity))

    async def ask(self, principal: Principal, body: RequestBody) -> ShareRequest:
        """Ask a company for data; raises Invalid for one's own, NotFound for a grant that is not there to be replaced."""
        async with self._db.tenant(principal.scope) as connection:
            return await self.ask_within(connection, principal, body)

    async def ask_within(self, connection: AsyncConnection, principal: Principal, body: RequestBody) -> ShareRequest:
        """As `ask`, in the caller's transaction."""
        company = await store.select_company(connection)
        if company["credit_code"] == body.credit_code:
            raise Invalid(Text("This is your own credit code.", "这是本企业自己的统一社会信用代码。"))
        if body.grant_id is not None:
            row = await _live(connection, body.grant_id)
            if row["side"] != "leader":
                raise NotFound
        after = body.model_dump(mode="json")
        row = after | {"id": uuid7(), "grant_id": body.grant_id, "leader": company["name"]}
        stored = await store.insert_request(connection, row | {"asked_by": principal.actor})
        await audit.record(connection, principal.actor, "share.ask", str(stored["id"]), after=after)
        return ShareRequest(**stored)

    @staticmethod
    async def company(connection: AsyncConnection) -> Row:
        """Return name and credit code of the tenant the caller's transaction is in."""
        return await store.select_company(connection)

    async def refuse(self, principal: Principal, identity: UUID) -> ShareRequest:
        """Decline a request made of us, or withdraw one of ours; raises NotFound, Conflict if it has been answered."""
        async with self._db.tenant(principal.scope) as connection:
            row = await _open(connection, identity)
            answer = "withdrawn" if row["side"] == "leader" else "declined"
            stored = await store.answer_request(connection, identity, answer, principal.actor, None)
            await announce(connection, row["leader_id"])
            await audit.record(connection, principal.actor, f"share.{answer.removesuffix('d')}", str(identity))
        return ShareRequest(**stored)

    async def accept(self, principal: Principal, identity: UUID, acceptance: Acceptance) -> Grant:
        """Grant what is asked, or less of it.

        Raises NotFound, Conflict if it has been answered or its grant has ended, Invalid for more than is asked and for
        machines that are not ours.
        """
        await self._refuse_unknown(principal, acceptance.machines)
        async with self._db.tenant(principal.scope) as connection:
            row = await _open(connection, identity)
            if row["side"] != "supplier":
                raise NotFound
            terms = _accepted(Ask.model_validate(row["terms"]), acceptance, datetime.now(UTC))
            company = await store.select_company(connection)
            grant, kind = row["grant_id"] or uuid7(), "changed" if row["grant_id"] else "granted"
            if row["grant_id"]:
                await _live(connection, grant)
                await store.change_terms(connection, grant, _columns(terms))
            else:
                names = {"id": grant, "leader_id": row["leader_id"], "leader": row["leader"], "purpose": row["purpose"]}
                await store.insert_grant(connection, names | {"supplier": company["name"]} | _columns(terms))
            await self._receipted(connection, principal, grant, kind, {"terms": terms.model_dump(mode="json")})
            await store.answer_request(connection, identity, "accepted", principal.actor, grant)
            made = Grant(**await _grant(connection, grant))
            await audit.record(
                connection, principal.actor, "share.grant", str(grant), after=terms.model_dump(mode="json")
            )
            await self._tell(connection, row["leader_id"], _granted(made))
        return made

    async def narrow(self, principal: Principal, identity: UUID, terms: Terms) -> Grant:
        """Put terms into force that show less; raises NotFound, Conflict if it has ended, Invalid if they show more."""
        if (await self.grant(principal.scope, identity)).side != "supplier":
            raise NotFound
        await self._refuse_unknown(principal, terms.machines)
        async with self._db.tenant(principal.scope) as connection:
            row = await _live(connection, identity)
            before = Terms.model_validate(row["terms"])
            if not within(terms, before):
                raise Invalid(_NOT_NARROWER)
            await store.change_terms(connection, identity, _columns(terms))
            await self._receipted(connection, principal, identity, "changed", {"terms": terms.model_dump(mode="json")})
            changed = Grant(**await _grant(connection, identity))
            await audit.record(
                *(connection, principal.actor, "share.narrow", str(identity)),
                before=before.model_dump(mode="json"),
                after=terms.model_dump(mode="json"),
            )
        return changed

    async def end(self, principal: Principal, identity: UUID, reason: str = "") -> Grant:
        """End a grant for good, as either side: what is being read over it now is not given any more.

        Raises NotFound, Conflict if it has ended.
        """
        async with self._db.tenant(principal.scope) as connection:
            row = await _live(connection, identity)
            await store.end_grant(connection, identity, row["side"], reason)
            await self._receipted(connection, principal, identity, "ended", {"by": row["side"], "reason": reason})
            ended = Grant(**await _grant(connection, identity))
            await audit.record(connection, principal.actor, "share.end", str(identity), reason=reason)
            other = row["supplier_id"] if row["side"] == "leader" else row["leader_id"]
            await self._tell(connection, other, _ended(ended))
        return ended

    async def receipts(
        self, scope: TenantScope, grant: UUID, *, before: int | None = None, kind: str | None = None, limit: int = 50
    ) -> ReceiptPage:
        """Return a grant's receipts, newest first; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            await _grant(connection, grant)
            rows = await store.select_receipts(connection, grant, limit, before=before, kind=kind)
        items = [Receipt(**row) for row in rows]
        return ReceiptPage(items=items, next=items[-1].seq if len(items) == limit else None)

    async def chain(self, scope: TenantScope, grant: UUID) -> AsyncIterator[str]:
        """Yield the lines of the grant's chain as it is now; raises NotFound before the first."""
        async with self._db.tenant(scope) as connection:
            row = await _grant(connection, grant)
        yield head_line(row)
        seq = 0
        while seq < row["receipts"]:
            async with self._db.tenant(scope) as connection:
                rows = await store.select_chain(connection, grant, seq, min(_CHAIN_PAGE, row["receipts"] - seq))
            if not rows:
                return
            for one in rows:
                yield line(grant, one)
            seq = rows[-1]["seq"]

    async def _refuse_unknown(self, principal: Principal, machines: list[UUID] | tuple[UUID, ...] | None) -> None:
        if machines is None:
            return
        known = {each.id for each in await self._fleet.equipment_list(principal.scope)}
        if not set(machines) <= known:
            raise Invalid(Text("A machine is not one of yours.", "所列设备中有不属于本企业的设备。"))

    async def _receipted(
        self, connection: AsyncConnection, principal: Principal, grant: UUID, kind: str, body: dict[str, object]
    ) -> None:
        """Write the receipt of an act, and wake whoever reads over the grant once it is committed."""
        await store.append_receipt(connection, grant, kind, principal.actor, audit.canonical(body))
        await announce(connection, grant)

    async def _tell(self, connection: AsyncConnection, company: UUID, notice: Notice) -> None:
        """Tell the other company, on all of its channels, if the transaction commits; it is that company's from here on."""
        await announce(connection, company)
        await enter(connection, TenantScope(company))
        await self._notify.tell(connection, None, f"share:{uuid7()}", notice)


async def _grant(connection: AsyncConnection, identity: UUID, *, lock: bool = False) -> Row:
    row = await store.select_grant(connection, identity, lock=lock)
    if row is None:
        raise NotFound
    return row


async def _live(connection: AsyncConnection, identity: UUID) -> Row:
    row = await _grant(connection, identity, lock=True)
    if not row["live"]:
        raise Conflict(_ENDED)
    return row


async def _open(connection: AsyncConnection, identity: UUID) -> Row:
    row = await store.lock_request(connection, identity)
    if row is None:
        raise NotFound
    if row["answer"]:
        raise Conflict(_ANSWERED)
    return row


def _accepted(ask: Ask, acceptance: Acceptance, now: datetime) -> Terms:
    machines = tuple(acceptance.machines) if acceptance.machines else None
    items = ask.items if acceptance.items is None else acceptance.items
    trace = None if acceptance.trace == "none" else acceptance.trace or ask.trace
    maturity = ask.maturity if acceptance.maturity is None else acceptance.maturity
    compare = None if acceptance.compare == "anonymous" else acceptance.compare or ask.compare
    if not items and trace is None and not maturity:
        raise Invalid(_NOTHING)
    try:
        less = Ask(
            items=items,
            trace=trace,
            maturity=maturity,
            compare=compare,
            history_days=ask.history_days if acceptance.history_days is None else acceptance.history_days,
            days=acceptance.days or ask.days,
        )
    except ValidationError as error:
        raise Invalid(Text("An entry is named twice.", "有条目重复。")) from error
    terms = less.granted(now, machines)
    if not within(terms, ask.granted(now, None)):
        raise Invalid(_NOT_LESS)
    return terms


def _columns(terms: Terms) -> Row:
    return {"terms": terms.model_dump(mode="json"), "since": terms.since, "until": terms.until}


def _granted(grant: Grant) -> Notice:
    return Notice(
        title_en=f"{grant.supplier} shares data with you",
        title_zh=f"{grant.supplier}已同意共享数据",
        body_en=f"For: {grant.purpose}",
        body_zh=f"用途：{grant.purpose}",
        link=f"/shares/{grant.id}",
        tone="good",
        data={"kind": "share.granted", "grant_id": str(grant.id)},
    )


def _ended(grant: Grant) -> Notice:
    by = grant.leader if grant.ended_by == "leader" else grant.supplier
    return Notice(
        title_en=f"{by} has ended a data grant",
        title_zh=f"{by}已终止数据授权",
        body_en=f"Purpose: {grant.purpose}. {grant.end_reason}".strip(),
        body_zh=f"用途：{grant.purpose}。{grant.end_reason}",
        link=f"/shares/{grant.id}",
        tone="warn",
        data={"kind": "share.ended", "grant_id": str(grant.id)},
    )
