"""What a worker may not: count time that has not passed, sign another's beat, repeat itself to be paid twice, go on when it is over."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.compute.metering import START, Beat, chained, public_text, signed, written
from cloud.core.db import Database
from tests.cloud.billing.market import appoint, faults, free, paid_in
from tests.cloud.compute.site import ended, job_of, offered, pictured, submitted, wanted
from tests.cloud.conftest import Cluster, Company, NewCompany

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


class Hand:
    """A worker by hand."""

    def __init__(self, company: Company, token: str) -> None:
        self._http, self._headers = company.http, {"Authorization": f"Bearer {token}"}
        self.key = Ed25519PrivateKey.generate()
        self.head, self.seq, self.began = START, 0, 0.0
        self.place: dict[str, Any] = {}
        self.code = ""

    async def ask(self, path: str, method: str = "POST", **request: Any) -> httpx.Response:
        url = f"/api/v1/compute/worker/{path}"
        return await self._http.request(method, url, headers=self._headers, **request)

    async def greet(self, provider: str = "CPUExecutionProvider") -> dict[str, Any]:
        body = {"public_key": public_text(self.key), "provider": provider, "speed": 1.0}
        welcome = dict((await self.ask("hello", json=body)).raise_for_status().json())
        self.code = welcome["code"]
        return welcome

    async def lease(self, wait_s: float = 10) -> dict[str, Any]:
        answer = (await self.ask("lease", params={"wait_s": wait_s})).raise_for_status()
        self.began, self.head, self.seq = time.monotonic(), START, 0
        found = dict(answer.json())
        self.place = {"job_id": found["job_id"], "attempt": found["attempt"]}
        return found

    def beat(self, **more: Any) -> tuple[str, str]:
        used = int((time.monotonic() - self.began) * 1000)
        said = {"job": self.place["job_id"], "attempt": self.place["attempt"], "seq": self.seq + 1, "used_ms": used}
        text = written(Beat(**said | {"cpu_ms": 0, "chip": "", "stage": "read", "done": 0, "total": 0} | more))
        return text, signed(self.key, chained(self.head, text))

    async def say(self, text: str, signature: str) -> httpx.Response:
        answer = await self.ask("beats", params=self.place, json={"body": text, "signature": signature})
        if answer.is_success:
            self.head, self.seq = chained(self.head, text), answer.json()["seq"]
        return answer

    async def end(self, outcome: str, **more: Any) -> httpx.Response:
        return await self.ask("end", params=self.place, json={"outcome": outcome, **more})


@pytest.fixture
async def at_work(new_company: NewCompany, db: Database, owner_dsn: str) -> tuple[Company, Company, Hand, str]:
    """A customer with 50 yuan and a set, a provider with a bond, and a worker by hand that has greeted."""
    operator, provider, customer = await new_company(), await new_company(), await new_company()
    appoint(owner_dsn, operator)
    await paid_in(operator, customer, db, 50)
    await paid_in(operator, provider, db, 1, "bond")
    _, token = await offered(provider, prices=[{"from_hour": 0, "yuan_per_hour": 360}])
    hand = Hand(provider, token)
    await hand.greet()
    return customer, provider, hand, await pictured(customer, "cap", 28)


AtWork = tuple[Company, Company, Hand, str]


async def test_only_time_that_has_passed_and_that_was_signed_counts_once(at_work: AtWork, owner_dsn: str) -> None:
    customer, provider, hand, set_id = at_work
    job = await submitted(customer, wanted("fit", set_id, offer=hand.code))
    lease = await hand.lease()
    assert lease["job_id"] == job
    assert len(lease["files"]) == 28
    assert (await hand.say(*hand.beat())).status_code == 200
    await asyncio.sleep(0.5)
    text, signature = hand.beat()
    for wrong in (
        hand.beat(used_ms=60_000),
        hand.beat(used_ms=0, seq=3),
        hand.beat(job=str(customer.site_id)),
        (text, hand.beat(used_ms=1)[1]),
        (text + " ", signature),
        ("{}", signature),
    ):
        assert (await hand.say(*wrong)).status_code == 422, wrong
    missing = {"digest": "0" * 64, "done": 5}
    assert (await hand.say(*hand.beat(checkpoint=missing))).status_code == 422
    first = (await hand.say(text, signature)).json()
    again = (await hand.ask("beats", params=hand.place, json={"body": text, "signature": signature})).json()
    assert again == first

    stranger = Hand(provider, (await offered(provider))[1])
    await stranger.greet()
    stranger.place = hand.place
    assert (await stranger.say(text, signature)).status_code == 404
    inputs = {"kind": "input", "name": lease["files"][0]["name"]}
    assert (await stranger.ask("files", "GET", params=hand.place | inputs)).status_code == 404

    failing = {"reason_en": "too dark", "reason_zh": "过暗"}
    told = (await hand.end("failed", **failing)).json()
    assert told["state"] == "failed"
    assert (await hand.end("failed", **failing)).json() == told
    assert (await hand.end("done")).status_code == 409
    assert (await hand.say(*hand.beat())).status_code == 409
    found = await job_of(customer, job)
    assert found["job"]["reason_en"] == "too dark"
    paid = 50 - await free(customer, "cash")
    assert paid == pytest.approx(told["billable_s"] * 0.1, abs=1e-6)
    assert paid == pytest.approx(await free(provider, "payable"))
    assert faults(owner_dsn) == []


async def test_a_worker_that_computes_by_another_chip_is_not_paid(at_work: AtWork, owner_dsn: str) -> None:
    customer, provider, hand, set_id = at_work
    _, token = await offered(provider, chip="ascend-910b")
    assert (await Hand(provider, token).greet())["proven"] is False
    job = await submitted(customer, wanted("fit", set_id, offer=hand.code))
    await hand.lease()
    await asyncio.sleep(0.3)
    await hand.say(*hand.beat())
    wrong = await hand.say(*hand.beat(chip="CUDAExecutionProvider"))
    assert wrong.status_code == 409
    assert "another chip" in wrong.json()["detail"]
    (attempt,) = (await job_of(customer, job))["attempts"]
    assert (attempt["state"], attempt["billable_s"]) == ("broken", 0)
    assert attempt["lost_s"] > 0
    assert await free(provider, "payable") == 0
    assert await free(provider, "bond") < 1, "what was lost falls on its bond"
    offer = next(each for each in (await provider.http.get("/api/v1/compute/offers?own=true")).json() if each["breaks"])
    assert offer["failures_per_hour"] > 0
    assert faults(owner_dsn) == []


async def test_what_is_cancelled_ends_at_the_next_beat_and_what_waits_at_once(at_work: AtWork, owner_dsn: str) -> None:
    customer, provider, hand, set_id = at_work
    job = await submitted(customer, wanted("fit", set_id, offer=hand.code))
    assert (await provider.http.post(f"/api/v1/compute/jobs/{job}/cancellation")).status_code == 404
    assert (await customer.http.post(f"/api/v1/compute/jobs/{job}/cancellation")).json()["state"] == "cancelled"
    assert await free(customer, "cash") == 50
    (fit,) = (await customer.http.get(f"/api/v1/training/sets/{set_id}/fits")).json()
    assert fit["state"] == "cancelled"

    job = await submitted(customer, wanted("fit", set_id, offer=hand.code))
    fits = (await customer.http.get(f"/api/v1/training/sets/{set_id}/fits")).json()
    assert (await customer.http.post(f"/api/v1/training/fits/{fits[0]['id']}/cancel")).status_code == 409
    await hand.lease()
    await customer.http.post(f"/api/v1/compute/jobs/{job}/cancellation")
    assert (await hand.say(*hand.beat())).json()["stop"] == "cancelled"
    assert (await hand.end("stopped")).json()["state"] == "cancelled"
    assert (await customer.http.post(f"/api/v1/compute/jobs/{job}/cancellation")).status_code == 409
    assert faults(owner_dsn) == []


async def test_where_the_money_is_used_up_the_job_stops(at_work: AtWork, owner_dsn: str) -> None:
    customer, _, hand, set_id = at_work
    refused = await customer.http.post("/api/v1/compute/jobs", json=wanted("fit", set_id, offer=hand.code, budget=0.01))
    assert "more than the budget" in refused.json()["detail"]
    job = await submitted(customer, wanted("fit", set_id, offer=hand.code, budget=40))
    cap = (await job_of(customer, job))["job"]["cap"]
    assert await free(customer, "cash") == pytest.approx(50 - cap)
    poor = await customer.http.post("/api/v1/compute/jobs", json=wanted("fit", set_id, offer=hand.code, budget=40))
    assert poor.status_code in (409, 422)
    assert await free(customer, "cash") == pytest.approx(50 - cap)
    await hand.lease()
    assert (await hand.say(*hand.beat())).json()["stop"] == ""
    await hand.end("stopped")
    done = await ended(customer, job)
    assert done["job"]["reason_en"] == "the reserved money was used up"
    assert faults(owner_dsn) == []


async def test_a_months_budget_is_kept_and_most_of_it_spent_is_told(at_work: AtWork, owner_dsn: str) -> None:
    customer, _, hand, set_id = at_work
    body = wanted("fit", set_id, offer=hand.code, budget=40)
    assert (await customer.http.put("/api/v1/billing/budget", json={"monthly": 30})).status_code == 204
    refused = await customer.http.post("/api/v1/compute/jobs", json=body)
    assert "The month's budget of 30.00 yuan has 30.00 left" in refused.json()["detail"]
    assert await free(customer, "cash") == 50
    job = await submitted(customer, body | {"budget": 29})
    both = await customer.http.post("/api/v1/compute/jobs", json=body | {"budget": 29})
    assert both.status_code in (409, 422)
    await hand.lease()
    await asyncio.sleep(0.3)
    await hand.say(*hand.beat())
    await customer.http.put("/api/v1/billing/budget", json={"monthly": 0.001})  # a tenth of a second
    assert (await hand.end("failed", reason_en="dark")).is_success
    with psycopg.connect(owner_dsn) as connection:
        told = connection.execute(
            "SELECT warned FROM computing_budget WHERE tenant_id = %s", [customer.scope.tenant_id]
        ).fetchone()
    assert told is not None
    assert told[0], "people have been told"
    spent = (await customer.http.get("/api/v1/billing/wallet")).json()["spent"]
    assert spent == pytest.approx((await job_of(customer, job))["job"]["cost"])
    assert (await customer.http.put("/api/v1/billing/budget", json={"monthly": None})).status_code == 204
    assert (await customer.http.get("/api/v1/billing/wallet")).json()["budget"] is None
    assert faults(owner_dsn) == []


async def test_a_silent_worker_loses_its_job_and_what_it_says_later_changes_nothing(
    at_work: AtWork, owner_dsn: str
) -> None:
    customer, provider, hand, set_id = at_work
    job = await submitted(customer, wanted("fit", set_id, offer=hand.code))
    await hand.lease()
    await hand.say(*hand.beat())
    _, token = await offered(provider, prices=[{"from_hour": 0, "yuan_per_hour": 1}])
    other = Hand(provider, token)
    await other.greet()
    while (await other.lease(20))["job_id"] != job:  # one that another customer was waiting for
        await other.end("broken")
    assert (await hand.say(*hand.beat())).status_code == 409
    assert (await hand.end("done")).status_code in (200, 409)
    assert (await job_of(customer, job))["job"]["state"] == "running"
    assert (await other.end("broken")).status_code == 200
    assert faults(owner_dsn) == []


async def test_terms_that_change_leave_placed_and_quoted_jobs_alone(at_work: AtWork, owner_dsn: str) -> None:
    customer, provider, hand, set_id = at_work
    (offer,) = (await provider.http.get("/api/v1/compute/offers?own=true")).json()
    path = f"/api/v1/compute/offers/{offer['id']}"
    dear = {"prices": [{"from_hour": 0, "yuan_per_hour": 3600}]}
    order = wanted("fit", set_id, offer=hand.code)

    async def cost() -> tuple[float, int]:
        plans = (await customer.http.post("/api/v1/compute/quotes", json=order)).json()["plans"]
        plan = next(each for each in plans if each["code"] == hand.code)
        return plan["cost"] / plan["run_s"], plan["version"]

    assert await cost() == (pytest.approx(0.1), 1)
    running = await submitted(customer, order)
    await hand.lease()
    changed = (await provider.http.patch(path, json=dear)).json()
    assert (changed["version"], changed["price_now"], changed["paused"]) == (2, 3600, False)
    assert (await customer.http.patch(path, json=dear)).status_code == 404, "another company's"
    assert (await provider.http.patch(path, json={"region": "CN-ZJ"})).status_code == 422, "it is another offer then"
    assert (await provider.http.patch(path, json=dear)).json()["version"] == 2, "nothing is otherwise"
    await asyncio.sleep(0.3)
    assert (await hand.say(*hand.beat())).is_success
    told = (await hand.end("failed", reason_en="-", reason_zh="-")).json()
    (row,) = (await job_of(customer, running))["charges"]
    assert row["price"] == 360, "what was placed keeps its price"
    assert row["cost"] == pytest.approx(told["billable_s"] * 0.1, abs=1e-6)

    assert await cost() == (pytest.approx(1.0), 2)
    quoted = await submitted(customer, order | {"offer_version": 1, "budget": 30})
    await hand.lease()
    assert (await hand.end("failed", reason_en="-", reason_zh="-")).is_success
    receipt = json.loads(
        json.loads((await customer.http.get(f"/api/v1/compute/jobs/{quoted}/receipt")).text)["receipt"]
    )
    assert receipt["attempts"][0]["terms"]["prices"] == offer["terms"]["prices"], "what was quoted holds a while"
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("UPDATE compute_offer_version SET replaced_at = now() - interval '1 hour'")
    late = await customer.http.post("/api/v1/compute/jobs", json=order | {"offer_version": 1})
    assert late.status_code == 409
    assert "ask for a new quote" in late.json()["detail"]
    (await provider.http.patch(path, json={"paused": True})).raise_for_status()
    paused = await customer.http.post("/api/v1/compute/jobs", json=order)
    assert "it takes no new jobs now" in paused.json()["detail"]
    log = (await provider.http.get("/api/v1/audit")).json()["items"]
    assert [each["detail"]["after"]["version"] for each in log if each["act"] == "offer.change"] == [2, 2]
    assert faults(owner_dsn) == []
