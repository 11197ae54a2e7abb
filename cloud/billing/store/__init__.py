"""The SQL of billing. Statements run inside the transaction of a company; money moves through `transfer` only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from cloud.core.audit import canonical
from cloud.core.rows import Row, every, one

UNIT = "CNY"

_VOUCHER = """
    id, tenant_id, company, credit_code, programme, applicant, fee, purpose, affiliates, contact, state, applied_by, applied_at,
    decided_by, decided_at, reason, amount, valid_until
"""
_CHARGE = """
    id, customer_id, provider_id, category, correction, corrects, job_id, attempt, description, start_at, end_at, quantity_ms,
    list_price, price, list_cost, cost, billed, voucher_id, lot_id, facts, made_at, invoice_id
"""


class Overdrawn(Exception):
    """An account would fall below zero."""


class HoldOver(Exception):
    """The hold is over, or holds less than is to be posted."""


class OtherTransfer(Exception):
    """A transfer of this id moved something else."""


class Transfer(NamedTuple):
    """One movement of money; see 0400_ledger.sql. A "post" or "void" names its hold and no accounts."""

    id: UUID
    kind: str
    amount: int
    reason: str
    debit: UUID | None = None
    credit: UUID | None = None
    hold: UUID | None = None
    ref: str = ""


_ERRORS: dict[str, type[Exception]] = {"SM001": Overdrawn, "SM002": OtherTransfer, "SM003": HoldOver}


async def account(connection: AsyncConnection, tenant: UUID | None, kind: str, ref: str = "", unit: str = UNIT) -> UUID:
    """Return the account, opened if there is none; no tenant is the platform."""
    row = await one(connection, "SELECT open_account(%s, %s, %s, %s) AS id", [tenant, kind, unit, ref])
    assert row is not None  # noqa: S101 - the function returns one
    return UUID(str(row["id"]))


async def transfer(connection: AsyncConnection, transfers: Sequence[Transfer]) -> None:
    """Make all of `transfers` or none; those made before are passed over. Raises Overdrawn, HoldOver, OtherTransfer.

    After an error the transaction can only be rolled back.
    """
    if not transfers:
        return
    wanted = canonical([each._asdict() for each in transfers])
    try:
        await connection.execute("SELECT transfer_all(%s::json)", [wanted])
    except psycopg.Error as error:
        if known := _ERRORS.get(error.sqlstate or ""):
            raise known(str(error)) from error
        raise


async def select_balances(connection: AsyncConnection) -> list[Row]:
    """Return the tenant's accounts of money: kind, ref, and what is there, held, and free, in micro-yuan."""
    return await every(
        connection,
        """
        SELECT id, kind, ref, credits_posted - debits_posted AS there, debits_pending AS held,
               credits_posted - debits_posted - debits_pending AS free
        FROM ledger_account WHERE tenant_id = current_tenant() AND unit = 'CNY' ORDER BY kind, ref
        """,
    )


async def free(connection: AsyncConnection, account_id: UUID) -> int:
    """Return what may be spent of one of the tenant's accounts."""
    row = await one(
        connection,
        "SELECT credits_posted - debits_posted - debits_pending AS free FROM ledger_account WHERE id = %s",
        [account_id],
    )
    return int(row["free"]) if row else 0


async def free_of_platform(connection: AsyncConnection, kind: str, ref: str) -> int:
    """Return what is free of one of the platform's accounts, to the operator; 0 to others."""
    row = await one(connection, "SELECT free_of_platform(%s, %s, %s) AS free", [kind, UNIT, ref])
    return int(row["free"] or 0) if row else 0


async def tenants_with_vouchers_over(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants with vouchers whose time is over and that are not empty; asked outside any tenant."""
    return [row["id"] for row in await every(connection, "SELECT tenants_with_vouchers_over() AS id")]


async def select_transfers(connection: AsyncConnection, limit: int, before: int | None) -> list[Row]:
    """Return movements of the tenant's money, newest first; `amount` is negative where it went away."""
    return await every(
        connection,
        """
        SELECT t.seq, t.id, t.kind, t.reason, t.ref, t.at,
               CASE WHEN t.debit_tenant = current_tenant() THEN d.kind ELSE c.kind END AS account,
               CASE WHEN t.debit_tenant = current_tenant() THEN -t.amount ELSE t.amount END AS amount
        FROM ledger_transfer t LEFT JOIN ledger_account d ON d.id = t.debit_id LEFT JOIN ledger_account c ON c.id = t.credit_id
        WHERE current_tenant() IN (t.debit_tenant, t.credit_tenant) AND t.unit = 'CNY' AND (%(before)s::bigint IS NULL OR t.seq < %(before)s)
        ORDER BY t.seq DESC LIMIT %(limit)s
        """,
        {"limit": limit, "before": before},
    )


async def operates(connection: AsyncConnection) -> bool:
    """Return whether the tenant runs the market."""
    row = await one(connection, "SELECT operates_market() AS yes")
    return bool(row and row["yes"])


async def fee_ppm(connection: AsyncConnection) -> int:
    """Return what the market keeps of a provider's earnings, in millionths."""
    row = await one(connection, "SELECT market_fee_ppm() AS fee")
    return int(row["fee"]) if row else 0


async def company_by_code(connection: AsyncConnection, credit_code: str) -> Row | None:
    """Return id and name of the company with a credit code; None for others than the operator."""
    return await one(connection, "SELECT id, name FROM company_by_code(%s)", [credit_code])


async def select_company(connection: AsyncConnection) -> Row:
    """Return the tenant's id, name and credit code."""
    row = await one(connection, "SELECT id, name, credit_code FROM tenant WHERE id = current_tenant()")
    assert row is not None  # noqa: S101 - the transaction is inside it
    return row


async def lock_budget(connection: AsyncConnection) -> Row | None:
    """Return the tenant's budget, and let nobody else spend of it until the transaction ends; None if there is none."""
    return await one(connection, "SELECT monthly, warned FROM computing_budget FOR UPDATE")


async def select_budget(connection: AsyncConnection) -> int | None:
    """Return the tenant's budget of a month, micro-yuan."""
    row = await one(connection, "SELECT monthly FROM computing_budget")
    return int(row["monthly"]) if row else None


async def set_budget(connection: AsyncConnection, monthly: int | None) -> None:
    """Set the tenant's budget, or take it away."""
    if monthly is None:
        await connection.execute("DELETE FROM computing_budget")
        return
    await connection.execute(
        """
        INSERT INTO computing_budget (tenant_id, monthly) VALUES (current_tenant(), %s)
        ON CONFLICT (tenant_id) DO UPDATE SET monthly = excluded.monthly, warned = ''
        """,
        [monthly],
    )


async def set_warned(connection: AsyncConnection, month: str) -> None:
    """Write down that people have been told."""
    await connection.execute("UPDATE computing_budget SET warned = %s", [month])


async def spent_and_held(connection: AsyncConnection, since: datetime) -> tuple[int, int]:
    """Return what the tenant has been charged since `since`, before vouchers, and what is held for its jobs.

    Prepaid hours count when they are bought, and not again when they are used.
    """
    row = await one(
        connection,
        """
        SELECT (SELECT coalesce(sum(cost), 0)::bigint FROM charge WHERE customer_id = current_tenant() AND made_at >= %s
                    AND (lot_id IS NULL OR category = 'Purchase')) AS spent,
               (SELECT coalesce(sum(debits_pending), 0)::bigint FROM ledger_account WHERE tenant_id = current_tenant()
                                                                 AND kind IN ('cash', 'voucher')) AS held
        """,
        [since],
    )
    assert row is not None  # noqa: S101 - sums are always there
    return int(row["spent"]), int(row["held"])


async def insert_pool(connection: AsyncConnection, row: Row) -> None:
    """Open a programme, or pay more into it and let it last longer."""
    await connection.execute(
        """
        INSERT INTO voucher_pool (programme, opened_by, closes_at, paid_in)
        VALUES (%(programme)s, %(by)s, %(closes_at)s, %(amount)s)
        ON CONFLICT (programme) DO UPDATE SET closes_at = excluded.closes_at, paid_in = voucher_pool.paid_in + excluded.paid_in
        """,
        row,
    )


async def select_pools(connection: AsyncConnection) -> list[Row]:
    """Return the open programmes."""
    return await every(connection, "SELECT programme, closes_at, paid_in FROM voucher_pool WHERE closes_at > now()")


async def insert_voucher(connection: AsyncConnection, row: Row) -> None:
    """Store an application."""
    await connection.execute(
        """
        INSERT INTO voucher (id, tenant_id, company, credit_code, programme, applicant, fee, purpose, affiliates, contact,
                             applied_by)
        VALUES (%(id)s, current_tenant(), %(company)s, %(credit_code)s, %(programme)s, %(applicant)s, %(fee)s, %(purpose)s,
                %(affiliates)s, %(contact)s, %(applied_by)s)
        """,
        row,
    )


async def select_vouchers(connection: AsyncConnection, limit: int, *, own: bool, state: str | None = None) -> list[Row]:
    """Return vouchers, newest first: the tenant's own, or of all companies to the operator."""
    return await every(
        connection,
        f"""
        SELECT {_VOUCHER} FROM voucher
        WHERE (NOT %(own)s OR tenant_id = current_tenant()) AND (%(state)s::text IS NULL OR state = %(state)s)
        ORDER BY id DESC LIMIT %(limit)s
        """,  # noqa: S608 - our own text
        {"limit": limit, "own": own, "state": state},
    )


async def select_voucher(connection: AsyncConnection, identity: UUID, *, lock: bool = False) -> Row | None:
    """Return one voucher; with `lock` nobody else decides it until the transaction ends."""
    return await one(
        connection,
        f"SELECT {_VOUCHER} FROM voucher WHERE id = %s {'FOR NO KEY UPDATE' if lock else ''}",  # noqa: S608
        [identity],
    )


async def decide_voucher(connection: AsyncConnection, identity: UUID, row: Row) -> None:
    """Write down what became of an application, or of a voucher whose time is over."""
    await connection.execute(
        """
        UPDATE voucher SET state = %(state)s, decided_by = %(by)s, decided_at = now(), reason = %(reason)s,
            amount = coalesce(%(amount)s, amount), valid_until = coalesce(%(valid_until)s, valid_until)
        WHERE id = %(id)s
        """,
        {"id": identity, "amount": None, "valid_until": None} | row,
    )


async def issued_in_year(connection: AsyncConnection, tenant: UUID, programme: str, since: datetime) -> int:
    """Return what a company has been granted by a programme since `since`, micro-yuan; what expired unused counts not."""
    row = await one(
        connection,
        """
        SELECT coalesce(sum(amount), 0) AS granted FROM voucher
        WHERE tenant_id = %s AND programme = %s AND state = 'issued' AND decided_at >= %s
        """,
        [tenant, programme, since],
    )
    return int(row["granted"]) if row else 0


async def insert_charges(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """Store rows of a bill; one that is there already changes nothing."""
    for row in rows:
        await connection.execute(
            f"""
            INSERT INTO charge ({_CHARGE.replace(", made_at, invoice_id", "")})
            VALUES (%(id)s, %(customer_id)s, %(provider_id)s, %(category)s, %(correction)s, %(corrects)s, %(job_id)s,
                    %(attempt)s, %(description)s, %(start_at)s, %(end_at)s, %(quantity_ms)s, %(list_price)s, %(price)s,
                    %(list_cost)s, %(cost)s, %(billed)s, %(voucher_id)s, %(lot_id)s, %(facts)s)
            ON CONFLICT (id) DO NOTHING
            """,  # noqa: S608 - our own text
            {"correction": False, "corrects": None, "voucher_id": None, "lot_id": None}
            | row
            | {"facts": Jsonb(row["facts"])},
        )


async def select_charges(
    connection: AsyncConnection,
    *,
    job: UUID | None = None,
    invoice: UUID | None = None,
    made: tuple[datetime, datetime] | None = None,
    side: str | None = None,
) -> list[Row]:
    """Return rows of bills, in the order they were made: of a job, an invoice, or made in [start, end)."""
    start, end = made or (None, None)
    return await every(
        connection,
        f"""
        SELECT {_CHARGE} FROM charge
        WHERE (%(job)s::uuid IS NULL OR job_id = %(job)s) AND (%(invoice)s::uuid IS NULL OR invoice_id = %(invoice)s)
          AND (%(start)s::timestamptz IS NULL OR (made_at >= %(start)s AND made_at < %(end)s))
          AND (%(side)s::text IS NULL OR current_tenant() = CASE %(side)s WHEN 'customer' THEN customer_id
                                                                         ELSE provider_id END)
        ORDER BY made_at, start_at, category DESC, id
        """,  # noqa: S608 - our own text
        {"job": job, "invoice": invoice, "start": start, "end": end, "side": side},
    )


async def select_effect(connection: AsyncConnection) -> list[Row]:
    """Return per programme: applications, vouchers, days until one was decided, what was granted and redeemed, jobs paid for."""
    return await every(
        connection,
        """
        SELECT v.programme, count(DISTINCT v.id) AS applications,
               count(DISTINCT v.id) FILTER (WHERE v.state IN ('issued', 'expired')) AS granted_count,
               coalesce((SELECT sum(w.amount) FROM voucher w WHERE w.programme = v.programme
                                                            AND w.state IN ('issued', 'expired')), 0)::bigint AS granted,
               coalesce(extract(epoch FROM avg(v.decided_at - v.applied_at)) / 86400, 0)::float8 AS days,
               coalesce(-sum(c.billed), 0)::bigint AS redeemed, count(DISTINCT c.job_id) AS jobs,
               coalesce((SELECT sum(u.cost) FROM charge u WHERE u.category = 'Usage' AND u.job_id IN (
                   SELECT s.job_id FROM charge s JOIN voucher x ON x.id = s.voucher_id
                   WHERE s.category = 'Credit' AND x.programme = v.programme)), 0)::bigint AS fees
        FROM voucher v LEFT JOIN charge c ON c.voucher_id = v.id AND c.category = 'Credit'
        GROUP BY v.programme ORDER BY v.programme
        """,
    )
