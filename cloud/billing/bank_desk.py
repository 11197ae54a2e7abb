"""The bank of compute hours (算力银行): rates the operator publishes, hours that are bought, converted and, when their time is over, ended.

    buy      cash -> money behind the lot; hours out of nothing the lot's
    convert  parts of lots, those that expire first; their end stays what it was
    end      money x share of the lot goes back as cash, the rest is the market's; the hours are gone

Every movement is the ledger's, every one of money a row of the bill.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from uuid_utils.compat import uuid7

from cloud.billing import budget, prepaid, store
from cloud.billing.hours import HOUR_MS, Converted, Lot, Part, bought, converted, taken
from cloud.billing.money import YUAN
from cloud.billing.schemas import Bank, BankConversion, BankDeposit, BankLot, BankRate, BankRateSet
from cloud.billing.store import Transfer
from cloud.billing.store import bank as lots
from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from protocols.text import Text

_MILLION = 1_000_000
_NO_RATE = Text("No rate has been published for this chip.", "该芯片类别尚未公布存入价格。")
_SAME = Text("These are hours of the same chip.", "两者为同一类别的机时。")
_NOTHING = Text("That is too little for a single hour's thousandth; give more.", "数量过小，请提高。")
_JUST_TAKEN = Text("They have just been taken for something else.", "资金或机时刚被占用，请重试。")


class BankDesk:
    """What companies do with the bank, and the operator's rates."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def bank(self, scope: TenantScope) -> Bank:
        """Return the rates that hold now and the company's lots."""
        async with self._db.tenant(scope) as connection:
            rates = await lots.select_rates(connection)
            rows = await lots.select_lots(connection)
        return Bank(rates=[_rate(row) for row in rates], lots=[_lot(row) for row in rows])

    async def publish(self, principal: Principal, body: BankRateSet) -> BankRate:
        """Publish a rate as the operator; lots that are there keep their terms. Raises NotFound to others."""
        async with self._db.tenant(principal.scope) as connection:
            if not await store.operates(connection):
                raise NotFound
            row = {
                "chip": body.chip,
                "rate": int(body.yuan_per_hour * YUAN),
                "days": body.days,
                "fee_ppm": round(body.fee_percent * 10_000),
                "back_ppm": round(body.back_percent * 10_000),
                "by": principal.actor,
            }
            await lots.insert_rate(connection, row)
            (made,) = [each for each in await lots.select_rates(connection) if each["chip"] == body.chip]
            await audit.record(connection, principal.actor, "bank.rate", body.chip, after=body.model_dump(mode="json"))
        return _rate(made)

    async def deposit(self, principal: Principal, body: BankDeposit) -> BankLot:
        """Buy hours with cash at the rate that holds now; raises Invalid without a rate, or enough cash, or budget."""
        amount = int(body.amount * YUAN)
        async with self._db.tenant(principal.scope) as connection:
            rate = (await self._rates(connection, body.chip))[body.chip]
            hours = bought(amount, rate["rate"])
            if not hours:
                raise Invalid(_NOTHING)
            await budget.refuse_beyond(connection, amount)
            cash = await store.account(connection, principal.scope.tenant_id, "cash")
            if (free := await store.free(connection, cash)) < amount:
                raise Invalid(
                    Text(
                        f"There are {free / YUAN:,.2f} yuan free; pay in, or buy less.",
                        f"可用余额为 {free / YUAN:,.2f} 元，请充值或减少存入金额。",
                    )
                )
            ends = datetime.now(UTC) + timedelta(days=rate["days"])
            lot = Lot(uuid7(), body.chip, hours, amount, ends, rate["back_ppm"], rate["operator_id"])
            charge = uuid5(lot.id, "bought")
            await self._fill(connection, principal.scope, lot, cash, charge)
            told = f"{body.chip}: {hours / HOUR_MS:,.3f} h"
            await store.insert_charges(
                connection, [_row(principal.scope, lot, charge, told, cost=amount, billed=amount)]
            )
            after = {"chip": body.chip, "yuan": amount / YUAN, "hours": hours / HOUR_MS}
            await audit.record(connection, principal.actor, "bank.deposit", str(lot.id), after=after)
            found = {row["id"]: row for row in await lots.select_lots(connection)}
        return _lot(found[lot.id])

    async def convert(self, principal: Principal, body: BankConversion) -> list[BankLot]:
        """Turn hours of one chip into another's by the rates that hold now; raises Invalid for more than are free."""
        if body.chip == body.into:
            raise Invalid(_SAME)
        wanted = int(body.hours * HOUR_MS)
        async with self._db.tenant(principal.scope) as connection:
            rates = await self._rates(connection, body.chip, body.into)
            mine = [lot for lot in await lots.free_lots(connection) if lot.chip == body.chip]
            free = sum(lot.hours for lot in mine)
            if free < wanted:
                raise Invalid(
                    Text(
                        f"{free / HOUR_MS:,.3f} hours of {body.chip} are free.",
                        f"{body.chip} 可用机时为 {free / HOUR_MS:,.3f} 小时。",
                    )
                )
            of = {lot.id: lot for lot in mine}
            made = []
            for part in taken(mine, wanted):
                becomes = converted(
                    part, rates[body.chip]["rate"], rates[body.into]["rate"], rates[body.chip]["fee_ppm"]
                )
                if not becomes.hours:
                    raise Invalid(_NOTHING)
                made.append(
                    await self._exchange(
                        connection, principal.scope, of[part.lot_id], part, into=body.into, becomes=becomes
                    )
                )
            after = {"from": body.chip, "into": body.into, "hours": wanted / HOUR_MS}
            await audit.record(connection, principal.actor, "bank.convert", body.chip, after=after)
            found = {row["id"]: row for row in await lots.select_lots(connection)}
        return [_lot(found[identity]) for identity in made]

    async def expire(self, scope: TenantScope) -> None:
        """End a company's lots whose time is over; hours that jobs still hold end when those let go of them."""
        async with self._db.tenant(scope) as connection:
            for lot in await lots.free_lots(connection, over=True):
                await self._end(connection, scope, lot)

    async def _end(self, connection: AsyncConnection, scope: TenantScope, lot: Lot) -> None:
        identity = uuid5(lot.id, f"expire:{lot.gone}")  # what a job or a refund gives back later ends, too
        hours = await store.account(connection, scope.tenant_id, "hours", str(lot.id), prepaid.unit(lot.chip))
        outside = await store.account(connection, None, "outside", unit=prepaid.unit(lot.chip))
        money = await store.account(connection, scope.tenant_id, "bank", str(lot.id))
        back = lot.money * lot.back_ppm // _MILLION
        kept, ref = lot.money - back, str(lot.id)
        wanted = [Transfer(uuid5(identity, "hours"), "single", lot.hours, "bank.expire", hours, outside, ref=ref)]
        rows = []
        told = f"{lot.chip}: {lot.hours / HOUR_MS:,.3f} h"
        if back:
            cash = await store.account(connection, scope.tenant_id, "cash")
            wanted.append(Transfer(uuid5(identity, "back"), "single", back, "bank.back", money, cash, ref=ref))
            rows.append(_row(scope, lot, uuid5(identity, "back"), told, billed=-back))
        if kept:
            fee = await store.account(connection, None, "fee")
            wanted.append(Transfer(uuid5(identity, "kept"), "single", kept, "bank.expire", money, fee, ref=ref))
            rows.append(_row(scope, lot, uuid5(identity, "kept"), told, cost=kept))
        await store.transfer(connection, wanted)
        await store.insert_charges(connection, rows)

    async def _exchange(
        self, connection: AsyncConnection, scope: TenantScope, lot: Lot, part: Part, *, into: str, becomes: Converted
    ) -> UUID:
        identity, ref = uuid7(), str(lot.id)
        source = await store.account(connection, scope.tenant_id, "bank", str(lot.id))
        theirs = await store.account(connection, scope.tenant_id, "hours", str(lot.id), prepaid.unit(lot.chip))
        outside = await store.account(connection, None, "outside", unit=prepaid.unit(lot.chip))
        gone = [Transfer(uuid5(identity, "gone"), "single", part.hours, "bank.convert", theirs, outside, ref=ref)]
        if fee := becomes.fee:
            market, charge = await store.account(connection, None, "fee"), uuid5(identity, "fee")
            gone.append(Transfer(charge, "single", fee, "bank.fee", source, market, ref=ref))
            told = f"{lot.chip} -> {into}"
            await store.insert_charges(connection, [_row(scope, lot, charge, told, cost=fee)])
        await self._move(connection, gone)
        made = lot._replace(id=identity, chip=into, hours=becomes.hours, money=becomes.money)
        await self._fill(connection, scope, made, source, uuid5(identity, "bought"), made_from=lot.id)
        return identity

    async def _fill(
        self,
        connection: AsyncConnection,
        scope: TenantScope,
        lot: Lot,
        source: UUID,
        identity: UUID,
        *,
        made_from: UUID | None = None,
    ) -> None:
        """Store a lot and fill its accounts: money from `source`, by the transfer `identity`, and its hours."""
        await lots.insert_lot(connection, lot._asdict() | {"made_from": made_from})
        ref, unit = str(lot.id), prepaid.unit(lot.chip)
        money = await store.account(connection, scope.tenant_id, "bank", ref)
        hours = await store.account(connection, scope.tenant_id, "hours", ref, unit)
        outside = await store.account(connection, None, "outside", unit=unit)
        reason = "bank.convert" if made_from else "bank.deposit"
        await self._move(
            connection,
            [
                Transfer(identity, "single", lot.money, reason, source, money, ref=ref),
                Transfer(uuid5(identity, "hours"), "single", lot.hours, reason, outside, hours, ref=ref),
            ],
        )

    @staticmethod
    async def _move(connection: AsyncConnection, wanted: list[Transfer]) -> None:
        try:
            await store.transfer(connection, wanted)
        except store.Overdrawn as error:
            raise Conflict(_JUST_TAKEN) from error

    @staticmethod
    async def _rates(connection: AsyncConnection, *chips: str) -> dict[str, Row]:
        found = {row["chip"]: row for row in await lots.select_rates(connection)}
        if not set(chips) <= set(found):
            raise Invalid(_NO_RATE)
        return found


async def hours_of(connection: AsyncConnection) -> dict[str, list[Lot]]:
    """Return the lots the company may spend, by chip, in the caller's transaction."""
    found: dict[str, list[Lot]] = {}
    for lot in await lots.free_lots(connection):
        found.setdefault(lot.chip, []).append(lot)
    return found


def _row(scope: TenantScope, lot: Lot, identity: UUID, told: str, *, cost: int = 0, billed: int = 0) -> Row:
    """Return a row of the bill: a purchase that is payable, money that goes back, or what the market keeps of a lot."""
    now = datetime.now(UTC)
    return {
        "id": identity,
        "customer_id": scope.tenant_id,
        "provider_id": lot.operator_id,
        "category": "Credit" if billed < 0 else "Purchase" if billed else "Usage",
        "job_id": None,
        "attempt": 0,
        "description": told,
        "start_at": now,
        "end_at": now + timedelta(seconds=1),
        "quantity_ms": 0,
        "list_price": 0,
        "price": 0,
        "list_cost": cost,
        "cost": cost,
        "billed": billed,
        "lot_id": lot.id,
        "facts": {"lot_chip": lot.chip, "lot_hours": lot.hours if billed else 0},
    }


def _rate(row: Row) -> BankRate:
    return BankRate(
        chip=row["chip"],
        yuan_per_hour=row["rate"] / YUAN,
        days=row["days"],
        fee_percent=row["fee_ppm"] / 10_000,
        back_percent=row["back_ppm"] / 10_000,
        published_at=row["published_at"],
    )


def _lot(row: Row) -> BankLot:
    return BankLot(
        **{name: row[name] for name in ("id", "chip", "made_at", "expires_at")},
        **{name: row[name] / HOUR_MS for name in ("bought", "held", "hours")},
        paid=row["paid"] / YUAN,
        money=row["money"] / YUAN,
    )
