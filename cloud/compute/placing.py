"""Where a job goes: a quote before anything is spent, the money reserved, the job placed - and placed anew if it breaks.

What a job may cost at most is reserved when it is asked for: twice what the plan says, ten minutes at the least, and never more
than the budget. It is stopped where that is used up. Prepaid hours go first: the budget is of the money beside them.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from cloud.billing.service import HOUR_MS, YUAN, Billing, Held, Lot, Part, programmes, taken, units_of
from cloud.compute import store
from cloud.compute.decide import Decision, decide
from cloud.compute.decide import Plan as Planned
from cloud.compute.offers import ALIVE_S, decided_by, takes_hours
from cloud.compute.orders import Orders
from cloud.compute.quotas import refuse_beyond_quota
from cloud.compute.schemas import JobRequest, Plan, Quote, Rejection
from cloud.compute.store import offer_versions
from cloud.compute.task import ApplicantOfVouchers, Limits, Needs, Task, Weights
from cloud.core import audit
from cloud.core.audit import canonical
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid
from cloud.core.listen import announce
from cloud.core.principal import Principal
from cloud.core.rows import Row
from protocols.text import Text

_SHOWN = 20
QUOTE_S = 900.0
"""How long terms that a quote named hold after they were replaced."""
_RESERVE, _LEAST_S = 2.0, 600.0
# Reference seconds, until the company's own jobs tell better: measured with 512 x 512 pictures on the reference machine.
_BASE_S = {"fit": 5.0, "inspect": 2.0, "evaluate": 2.0, "backfill": 2.0}
_ITEM_S = {"fit": 0.2, "inspect": 0.05, "evaluate": 0.05, "backfill": 0.0002}
_MEMORY_GB = {"fit": 3.0, "inspect": 2.0, "evaluate": 2.0, "backfill": 1.0}
_ON_CPU = ("fit", "backfill", "python")
"""Fitting is done by NumPy; a row of a few sensors is not worth the way to an accelerator; foreign code is given none."""
_NOT_NOW = Text("This offer will not do now; ask for a new quote.", "该算力目前不可用，请重新询价。")


class _Place(NamedTuple):
    """An offer a job goes to, and the prepaid hours of its company, by chip."""

    offer: Row
    hours: dict[str, list[Lot]]


class Placing:
    """Quotes, and jobs on their way to an offer."""

    def __init__(self, db: Database, billing: Billing, orders: Orders) -> None:
        self._db, self._billing, self.orders = db, billing, orders

    async def quote(self, principal: Principal, body: JobRequest) -> Quote:
        """Return what every offer would come to; nothing is reserved. Raises NotFound, Invalid."""
        seen = await self.orders.look(principal.scope, body)
        async with self._db.tenant(principal.scope) as connection:
            task = await self._task(connection, body, seen.items, seen.bytes)
            hours = _sums(await self._hours(connection, body))
            offers = await _offers(connection)
            decision = decide(task, [decided_by(row, hours) for row in offers], datetime.now(UTC))
        versions = {row["code"]: row["version"] for row in offers}
        return Quote(
            work_s=task.needs.work_s,
            plans=[Plan(**_told(plan), version=versions[plan.code]) for plan in decision.plans[:_SHOWN]],
            rejected=[
                Rejection(code=each.code, reason_en=each.reason.en, reason_zh=each.reason.zh)
                for each in decision.rejected[:_SHOWN]
            ],
            nearest=decision.nearest.code if decision.nearest else None,
        )

    async def submit(self, principal: Principal, body: JobRequest) -> UUID:
        """Reserve what the job may cost and place it at the best offer, or the one named; returns its id.

        Raises NotFound, Invalid - no offer will do: the nearest and what it lacks; too little money - and Conflict.
        """
        seen = await self.orders.look(principal.scope, body)
        async with self._db.tenant(principal.scope) as connection:
            await refuse_beyond_quota(connection, 0)  # before anything is read
            wanted = await self.orders.make(connection, principal, body, seen)
            task = await self._task(connection, body, wanted.items, wanted.bytes)
            offers = {row["code"]: row for row in await _quoted(connection, body)}
            hours = await self._hours(connection, body)
            given = [decided_by(row, _sums(hours)) for row in offers.values()]
            decision = decide(task, given, datetime.now(UTC))
            plan = _chosen(decision, body.offer)
            offer = offers[plan.code]
            none = Held(uuid7(), principal.scope.tenant_id, 0)
            held = await self._held(connection, none, task, plan, _Place(offer, hours))
            await refuse_beyond_quota(connection, held.total)
            await self._billing.refuse_beyond_budget(connection, held.total)
            await self._billing.reserve(connection, held)
            files = {name: (hashlib.sha256(content).hexdigest(), content) for name, content in wanted.files.items()}
            row = {
                "id": held.job_id,
                "provider_id": offer["tenant_id"],
                "customer": (await store.select_company(connection))["name"],
                "name": wanted.name,
                "kind": body.kind,
                "subject": wanted.subject,
                "task": msgspec.to_builtins(task),
                "orders": msgspec.to_builtins(wanted.orders),
                "digest": digest_of(wanted.orders, {name: digest for name, (digest, _) in files.items()}),
                "decision": [_decided(decision, plan.code)],
                "offer_id": offer["id"],
                "terms": offer["terms"],
                "not_before": plan.begin,
                "deadline": body.deadline,
                "held": stored(held),
                "cap": held.total,
                "submitted_by": principal.actor,
                "stop_idle_s": body.stop_idle_s,
                "offline_s": round(body.offline_h * 3600),
            }
            await store.insert_job(connection, row, files)
            await announce(connection, offer["id"])
            after = {"kind": body.kind, "offer": plan.code, "reserved": held.total / YUAN, "subject": wanted.subject}
            after["hours"] = sum(part.hours for part in held.bank) / HOUR_MS
            await audit.record(connection, principal.actor, "job.submit", str(held.job_id), after=after)
        return held.job_id

    async def place_again(self, connection: AsyncConnection, job: Row, share_left: float, held: Held) -> Text | None:
        """Place a job that broke, or that nobody fetched, at another offer; returns why none will do.

        One where it broke is taken again only if there is no other, and one that the hours that are held do not pay never.
        """
        task = msgspec.convert(job["task"], Task)
        needs = msgspec.structs.replace(task.needs, work_s=max(task.needs.work_s * share_left, 1.0))
        limits = msgspec.structs.replace(task.limits, budget=held.total / YUAN)
        task, now = msgspec.structs.replace(task, needs=needs, limits=limits), datetime.now(UTC)
        chip = held.bank[0].chip if held.bank else ""
        hours = {chip: sum(part.hours for part in held.bank)}
        every = [
            row
            for row in await _offers(connection)
            if not chip or (takes_hours(row["terms"]) and row["terms"]["chip"] == chip)
        ]
        fresh = [row for row in every if row["id"] not in job["broken_at"]]
        decision = Decision([], [], None)
        for offers in (fresh, every):
            decision = decide(task, [decided_by(row, hours) for row in offers], now)
            if decision.plans:
                plan = decision.plans[0]
                (offer,) = [row for row in offers if row["code"] == plan.code]
                change = {
                    "state": "queued",
                    "offer_id": offer["id"],
                    "terms": offer["terms"],
                    "provider_id": offer["tenant_id"],
                    "not_before": plan.begin,
                    "placed_at": now,
                    "held": stored(held._replace(units=units_of(offer["terms"]["chip"], offer["terms"]["cores"]))),
                    "decision": [*job["decision"], _decided(decision, plan.code)],
                }
                await store.move_files(connection, job["id"], offer["tenant_id"])
                await store.change_job(connection, job["id"], change)
                await announce(connection, offer["id"])
                return None
        return none_will_do(decision)

    async def _task(self, connection: AsyncConnection, body: JobRequest, items: int, size: int) -> Task:
        """Return the task as the decision takes it; what it takes is learnt from the company's last jobs of the kind."""
        work_s = body.python.work_s if body.python else await _work_s(connection, body.kind, items)
        vouchers = await self._billing.vouchers.usable(connection) if body.use_voucher else []
        applicant = ApplicantOfVouchers()
        if vouchers:
            applicant = ApplicantOfVouchers(
                kind=vouchers[0].applicant,
                programmes={each.programme: 0.0 for each in vouchers},
                left={each.programme: each.left or 0.0 for each in vouchers},
                affiliates=tuple({name for each in vouchers for name in each.affiliates}),
            )
        return Task(
            name="job",
            kind=body.kind,
            needs=Needs(
                work_s=round(work_s, 3),
                memory_gb=body.python.memory_gb if body.python else _MEMORY_GB[body.kind],
                chips=("cpu",) if body.kind in _ON_CPU else (),
                input_bytes=size,
                network=bool(body.python and body.python.network),
            ),
            limits=Limits(
                deadline=body.deadline, budget=float(body.budget), regions=tuple(body.regions), privacy=body.privacy
            ),
            weights=Weights(carbon=body.carbon),
            applicant=applicant,
        )

    async def _hours(self, connection: AsyncConnection, body: JobRequest) -> dict[str, list[Lot]]:
        return await self._billing.hours_of(connection) if body.use_hours else {}

    async def _held(self, connection: AsyncConnection, held: Held, task: Task, plan: Planned, place: _Place) -> Held:
        """Return what is to be reserved for a plan: hours as far as they reach, then of a voucher and cash."""
        terms = place.offer["terms"]
        chip, times = terms["chip"], max(_RESERVE, _LEAST_S / plan.run_s)
        most_ms, units = int(plan.run_s * times * 1000), units_of(chip, terms["cores"])
        lots = place.hours.get(chip, []) if takes_hours(terms) else []
        held = held._replace(bank=tuple(taken(lots, most_ms * units)), units=units)
        left = max(0.0, 1 - held.prepaid_ms / most_ms)
        cap = int(min(task.limits.budget, plan.cost * times * left) * YUAN)
        held = held._replace(cash=cap)
        if plan.subsidy <= 0 or not cap:
            return held
        usable = await self._billing.spendable(connection, terms["chip_origin"], task.kind, place.offer["provider"])
        voucher = next((each for each in usable if each.programme == plan.programme), None)
        if voucher is None:
            return held
        part = self._billing.voucher_hold(programmes()[voucher.programme], voucher.share / 1_000_000, cap, voucher.free)
        return held._replace(
            cash=cap - part,
            voucher=part,
            voucher_id=voucher.id,
            programme=voucher.programme,
            share=voucher.share,
        )


async def _work_s(connection: AsyncConnection, kind: str, items: int) -> float:
    """Return the reference seconds that so many items take, by the company's last jobs of the kind."""
    each_s = _ITEM_S[kind]
    if known := await store.pace(connection, kind):
        each_s = max((seconds - _BASE_S[kind]) / max(count, 1) for count, seconds in known)
        each_s = max(each_s, _ITEM_S[kind] / 10)
    return _BASE_S[kind] + each_s * items


def digest_of(orders: msgspec.Struct, files: dict[str, str]) -> str:
    """Return what a task is known by: SHA-256 of what the child is asked and of every input's digest."""
    text = canonical([msgspec.to_builtins(orders), sorted(files.items())])
    return hashlib.sha256(text.encode()).hexdigest()


def stored(held: Held) -> dict[str, Any]:
    """Return what is reserved as it is stored with a job."""
    return {
        name: str(value) if isinstance(value, UUID) else value
        for name, value in held._asdict().items()
        if name not in ("job_id", "customer_id", "bank")
    } | {"bank": [{**part._asdict(), "lot_id": str(part.lot_id)} for part in held.bank]}


def held_of(job: Row) -> Held:
    """Return what is reserved for a job."""
    found = job["held"]
    voucher = UUID(found["voucher_id"]) if found["voucher_id"] else None
    bank = tuple(Part(**part | {"lot_id": UUID(part["lot_id"])}) for part in found.get("bank", ()))
    return Held(job["id"], job["customer_id"], **found | {"voucher_id": voucher, "bank": bank})


def none_will_do(decision: Decision) -> Text:
    """Return why no offer will do, naming the one that lacks least."""
    nearest = decision.nearest
    if nearest is None:
        return Text("There is no offer.", "没有可用的算力。")
    return Text(
        f"No offer will do. Nearest is {nearest.code}: {nearest.reason.en}.",
        f"没有可用的算力。最接近的是 {nearest.code}：{nearest.reason.zh}。",
    )


def _sums(hours: dict[str, list[Lot]]) -> dict[str, int]:
    return {chip: sum(lot.hours for lot in lots) for chip, lots in hours.items()}


async def _offers(connection: AsyncConnection) -> list[Row]:
    return await store.select_offers(connection, ALIVE_S)


async def _quoted(connection: AsyncConnection, body: JobRequest) -> list[Row]:
    """Return the offers, the one that a job names with the terms it was quoted at; raises Conflict if those hold no longer."""
    rows = await _offers(connection)
    for place, row in enumerate(rows):
        if row["code"] == body.offer and body.offer_version not in (None, row["version"]):
            terms = await offer_versions.quoted(connection, row["code"], body.offer_version or 0, QUOTE_S)
            if terms is None:
                raise Conflict(_NOT_NOW)
            rows[place] = row | {"terms": terms}
    return rows


def _chosen(decision: Decision, code: str | None) -> Planned:
    if not decision.plans:
        raise Invalid(none_will_do(decision))
    if code is None:
        return decision.plans[0]
    if plan := next((each for each in decision.plans if each.code == code), None):
        return plan
    if unfit := next((each for each in decision.rejected if each.code == code), None):
        raise Conflict(Text(f"{code} will not do: {unfit.reason.en}.", f"{code} 不可用：{unfit.reason.zh}。"))
    raise Conflict(_NOT_NOW)


def _told(plan: Planned) -> dict[str, Any]:
    return {name: value for name, value in plan._asdict().items() if name != "objective"}


def _decided(decision: Decision, chosen: str) -> dict[str, Any]:
    """Return a decision as it is kept with the job and shown in its receipt."""
    shown = [each for each in decision.plans if each.code == chosen or each in decision.plans[:_SHOWN]]
    return {
        "at": datetime.now(UTC).isoformat(),
        "chosen": chosen,
        "plans": [each._asdict() | {"begin": each.begin.isoformat()} for each in shown],
        "rejected": [
            {"code": each.code, "reason_en": each.reason.en, "reason_zh": each.reason.zh}
            for each in decision.rejected[:_SHOWN]
        ],
    }
