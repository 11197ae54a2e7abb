"""Invoices are numbered without a gap whoever asks at once, hold each row once, add up to the table, and can be printed."""

from __future__ import annotations

import asyncio
import csv
import io
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pyarrow.parquet
import pytest
from pypdf import PdfReader

from cloud.billing.focus import COLUMNS, MANDATORY
from cloud.billing.money import this_month
from cloud.core.db import Database
from tests.cloud.billing.market import appoint, faults, paid_in
from tests.cloud.billing.test_market import charged
from tests.cloud.conftest import Cluster, Company, NewCompany


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


async def issued(supplier: Company) -> list[dict[str, Any]]:
    answer = await supplier.http.post("/api/v1/billing/invoices", json={"month": this_month()})
    assert answer.status_code == 201, answer.text
    return list(answer.json())


async def test_numbers_have_no_gap_and_every_row_is_on_one_invoice(
    new_company: NewCompany, db: Database, owner_dsn: str
) -> None:
    operator, supplier, other = await new_company(), await new_company(), await new_company()
    appoint(owner_dsn, operator)
    customers = [await new_company() for _ in range(3)]
    jobs = []
    for customer in customers:
        await paid_in(operator, customer, db, 200)
        jobs.append((await charged(db, customer, supplier))[0])
    await charged(db, customers[0], other)

    made = await asyncio.gather(*(issued(supplier) for _ in range(6)))
    numbers = sorted(each["number"] for batch in made for each in batch)
    year = this_month()[:4]
    assert numbers == [f"{year}-{place:05}" for place in (1, 2, 3)]
    assert sum(bool(batch) for batch in made) == 1, "who comes second finds nothing left"

    refund = {"job_id": str(jobs[0]), "share": 0.25, "reason": "slow"}
    (await supplier.http.post("/api/v1/billing/refunds", json=refund)).raise_for_status()
    await charged(db, customers[1], supplier)
    later = await issued(supplier)
    assert sorted(each["number"] for each in later) == [f"{year}-00004", f"{year}-00005"]
    assert sorted(each["amount"] for each in later) == [-7, 28], "a correction is on a later invoice"
    assert [each["number"] for each in await issued(other)] == [f"{year}-00001"], "each supplier has its own"
    assert (await issued(operator)) == []

    got = (await customers[0].http.get("/api/v1/billing/invoices")).json()
    assert len(got) == 3
    assert (await customers[0].http.get("/api/v1/billing/invoices", params={"side": "provider"})).json() == []
    query = {"month": this_month(), "format": "csv"}
    rows = list(
        csv.DictReader(io.StringIO((await customers[0].http.get("/api/v1/billing/bill/focus", params=query)).text))
    )
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row["InvoiceId"]] += Decimal(row["BilledCost"])
    assert sorted(sums.values()) == sorted(Decimal(str(each["amount"])) for each in got)
    assert faults(owner_dsn) == []

    first = next(each for each in got if each["amount"] > 0)
    for language, words in (("zh", "结算单"), ("en", "Invoice")):
        path = f"/api/v1/billing/invoices/{first['id']}/pdf"
        printed = await customers[0].http.get(path, params={"language": language})
        assert printed.headers["content-type"] == "application/pdf"
        text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(printed.content)).pages)
        assert first["number"] in text
        assert words in text
        assert "28.000000" in text
    assert (await customers[1].http.get(f"/api/v1/billing/invoices/{first['id']}/pdf")).status_code == 404


async def test_parquet_says_what_the_table_says(new_company: NewCompany, db: Database, owner_dsn: str) -> None:
    operator, supplier, customer = await new_company(), await new_company(), await new_company()
    appoint(owner_dsn, operator)
    await paid_in(operator, customer, db, 100)
    job, _ = await charged(db, customer, supplier, ms=12_345_678)
    await supplier.http.post("/api/v1/billing/refunds", json={"job_id": str(job), "share": 0.3, "reason": "slow"})
    for side, company in (("customer", customer), ("provider", supplier)):
        query = {"month": this_month(), "side": side}
        text = (await company.http.get("/api/v1/billing/bill/focus", params=query)).text
        file = await company.http.get("/api/v1/billing/bill/focus", params=query | {"format": "parquet"})
        table = pyarrow.parquet.read_table(io.BytesIO(file.content))
        assert tuple(table.column_names) == COLUMNS
        assert set(MANDATORY) <= set(COLUMNS)
        lines = list(csv.DictReader(io.StringIO(text)))
        assert table.num_rows == len(lines) > 0
        for line, row in zip(lines, table.to_pylist(), strict=True):
            for name, cell in line.items():
                value = row[name]
                if cell == "":
                    assert value is None, name
                elif isinstance(value, Decimal):
                    assert value == Decimal(cell), name
                elif not isinstance(value, str):
                    assert value.strftime("%Y-%m-%dT%H:%M:%SZ") == cell, name
                else:
                    assert value == cell, name
