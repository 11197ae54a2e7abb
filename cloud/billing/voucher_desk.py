"""Vouchers from the application to the last day: applied -> issued | rejected | withdrawn; issued -> expired.

    grant = min(highest share x fee, cap of the year - granted, what the pool has left); what a contract may get is for `jobs`

An issued voucher is an account of its own, filled from the programme's pool; what is not redeemed when its time is over, and
what a refund claws back later, flows back into the pool.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid5

from uuid_utils.compat import uuid7

from cloud.billing import store
from cloud.billing.money import CHINA, YUAN, micro
from cloud.billing.schemas import Application, Decision, Effect, Voucher, VoucherProgramme
from cloud.billing.store import Transfer
from cloud.billing.vouchers import ChipOrigin, programmes
from cloud.core import audit
from cloud.core.db import AsyncConnection, Database, enter
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.notify.schemas import Notice
from cloud.notify.service import Notify
from protocols.text import Text

_MOST = 500
_UNKNOWN = Text("There is no such programme.", "没有该补贴计划。")
_CLOSED = Text("This programme is not open for applications here.", "该补贴计划尚未开放申请。")
_NO_CODE = Text(
    "Enter your company's unified social credit code first; vouchers are granted to it.",
    "请先填写本企业的统一社会信用代码，算力券以此为准。",
)
_NOT_ELIGIBLE = Text("This programme pays nothing to applicants of this kind.", "该补贴计划不面向此类申请人。")
_DECIDED = Text("This application has been decided.", "该申请已处理。")
_NOTHING = Text(
    "The rules leave nothing to grant: the year's cap is reached, or the pool is empty.",
    "按规则已无可发放金额：年度上限已满或资金池已用完。",
)
_MORE = Text("The rules allow {most} yuan at most.", "按规则最多可发放 {most} 元。")


class Spendable(NamedTuple):
    """An issued voucher as it can be used now: `free` micro-yuan, `share` of a fee in millionths."""

    id: UUID
    programme: str
    free: int
    share: int


class VoucherDesk:
    """Applications of companies, and the operator's word on them."""

    def __init__(self, db: Database, notify: Notify) -> None:
        self._db, self._notify = db, notify

    async def programmes(self, scope: TenantScope) -> list[VoucherProgramme]:
        """Return all programmes whose rules are known, the open ones first."""
        async with self._db.tenant(scope) as connection:
            pools = {row["programme"]: row["closes_at"] for row in await store.select_pools(connection)}
        found = [
            VoucherProgramme(
                code=each.code,
                name_en=each.name_en,
                name_zh=each.name_zh,
                flow=each.flow,
                highest_share=max(ratio.share for ratio in each.ratio),
                source=each.source,
                closes_at=pools.get(each.code),
            )
            for each in programmes().values()
        ]
        return sorted(found, key=lambda one: one.closes_at is None)

    async def own(self, scope: TenantScope) -> list[Voucher]:
        """Return the company's vouchers and applications, newest first."""
        async with self._db.tenant(scope) as connection:
            return await _own(connection)

    @staticmethod
    async def usable(connection: AsyncConnection) -> list[Voucher]:
        """Return the company's vouchers of which something is left, in the caller's transaction."""
        now = datetime.now(UTC)
        return [
            each
            for each in await _own(connection)
            if each.state == "issued" and each.left and each.valid_until and each.valid_until > now
        ]

    async def apply(self, principal: Principal, body: Application) -> Voucher:
        """Apply; raises Invalid for a programme that is not open or pays nothing to such an applicant."""
        programme = programmes().get(body.programme)
        if programme is None:
            raise Invalid(_UNKNOWN)
        if not any(ratio.applicant in (body.applicant, "any") for ratio in programme.ratio):
            raise Invalid(_NOT_ELIGIBLE)
        async with self._db.tenant(principal.scope) as connection:
            company = await store.select_company(connection)
            if not company["credit_code"]:
                raise Invalid(_NO_CODE)
            if body.programme not in {row["programme"] for row in await store.select_pools(connection)}:
                raise Invalid(_CLOSED)
            identity = uuid7()
            row = body.model_dump() | {"id": identity, "fee": int(body.fee * YUAN), "applied_by": principal.actor}
            await store.insert_voucher(
                connection, row | {"company": company["name"], "credit_code": company["credit_code"]}
            )
            made = await self._one(connection, identity)
            after = body.model_dump(mode="json")
            await audit.record(connection, principal.actor, "voucher.apply", str(identity), after=after)
        return _voucher(made)

    async def withdraw(self, principal: Principal, identity: UUID) -> Voucher:
        """Take an application back; raises NotFound, Conflict if it has been decided."""
        async with self._db.tenant(principal.scope) as connection:
            row = await self._open(connection, identity)
            if row["tenant_id"] != principal.scope.tenant_id:
                raise NotFound
            await store.decide_voucher(
                connection, identity, {"state": "withdrawn", "by": principal.actor, "reason": ""}
            )
            made = await self._one(connection, identity)
            await audit.record(connection, principal.actor, "voucher.withdraw", str(identity))
        return _voucher(made)

    async def applications(self, scope: TenantScope) -> list[Voucher]:
        """Return all companies' vouchers to the operator, newest first; raises NotFound to others."""
        async with self._db.tenant(scope) as connection:
            if not await store.operates(connection):
                raise NotFound
            return [_voucher(row) for row in await store.select_vouchers(connection, _MOST, own=False)]

    async def decide(self, principal: Principal, identity: UUID, body: Decision) -> Voucher:
        """Grant an application or turn it down, as the operator; the company is told.

        Raises NotFound, Conflict if it has been decided, Invalid for more than the rules allow.
        """
        async with self._db.tenant(principal.scope) as connection:
            if not await store.operates(connection):
                raise NotFound
            row = await self._open(connection, identity)
            change: Row = {"state": "rejected", "by": principal.actor, "reason": body.reason}
            if body.approve:
                amount = await self._amount(connection, row, body)
                longest = timedelta(days=programmes()[row["programme"]].longest_days)
                change |= {"state": "issued", "amount": amount, "valid_until": datetime.now(UTC) + longest}
                await self._issue(connection, row, amount)
            await store.decide_voucher(connection, identity, change)
            made = await self._one(connection, identity)
            after = body.model_dump(mode="json") | {"granted": (made["amount"] or 0) / YUAN}
            await audit.record(connection, principal.actor, "voucher.decide", str(identity), after=after)
            await enter(connection, TenantScope(row["tenant_id"]))
            await self._notify.tell(connection, None, f"voucher:{identity}", _told(made))
        return _voucher(made)

    async def effect(self, scope: TenantScope) -> list[Effect]:
        """Return what each programme has brought about, to the operator; raises NotFound to others."""
        async with self._db.tenant(scope) as connection:
            if not await store.operates(connection):
                raise NotFound
            rows = await store.select_effect(connection)
        return [
            Effect(
                **{name: row[name] for name in ("programme", "applications", "granted_count", "jobs", "days")},
                **{name: row[name] / YUAN for name in ("granted", "redeemed", "fees")},
                leverage=round((row["fees"] - row["redeemed"]) / row["redeemed"], 3) if row["redeemed"] else None,
            )
            for row in rows
        ]

    async def expire(self, scope: TenantScope) -> None:
        """Let what is left of a company's vouchers whose time is over flow back into their pools."""
        async with self._db.tenant(scope) as connection:
            free = {row["ref"]: row for row in await store.select_balances(connection) if row["kind"] == "voucher"}
            for row in await store.select_vouchers(connection, _MOST, own=True):
                if row["valid_until"] is None or row["valid_until"] > datetime.now(UTC):
                    continue
                account = free.get(str(row["id"]))
                if account and account["free"] > 0:
                    pool = await store.account(connection, None, "pool", row["programme"])
                    # Once for every amount that was there: what a refund gives back later flows on, too.
                    identity = uuid5(row["id"], f"expire:{account['there']}:{datetime.now(UTC):%Y-%m-%d}")
                    back = Transfer(identity, "single", account["free"], "voucher.expire", account["id"], pool)
                    await store.transfer(connection, [back._replace(ref=str(row["id"]))])
                if row["state"] == "issued":
                    change = {"state": "expired", "by": row["decided_by"], "reason": row["reason"]}
                    await store.decide_voucher(connection, row["id"], change)

    async def _one(self, connection: AsyncConnection, identity: UUID) -> Row:
        row = await store.select_voucher(connection, identity)
        if row is None:
            raise NotFound
        return row

    async def _open(self, connection: AsyncConnection, identity: UUID) -> Row:
        row = await store.select_voucher(connection, identity, lock=True)
        if row is None:
            raise NotFound
        if row["state"] != "applied":
            raise Conflict(_DECIDED)
        return row

    async def _amount(self, connection: AsyncConnection, row: Row, body: Decision) -> int:
        programme = programmes()[row["programme"]]
        year = datetime.now(CHINA).replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
        granted = await store.issued_in_year(connection, row["tenant_id"], programme.code, year)
        share = max(ratio.share for ratio in programme.ratio if ratio.applicant in (row["applicant"], "any"))
        left = await store.free_of_platform(connection, "pool", programme.code)
        cap_year = micro(programme.cap_year) - granted if programme.cap_year else left
        most = min(int(row["fee"] * share), cap_year, left)
        if most <= 0:
            raise Conflict(_NOTHING)
        asked = int(body.amount * YUAN) if body.amount else most
        if asked > most:
            limit = f"{most / YUAN:,.2f}"
            raise Invalid(Text(_MORE.en.format(most=limit), _MORE.zh.format(most=limit)))
        return asked

    async def _issue(self, connection: AsyncConnection, row: Row, amount: int) -> None:
        pool = await store.account(connection, None, "pool", row["programme"])
        voucher = await store.account(connection, row["tenant_id"], "voucher", str(row["id"]))
        issued = Transfer(uuid5(row["id"], "issue"), "single", amount, "voucher.issue", pool, voucher)
        try:
            await store.transfer(connection, [issued._replace(ref=str(row["id"]))])
        except store.Overdrawn as error:
            raise Conflict(_NOTHING) from error


async def spendable(connection: AsyncConnection, chip: ChipOrigin, task: str, provider: str) -> list[Spendable]:
    """Return the company's vouchers that pay for such a task at such a provider, in the order they are to be spent.

    One that fits less - only some tasks or chips - goes before one that fits all, then the one that expires first, then the
    smaller one.
    """
    free = {row["ref"]: row["free"] for row in await store.select_balances(connection) if row["kind"] == "voucher"}
    found = []
    for row in await store.select_vouchers(connection, _MOST, own=True, state="issued"):
        programme = programmes()[row["programme"]]
        banned = programme.banned_affiliates and provider in row["affiliates"]
        share = 0.0 if banned else programme.share(chip, row["applicant"], task)
        left = free.get(str(row["id"]), 0)
        if share > 0 and left > 0 and row["valid_until"] > datetime.now(UTC):
            order = (not programme.eligible_tasks, row["valid_until"], left)
            found.append((order, Spendable(row["id"], programme.code, left, round(share * 1_000_000))))
    return [one for _, one in sorted(found, key=lambda each: each[0])]


async def _own(connection: AsyncConnection) -> list[Voucher]:
    rows = await store.select_vouchers(connection, _MOST, own=True)
    free = {row["ref"]: row["free"] for row in await store.select_balances(connection) if row["kind"] == "voucher"}
    return [_voucher(row, free.get(str(row["id"]))) for row in rows]


def _voucher(row: Row, left: int | None = None) -> Voucher:
    return Voucher(
        **{name: row[name] for name in Voucher.model_fields if name not in ("fee", "amount", "left")},
        fee=row["fee"] / YUAN,
        amount=row["amount"] / YUAN if row["amount"] else None,
        left=left / YUAN if left is not None else None,
    )


def _told(row: Row) -> Notice:
    name = programmes()[row["programme"]].name
    granted = row["state"] == "issued"
    amount = (row["amount"] or 0) / YUAN
    return Notice(
        title_en=f"{name.en}: {amount:,.2f} yuan granted" if granted else f"{name.en}: turned down",
        title_zh=f"{name.zh}：已发放 {amount:,.2f} 元" if granted else f"{name.zh}：未通过",
        body_en=row["reason"],
        body_zh=row["reason"],
        link="/wallet",
        tone="good" if granted else "warn",
        data={"kind": "voucher.decided", "voucher_id": str(row["id"])},
    )
