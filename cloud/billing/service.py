"""The door of the billing domain.

wallet = await billing.wallet(scope)                          -> Wallet: cash, vouchers, earnings, bond
page = await billing.movements(scope, before=None)            -> list[Movement], newest first
bill = await billing.bill(scope, "2026-11", "customer")       -> Bill; as a FOCUS 1.2 table: focus(scope, month, side)
voucher = await billing.vouchers.apply(principal, body)       -> Voucher; the operator decides it
lot = await billing.bank.deposit(principal, body)              -> BankLot: hours bought ahead; jobs use them first
booked = await billing.till.deposit(principal, body)          the operator books money; all of `till` and of deciding is its

What computing costs is posted through `reserve`, `settle`, `release`, `reimburse` and `compensate` in the caller's
transaction, see `jobs`. Amounts go in and out in yuan, and are whole micro-yuan inside.
"""

from __future__ import annotations

import asyncio
from typing import Literal
from uuid import UUID

from cloud.billing import budget, focus, jobs, store
from cloud.billing.bank_desk import BankDesk, hours_of
from cloud.billing.hours import HOUR_MS, Lot, Part, taken, units_of
from cloud.billing.invoices import Invoices
from cloud.billing.jobs import Held, Settled, Work, voucher_hold
from cloud.billing.money import CHINA, YUAN, Price, Slice, by_hour, cost_of, micro, slices, this_month
from cloud.billing.periods import month_of
from cloud.billing.schemas import Balance, Bill, Budget, Charge, Movement, Refund, Wallet
from cloud.billing.store import invoices
from cloud.billing.till import Till
from cloud.billing.voucher_desk import VoucherDesk, spendable
from cloud.billing.vouchers import Applicant, ChipOrigin, Programme, programmes
from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.notify.service import Notify

__all__ = [
    "CHINA",
    "HOUR_MS",
    "YUAN",
    "Applicant",
    "Billing",
    "ChipOrigin",
    "Held",
    "Lot",
    "Part",
    "Price",
    "Programme",
    "Settled",
    "Slice",
    "Work",
    "by_hour",
    "cost_of",
    "micro",
    "programmes",
    "slices",
    "taken",
    "this_month",
    "units_of",
]

_PAGE = 100
_MOST_INVOICES = 100_000
FocusForm = Literal["csv", "parquet"]


class Billing:
    """What a company has, owes and earns."""

    reserve = staticmethod(jobs.reserve)
    refuse_beyond_budget = staticmethod(budget.refuse_beyond)
    settle = staticmethod(jobs.settle)
    release = staticmethod(jobs.release)
    reimburse = staticmethod(jobs.reimburse)
    compensate = staticmethod(jobs.compensate)
    voucher_hold = staticmethod(voucher_hold)
    spendable = staticmethod(spendable)
    hours_of = staticmethod(hours_of)

    async def warn_of_budget(self, connection: AsyncConnection) -> None:
        """Tell people, once a month, when most of the budget is spent, in the caller's transaction."""
        await budget.warn(connection, self._notify)

    @staticmethod
    async def rows_of(connection: AsyncConnection, job: UUID) -> list[Row]:
        """Return the rows of a job's bill as they are stored, in the caller's transaction."""
        return await store.select_charges(connection, job=job)

    def __init__(self, db: Database, notify: Notify) -> None:
        self._db = db
        self._notify = notify
        self.vouchers = VoucherDesk(db, notify)
        self.till = Till(db)
        self.bank = BankDesk(db)
        self.invoices = Invoices(db)

    async def wallet(self, scope: TenantScope) -> Wallet:
        """Return the company's accounts; cash is there even before anything was paid in."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_balances(connection)
            operates = await store.operates(connection)
            monthly = await store.select_budget(connection)
            spent, _ = await store.spent_and_held(connection, budget.month_begin())
        accounts = [
            Balance(
                kind=row["kind"],
                ref=row["ref"],
                **{name: row[name] / YUAN for name in ("there", "held", "free")},
            )
            for row in rows
        ]
        if not any(each.kind == "cash" for each in accounts):
            accounts.insert(0, Balance(kind="cash", ref="", there=0, held=0, free=0))
        limit = monthly / YUAN if monthly else None
        return Wallet(operates=operates, budget=limit, spent=spent / YUAN, accounts=accounts)

    async def set_budget(self, principal: Principal, body: Budget) -> None:
        """Say what may be spent on computing in a month; jobs beyond it are refused."""
        async with self._db.tenant(principal.scope) as connection:
            before = await store.select_budget(connection)
            await store.set_budget(connection, int(body.monthly * YUAN) if body.monthly else None)
            after = {"before": before and before / YUAN, "after": body.model_dump(mode="json")}
            await audit.record(connection, principal.actor, "budget.set", "month", **after)

    async def movements(self, scope: TenantScope, before: int | None = None) -> list[Movement]:
        """Return the last transfers of the company's accounts, newest first, 100 at a time."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_transfers(connection, _PAGE, before)
        return [Movement(**row | {"amount": row["amount"] / YUAN}) for row in rows]

    async def charges(self, scope: TenantScope, job: UUID) -> list[Charge]:
        """Return what a job has been charged, in order."""
        async with self._db.tenant(scope) as connection:
            return [_charge(row) for row in await store.select_charges(connection, job=job)]

    async def bill(self, scope: TenantScope, month: str, side: str) -> Bill:
        """Return what was charged in a month, "2026-11", as "customer" or "provider"; raises Invalid for no month."""
        async with self._db.tenant(scope) as connection:
            rows = await _rows(connection, month, side)
        charges = [_charge(row) for row in rows]
        by_hours = sum(row["cost"] - row["billed"] for row in rows if row["category"] == "Usage")
        billed = sum(row["billed"] for row in rows)
        credits = sum(row["billed"] for row in rows if row["category"] in ("Credit", "Adjustment"))
        return Bill(
            month=month,
            side="customer" if side == "customer" else "provider",
            charges=charges,
            cost=sum(row["cost"] for row in rows) / YUAN,
            prepaid=by_hours / YUAN,
            credits=credits / YUAN,
            billed=billed / YUAN,
        )

    async def focus(self, scope: TenantScope, month: str, side: str, form: FocusForm = "csv") -> bytes:
        """Return the bill as a table of FOCUS 1.2, CSV or Parquet; raises Invalid for no month."""
        period = month_of(month)
        async with self._db.tenant(scope) as connection:
            company = await store.select_company(connection)
            rows = await _rows(connection, month, side)
            known = {row["id"]: row for row in await invoices.select(connection, side, _MOST_INVOICES)}
        account = focus.Account(str(company["id"]), company["name"])
        lines = [focus.line(row, account, known.get(row["invoice_id"]), period) for row in rows]
        if form == "csv":
            return focus.table(lines).encode()
        from cloud.billing.focus_parquet import parquet  # noqa: PLC0415 - pyarrow takes a while to load

        return await asyncio.to_thread(parquet, lines)

    async def refund(self, principal: Principal, body: Refund) -> list[Charge]:
        """Give a part of what a job cost back, as its provider; raises NotFound, Invalid, Conflict."""
        async with self._db.tenant(principal.scope) as connection:
            rows = await store.select_charges(connection, job=body.job_id, side="provider")
            if not rows:
                raise NotFound
            number = len({row["made_at"] for row in rows if row["correction"]})
            back = await jobs.refund(connection, body.job_id, body.share, body.reason, number)
            after = {"share": body.share, "reason": body.reason, "yuan": back / YUAN}
            await audit.record(connection, principal.actor, "charge.refund", str(body.job_id), after=after)
            return [_charge(row) for row in await store.select_charges(connection, job=body.job_id, side="provider")]


async def _rows(connection: AsyncConnection, month: str, side: str) -> list[Row]:
    """Return the rows of a month; to a provider it is the same whether money or prepaid hours have paid."""
    rows = await store.select_charges(connection, made=month_of(month), side=side)
    if side == "customer":
        return rows
    return [row | {"billed": row["cost"]} if row["category"] == "Usage" else row for row in rows]


def _charge(row: Row) -> Charge:
    return Charge(
        **{name: row[name] for name in Charge.model_fields if name in row and name not in ("cost", "billed", "price")},
        seconds=row["quantity_ms"] / 1000,
        **{name: row[name] / YUAN for name in ("cost", "billed", "price")},
    )
