"""The part of a job's time that prepaid hours pay: held before it runs, and used before any voucher or cash is.

An hour at an offer takes as many hours of the bank as `Held.units`; the provider gets the money behind them. All transfers are
made by the caller, together with those of the money; their ids follow from the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid5

from cloud.billing import store
from cloud.billing.hours import HOUR_MS, Part
from cloud.billing.money import split
from cloud.billing.store import Transfer
from cloud.core.db import AsyncConnection
from cloud.core.rows import Row

if TYPE_CHECKING:
    from cloud.billing.jobs import Held, Work


class Used(NamedTuple):
    """What hours paid: how much of the time, the rows, the transfers, and the parts that are left."""

    ms: int
    rows: list[Row]
    transfers: list[Transfer]
    left: tuple[Part, ...]


def unit(chip: str) -> str:
    """Return the ledger's unit of a chip's hours."""
    return f"h:{chip}"


async def held(connection: AsyncConnection, job: Held) -> list[Transfer]:
    """Return the transfers that hold the parts of a job."""
    made = []
    clearing = await store.account(connection, None, "clearing")
    for part in job.bank:
        hours = await store.account(connection, job.customer_id, "hours", str(part.lot_id), unit(part.chip))
        outside = await store.account(connection, None, "outside", unit=unit(part.chip))
        money = await store.account(connection, job.customer_id, "bank", str(part.lot_id))
        for name, amount, source, target in (
            ("hours", part.hours, hours, outside),
            ("bank", part.money, money, clearing),
        ):
            if amount:
                identity = job.hold(f"{name}:{part.lot_id}")
                made.append(Transfer(identity, "hold", amount, "job.reserve", source, target, ref=str(job.job_id)))
    return made


def ended(job: Held, used: tuple[Part, ...] = ()) -> Iterator[Transfer]:
    """Yield the transfers that end the holds of a job: what is `used` of them is posted, the rest is free again."""
    of = {part.lot_id: part for part in used}
    for part in job.bank:
        spent = of.get(part.lot_id)
        for name, reserved, amount in (
            ("hours", part.hours, spent.hours if spent else 0),
            ("bank", part.money, spent.money if spent else 0),
        ):
            if reserved:
                hold, done = job.hold(f"{name}:{part.lot_id}"), "post" if amount else "void"
                yield Transfer(uuid5(hold, done), done, amount, f"job.{done}", hold=hold, ref=str(job.job_id))


def used(job: Held, work: Work) -> Used:
    """Return what the parts of a job pay of the time of an attempt."""
    there = sum(part.hours for part in job.bank)
    if not there or not work.ms:
        return Used(0, [], list(ended(job)), job.bank)
    ms = min(work.ms, there // job.units)
    need, parts = ms * job.units, []
    for part in job.bank:
        if taken := min(need, part.hours):
            parts.append(part.of(taken))
            need -= taken
    begin, rows = work.start, []
    for part, lasts in zip(parts, split(ms, [each.hours for each in parts]), strict=True):
        end = begin + timedelta(microseconds=max(1, part.hours * 1000 // job.units))
        price = part.money * job.units * HOUR_MS // part.hours
        rows.append(
            {
                "id": uuid5(job.job_id, f"usage:{work.attempt}:{part.lot_id}"),
                "customer_id": job.customer_id,
                "provider_id": work.provider_id,
                "category": "Usage",
                "job_id": job.job_id,
                "attempt": work.attempt,
                "description": work.description,
                "start_at": begin,
                "end_at": end,
                "quantity_ms": lasts,
                "list_price": price,
                "price": price,
                "list_cost": part.money,
                "cost": part.money,
                "billed": 0,
                "lot_id": part.lot_id,
                "facts": work.facts | {"lot_chip": part.chip, "lot_hours": part.hours, "units": job.units},
            }
        )
        begin = end
    spent = {part.lot_id: part for part in parts}
    left = tuple(rest for part in job.bank if (rest := _less(part, spent.get(part.lot_id))).hours)
    return Used(ms, rows, list(ended(job, tuple(parts))), left)


def _less(part: Part, spent: Part | None) -> Part:
    return part._replace(hours=part.hours - spent.hours, money=part.money - spent.money) if spent else part


async def given_back(
    connection: AsyncConnection, row: Row, amount: int, payable: UUID, identity: UUID
) -> tuple[list[Transfer], int]:
    """Return the transfers that give `amount` of a row that hours paid back, hours and money to their lot, and the hours.

    An amount too small for any hour goes back as cash.
    """
    facts, ref = row["facts"], str(row["job_id"])
    hours = split(facts["lot_hours"], [amount, row["cost"] - amount])[0]
    if not hours:
        cash = await store.account(connection, row["customer_id"], "cash")
        return [Transfer(identity, "single", amount, "refund", payable, cash, ref=ref)], 0
    lot, chip = str(row["lot_id"]), facts["lot_chip"]
    money = await store.account(connection, row["customer_id"], "bank", lot)
    outside = await store.account(connection, None, "outside", unit=unit(chip))
    there = await store.account(connection, row["customer_id"], "hours", lot, unit(chip))
    return [
        Transfer(identity, "single", amount, "refund", payable, money, ref=ref),
        Transfer(uuid5(identity, "hours"), "single", hours, "refund", outside, there, ref=ref),
    ], hours
