"""A job is watched while it runs: its log and what it uses are there, what is amiss is told once, its owner's rule ends it, quotas hold."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloud.core.db import Database
from deploy.demo.processes import BIN
from tests.cloud.billing.market import appoint, faults, paid_in
from tests.cloud.compute.site import ended, job_of, offered, submitted, wanted, working
from tests.cloud.compute.test_worker_protocol import AtWork, Hand, at_work
from tests.cloud.conftest import Cluster, Company, NewCompany

__all__ = ["at_work"]

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


async def told(owner_dsn: str, company: Company) -> list[str]:
    """Return which kinds of notices have been put out for the company's jobs."""
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("ALTER TABLE notify_outbox NO FORCE ROW LEVEL SECURITY")
        rows = connection.execute(
            "SELECT notice->'data'->>'kind' FROM notify_outbox WHERE tenant_id = %s", [company.scope.tenant_id]
        ).fetchall()
        connection.rollback()
    return [row[0] for row in rows]


async def hook(company: Company) -> None:
    """Give the company a channel, so that notices are kept."""
    body = {"kind": "email", "name": "people", "recipients": [company.email]}
    (await company.http.post("/api/v1/notify/channels", json=body)).raise_for_status()


async def amiss(company: Company, job: str, count: int) -> list[dict[str, Any]]:
    """Wait until so much has been found amiss with a job, and return it."""
    async with asyncio.timeout(30):
        while True:
            if len(found := (await job_of(company, job))["findings"]) >= count:
                return list(found)
            await asyncio.sleep(0.1)


async def report(hand: Hand, first: int, lines: list[str], **more: Any) -> int:
    answer = await hand.ask("report", params=hand.place, json={"first": first, "lines": lines, **more})
    return answer.status_code


async def test_what_a_real_job_writes_and_uses_can_be_read_while_it_runs_and_after(
    at_work: AtWork, new_company: NewCompany, cloud_url: str, tmp_path: Path
) -> None:
    customer, provider, _, set_id = at_work
    offer, token = await offered(provider)
    with working(cloud_url, token, tmp_path / "worker"):
        job = await submitted(customer, wanted("fit", set_id, offer=offer["code"]))
        named = {"name": "reader", "scopes": ["read"]}
        made = (await customer.http.post("/api/v1/tokens", json=named)).raise_for_status().json()
        (tmp_path / "reader").write_text(made["token"])
        command = [BIN / "sunmao-cloud", "compute", "logs", job, "--url", cloud_url, "--follow"]
        following = await asyncio.create_subprocess_exec(
            *command, "--token-file", tmp_path / "reader", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        done = await ended(customer, job)
        said, _ = await asyncio.wait_for(following.communicate(), 60)
    assert done["job"]["state"] == "done", done
    assert following.returncode == 0
    lines = (await customer.http.get(f"/api/v1/compute/jobs/{job}/log")).json()
    assert said.decode().splitlines() == [each["line"] for each in lines]
    assert any("CPUExecutionProvider" in each["line"] for each in lines)
    assert any(each["line"].startswith("judge") for each in lines), "the last lines, too"
    use = (await customer.http.get(f"/api/v1/compute/jobs/{job}/use")).json()
    assert use
    assert max(each["cores"] for each in use) > 0
    assert done["findings"] == []
    stranger = await new_company()
    for path in ("log", "use"):
        assert (await stranger.http.get(f"/api/v1/compute/jobs/{job}/{path}")).status_code == 404


async def test_lines_are_kept_once_clean_and_the_last_ones(at_work: AtWork) -> None:
    customer, _, hand, set_id = at_work
    job = await submitted(customer, wanted("fit", set_id, offer=hand.code))
    await hand.lease()
    assert await report(hand, 1, ["\x1b[1mone\x1b[0m", "password=hunter2", "y" * 900]) == 204
    assert await report(hand, 2, ["two", "three", "four"]) == 204
    assert await report(hand, 1, ["x"] * 201) == 422
    lines = (await customer.http.get(f"/api/v1/compute/jobs/{job}/log")).json()
    assert [each["line"] for each in lines] == ["one", "***", "y" * 500, "four"]
    rest = await customer.http.get(f"/api/v1/compute/jobs/{job}/log", params={"after": lines[1]["id"]})
    assert len(rest.json()) == 2
    for place in range(11):
        assert await report(hand, 100 + 200 * place, [f"line {place}-{number}" for number in range(200)]) == 204
    kept = (await customer.http.get(f"/api/v1/compute/jobs/{job}/log")).json()
    assert len(kept) == 1000
    assert kept[-1]["line"] == "line 10-199"
    await hand.end("broken")
    assert await report(hand, 9000, ["too late"]) == 409


async def test_an_idle_job_is_told_once_and_ended_where_its_owner_says_so(at_work: AtWork, owner_dsn: str) -> None:
    customer, _, hand, set_id = at_work
    await hook(customer)
    body = wanted("fit", set_id, offer=hand.code, budget=40)
    job = await submitted(customer, body | {"stop_idle_s": 300})
    await hand.lease()
    for minutes in range(1, 7):
        with psycopg.connect(owner_dsn, autocommit=True) as connection:  # a minute later
            connection.execute("ALTER TABLE compute_attempt NO FORCE ROW LEVEL SECURITY")
            connection.execute(
                "UPDATE compute_attempt SET started_at = started_at - interval '1 minute' WHERE job_id = %s", [job]
            )
            connection.execute("ALTER TABLE compute_attempt FORCE ROW LEVEL SECURITY")
        hand.began -= 60
        ack = (await hand.say(*hand.beat())).json()
        assert await report(hand, minutes, [], accelerator=2) == 204
        found = await job_of(customer, job)
        assert bool(found["findings"]) == (minutes > 2), minutes
        assert found["job"]["cancelling"] == (minutes > 5)
    (finding,) = found["findings"]
    assert (finding["kind"], finding["attempt"]) == ("idle", 1)
    assert "less than 10 % for 30" in finding["words_en"]
    assert (await told(owner_dsn, customer)).count("job.idle") == 1
    ack = (await hand.say(*hand.beat())).json()
    assert ack["stop"] in ("cancelled", "budget")
    await hand.end("stopped")
    assert faults(owner_dsn) == []


async def test_another_chip_and_a_long_wait_are_told(at_work: AtWork, owner_dsn: str) -> None:
    customer, _, hand, set_id = at_work
    await hook(customer)
    job = await submitted(customer, wanted("fit", set_id, offer=hand.code))
    await hand.lease()
    await hand.say(*hand.beat(chip="CUDAExecutionProvider"))
    assert [each["kind"] for each in await amiss(customer, job, 1)] == ["chip"]
    with psycopg.connect(owner_dsn, autocommit=True) as connection:  # an hour later, nobody has fetched it
        connection.execute("ALTER TABLE compute_job NO FORCE ROW LEVEL SECURITY")
        connection.execute(
            "UPDATE compute_job SET not_before = now() - interval '1 hour', placed_at = now() - interval '1 hour'"
            " WHERE id = %s",
            [job],
        )
        connection.execute("ALTER TABLE compute_job FORCE ROW LEVEL SECURITY")
    found = await amiss(customer, job, 2)
    assert (found[-1]["kind"], found[-1]["attempt"]) == ("queue", 0)
    assert "waited for 36" in found[-1]["words_en"]
    assert sorted(await told(owner_dsn, customer)) == ["job.chip", "job.queue"]


async def test_a_quota_is_seen_set_by_the_operator_and_kept(
    at_work: AtWork, new_company: NewCompany, db: Database, owner_dsn: str
) -> None:
    customer, _, hand, set_id = at_work
    operator = await new_company()
    appoint(owner_dsn, operator)
    code = await paid_in(operator, customer, db, 50)
    mine = (await customer.http.get("/api/v1/compute/quota")).json()
    assert mine == {"open_jobs": 50, "open_budget": None, "jobs": 0, "reserved": 0}
    body = {"credit_code": code, "open_jobs": 1, "open_budget": 30}
    assert (await customer.http.put("/api/v1/compute/quotas", json=body)).status_code == 404
    assert (await customer.http.get("/api/v1/compute/quotas")).status_code == 404
    nobody = await operator.http.put("/api/v1/compute/quotas", json=body | {"credit_code": "91350100M000100Y43"})
    assert nobody.status_code == 422
    assert (await operator.http.put("/api/v1/compute/quotas", json=body)).status_code == 204
    order = wanted("fit", set_id, offer=hand.code)
    dear = await customer.http.post("/api/v1/compute/jobs", json=order | {"budget": 31})
    assert "30.00 yuan reserved" in dear.json()["detail"]
    both = await asyncio.gather(*(customer.http.post("/api/v1/compute/jobs", json=order) for _ in range(4)))
    assert sorted(each.status_code for each in both) == [201, 409, 409, 409]
    (seen,) = [
        each for each in (await operator.http.get("/api/v1/compute/quotas")).json() if each["credit_code"] == code
    ]
    assert (seen["open_jobs"], seen["jobs"]) == (1, 1)
    assert seen["reserved"] == (await customer.http.get("/api/v1/compute/quota")).json()["reserved"] > 0


async def test_jobs_are_narrowed_by_how_they_stand_what_they_are_who_has_them_and_when(at_work: AtWork) -> None:
    customer, provider, hand, set_id = at_work
    first = await submitted(customer, wanted("fit", set_id, offer=hand.code))
    (await customer.http.post(f"/api/v1/compute/jobs/{first}/cancellation")).raise_for_status()
    second = await submitted(customer, wanted("fit", set_id, offer=hand.code))

    async def found(company: Company = customer, **asked: str) -> list[str]:
        answer = (await company.http.get("/api/v1/compute/jobs", params=asked)).raise_for_status()
        return [each["id"] for each in answer.json()]

    (job, _) = (await customer.http.get("/api/v1/compute/jobs")).json()
    assert await found(state="cancelled") == [first]
    assert await found(state="queued", kind="fit", partner=job["provider"]) == [second]
    assert await found(kind="python") == await found(partner="nobody") == await found(state="done") == []
    assert await found(start=job["submitted_at"]) == [second]
    assert await found(end=job["submitted_at"]) == [first]
    assert await found(provider, side="provider", partner=job["customer"], before=second) == [first]
    assert await found(provider, side="provider", partner=job["provider"]) == []
