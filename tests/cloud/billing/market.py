"""A market with an operator and companies that have money in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg

from cloud.core.db import Database
from tests.cloud.conftest import Company
from tests.cloud.sharing.pair import registered


def appoint(owner_dsn: str, company: Company, ppm: int = 0) -> None:
    """Make the company the one that runs the market."""
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("SELECT appoint_market_operator(%s, %s)", [company.scope.tenant_id, ppm])


def faults(owner_dsn: str) -> list[Any]:
    """Return what is amiss in the ledger."""
    with psycopg.connect(owner_dsn) as connection:
        return connection.execute("SELECT * FROM ledger_faults()").fetchall()


async def paid_in(operator: Company, company: Company, db: Database, amount: float, account: str = "cash") -> str:
    """Give the company a credit code, if it has none, and money; return the code."""
    async with db.tenant(company.scope) as connection:
        row = await (await connection.execute("SELECT credit_code FROM tenant")).fetchone()
    code = str(row[0]) if row and row[0] else await registered(company, db)
    body = {"credit_code": code, "amount": amount, "account": account, "reference": uuid4().hex}
    answer = await operator.http.post("/api/v1/billing/deposits", json=body)
    assert answer.status_code == 201, answer.text
    return code


async def pool(operator: Company, programme: str, amount: float) -> None:
    """Open a programme."""
    closes = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    body = {"programme": programme, "amount": amount, "closes_at": closes}
    answer = await operator.http.post("/api/v1/billing/pools", json=body)
    assert answer.status_code == 204, answer.text


async def voucher(operator: Company, company: Company, programme: str, fee: float, **more: Any) -> dict[str, Any]:
    """Apply and have it granted."""
    body = {"programme": programme, "fee": fee, "purpose": "refit", "contact": "0512 1234", **more}
    answer = await company.http.post("/api/v1/billing/vouchers", json=body)
    assert answer.status_code == 201, answer.text
    path = f"/api/v1/billing/applications/{answer.json()['id']}/decision"
    decided = await operator.http.post(path, json={"approve": True})
    assert decided.status_code == 200, decided.text
    return dict(decided.json())


async def free(company: Company, kind: str) -> float:
    """Return what is free of the company's accounts of a kind."""
    accounts = (await company.http.get("/api/v1/billing/wallet")).json()["accounts"]
    return round(sum(each["free"] for each in accounts if each["kind"] == kind), 6)
