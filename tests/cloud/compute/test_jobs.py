"""A job from the quote to the receipt, with real workers: fitted elsewhere, broken and resumed, stopped, refused, never paid twice."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloud.compute.receipt import verify
from cloud.core.db import Database
from models.task import RESULTS
from protocols.errors import ConfigError
from tests.cloud.billing.market import appoint, faults, free, paid_in, pool, voucher
from tests.cloud.compute.site import ended, job_of, large, offered, pictured, submitted, wanted, working
from tests.cloud.conftest import Cluster, Company, NewCompany

PICTURES = 40

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


@pytest.fixture
async def operator(new_company: NewCompany, owner_dsn: str) -> Company:
    company = await new_company()
    appoint(owner_dsn, company, 50_000)
    return company


async def receipt_of(company: Company, job: str) -> str:
    return (await company.http.get(f"/api/v1/compute/jobs/{job}/receipt")).raise_for_status().text


async def test_a_refit_runs_elsewhere_and_every_yuan_and_second_of_it_can_be_proven(
    new_company: NewCompany, operator: Company, db: Database, cloud_url: str, owner_dsn: str, tmp_path: Path
) -> None:
    provider, customer = await new_company(), await new_company()
    await paid_in(operator, customer, db, 50)
    await pool(operator, "wuhan", 1000)
    granted = await voucher(operator, customer, "wuhan", 20, applicant="one_person")
    assert granted["amount"] == 10
    offer, token = await offered(provider)
    set_id = await pictured(customer, "cap", 28, 4)
    body = wanted("fit", set_id)

    nobody = await customer.http.post("/api/v1/compute/jobs", json=body)
    assert nobody.status_code == 422
    assert offer["code"] in nobody.json()["detail"]
    assert "does not answer" in nobody.json()["detail"]
    assert await free(customer, "cash") == 50

    with working(cloud_url, token, tmp_path / "worker"):
        quote = (await customer.http.post("/api/v1/compute/quotes", json=body)).raise_for_status().json()
        (plan,) = quote["plans"]
        assert plan["subsidy"] == pytest.approx(plan["cost"] / 2)
        job = await submitted(customer, body)
        held = await free(customer, "cash")
        assert held < 50
        done = await ended(customer, job)
        noted = tmp_path / "worker" / "meter.jsonl"
        async with asyncio.timeout(20):  # the worker notes its last beat once that is answered
            while len(noted.read_bytes().splitlines()) < done["attempts"][0]["beats"]:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
    assert done["job"]["state"] == "done", done
    versions = (await customer.http.get(f"/api/v1/training/sets/{set_id}/versions")).json()
    assert [each["number"] for each in versions] == [1]
    assert versions[0]["after"]["found"]["value"] > 0.5
    (fit,) = (await customer.http.get(f"/api/v1/training/sets/{set_id}/fits")).json()
    assert (fit["state"], fit["rented"]) == ("done", True)

    usage = [row for row in done["charges"] if row["category"] == "Usage"]
    (credit,) = [row for row in done["charges"] if row["category"] == "Credit"]
    cost = round(sum(row["cost"] for row in usage), 6)
    assert 0 < cost == pytest.approx(done["job"]["cost"])
    assert credit["billed"] == pytest.approx(-cost / 2, abs=2e-6)
    assert await free(customer, "cash") == pytest.approx(50 - cost - credit["billed"], abs=1e-6)
    assert await free(customer, "voucher") == pytest.approx(10 + credit["billed"], abs=1e-6)
    assert await free(provider, "payable") == pytest.approx(cost * 0.95, abs=2e-6)
    assert faults(owner_dsn) == []

    text = await receipt_of(customer, job)
    assert text == await receipt_of(provider, job)
    key = (await customer.http.get("/api/v1/compute/key")).json()["public_key"]
    receipt, amiss = verify(text, key)
    assert amiss == []
    assert receipt["green"]["carbon_market_g"] == pytest.approx(receipt["green"]["carbon_location_g"] / 2, rel=1e-3)
    meter = noted.read_text().splitlines()
    assert len(meter) == receipt["attempts"][0]["beats"]
    assert json.loads(meter[-1])["hash"] == receipt["attempts"][0]["head"]

    focus = (await customer.http.get("/api/v1/billing/bill/focus", params={"month": done["job"]["ended_at"][:7]})).text
    assert focus.count("\r\n") == 1 + len(done["charges"])


def altered(text: str, *path: Any, value: Any) -> str:
    outer = json.loads(text)
    content = json.loads(outer["receipt"])
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(outer | {"receipt": json.dumps(content)})


def inspecting(process: subprocess.Popen[str]) -> psutil.Process | None:
    """Return the worker's child once it inspects."""
    for child in psutil.Process(process.pid).children():
        if "models.task_child" in child.cmdline() and (Path(child.cwd()) / RESULTS).exists():
            return child
    return None


@asynccontextmanager
async def held_up_after_a_checkpoint(process: subprocess.Popen[str]) -> AsyncIterator[None]:
    """Let the worker's child inspect some pictures, make them durable, and wait; at the end it is killed."""
    while True:
        if child := inspecting(process):
            break
        await asyncio.sleep(0.02)
    child.suspend()
    await asyncio.sleep(3.1)  # longer than between two checkpoints: the next picture makes one
    child.resume()
    await asyncio.sleep(0.3)
    child.suspend()
    try:
        yield
    finally:
        child.kill()


async def test_a_worker_is_killed_and_another_goes_on_from_the_checkpoint(
    new_company: NewCompany, operator: Company, db: Database, cloud_url: str, owner_dsn: str, tmp_path: Path
) -> None:
    provider, customer, other = await new_company(), await new_company(), await new_company()
    await paid_in(operator, customer, db, 50)
    await paid_in(operator, provider, db, 5, "bond")
    set_id, many = await pictured(customer, "cap", 28), await pictured(customer, "many", PICTURES, draw=large)
    offer, token = await offered(provider)
    with working(cloud_url, token, tmp_path / "first") as first:
        done = await ended(customer, await submitted(customer, wanted("fit", set_id)))
        assert done["job"]["state"] == "done", done
        (version,) = (await customer.http.get(f"/api/v1/training/sets/{set_id}/versions")).json()
        before = await free(customer, "cash")
        job = await submitted(customer, wanted("inspect", many, version_id=version["id"]))
        async with asyncio.timeout(60), held_up_after_a_checkpoint(first):
            while True:
                attempts = (await job_of(customer, job))["attempts"]
                if attempts and attempts[0]["saved"]:
                    break
                await asyncio.sleep(0.05)
            first.kill()
        spare, token = await offered(other)
        with working(cloud_url, token, tmp_path / "second"):
            done = await ended(customer, job)
    assert done["job"]["state"] == "done", done
    assert [each["state"] for each in done["attempts"]] == ["broken", "done"]
    assert [each["code"] for each in done["attempts"]] == [offer["code"], spare["code"]]
    broken, second = done["attempts"]
    assert 0 < broken["saved"] < PICTURES
    assert broken["billable_s"] > 0
    assert broken["billable_s"] + broken["lost_s"] == pytest.approx(broken["used_s"])
    results = (await customer.http.get(f"/api/v1/compute/jobs/{job}/outputs/results.jsonl")).text.splitlines()
    assert len({json.loads(line)["file"] for line in results}) == len(results) == PICTURES
    assert sum(done["job"]["result"]["inspected"].values()) == PICTURES

    charges = done["charges"]
    assert sum(row["seconds"] for row in charges if row["category"] == "Usage") == pytest.approx(
        broken["billable_s"] + second["billable_s"], abs=0.01
    )
    paid = before - await free(customer, "cash")
    assert paid == pytest.approx(sum(row["billed"] for row in charges), abs=1e-6)
    if broken["lost_s"]:
        (bond,) = [row for row in charges if row["category"] == "Adjustment"]
        assert await free(provider, "bond") == pytest.approx(5 + bond["billed"], abs=1e-6)
    assert faults(owner_dsn) == []

    text = await receipt_of(customer, job)
    assert verify(text)[1] == []
    for path, value in (
        (("money", "cost"), 1),
        (("attempts", 1, "billable_ms"), 10**9),
        (("attempts", 1, "head"), "00" * 32),
        (("attempts", 1, "chip_used"), "CUDAExecutionProvider"),
        (("charges", 0, "price"), 5),
        (("green", "energy_kwh"), 3.0),
        (("outputs", "results.jsonl"), "00" * 32),
    ):
        assert verify(altered(text, *path, value=value))[1], path
    with pytest.raises(ConfigError, match="not a receipt"):
        verify("{}")
