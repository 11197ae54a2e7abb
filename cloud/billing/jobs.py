"""Who pays a job: what is reserved before it runs, what is posted for the time that is verified, what a voucher takes over.

    hours  prepaid ones pay the first of the time, as far as they reach; see `prepaid`. All below is of the rest
    held   cap of the job, reserved from the voucher (deduct_now: share x cap, as far as it reaches) and from cash
    rows   one per price and piece of verified time: clearing -> provider, by a transfer of the row's own id
    voucher  share x cost, at most what is left of it and of the cap of a contract (a job is one); at once, or - where the
           programme pays back - when the job has ended, on the proof that its records are
    fee    the market's share of what the provider earns
    bond   what a break wasted is paid to the customer out of the provider's bond, as far as it reaches

Everything happens in the caller's transaction, by ids that follow from the job: done again it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from cloud.billing import prepaid, store
from cloud.billing.hours import Part
from cloud.billing.money import YUAN, Price, Slice, cost_of, slices, split
from cloud.billing.store import Transfer
from cloud.billing.vouchers import Programme, programmes
from cloud.core.db import AsyncConnection, enter
from cloud.core.errors import Conflict, Invalid
from cloud.core.principal import TenantScope
from cloud.core.rows import Row
from protocols.text import Text

_MILLION = 1_000_000


class Held(NamedTuple):
    """What is reserved for a job, micro-yuan, by the hold number `round`.

    `share`: what the voucher pays of a fee, in millionths. `bank`: parts of lots of prepaid hours; an hour takes `units` of them.
    """

    job_id: UUID
    customer_id: UUID
    cash: int
    voucher: int = 0
    voucher_id: UUID | None = None
    programme: str = ""
    share: int = 0
    round: int = 0
    bank: tuple[Part, ...] = ()
    units: int = 1

    @property
    def total(self) -> int:
        """What of money may be spent at most."""
        return self.cash + self.voucher

    @property
    def prepaid_ms(self) -> int:
        """The time that prepaid hours pay."""
        return sum(part.hours for part in self.bank) // self.units

    def used_up(self, start: datetime, ms: int, prices: Sequence[Price]) -> bool:
        """Return whether `ms` of time from `start` on take all that is reserved; never where it costs nothing."""
        over = ms - self.prepaid_ms
        if over <= 0 or not (self.total or self.bank):
            return False
        rest = start + timedelta(milliseconds=self.prepaid_ms)
        return sum(piece.cost for piece in slices(rest, over, prices)) >= self.total

    def hold(self, account: str) -> UUID:
        """Return the id of the running hold on "cash" or "voucher"."""
        return uuid5(self.job_id, f"{account}:{self.round}")


class Work(NamedTuple):
    """Verified time of one attempt: from `start` on for `ms` milliseconds at a provider's prices; `facts` go onto the bill.

    `until`: where it lies scattered in a longer time, the end of that.
    """

    attempt: int
    provider_id: UUID
    start: datetime
    ms: int
    prices: Sequence[Price]
    description: str
    facts: dict[str, Any]
    until: datetime | None = None


class Settled(NamedTuple):
    """What was posted - `prepaid` of the cost by hours -, and what is still held."""

    cost: int
    subsidy: int
    held: Held
    prepaid: int = 0


async def reserve(connection: AsyncConnection, held: Held) -> None:
    """Reserve; raises Invalid if the company has less than that."""
    clearing = await store.account(connection, None, "clearing")
    wanted = []
    for kind, amount in (("cash", held.cash), ("voucher", held.voucher)):
        if amount:
            source = await store.account(
                connection, held.customer_id, kind, str(held.voucher_id) if kind == "voucher" else ""
            )
            wanted.append(
                Transfer(
                    held.hold(kind), "hold", amount, "job.reserve", debit=source, credit=clearing, ref=str(held.job_id)
                )
            )
    free = await store.free(connection, await store.account(connection, held.customer_id, "cash"))
    if free < held.cash:
        raise Invalid(_too_little(held.cash, free))
    await _moved(connection, [*wanted, *await prepaid.held(connection, held)])


async def release(connection: AsyncConnection, held: Held) -> None:
    """Let go of what is reserved."""
    wanted = [
        Transfer(uuid5(held.hold(kind), "void"), "void", 0, "job.release", hold=held.hold(kind), ref=str(held.job_id))
        for kind, amount in (("cash", held.cash), ("voucher", held.voucher))
        if amount
    ]
    await _moved(connection, [*wanted, *prepaid.ended(held)])


async def settle(connection: AsyncConnection, held: Held, work: Work, *, more: bool) -> Settled:
    """Post what the verified time of an attempt costs; what is left stays reserved if there is `more` to come.

    The time is cut where what is reserved ends: nobody is ever billed for more.
    """
    by_hours = prepaid.used(held, work)
    rest = work.start + timedelta(milliseconds=by_hours.ms)
    pieces = _within(list(slices(rest, work.ms - by_hours.ms, work.prices)), held.total)
    cost = sum(piece.cost for piece in pieces)
    subsidy = min(cost * held.share // _MILLION, held.voucher) if held.voucher else 0
    payable = await store.account(connection, work.provider_id, "payable")
    clearing = await store.account(connection, None, "clearing")
    ref = str(held.job_id)
    wanted = by_hours.transfers
    used = {"cash": cost - subsidy, "voucher": subsidy}
    for kind, reserved in (("cash", held.cash), ("voucher", held.voucher)):
        if reserved:
            hold, amount = held.hold(kind), used[kind]
            done = "post" if amount else "void"
            wanted.append(Transfer(uuid5(hold, done), done, amount, f"job.{done}", hold=hold, ref=ref))
    left = held._replace(
        cash=held.cash - used["cash"],
        voucher=held.voucher - used["voucher"],
        round=held.round + 1,
        bank=by_hours.left,
    )
    if more:
        wanted += await prepaid.held(connection, left)
        for kind, reserved in (("cash", left.cash), ("voucher", left.voucher)):
            if reserved:
                of = str(held.voucher_id) if kind == "voucher" else ""
                source = await store.account(connection, held.customer_id, kind, of)
                wanted.append(Transfer(left.hold(kind), "hold", reserved, "job.reserve", source, clearing, ref=ref))
    else:
        left = left._replace(cash=0, voucher=0, bank=())
    rows = [_usage(held, work, place, piece) for place, piece in enumerate(pieces)]
    wanted += [
        Transfer(row["id"], "single", row["billed"], "job.charge", clearing, payable, ref=ref)
        for row in rows
        if row["billed"]
    ]
    if subsidy:
        rows.append(_credit(held, rows[0], rows[-1], subsidy) | {"id": uuid5(held.hold("voucher"), "post")})
    by_bank = sum(row["cost"] for row in by_hours.rows)
    wanted += [
        Transfer(row["id"], "single", row["cost"], "job.charge", clearing, payable, ref=ref)
        for row in by_hours.rows
        if row["cost"]
    ]
    if fee := (cost + by_bank) * await store.fee_ppm(connection) // _MILLION:
        market = await store.account(connection, None, "fee")
        wanted.append(
            Transfer(uuid5(held.job_id, f"fee:{work.attempt}"), "single", fee, "job.fee", payable, market, ref=ref)
        )
    await _moved(connection, wanted)
    await store.insert_charges(connection, [*by_hours.rows, *rows])
    return Settled(cost + by_bank, subsidy, left, by_bank)


async def reimburse(connection: AsyncConnection, held: Held) -> int:
    """Pay the voucher's part of an ended job back, micro-yuan: for programmes that pay on proof."""
    if held.voucher_id is None or programmes()[held.programme].flow != "reimburse":
        return 0
    rows = await store.select_charges(connection, job=held.job_id)
    rows = [row for row in rows if row["category"] == "Usage" and row["lot_id"] is None]
    source = await store.account(connection, held.customer_id, "voucher", str(held.voucher_id))
    cap = _contract_cap(programmes()[held.programme])
    part = min(sum(row["cost"] for row in rows) * held.share // _MILLION, cap, await store.free(connection, source))
    if part <= 0:
        return 0
    identity = uuid5(held.job_id, f"reimburse:{held.voucher_id}")
    cash = await store.account(connection, held.customer_id, "cash")
    await _moved(connection, [Transfer(identity, "single", part, "voucher.redeem", source, cash, ref=str(held.job_id))])
    await store.insert_charges(connection, [_credit(held, rows[0], rows[-1], part) | {"id": identity}])
    return int(part)


async def compensate(connection: AsyncConnection, held: Held, work: Work) -> int:
    """Pay what a break wasted out of the provider's bond, micro-yuan; the transaction stays inside the customer."""
    pieces = list(slices(work.start, work.ms, work.prices))
    bond = await store.account(connection, work.provider_id, "bond")
    await enter(connection, TenantScope(work.provider_id))
    there = await store.free(connection, bond)
    await enter(connection, TenantScope(held.customer_id))
    amount = min(sum(piece.cost for piece in pieces), there)
    if amount <= 0:
        return 0
    identity = uuid5(held.job_id, f"bond:{work.attempt}")
    cash = await store.account(connection, held.customer_id, "cash")
    await _moved(connection, [Transfer(identity, "single", amount, "job.bond", bond, cash, ref=str(held.job_id))])
    row = _usage(held, work, 0, pieces[0]) | {
        "id": identity,
        "category": "Adjustment",
        "end_at": pieces[-1].end,
        "quantity_ms": 0,
        "list_cost": 0,
        "cost": 0,
        "billed": -amount,
        "facts": work.facts | {"lost_s": work.ms / 1000},
    }
    await store.insert_charges(connection, [row])
    return amount


async def refund(connection: AsyncConnection, job_id: UUID, share: float, reason: str, number: int) -> int:
    """Give `share` of what a job cost back, as the provider: rows that correct rows, the voucher's and the lots' parts to them.

    Returns micro-yuan of cost that were taken back. Raises Invalid where there is nothing left to give back, Conflict where
    the provider has been paid out already.
    """
    rows = await store.select_charges(connection, job=job_id, side="provider")
    usage = [row for row in rows if row["category"] == "Usage" and not row["correction"]]
    credit = [row for row in rows if row["category"] == "Credit" and not row["correction"]]
    given = -sum(row["cost"] for row in rows if row["correction"] and row["category"] == "Usage")
    spent = sum(row["cost"] for row in usage)
    back = int(min(round(spent * share), spent - given))
    if back <= 0:
        raise Invalid(Text("All of what this job cost has been given back.", "该作业的费用已全部退还。"))
    customer = usage[0]["customer_id"]
    cash = await store.account(connection, customer, "cash")
    payable = await store.account(connection, usage[0]["provider_id"], "payable")
    wanted, made, of_money = [], [], 0
    if fee := back * await store.fee_ppm(connection) // _MILLION:
        market = await store.account(connection, None, "fee")
        wanted.append(
            Transfer(uuid5(job_id, f"fee-back:{number}"), "single", fee, "refund.fee", market, payable, ref=str(job_id))
        )
    for row, part in zip(usage, split(back, [row["cost"] for row in usage]), strict=True):
        if not part:
            continue
        correcting, correction = uuid5(row["id"], f"refund:{number}"), {}
        if row["lot_id"] is None:
            wanted.append(Transfer(correcting, "single", part, "refund", payable, cash, ref=str(job_id)))
            of_money += part
        else:
            transfers, hours = await prepaid.given_back(connection, row, part, payable, correcting)
            wanted += transfers
            correction = {
                "billed": 0 if hours else -part,
                "facts": row["facts"] | {"reason": reason, "lot_hours": -hours},
            }
        made.append(_correction(row, correcting, -part, reason) | correction)
    subsidised = -sum(row["billed"] for row in credit)
    by_money = sum(row["cost"] for row in usage if row["lot_id"] is None)
    for row, part in zip(
        credit, split(of_money * subsidised // max(by_money, 1), [-each["billed"] for each in credit]), strict=True
    ):
        if part:
            correcting = uuid5(row["id"], f"refund:{number}")
            voucher = await store.account(connection, customer, "voucher", str(row["voucher_id"]))
            wanted.append(Transfer(correcting, "single", part, "voucher.claw_back", cash, voucher, ref=str(job_id)))
            made.append(_correction(row, correcting, part, reason))
    try:
        await store.transfer(connection, wanted)
    except store.Overdrawn as error:
        raise Conflict(
            Text(
                "What you have earned and not been paid out yet is less than that.",
                "您尚未提取的收入不足以支付该退款。",
            )
        ) from error
    await store.insert_charges(connection, made)
    return back


def voucher_hold(programme: Programme, share: float, cap: int, free: int) -> int:
    """Return what is reserved of a voucher for a job that may cost `cap`: nothing where the programme pays back."""
    if programme.flow == "reimburse":
        return 0
    return max(0, min(int(cap * share), _contract_cap(programme), free))


def _contract_cap(programme: Programme) -> int:
    return int(programme.cap_contract * YUAN) if programme.cap_contract else 2**62


def _within(pieces: list[Slice], most: int) -> list[Slice]:
    """Return the pieces as far as `most` micro-yuan reach."""
    kept: list[Slice] = []
    for piece in pieces:
        if piece.cost <= most:
            kept.append(piece)
            most -= piece.cost
            continue
        ms = most * 3_600_000 // piece.price
        if ms:
            kept.append(Slice(piece.start, piece.start + (piece.end - piece.start) * ms / piece.ms, ms, piece.price,
                              min(most, cost_of(ms, piece.price))))  # fmt: skip
        break
    return kept


def _usage(held: Held, work: Work, place: int, piece: Slice) -> Row:
    return {
        "id": uuid5(held.job_id, f"usage:{work.attempt}:{place}"),
        "customer_id": held.customer_id,
        "provider_id": work.provider_id,
        "category": "Usage",
        "job_id": held.job_id,
        "attempt": work.attempt,
        "description": work.description,
        "start_at": piece.start,
        "end_at": work.until or piece.end,
        "quantity_ms": piece.ms,
        "list_price": piece.price,
        "price": piece.price,
        "list_cost": piece.cost,
        "cost": piece.cost,
        "billed": piece.cost,
        "facts": work.facts,
    }


def _credit(held: Held, first: Row, last: Row, amount: int) -> Row:
    return first | {
        "category": "Credit",
        "correction": False,
        "end_at": last["end_at"],
        "quantity_ms": 0,
        "list_cost": 0,
        "cost": 0,
        "billed": -amount,
        "voucher_id": held.voucher_id,
        "facts": {name: first["facts"].get(name, "") for name in ("job", "provider", "code", "region")}
        | {"programme": held.programme, "share": held.share / _MILLION},
    }


def _correction(row: Row, identity: UUID, amount: int, reason: str) -> Row:
    """Return the row that takes a part of `row` back; for Usage `amount` is of its cost too."""
    of_cost = amount if row["category"] == "Usage" else 0
    return row | {
        "id": identity,
        "correction": True,
        "corrects": row["id"],
        "quantity_ms": -split(row["quantity_ms"], [-of_cost, row["cost"] + of_cost])[0] if of_cost else 0,
        "list_cost": of_cost,
        "cost": of_cost,
        "billed": amount,
        "facts": row["facts"] | {"reason": reason},
    }


async def _moved(connection: AsyncConnection, transfers: Sequence[Transfer]) -> None:
    try:
        await store.transfer(connection, transfers)
    except store.Overdrawn as error:
        raise Conflict(
            Text("The money has just been reserved for something else.", "资金刚被其他作业占用。")
        ) from error


def _too_little(needed: int, free: int) -> Text:
    need, have = needed / YUAN, free / YUAN
    return Text(
        f"{need:,.2f} yuan have to be reserved and {have:,.2f} are free; pay in, or lower the budget.",
        f"需预留 {need:,.2f} 元，可用余额为 {have:,.2f} 元；请充值或降低预算。",
    )
