"""The operator's till: money that came in or went out by bank, and the pools of programmes. To others it does not exist."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from cloud.billing import store
from cloud.billing.money import YUAN
from cloud.billing.schemas import Booked, Deposit, PayOut, Pool
from cloud.billing.store import Transfer
from cloud.billing.vouchers import programmes
from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal
from cloud.core.rows import Row
from protocols.text import Text

_NOBODY = Text("No company here has this credit code.", "没有企业使用该统一社会信用代码。")
_OTHER = Text("This reference has been booked with another amount.", "该凭证号已入账，金额不同。")
_LESS = Text("There is less than that on the account.", "账户余额不足。")
_UNKNOWN = Text("There is no such programme.", "没有该补贴计划。")


class Till:
    """What the operator books."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def deposit(self, principal: Principal, body: Deposit) -> Booked:
        """Book money that came in, as a company's cash or a provider's bond; the same reference again changes nothing.

        Raises NotFound to others than the operator, Invalid for an unknown company, Conflict for a reference that was
        booked otherwise.
        """
        return await self._book(principal, body, "deposit")

    async def pay_out(self, principal: Principal, body: PayOut) -> Booked:
        """Book money that went out; raises as `deposit`, and Conflict if there is less."""
        return await self._book(principal, body, "payout")

    async def _book(self, principal: Principal, body: Deposit | PayOut, what: str) -> Booked:
        async with self._db.tenant(principal.scope) as connection:
            company = await self._company(connection, body.credit_code)
            outside = await store.account(connection, None, "outside")
            theirs = await store.account(connection, company["id"], body.account)
            source, target = (outside, theirs) if what == "deposit" else (theirs, outside)
            identity = uuid5(NAMESPACE_URL, f"sunmao:{what}:{body.reference.strip()}")
            amount = int(body.amount * YUAN)
            await self._move(connection, Transfer(identity, "single", amount, what, source, target), body.reference)
            after = body.model_dump(mode="json")
            await audit.record(connection, principal.actor, f"money.{what}", body.credit_code, after=after)
        return Booked(company=company["name"], account=body.account, amount=float(body.amount))

    async def open_pool(self, principal: Principal, body: Pool) -> None:
        """Open a programme with money, or add to it; raises NotFound to others than the operator, Invalid for an unknown one."""
        if body.programme not in programmes():
            raise Invalid(_UNKNOWN)
        async with self._db.tenant(principal.scope) as connection:
            if not await store.operates(connection):
                raise NotFound
            before = [row for row in await store.select_pools(connection) if row["programme"] == body.programme]
            paid_in = before[0]["paid_in"] if before else 0
            amount = int(body.amount * YUAN)
            outside = await store.account(connection, None, "outside")
            pool = await store.account(connection, None, "pool", body.programme)
            identity = uuid5(NAMESPACE_URL, f"sunmao:pool:{body.programme}:{paid_in}")
            await self._move(connection, Transfer(identity, "single", amount, "pool", outside, pool), body.programme)
            row = {"programme": body.programme, "by": principal.actor, "closes_at": body.closes_at, "amount": amount}
            await store.insert_pool(connection, row)
            after = body.model_dump(mode="json")
            await audit.record(connection, principal.actor, "voucher.pool", body.programme, after=after)

    async def _company(self, connection: AsyncConnection, credit_code: str) -> Row:
        if not await store.operates(connection):
            raise NotFound
        company = await store.company_by_code(connection, credit_code)
        if company is None:
            raise Invalid(_NOBODY)
        return company

    async def _move(self, connection: AsyncConnection, transfer: Transfer, ref: str) -> None:
        try:
            await store.transfer(connection, [transfer._replace(ref=ref)])
        except store.OtherTransfer as error:
            raise Conflict(_OTHER) from error
        except store.Overdrawn as error:
            raise Conflict(_LESS) from error
