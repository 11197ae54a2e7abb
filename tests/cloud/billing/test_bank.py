"""Prepaid hours: no way round gains anything, whatever happens nothing vanishes, and a job uses them before voucher and cash."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cloud.billing.hours import HOUR_MS, Converted, Lot, Part, bought, converted, portion, taken, units_of
from cloud.billing.money import YUAN, Price, this_month
from cloud.billing.schemas import BankConversion, BankDeposit, Refund
from cloud.billing.service import Billing, Held, Settled, Work
from cloud.cli import app
from cloud.core.db import Database
from cloud.core.errors import Conflict, Invalid
from cloud.core.principal import Principal, Role, Scope
from tests.cloud.billing.market import appoint, faults, free, paid_in, pool, voucher
from tests.cloud.conftest import Cluster, Company, NewCompany

HISTORIES = int(os.environ.get("SUNMAO_HISTORIES", "40"))
CHIPS = ["cpu", "cuda-a10"]
START = datetime(2026, 2, 2, 12, tzinfo=UTC)
PRICES = (Price(0, 10.0),)
RATE = {"chip": "cpu", "yuan_per_hour": 2, "days": 30, "fee_percent": 1, "back_percent": 40}

rates = st.integers(1, 2_000 * YUAN)
fees = st.integers(0, 500_000)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


@given(
    money=st.integers(1, 10**13), rate=rates, through=st.lists(st.tuples(rates, fees), min_size=1, max_size=4), fee=fees
)
def test_no_way_round_gains_an_hour_or_a_millionth_of_a_yuan(
    money: int, rate: int, through: list[tuple[int, int]], fee: int
) -> None:
    there = now = Part(UUID(int=0), "a", bought(money, rate), money)
    way = [(rate, fee), *through, (rate, fee)]
    for (of, its_fee), (into, _) in pairwise(way):
        becomes = converted(now, of, into, its_fee)
        assert becomes.money + becomes.fee == now.money, "what is not behind the hours is the fee"
        now = now._replace(hours=becomes.hours, money=becomes.money)
    assert now.hours <= there.hours
    assert now.money <= there.money


@given(
    held=st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 50)), max_size=6),
    wanted=st.integers(0, 10**10),
)
def test_what_expires_first_goes_first_and_with_the_last_hour_the_last_money(
    held: list[tuple[int, int, int]], wanted: int
) -> None:
    lots = [
        Lot(UUID(int=place), "cpu", hours, money, START + timedelta(days=day), 0, UUID(int=0))
        for place, (hours, money, day) in enumerate(held)
    ]
    parts = taken(lots, wanted)
    assert sum(part.hours for part in parts) == min(wanted, sum(lot.hours for lot in lots))
    of = {lot.id: lot for lot in lots}
    ends = [of[part.lot_id].expires_at for part in parts]
    assert ends == sorted(ends)
    for part in parts:
        lot = of[part.lot_id]
        assert part.money == portion(lot.money, lot.hours, part.hours) <= lot.money
        assert part.hours < lot.hours or part.money == lot.money


def test_golden_figures() -> None:
    assert bought(100 * YUAN, 2 * YUAN) == 50 * HOUR_MS
    assert bought(1, 2 * YUAN) == 1, "half a millionth of an hour, 1.8 ms"
    part = Part(UUID(int=0), "cpu", 50 * HOUR_MS, 100 * YUAN)
    assert converted(part, 2 * YUAN, 30 * YUAN, 10_000) == Converted(99 * HOUR_MS // 30, 99 * YUAN, YUAN)
    dearer = converted(part, 3 * YUAN, 30 * YUAN, 0)
    assert dearer.hours == 100 * HOUR_MS // 30, "what rose since it was bought is worth what was paid"
    fallen = converted(part, YUAN, 30 * YUAN, 0)
    assert (fallen.hours, fallen.money) == (50 * HOUR_MS // 30, 100 * YUAN), (
        "what fell is worth that; the money goes along"
    )
    assert (units_of("cpu", 8), units_of("cuda-a10", 8)) == (8, 1)


@pytest.fixture
async def operator(new_company: NewCompany, owner_dsn: str) -> Company:
    company = await new_company()
    appoint(owner_dsn, company, 100_000)
    for more in ({}, {"chip": "cuda-a10", "yuan_per_hour": 30}):
        answer = await company.http.put("/api/v1/billing/bank/rates", json=RATE | more)
        assert answer.status_code == 200, answer.text
    return company


async def bank(company: Company) -> dict[str, Any]:
    return dict((await company.http.get("/api/v1/billing/bank")).raise_for_status().json())


async def deposited(company: Company, amount: float, chip: str = "cpu") -> dict[str, Any]:
    body = {"chip": chip, "amount": amount}
    return dict((await company.http.post("/api/v1/billing/bank/deposits", json=body)).raise_for_status().json())


def end_now(owner_dsn: str, *lots: str) -> None:
    """Let the time of these lots be over, or of all."""
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE bank_lot NO FORCE ROW LEVEL SECURITY")
        connection.execute(
            "UPDATE bank_lot SET expires_at = now() WHERE expires_at > now() AND (id = ANY (%(l)s::uuid[]) OR %(l)s::uuid[] = '{}')",
            {"l": list(lots)},
        )
        connection.execute("ALTER TABLE bank_lot FORCE ROW LEVEL SECURITY")


async def used(db: Database, customer: Company, provider: Company, held: Held, hours: float) -> tuple[Held, Settled]:
    """Charge a job that has run so many hours."""
    async with db.tenant(customer.scope) as connection:
        lots = (await Billing.hours_of(connection)).get("cpu", [])
        held = held._replace(bank=tuple(taken(lots, 20 * HOUR_MS * held.units)))
        await Billing.reserve(connection, held)
        ms = round(hours * HOUR_MS)
        work = Work(1, provider.scope.tenant_id, START, ms, PRICES, "a job", {"provider": "p", "code": "c", "ms": ms})
        return held, await Billing.settle(connection, held, work, more=False)


async def test_hours_are_bought_converted_and_ended_by_the_terms_they_were_bought_at(
    new_company: NewCompany, operator: Company, db: Database, owner_dsn: str
) -> None:
    company = await new_company()
    assert (await company.http.put("/api/v1/billing/bank/rates", json=RATE)).status_code == 404
    await paid_in(operator, company, db, 100)
    unknown = await company.http.post("/api/v1/billing/bank/deposits", json={"chip": "npu", "amount": 5})
    assert "No rate" in unknown.json()["detail"]
    more = await company.http.post("/api/v1/billing/bank/deposits", json={"chip": "cpu", "amount": 101})
    assert "100.00 yuan free" in more.json()["detail"]
    lot = await deposited(company, 60)
    assert (lot["hours"], lot["money"], lot["paid"]) == (30, 60, 60)
    assert await free(company, "cash") == 40
    await operator.http.put("/api/v1/billing/bank/rates", json=RATE | {"yuan_per_hour": 3, "back_percent": 0})

    change = {"chip": "cpu", "into": "cuda-a10", "hours": 15}
    for wrong, words in (({"into": "cpu"}, "same chip"), ({"hours": 31}, "30.000 hours"), ({"into": "npu"}, "No rate")):
        refused = await company.http.post("/api/v1/billing/bank/conversions", json=change | wrong)
        assert words in refused.json()["detail"]
    (card,) = (await company.http.post("/api/v1/billing/bank/conversions", json=change)).raise_for_status().json()
    assert card["money"] == pytest.approx(30 * 0.99)
    assert card["hours"] == pytest.approx(0.99)
    assert card["expires_at"] == lot["expires_at"], "converting does not make it last longer"
    back = {"chip": "cuda-a10", "into": "cpu", "hours": 0.99}
    (again,) = (await company.http.post("/api/v1/billing/bank/conversions", json=back)).raise_for_status().json()
    assert again["hours"] < 15
    assert faults(owner_dsn) == []

    end_now(owner_dsn, lot["id"], again["id"])
    for _ in range(2):
        await Billing(db, None).bank.expire(company.scope)  # type: ignore[arg-type]
    assert (await bank(company))["lots"] == []
    left = 30 + again["money"]
    assert await free(company, "cash") == pytest.approx(40 + 0.4 * left), "40 % as when they were bought"
    assert await free(company, "bank") == 0
    month = (await company.http.get("/api/v1/billing/bill", params={"month": this_month()})).json()
    assert 100 - await free(company, "cash") == pytest.approx(month["billed"])
    assert faults(owner_dsn) == []


async def test_a_job_uses_hours_then_a_voucher_then_cash_and_a_refund_goes_back_to_each(
    new_company: NewCompany, operator: Company, db: Database, owner_dsn: str
) -> None:
    customer, provider = await new_company(), await new_company()
    await paid_in(operator, customer, db, 200)
    await pool(operator, "wuhan", 1000)
    given = await voucher(operator, customer, "wuhan", 200, applicant="one_person")
    await deposited(customer, 8)  # four core-hours: two hours of a machine with two cores
    wallet = {kind: await free(customer, kind) for kind in ("cash", "voucher", "bank")}
    assert wallet == {"cash": 192, "voucher": 100, "bank": 8}
    held = Held(uuid4(), customer.scope.tenant_id, 20 * YUAN, 20 * YUAN, UUID(given["id"]), "wuhan", 500_000, units=2)
    _, settled = await used(db, customer, provider, held, 5)
    assert (settled.prepaid, settled.cost, settled.subsidy) == (8 * YUAN, 38 * YUAN, 15 * YUAN)
    assert await free(customer, "cash") == 192 - 15
    assert await free(customer, "voucher") == 85
    assert await free(customer, "bank") == 0
    assert (await bank(customer))["lots"] == []
    assert await free(provider, "payable") == pytest.approx(38 * 0.9)
    assert faults(owner_dsn) == []

    refund = {"job_id": str(held.job_id), "share": 0.5, "reason": "slow"}
    rows = (await provider.http.post("/api/v1/billing/refunds", json=refund)).raise_for_status().json()
    assert sum(row["cost"] for row in rows) == 19
    (lot,) = (await bank(customer))["lots"]
    assert (lot["hours"], lot["money"]) == (2, 4)
    assert await free(customer, "cash") == pytest.approx(192 - 7.5)
    assert await free(customer, "voucher") == pytest.approx(92.5)
    assert await free(provider, "payable") == pytest.approx(19 * 0.9)
    assert faults(owner_dsn) == []

    table = await customer.http.get("/api/v1/billing/bill/focus", params={"month": this_month()})
    lines = list(csv.DictReader(io.StringIO(table.text)))
    bill = (await customer.http.get("/api/v1/billing/bill", params={"month": this_month()})).json()
    assert float(sum(Decimal(each["BilledCost"]) for each in lines)) == pytest.approx(bill["billed"])
    assert bill["prepaid"] == 4
    for each in lines:
        if each["PricingQuantity"]:
            product = Decimal(each["PricingQuantity"]) * Decimal(each["ContractedUnitPrice"])
            assert abs(product - Decimal(each["ContractedCost"])) <= Decimal("0.000003"), each
    hours = [each for each in lines if each["CommitmentDiscountId"]]
    assert {
        (each["ChargeCategory"], each["CommitmentDiscountStatus"], float(each["BilledCost"])) for each in hours
    } == {
        ("Purchase", "", 8.0),
        ("Usage", "Used", 0.0),
    }
    assert sum(Decimal(each["EffectiveCost"]) for each in hours) == 4
    earned = (
        await provider.http.get("/api/v1/billing/bill", params={"month": this_month(), "side": "provider"})
    ).json()
    assert earned["cost"] == 19


async def test_hours_a_job_holds_are_nobody_elses_and_are_free_again(
    new_company: NewCompany, operator: Company, db: Database, owner_dsn: str
) -> None:
    customer, provider = await new_company(), await new_company()
    await paid_in(operator, customer, db, 50)
    lot = await deposited(customer, 20)
    held = Held(uuid4(), customer.scope.tenant_id, 5 * YUAN)
    async with db.tenant(customer.scope) as connection:
        lots = (await Billing.hours_of(connection))["cpu"]
        held = held._replace(bank=tuple(taken(lots, 6 * HOUR_MS)))
        await Billing.reserve(connection, held)
    (there,) = (await bank(customer))["lots"]
    assert (there["hours"], there["held"]) == (4, 6)
    assert not held.used_up(START, 6 * HOUR_MS, PRICES)
    assert held.used_up(START, 6 * HOUR_MS + HOUR_MS // 2, PRICES)
    too_many = await customer.http.post(
        "/api/v1/billing/bank/conversions", json={"chip": "cpu", "into": "cuda-a10", "hours": 5}
    )
    assert too_many.status_code == 422
    end_now(owner_dsn, lot["id"])
    await Billing(db, None).bank.expire(customer.scope)  # type: ignore[arg-type]
    work = Work(1, provider.scope.tenant_id, START, 2 * HOUR_MS, PRICES, "a job", {"ms": 2 * HOUR_MS})
    async with db.tenant(customer.scope) as connection:
        settled = await Billing.settle(connection, held, work, more=True)
    assert settled.held.prepaid_ms == 4 * HOUR_MS
    async with db.tenant(customer.scope) as connection:
        for _ in range(2):
            await Billing.release(connection, settled.held)
    await Billing(db, None).bank.expire(customer.scope)  # type: ignore[arg-type]
    assert (await bank(customer))["lots"] == []
    assert await free(provider, "payable") == pytest.approx(4 * 0.9)
    assert await free(customer, "cash") == pytest.approx(30 + 0.4 * 16)
    assert faults(owner_dsn) == []


@pytest.mark.timeout(7200)
async def test_whatever_happens_nothing_vanishes_and_nobody_owes(
    new_company: NewCompany, operator: Company, db: Database, owner_dsn: str
) -> None:
    provider, customer = await new_company(), await new_company()
    await paid_in(operator, customer, db, 1_000_000)
    bench = Bench(db, customer, provider)
    for seed in range(HISTORIES):
        dice = random.Random(seed)
        jobs = list[tuple[Held, Work]]()
        for _ in range(dice.randint(5, 15)):
            await bench.happens(dice, jobs)
        async with db.tenant(customer.scope) as connection:
            for held, _ in jobs:
                await Billing.release(connection, held)
        end_now(owner_dsn)
        await bench.billing.bank.expire(customer.scope)
        assert (await bank(customer))["lots"] == [] or seed % 20, seed
    accounts = (await customer.http.get("/api/v1/billing/wallet")).json()["accounts"]
    assert all(each["held"] == 0 and each["free"] >= 0 for each in accounts)
    assert await free(customer, "bank") == 0, "with the last hours the last money has gone"
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("ALTER TABLE charge NO FORCE ROW LEVEL SECURITY")
        row = connection.execute(
            "SELECT sum(billed), sum(cost) FILTER (WHERE category = 'Purchase'),"
            " sum(cost) FILTER (WHERE category = 'Usage') - sum(billed) FILTER (WHERE category <> 'Purchase')"
            " FROM charge WHERE customer_id = %s",
            [customer.scope.tenant_id],
        ).fetchone()
        connection.rollback()
    assert row is not None
    billed, bought, gone = row
    assert 1_000_000 - await free(customer, "cash") == pytest.approx(float(billed) / YUAN, abs=1e-5)
    assert bought == gone, "what was bought has been used, kept by the market or given back, to the millionth"
    assert faults(owner_dsn) == []


class Bench:
    """Does with the bank whatever a customer and a provider may; what cannot be done is refused and changes nothing."""

    def __init__(self, db: Database, customer: Company, provider: Company) -> None:
        self._db, self._customer, self._provider = db, customer, provider
        self.billing = Billing(db, None)  # type: ignore[arg-type]
        self._person, self._seller = (
            Principal(each.scope, uuid4(), uuid4(), each.email, Role.OWNER, None, frozenset(Scope))
            for each in (customer, provider)
        )

    async def happens(self, dice: random.Random, jobs: list[tuple[Held, Work]]) -> None:
        """Do one thing."""
        act = dice.choice([self._deposit, self._deposit, self._convert, self._hold, self._settle, self._settle])
        with suppress(Invalid, Conflict):
            await act(dice, jobs)

    async def _deposit(self, dice: random.Random, _: object) -> None:
        amount = dice.choice(["0.000001", "0.37", "7", "33.333333"])
        body = BankDeposit(chip=dice.choice(CHIPS), amount=Decimal(amount))
        await self.billing.bank.deposit(self._person, body)

    async def _convert(self, dice: random.Random, _: object) -> None:
        hours = Decimal(dice.choice(["0.001", "0.3", "2.777"]))
        body = BankConversion(chip=dice.choice(CHIPS), into=dice.choice(CHIPS), hours=hours)
        await self.billing.bank.convert(self._person, body)

    async def _hold(self, dice: random.Random, jobs: list[tuple[Held, Work]]) -> None:
        chip, units = dice.choice(CHIPS), dice.choice([1, 2, 3])
        async with self._db.tenant(self._customer.scope) as connection:
            lots = (await Billing.hours_of(connection)).get(chip, [])
            parts = tuple(taken(lots, dice.randint(1, 3 * HOUR_MS) * units))
            held = Held(uuid4(), self._customer.scope.tenant_id, 0, bank=parts, units=units)
            await Billing.reserve(connection, held)
        facts = {"provider": "p", "code": "c"}
        jobs.append((held, Work(0, self._provider.scope.tenant_id, START, 0, PRICES, "a job", facts)))

    async def _settle(self, dice: random.Random, jobs: list[tuple[Held, Work]]) -> None:
        if not jobs:
            return
        held, work = jobs.pop(dice.randrange(len(jobs)))
        work = work._replace(attempt=work.attempt + 1, ms=dice.choice([1, 17, HOUR_MS // 3, 2 * HOUR_MS]))
        more = dice.random() < 0.5
        for _ in range(dice.choice([1, 1, 2])):  # now and then it is said twice
            async with self._db.tenant(self._customer.scope) as connection:
                settled = await Billing.settle(connection, held, work, more=more)
        if more:
            jobs.append((settled.held, work))
        elif settled.cost:
            refund = Refund(job_id=held.job_id, share=dice.choice([0.1, 0.5, 1]), reason="slow")
            await self.billing.refund(self._seller, refund)


async def test_the_command_line_shows_buys_and_converts(
    new_company: NewCompany, operator: Company, db: Database, cloud_url: str, tmp_path: Path
) -> None:
    company = await new_company()
    await paid_in(operator, company, db, 50)
    made = await company.http.post("/api/v1/tokens", json={"name": "buyer", "scopes": ["admin"]})
    (tmp_path / "token").write_text(made.json()["token"])

    async def said(*words: str) -> tuple[int, str]:
        given = ["compute", "bank", "--url", cloud_url, "--token-file", str(tmp_path / "token"), "--lang", "en", *words]
        result = await asyncio.to_thread(CliRunner().invoke, app, given)
        return result.exit_code, result.output

    assert "cpu: ¥2/h" in (await said())[1]
    assert "cpu: 10.000 h" in (await said("--buy", "cpu", "20"))[1]
    assert "cuda-a10: 0.3" in (await said("--convert", "cpu", "cuda-a10", "5"))[1]
    code, why = await said("--buy", "cpu", "31")
    assert code == 2
    assert "30.00 yuan free" in why
    assert (await said("--url", "http://127.0.0.1:9"))[0] == 3
