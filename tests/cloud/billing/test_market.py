"""Money in and out, vouchers by the published rules, refunds that claw back, and a bill that passes the checks of FOCUS."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from cloud.billing import jobs
from cloud.billing.focus import MANDATORY
from cloud.billing.money import YUAN, Price, cost_of, slices
from cloud.billing.service import Billing, Held, Work, voucher_hold
from cloud.billing.vouchers import programmes
from cloud.core.db import Database
from tests.cloud.billing.market import appoint, faults, free, paid_in, pool, voucher
from tests.cloud.conftest import Cluster, Company, NewCompany

START = datetime(2026, 2, 2, 12, tzinfo=UTC)  # 20:00 in China
PRICES = (Price(8, 10.0), Price(22, 4.0))


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


@pytest.fixture
async def operator(new_company: NewCompany, owner_dsn: str) -> Company:
    company = await new_company()
    appoint(owner_dsn, company, 100_000)
    return company


async def charged(
    db: Database,
    customer: Company,
    provider: Company,
    *,
    ms: int = 4 * 3_600_000,
    voucher: dict[str, Any] | None = None,
) -> tuple[UUID, jobs.Settled]:
    """Charge a job of four hours, two of them dear, from what the customer has; return its id."""
    held = Held(uuid4(), customer.scope.tenant_id, 40 * YUAN)
    async with db.tenant(customer.scope) as connection:
        if voucher:
            (usable,) = await Billing.spendable(connection, "other", "fit", "Somebody")
            programme = programmes()[usable.programme]
            part = voucher_hold(programme, usable.share / 1e6, held.cash, usable.free)
            held = held._replace(
                cash=held.cash - part,
                voucher=part,
                voucher_id=usable.id,
                programme=programme.code,
                share=usable.share,
            )
        await Billing.reserve(connection, held)
        work = Work(1, provider.scope.tenant_id, START, ms, PRICES, "a job", {"provider": "p", "code": "c-1", "ms": ms})
        settled = await Billing.settle(connection, held, work, more=False)
        await Billing.reimburse(connection, held)
    return held.job_id, settled


def test_a_time_is_cut_where_the_price_changes() -> None:
    pieces = list(slices(START, 4 * 3_600_000, PRICES))
    assert [(piece.ms, piece.price, piece.cost) for piece in pieces] == [
        (7_200_000, 10 * YUAN, 20 * YUAN),
        (7_200_000, 4 * YUAN, 8 * YUAN),
    ]
    odd = list(slices(START.replace(microsecond=123_457), 100_000_001, PRICES))
    assert sum(piece.ms for piece in odd) == 100_000_001
    assert all(piece.cost == cost_of(piece.ms, piece.price) for piece in odd)
    assert all(one.end == two.start for one, two in pairwise(odd))


async def test_money_is_booked_once_by_its_slip_and_by_the_operator_only(
    new_company: NewCompany, operator: Company, db: Database, owner_dsn: str
) -> None:
    company = await new_company()
    code = await paid_in(operator, company, db, 20)
    slip = {"credit_code": code, "amount": 5, "reference": f"slip {code}"}
    for _ in range(2):
        assert (await operator.http.post("/api/v1/billing/deposits", json=slip)).status_code == 201
    assert await free(company, "cash") == 25
    other = await operator.http.post("/api/v1/billing/deposits", json=slip | {"amount": 6})
    assert other.status_code == 409
    unknown = await operator.http.post("/api/v1/billing/deposits", json=slip | {"credit_code": "91350100M000100Y43"})
    assert unknown.status_code == 422
    for path in ("deposits", "payouts"):
        assert (await company.http.post(f"/api/v1/billing/{path}", json=slip)).status_code == 404
    assert (await company.http.get("/api/v1/billing/effect")).status_code == 404
    more = await operator.http.post(
        "/api/v1/billing/payouts", json=slip | {"account": "cash", "amount": 26, "reference": "x"}
    )
    assert more.status_code == 409
    assert await free(company, "cash") == 25
    assert faults(owner_dsn) == []


async def test_a_voucher_is_granted_by_the_rules_and_no_more(
    new_company: NewCompany, operator: Company, db: Database, owner_dsn: str
) -> None:
    company, other = await new_company(), await new_company()
    await paid_in(operator, company, db, 1)
    body = {"programme": "shenzhen", "fee": 1000, "purpose": "refit", "contact": "us"}
    closed = await company.http.post("/api/v1/billing/vouchers", json=body)
    assert "not open" in closed.json()["detail"]
    await pool(operator, "shenzhen", 900)
    wrong = await company.http.post("/api/v1/billing/vouchers", json=body | {"programme": "wuhan"})
    assert "applicants of this kind" in wrong.json()["detail"]
    nobody = await other.http.post("/api/v1/billing/vouchers", json=body)
    assert "credit code" in nobody.json()["detail"]

    applied = (await company.http.post("/api/v1/billing/vouchers", json=body)).json()
    path = f"/api/v1/billing/applications/{applied['id']}/decision"
    assert (await company.http.post(path, json={"approve": True})).status_code == 404
    too_much = await operator.http.post(path, json={"approve": True, "amount": 500.01})
    assert too_much.json()["detail"] == "The rules allow 500.00 yuan at most."
    granted = (await operator.http.post(path, json={"approve": True, "reason": "ok"})).json()
    assert (granted["state"], granted["amount"]) == ("issued", 500)
    assert (await operator.http.post(path, json={"approve": True})).status_code == 409
    startup = await voucher(operator, company, "shenzhen", 1000, applicant="startup")
    assert startup["amount"] == 400, "60 % of the fee, but the pool has no more"
    assert await free(company, "voucher") == 900
    empty = (await company.http.post("/api/v1/billing/vouchers", json=body)).json()
    none = await operator.http.post(f"/api/v1/billing/applications/{empty['id']}/decision", json={"approve": True})
    assert none.status_code == 409

    with psycopg.connect(owner_dsn, autocommit=True) as connection:  # a year later
        connection.execute("ALTER TABLE voucher NO FORCE ROW LEVEL SECURITY")
        connection.execute("UPDATE voucher SET valid_until = now() WHERE id = %s", [granted["id"]])
        connection.execute("ALTER TABLE voucher FORCE ROW LEVEL SECURITY")
    await Billing(db, None).vouchers.expire(company.scope)  # type: ignore[arg-type]
    states = {each["id"]: each["state"] for each in (await company.http.get("/api/v1/billing/vouchers")).json()}
    assert states[granted["id"]] == "expired"
    assert await free(company, "voucher") == 400
    again = await operator.http.post(f"/api/v1/billing/applications/{empty['id']}/decision", json={"approve": True})
    assert again.json()["amount"] == 500, "what expired is in the pool again"
    assert faults(owner_dsn) == []


@pytest.mark.parametrize(
    ("programme", "applicant", "share"), [("wuhan", "one_person", 0.5), ("beijing", "enterprise", 0.2)]
)
async def test_a_voucher_pays_its_share_at_once_or_back_and_a_refund_claws_it_back(
    new_company: NewCompany,
    operator: Company,
    db: Database,
    owner_dsn: str,
    programme: str,
    applicant: str,
    share: float,
) -> None:
    customer, provider = await new_company(), await new_company()
    await paid_in(operator, customer, db, 100)
    await pool(operator, programme, 1000)
    given = await voucher(operator, customer, programme, 200, applicant=applicant)
    job, settled = await charged(db, customer, provider, voucher=given)
    assert settled.cost == 28 * YUAN
    assert await free(customer, "cash") == pytest.approx(100 - 28 * (1 - share))
    assert await free(customer, "voucher") == pytest.approx(given["amount"] - 28 * share)
    assert await free(provider, "payable") == pytest.approx(28 * 0.9)

    refund = {"job_id": str(job), "share": 0.25, "reason": "slow"}
    assert (await customer.http.post("/api/v1/billing/refunds", json=refund)).status_code == 404
    rows = (await provider.http.post("/api/v1/billing/refunds", json=refund)).json()
    assert sum(row["cost"] for row in rows) == 21
    assert await free(customer, "cash") == pytest.approx(100 - 21 * (1 - share))
    assert await free(customer, "voucher") == pytest.approx(given["amount"] - 21 * share)
    assert await free(provider, "payable") == pytest.approx(21 * 0.9)
    rest = (await provider.http.post("/api/v1/billing/refunds", json=refund | {"share": 1})).json()
    assert sum(row["billed"] for row in rest) == pytest.approx(0, abs=1e-9)
    assert (await provider.http.post("/api/v1/billing/refunds", json=refund)).status_code == 422
    assert await free(customer, "cash") == 100
    assert faults(owner_dsn) == []
    (effect,) = [
        each for each in (await operator.http.get("/api/v1/billing/effect")).json() if each["programme"] == programme
    ]
    assert effect["granted"] >= given["amount"]


async def test_nobody_is_billed_for_more_than_was_reserved(
    new_company: NewCompany, operator: Company, db: Database, owner_dsn: str
) -> None:
    customer, provider = await new_company(), await new_company()
    await paid_in(operator, customer, db, 100)
    _, settled = await charged(db, customer, provider, ms=40 * 3_600_000)
    assert settled.cost == 40 * YUAN
    assert await free(customer, "cash") == 60
    assert faults(owner_dsn) == []


async def test_the_bill_passes_the_checks_of_focus(
    new_company: NewCompany, operator: Company, db: Database, owner_dsn: str
) -> None:
    customer, provider = await new_company(), await new_company()
    await paid_in(operator, customer, db, 100)
    await pool(operator, "wuhan", 1000)
    given = await voucher(operator, customer, "wuhan", 200, applicant="one_person")
    job, _ = await charged(db, customer, provider, ms=12_345_678, voucher=given)
    await provider.http.post("/api/v1/billing/refunds", json={"job_id": str(job), "share": 0.3, "reason": "slow"})
    month = (datetime.now(UTC) + timedelta(hours=8)).strftime("%Y-%m")
    table = (await customer.http.get("/api/v1/billing/bill/focus", params={"month": month})).text
    bill = (await customer.http.get("/api/v1/billing/bill", params={"month": month})).json()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert set(MANDATORY) <= set(rows[0])
    assert len(MANDATORY) == 21
    for row in rows:
        assert all(
            row[column] for column in MANDATORY if column not in ("ChargeClass", "PricingQuantity", "PricingUnit")
        )
        assert row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        assert row["BillingPeriodStart"] < row["BillingPeriodEnd"]
        if row["ChargeCategory"] == "Usage":
            for cost, price in (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")):
                product = Decimal(row["PricingQuantity"]) * Decimal(row[price])
                assert abs(product - Decimal(row[cost])) <= Decimal("0.000003"), row
        else:
            assert row["PricingQuantity"] == row["ConsumedQuantity"] == ""
        if row["ChargeClass"] == "Correction":
            assert row["x_CorrectsChargeId"] in {other["x_ChargeId"] for other in rows}
            assert row["ConsumedQuantity"] == ""
    assert {(row["ChargeCategory"], row["ChargeClass"]) for row in rows} == {
        ("Usage", ""),
        ("Usage", "Correction"),
        ("Credit", ""),
        ("Credit", "Correction"),
    }
    assert float(sum(Decimal(row["BilledCost"]) for row in rows)) == pytest.approx(bill["billed"], abs=1e-9)
    assert 100 - await free(customer, "cash") == pytest.approx(bill["billed"], abs=1e-9)
    wrong = await customer.http.get("/api/v1/billing/bill", params={"month": "2026-13"})
    assert wrong.status_code == 422
