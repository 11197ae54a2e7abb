"""Second opinions that are metered: reserved, counted beside their way, booked once by the hour, and refused when that is used up."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from cloud.core.db import Database
from tests.cloud.billing.market import appoint, faults, paid_in
from tests.cloud.compute.site import offered
from tests.cloud.compute.test_remote_inspection import picture, served
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.edge_agent.inspect.conftest import SignedBundle, small_bundle

__all__ = ["small_bundle"]

FLAT = [{"from_hour": 0, "yuan_per_hour": 36.0}]
"""Ten micro-yuan a millisecond, whenever it is."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


async def opened(customer: Company, offer: dict[str, Any], budget: float) -> tuple[str, str]:
    answer = await customer.http.post("/api/v1/compute/servings", json={"offer": offer["code"], "budget": budget})
    assert answer.status_code == 201, answer.text
    return answer.json()["serving"]["id"], answer.json()["token"]


async def serving_of(company: Company, identity: str, side: str = "customer") -> dict[str, Any]:
    found = (await company.http.get("/api/v1/compute/servings", params={"side": side})).raise_for_status().json()
    return next(each for each in found if each["id"] == identity)


async def until(company: Company, identity: str, holds: Callable[[dict[str, Any]], object]) -> None:
    async with asyncio.timeout(30):
        while True:
            if holds(await serving_of(company, identity)):
                return
            await asyncio.sleep(0.1)


async def held(company: Company) -> float:
    wallet = (await company.http.get("/api/v1/billing/wallet")).json()
    return float(next(each["held"] for each in wallet["accounts"] if each["kind"] == "cash"))


async def usage(company: Company, side: str = "customer") -> list[dict[str, str]]:
    month = f"{datetime.now(UTC) + timedelta(hours=8):%Y-%m}"
    found = await company.http.get("/api/v1/billing/bill/focus", params={"month": month, "side": side})
    assert found.is_success, found.text
    return [row for row in csv.DictReader(io.StringIO(found.text)) if row["ChargeCategory"] == "Usage"]


async def test_hours_are_booked_once_however_often_they_are_told(
    new_company: NewCompany, db: Database, owner_dsn: str
) -> None:
    operator, provider, customer = await new_company(), await new_company(), await new_company()
    appoint(owner_dsn, operator, 50_000)
    await paid_in(operator, customer, db, 50)
    offer, token = await offered(provider, prices=FLAT)
    other, _ = await opened(customer, offer, 1)
    identity, _ = await opened(customer, offer, 10)
    assert await held(customer) == 11
    bearer, run = {"Authorization": f"Bearer {token}"}, str(uuid4())
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    past = hour - timedelta(hours=2)

    async def tell(at: datetime, count: int, us: int, of: str = run) -> Any:
        counted = [{"serving_id": identity, "hour": at.isoformat(), "count": count, "us": us}]
        body = {"run": of, "counted": counted}
        return await customer.http.post("/api/v1/compute/worker/opinions", json=body, headers=bearer)

    for count, us in ((3, 30_000), (5, 50_000), (5, 50_000), (3, 30_000)):
        answer = await tell(past, count, us)
    left = {each["serving_id"]: each["left_ms"] for each in answer.json()["callers"]}
    assert left == {identity: 1_000_000 - 50, other: 100_000}
    assert (await tell(hour, 1, 2_000)).is_success
    assert (await tell(past + timedelta(minutes=1), 1, 1)).status_code == 422
    assert (await tell(hour - timedelta(days=8), 1, 1)).status_code == 422
    stranger, elsewhere = await new_company(), await offered(await new_company())
    bearer = {"Authorization": f"Bearer {elsewhere[1]}"}
    assert (await tell(past, 10**6, 10**9)).json() == {"callers": []}, "an offer counts its own only"
    bearer = {"Authorization": f"Bearer {token}"}
    await until(customer, identity, lambda seen: seen["cost"])
    assert (await tell(past, 6, 60_000)).is_success, "told late, by the same run"
    assert (await tell(past, 2, 20_000, str(uuid4()))).is_success, "and by another one"
    seen = await serving_of(customer, identity)
    assert (seen["count"], seen["seconds"]) == (9, 0.082)
    assert (await stranger.http.delete(f"/api/v1/compute/servings/{identity}")).status_code == 404
    assert (await provider.http.delete(f"/api/v1/compute/servings/{identity}")).status_code == 404
    done = (await customer.http.delete(f"/api/v1/compute/servings/{identity}")).json()
    assert (done["cost"], done["left"]) == (0.00082, 0)
    assert (await customer.http.delete(f"/api/v1/compute/servings/{identity}")).status_code == 409
    assert (await tell(past, 100, 10**6)).is_success
    assert (await serving_of(provider, identity, "provider"))["count"] == 9, "what ended serves nobody"
    rows = await usage(customer)
    assert (rows[0]["ConsumedQuantity"], rows[0]["ContractedCost"]) == ("0.000013888889", "0.0005")
    assert sum(Decimal(row["ContractedCost"]) for row in rows) == Decimal("0.00082")
    assert rows[0]["ChargePeriodEnd"] == f"{past + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    assert rows[0]["ChargeDescription"] == f"5 second opinions: {offer['code']}"
    assert {row["ResourceType"] for row in rows} == {"Endpoint"}
    assert len(await usage(provider, "provider")) == len(rows)
    assert await held(customer) == 1
    (await provider.http.delete(f"/api/v1/compute/offers/{offer['id']}")).raise_for_status()
    await until(customer, other, lambda seen: seen["ended_at"])  # an offer that is no more answers nobody
    assert await held(customer) == 0
    poor = await customer.http.post("/api/v1/compute/servings", json={"offer": offer["code"], "budget": 1})
    assert poor.status_code == 422
    assert faults(owner_dsn) == []


async def test_a_server_counts_what_it_answers_and_lets_nobody_in_beyond(
    new_company: NewCompany, db: Database, cloud_url: str, owner_dsn: str, tmp_path: Path, small_bundle: SignedBundle
) -> None:
    operator, provider, customer = await new_company(), await new_company(), await new_company()
    appoint(owner_dsn, operator, 50_000)
    await paid_in(operator, customer, db, 50)
    offer, token = await offered(provider, prices=FLAT)
    identity, ours = await opened(customer, offer, 10)
    small, theirs = await opened(customer, offer, 0.00001)  # a millisecond
    content = picture(tmp_path, 1)

    async def ask(http: httpx.AsyncClient, by: str) -> int:
        answer = await http.post("/inspect", content=content, headers={"Authorization": f"Bearer {by}"})
        return answer.status_code

    metered = ("--url", cloud_url, "--folder", str(tmp_path / "kept"))
    with served(small_bundle, tmp_path, *metered, token=token) as (url, process):
        async with httpx.AsyncClient(base_url=url) as http:
            assert [await ask(http, ours) for _ in range(4)] == [200] * 4
            assert await ask(http, token) == 401
            while (status := await ask(http, theirs)) == 200:
                pass
            assert status == 402
            await until(customer, identity, lambda seen: seen["count"] == 4)
        process.kill()  # what it has told is kept, and not told twice
    with served(small_bundle, tmp_path, *metered, token=token) as (url, _):
        async with httpx.AsyncClient(base_url=url) as http:
            assert await ask(http, theirs) == 402
            assert [await ask(http, ours) for _ in range(2)] == [200] * 2
    # One that is stopped in order tells at once.
    assert (await serving_of(customer, identity))["count"] == 6
    for one in (identity, small):
        (await customer.http.delete(f"/api/v1/compute/servings/{one}")).raise_for_status()
    costs = {row["ResourceId"]: row["ContractedCost"] for row in await usage(customer)}
    assert costs[small] == "0.00001", "never more than was reserved"
    assert await held(customer) == 0
    assert faults(owner_dsn) == []
