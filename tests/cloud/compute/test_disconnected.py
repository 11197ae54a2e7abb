"""A day without a link: what is presented in whatever order is charged once, and what ran elsewhere meanwhile is not charged twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloud.compute.metering import Beat, chained, public_text, signed, written
from cloud.core.db import Database
from tests.cloud.billing.market import appoint, faults, free, paid_in
from tests.cloud.compute.site import ended, job_of, large, offered, pictured, submitted, wanted, working
from tests.cloud.compute.test_worker_protocol import Hand
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.doubles.silent_link import silent_link

pytestmark = pytest.mark.timeout(400)

DAY_S = 86_400
YUAN_PER_HOUR = 0.36
Record = dict[str, str]


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


@pytest.fixture
async def operator(new_company: NewCompany, owner_dsn: str) -> Company:
    company = await new_company()
    appoint(owner_dsn, company)
    return company


class Alone(Hand):
    """A worker by hand that works on without a link, at a ten-thousandth of the reference speed: its jobs take days."""

    async def greet(self, provider: str = "CPUExecutionProvider") -> dict[str, Any]:
        body = {"public_key": public_text(self.key), "provider": provider, "speed": 0.0001}
        welcome = dict((await self.ask("hello", json=body)).raise_for_status().json())
        self.code = welcome["code"]
        return welcome

    def works(self, until_s: int, beats: int) -> list[Record]:
        """Return the beats of working on up to `until_s` after the begin, each signed on the one before."""
        made = []
        for place in range(1, beats + 1):
            used = until_s * 1000 * place // beats
            said = {"job": self.place["job_id"], "attempt": self.place["attempt"], "seq": self.seq + 1, "used_ms": used}
            text = written(Beat(**said, cpu_ms=used, chip="CPUExecutionProvider", stage="learn", done=0, total=0))
            self.head, self.seq = chained(self.head, text), self.seq + 1
            made.append({"body": text, "signature": signed(self.key, self.head)})
        return made

    async def present(self, records: list[Record]) -> dict[str, Any]:
        answer = await self.ask("records", params=self.place, json={"records": records})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def passes(owner_dsn: str, job: str, seconds: int) -> None:
    """Let time pass for a job: all its clocks are set back."""
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        for table in ("compute_attempt", "compute_job"):
            connection.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        connection.execute(
            "UPDATE compute_attempt SET started_at = started_at - make_interval(secs => %(s)s),"
            " leased_until = leased_until - make_interval(secs => %(s)s) WHERE job_id = %(job)s AND state = 'running'",
            {"job": job, "s": seconds},
        )
        connection.execute(
            "UPDATE compute_job SET deadline = deadline - make_interval(secs => %s) WHERE id = %s", [seconds, job]
        )
        for table in ("compute_attempt", "compute_job"):
            connection.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


async def until(company: Company, job: str, met: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until a job is so."""
    async with asyncio.timeout(60):
        while True:
            if met(await job_of(company, job)):
                return
            await asyncio.sleep(0.05)


async def presented(dice: random.Random, hand: Alone, records: list[Record]) -> dict[str, Any]:
    """Present the records in slices in any order, some of them twice; return the last answer."""
    cuts = sorted(dice.sample(range(1, len(records)), dice.randint(1, 4)))
    slices = [records[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(records)], strict=True)]
    slices += dice.sample(slices, 2)
    dice.shuffle(slices)
    answer: dict[str, Any] = {}
    for each in slices:
        mixed = dice.sample(each, len(each))
        answer = await hand.present(mixed)
    return answer


@pytest.mark.parametrize("way", ["within", "run_out", "cancelled"])
async def test_in_whatever_order_a_day_is_presented_both_sides_come_to_the_same(
    new_company: NewCompany, operator: Company, db: Database, owner_dsn: str, way: str
) -> None:
    provider, customer = await new_company(), await new_company()
    await paid_in(operator, customer, db, 400)
    set_id = await pictured(customer, "cap", 28)
    prices = {"prices": [{"from_hour": 0, "yuan_per_hour": YUAN_PER_HOUR}]}
    outcomes = set()
    for seed in range(3):
        dice = random.Random(seed)
        await paid_in(operator, provider, db, 20, "bond")
        before = await free(customer, "cash"), await free(provider, "payable"), await free(provider, "bond")
        hand = Alone(provider, (await offered(provider, **prices))[1])
        await hand.greet()
        order = wanted("fit", set_id, hours=200, offer=hand.code, offline_h=24)
        job = await submitted(customer, order)
        lease = await hand.lease()
        assert (lease["offline_s"], lease["most_ms"] > DAY_S * 1000) == (DAY_S, True)
        assert (await hand.say(*hand.beat())).status_code == 200
        records = hand.works(DAY_S - 600, 60)
        passes(owner_dsn, job, DAY_S - 300)
        await asyncio.sleep(1.5)
        assert (await job_of(customer, job))["job"]["state"] == "running", "nobody else has it meanwhile"
        other = Alone(provider, (await offered(provider, **prices))[1])
        if way == "within":
            answer = await presented(dice, hand, records)
            assert (answer["over"], answer["waiting"], answer["ack"]["seq"]) == (False, 0, 61)
        else:
            if way == "run_out":
                half = records[: dice.randrange(1, 40)]
                await hand.present(dice.sample(half, len(half)))
                await other.greet()
                passes(owner_dsn, job, DAY_S + 60)
            else:
                await customer.http.post(f"/api/v1/compute/jobs/{job}/cancellation")
                passes(owner_dsn, job, 30)
            await until(customer, job, lambda found: found["attempts"][0]["state"] != "running")
            settled = await free(customer, "cash")
            answer = await presented(dice, hand, records)
            assert answer["over"]
            assert await free(customer, "cash") == settled, "what comes too late changes nothing"
        if way == "run_out":
            assert (await other.lease(20))["job_id"] == job
            await other.say(*other.beat())
            worker = other
        else:
            worker = hand
        if way != "cancelled":
            assert (await worker.end("failed", reason_en="dark")).status_code == 200
            assert (await hand.present(records[:3]))["over"]
        found = await ended(customer, job)
        assert faults(owner_dsn) == []
        usage = [row for row in found["charges"] if row["category"] == "Usage"]
        used = sum(each["billable_s"] for each in found["attempts"])
        assert sum(row["seconds"] for row in usage) == pytest.approx(used)
        after = await free(customer, "cash"), await free(provider, "payable"), await free(provider, "bond")
        paid, earned, lost = (round(now - then, 6) for now, then in zip(after, before, strict=True))
        assert paid == pytest.approx(-earned - lost, abs=2e-6), "what one pays the other gets"
        if way == "within":
            assert used == pytest.approx(DAY_S - 600)
            assert paid == pytest.approx(-(DAY_S - 600) / 3600 * YUAN_PER_HOUR)
        outcomes.add((way, earned if way != "run_out" else 0.0, len(found["attempts"])))
        for offer in (hand, other):
            offers = (await provider.http.get("/api/v1/compute/offers?own=true")).json()
            identity = next((each["id"] for each in offers if each["code"] == offer.code), None)
            if identity:
                await provider.http.delete(f"/api/v1/compute/offers/{identity}")
    assert len(outcomes) == 1, outcomes


async def test_records_that_are_wrong_count_nothing_and_stop_nothing(
    new_company: NewCompany, operator: Company, db: Database, owner_dsn: str
) -> None:
    provider, customer = await new_company(), await new_company()
    await paid_in(operator, customer, db, 50)
    hand = Alone(provider, (await offered(provider, prices=[{"from_hour": 0, "yuan_per_hour": YUAN_PER_HOUR}]))[1])
    await hand.greet()
    job = await submitted(
        customer, wanted("fit", await pictured(customer, "cap", 28), hours=200, offer=hand.code, offline_h=24)
    )
    await hand.lease()
    first = hand.works(1800, 3)
    passes(owner_dsn, job, 3600)
    forged = [{"body": each["body"], "signature": signed(Hand(provider, "x").key, b"-")} for each in first]
    assert (await hand.present(forged[:1]))["ack"] is None
    assert (await hand.present(forged[1:2]))["waiting"] == 1
    found = await hand.present(first)
    assert found["ack"]["seq"] == 1, "the forged one in its place is dropped, the next presentation brings the true one"
    assert (await hand.present(first))["ack"]["seq"] == 3
    ahead = hand.works(7200, 1)  # an hour has passed
    assert (await hand.present(ahead))["ack"]["seq"] == 3
    answer = await hand.ask("records", params=hand.place, json={"records": [{"body": "{}", "signature": ""}]})
    assert answer.status_code == 422
    stranger = Alone(provider, (await offered(provider))[1])
    await stranger.greet()
    stranger.place = hand.place
    answer = await stranger.ask("records", params=hand.place, json={"records": first})
    assert answer.status_code == 404
    told = (await hand.end("failed", reason_en="dark")).json()
    assert told["billable_s"] == 1800


async def test_a_real_worker_works_on_while_its_link_is_dead_and_all_of_it_counts_once(
    new_company: NewCompany, operator: Company, db: Database, cloud_url: str, owner_dsn: str, tmp_path: Path
) -> None:
    provider, customer = await new_company(), await new_company()
    await paid_in(operator, customer, db, 50)
    set_id, many = await pictured(customer, "cap", 28), await pictured(customer, "many", 44, draw=large)
    offer, token = await offered(provider)
    async with silent_link(cloud_url) as link:
        with ExitStack() as stack:  # it greets through the link, which this thread has to keep
            await asyncio.to_thread(stack.enter_context, working(link.url, token, tmp_path / "worker"))
            done = await ended(customer, await submitted(customer, wanted("fit", set_id, offer=offer["code"])))
            assert done["job"]["state"] == "done", done
            (version,) = (await customer.http.get(f"/api/v1/training/sets/{set_id}/versions")).json()
            order = wanted("inspect", many, version_id=version["id"], offer=offer["code"], offline_h=1)
            job = await submitted(customer, order)
            await until(customer, job, lambda found: found["job"]["done"] >= 3)
            link.cut()
            before = (await job_of(customer, job))["attempts"][0]
            spool = tmp_path / "worker" / "spool" / f"{job}.1.jsonl"
            kept = len(spool.read_bytes().splitlines())
            await asyncio.sleep(20)  # more than two leases
            assert (await job_of(customer, job))["attempts"][0]["beats"] == before["beats"]
            assert len(spool.read_bytes().splitlines()) > kept, "it goes on, and keeps what it says"
            link.heal()
            done = await ended(customer, job)
    assert done["job"]["state"] == "done", done
    (attempt,) = done["attempts"]
    assert attempt["used_s"] == attempt["billable_s"] > before["used_s"]
    usage = sum(row["seconds"] for row in done["charges"] if row["category"] == "Usage")
    assert usage == pytest.approx(attempt["billable_s"])
    assert not spool.exists()
    assert faults(owner_dsn) == []
