"""Second opinions that are metered: money reserved for them, counted by the server that answers, booked once for each hour.

What counts is the time of the model, told in numbers that only grow, by the run of a server and the hour: told twice it counts
once. An hour comes onto a bill when it is over, by transfers whose ids follow from the serving; where what is reserved is used up
nobody is let in any more, and the box keeps its own verdict. What a server has not told when it is killed is not billed.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.billing.service import CHINA, HOUR_MS, YUAN, Billing, Held, Price, Work, by_hour, cost_of, micro
from cloud.compute import store
from cloud.compute.offers import ALIVE_S, prices_of
from cloud.compute.placing import held_of, stored
from cloud.compute.quotas import refuse_beyond_quota
from cloud.compute.receipt import energy_of
from cloud.compute.serving_schemas import Caller, Callers, OpinionReport, Serving, ServingMade, ServingRequest
from cloud.compute.store import servings
from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal, TenantScope, WorkerPrincipal
from cloud.core.rows import Row
from cloud.notify.schemas import Notice
from cloud.notify.service import Notify
from protocols.text import Text

_HOUR = timedelta(hours=1)
_LATE, _EARLY = timedelta(days=7), timedelta(minutes=5)
"""How old an hour may be that is told, after a server had no link; and how far its clock may be ahead."""
_NO_OFFER = Text("There is no such offer now.", "目前没有该报价。")
_ENDED = Text("It has ended already.", "已经结束。")
_TIME = Text("An hour begins at a whole one, within the last seven days.", "小时须为整点，且在最近七天内。")


class Servings:
    """Who may ask for opinions where, and what they come to."""

    def __init__(self, db: Database, billing: Billing, notify: Notify) -> None:
        self._db, self._billing, self._notify = db, billing, notify

    async def open(self, principal: Principal, body: ServingRequest) -> ServingMade:
        """Reserve the budget and return a token for the boxes; raises Invalid, Conflict."""
        identity, token = uuid7(), f"so_{secrets.token_urlsafe(32)}"
        held = Held(identity, principal.scope.tenant_id, int(body.budget * YUAN))
        async with self._db.tenant(principal.scope) as connection:
            await refuse_beyond_quota(connection, held.total)
            offers = {row["code"]: row for row in await store.select_offers(connection, ALIVE_S)}
            if body.offer not in offers or offers[body.offer]["paused"]:
                raise Invalid(_NO_OFFER)
            offer = offers[body.offer]
            await self._billing.refuse_beyond_budget(connection, held.total)
            await self._billing.reserve(connection, held)
            row = {name: offer[name] for name in ("code", "provider", "terms")} | {
                "id": identity,
                "provider_id": offer["tenant_id"],
                "offer_id": offer["id"],
                "customer": (await store.select_company(connection))["name"],
                "token_hash": hashlib.sha256(token.encode()).hexdigest(),
                "held": stored(held),
                "cap": held.total,
                "by": principal.actor,
            }
            await servings.insert(connection, row)
            after = {"offer": body.offer, "reserved": float(body.budget)}
            await audit.record(connection, principal.actor, "serving.open", str(identity), after=after)
            (made,) = await _seen(connection, await servings.select(connection, identity=identity))
        return ServingMade(serving=made, token=token)

    async def all(self, scope: TenantScope, *, own: bool) -> list[Serving]:
        """Return the company's, or with `own` False those at its offers; newest first."""
        async with self._db.tenant(scope) as connection:
            return await _seen(connection, await servings.select(connection, own=own))

    async def end(self, principal: Principal, identity: UUID) -> Serving:
        """Book what was answered and give back what is left; raises NotFound for another's, Conflict if it has ended."""
        async with self._db.tenant(principal.scope) as connection:
            row = await _own(connection, identity)
            if row["ended_at"]:
                raise Conflict(_ENDED)
            await self._book(connection, row, None)
            await audit.record(connection, principal.actor, "serving.end", str(identity))
            (seen,) = await _seen(connection, await servings.select(connection, identity=identity))
        return seen

    async def book_due(self, scope: TenantScope) -> None:
        """Book the hours that are over, and end what is asked at an offer that is no more."""
        async with self._db.tenant(scope) as connection:
            due = await servings.select_due(connection)
        for identity in due:
            async with self._db.tenant(scope) as connection:
                row = await _own(connection, identity)
                if not row["ended_at"]:
                    there = await store.select_offers(connection, ALIVE_S, identity=row["offer_id"])
                    await self._book(connection, row, datetime.now(UTC) - _HOUR if there else None)

    async def report(self, worker: WorkerPrincipal, body: OpinionReport) -> Callers:
        """Take what a server of an offer has answered, and return who may ask it; raises Invalid for an hour that cannot be."""
        now = datetime.now(UTC)
        for each in body.counted:
            if each.hour != each.hour.replace(minute=0, second=0, microsecond=0) or not (
                now - _LATE < each.hour < now + _EARLY
            ):
                raise Invalid(_TIME)
        async with self._db.tenant(worker.scope) as connection:
            # Locked, as where it is booked: what is counted is before that, or after it.
            rows = await servings.select(connection, offer=worker.offer_id, own=False, lock=True)
            known = {row["id"] for row in rows}
            counted = [each.model_dump() for each in body.counted if each.serving_id in known]
            await servings.count(connection, body.run, counted)
            await servings.hear(connection, worker.offer_id)
            callers = [
                Caller(
                    serving_id=row["id"],
                    token_hash=row["token_hash"],
                    left_ms=_lasts(row["terms"], await _left(connection, row)),
                )
                for row in rows
            ]
        return Callers(callers=callers)

    async def _book(self, connection: AsyncConnection, row: Row, before: datetime | None) -> None:
        """Book the hours of a serving that began before `before`; None: all of them, and it ends."""
        held = held_of(row)
        cost = row["cost"]
        for each in await servings.unbooked(connection, row["id"], before):
            settled = await self._billing.settle(connection, held, _work(row, held, each), more=True)
            held, cost = settled.held, cost + settled.cost
            await servings.book(connection, row["id"], each["hour"])
        change: dict[str, Any] = {"held": stored(held), "cost": cost}
        if before is None:
            await self._billing.release(connection, held)
            change |= {"held": stored(held._replace(cash=0)), "ended_at": datetime.now(UTC)}
        elif not held.total and not row["told_spent"]:
            change["told_spent"] = True
            await self._notify.tell(connection, None, f"serving:{row['id']}", _spent(row))
        await servings.change(connection, row["id"], change)
        await self._billing.warn_of_budget(connection)


def _price(terms: dict[str, Any], at: datetime) -> float:
    return by_hour(prices_of(terms))[at.astimezone(CHINA).hour]


def _work(row: Row, held: Held, each: Row) -> Work:
    """Return an hour's opinions as what is billed: the model's time, at the price of that hour."""
    terms, ms = row["terms"], each["us"] // 1000
    facts = {
        "job": "second opinions",
        "opinions": each["count"],
        "provider": row["provider"],
        "code": row["code"],
        "region": terms["region"],
        "chip_requested": terms["chip"],
        "pue": terms["pue"],
        "green_share": terms["green_share"],
        "energy_method": "estimated",
        "ms": ms,
    } | energy_of(terms, ms, ms, ms)
    return Work(
        held.round + 1,
        row["provider_id"],
        each["hour"],
        ms,
        (Price(0, _price(terms, each["hour"])),),
        f"{each['count']} second opinions: {row['code']}",
        facts,
        each["hour"] + _HOUR,
    )


async def _left(connection: AsyncConnection, row: Row) -> int:
    """Return what of the reserved money is not used up, micro-yuan."""
    open_hours = await servings.unbooked(connection, row["id"])
    used = sum(cost_of(each["us"] // 1000, micro(_price(row["terms"], each["hour"]))) for each in open_hours)
    return 0 if row["ended_at"] else max(0, held_of(row).total - used)


def _lasts(terms: dict[str, Any], left: int) -> int:
    """Return for how many milliseconds of a model's time so much money lasts now."""
    price = micro(_price(terms, datetime.now(UTC)))
    return left * HOUR_MS // price if price else HOUR_MS


async def _own(connection: AsyncConnection, identity: UUID) -> Row:
    rows = await servings.select(connection, identity=identity, own=True, lock=True)
    if not rows:
        raise NotFound
    return rows[0]


async def _seen(connection: AsyncConnection, rows: list[Row]) -> list[Serving]:
    totals = await servings.totals(connection, [row["id"] for row in rows])
    none = {"count": 0, "us": 0}
    return [
        Serving(
            **{
                name: row[name]
                for name in ("id", "customer", "own", "code", "provider", "heard_at", "opened_at", "ended_at")
            },
            cap=row["cap"] / YUAN,
            cost=row["cost"] / YUAN,
            left=await _left(connection, row) / YUAN,
            count=totals.get(row["id"], none)["count"],
            seconds=totals.get(row["id"], none)["us"] / 1e6,
        )
        for row in rows
    ]


def _spent(row: Row) -> Notice:
    return Notice(
        title_en=f"Second opinions at {row['code']}: what was reserved is used up",
        title_zh=f"单件复检 {row['code']}：预留金额已用完",
        body_en="Boxes keep their own verdicts. Reserve more under Rented computing.",
        body_zh="盒子继续使用自身结论；如需继续复检，请在算力超市重新预留。",
        link="/compute",
        tone="warn",
        data={"kind": "serving.spent", "serving_id": str(row["id"])},
    )
