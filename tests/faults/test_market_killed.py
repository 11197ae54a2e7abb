"""The market's control process killed at random moments while jobs are asked for, run, metered and billed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from cloud.compute.receipt import verify
from deploy.demo.processes import BIN, free_port
from tests.cloud.compute.site import working
from tests.cloud.sharing.pair import new_credit_code
from tests.cloud.training.pictures import part, png

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("SUNMAO_KILLS", "6"))
PASSWORD = "a long password"
MOST_OPEN = 3


class Cloud:
    """`sunmao-cloud serve` that is killed and started again."""

    def __init__(self, data: Path) -> None:
        self._data, self.port = data, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[str] | None = None

    def run(self, *words: str, stdin: str = "", status: int = 0) -> str:
        done = subprocess.run(
            [BIN / "sunmao-cloud", *words, "--data", self._data, "--json"],
            input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        command = [BIN / "sunmao-cloud", "serve", "--data", self._data, "--port", str(self.port), "--json"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        assert self._process.stdout.readline(), "serve ended"

    def end(self, how: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(how)
        self._process.wait(20)
        assert self._process.stdout
        self._process.stdout.close()

    def stop(self) -> None:
        self.end(signal.SIGINT)

    def company(self, name: str) -> tuple[httpx.Client, str]:
        """Found a company; return its client and credit code."""
        code = new_credit_code()
        self.run("tenant", "create", "--name", name, "--credit-code", code)
        self.run(
            "user", "create", "--email", f"{name}@example.com", "--tenant", name, "--password-stdin", stdin=PASSWORD
        )
        client = httpx.Client(base_url=f"{self.url}/api/v1", timeout=10)
        client.post("/sessions", json={"email": f"{name}@example.com", "password": PASSWORD}).raise_for_status()
        return client, code


def persisted(ask: Callable[[], httpx.Response]) -> Any:
    """Return the answer to what is asked until there is one."""
    until = time.monotonic() + 60
    while True:
        try:
            answer = ask()
            if answer.status_code < 500:
                return answer.raise_for_status().json()
        except httpx.TransportError:
            pass
        assert time.monotonic() < until
        time.sleep(0.1)


def market(cloud: Cloud) -> tuple[httpx.Client, httpx.Client, str]:
    """Return customer and provider of a market, and the token of an offer."""
    operator, _ = cloud.company("operator")
    provider, _ = cloud.company("provider")
    customer, code = cloud.company("customer")
    cloud.run("compute", "operator", "operator", "--fee", "5")
    money = {"credit_code": code, "amount": 100, "reference": "slip"}
    operator.post("/billing/deposits", json=money).raise_for_status()
    operator.close()
    terms = {"region": "CN-JS", "prices": [{"from_hour": 0, "yuan_per_hour": 36}]}
    return customer, provider, provider.post("/compute/offers", json=terms).raise_for_status().json()["token"]


def asked(customer: httpx.Client, **more: Any) -> dict[str, Any]:
    """Ask for a job; where the answer is lost it is asked for again, and there may be two."""
    deadline = (datetime.now(UTC) + timedelta(hours=5)).isoformat()
    body = {"budget": 1, "deadline": deadline, **more}
    return dict(persisted(lambda: customer.post("/compute/jobs", json=body)))


def every_job(customer: httpx.Client) -> list[str]:
    """Return all jobs, newest first."""
    found: list[str] = []
    while (
        page := customer.get("/compute/jobs", params={"before": found[-1]} if found else {}).raise_for_status().json()
    ):
        found += [each["id"] for each in page]
    return found


def _open(customer: httpx.Client) -> int:
    """Return how many of the last jobs wait or run."""
    jobs = persisted(lambda: customer.get("/compute/jobs"))
    return sum(each["state"] in ("queued", "running") for each in jobs)


def ended(customer: httpx.Client, job: str) -> dict[str, Any]:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = persisted(lambda: customer.get(f"/compute/jobs/{job}"))
        if found["job"]["state"] not in ("queued", "running"):
            return dict(found)
        time.sleep(0.2)
    raise TimeoutError(job)


@pytest.mark.timeout(120 + 12 * KILLS)
def test_no_job_is_lost_and_none_billed_twice(record_property: Callable[[str, object], None]) -> None:
    """the market's control process is killed at random moments while jobs run"""
    dice = random.Random(11)
    with TemporaryDirectory(prefix="sunmao-test-") as name:
        cloud = Cloud(Path(name) / "data")
        cloud.start()
        customer, provider, token = market(cloud)
        made = customer.post("/training/sets", json={"name": "cap"}).raise_for_status().json()
        for number in range(28):
            query = {"set_id": made["id"], "part": part(number)}
            customer.post("/training/pictures", params=query, content=png(number)).raise_for_status()
        with working(cloud.url, token, Path(name) / "worker"):
            assert ended(customer, asked(customer, kind="fit", set_id=made["id"])["id"])["job"]["state"] == "done"
            (version,) = customer.get(f"/training/sets/{made['id']}/versions").json()
            wanted = {"kind": "inspect", "set_id": made["id"], "version_id": version["id"]}
            accepted, over = set[str](), threading.Event()

            def keep_asking() -> None:
                while not over.is_set():
                    accepted.add(asked(customer, **wanted)["id"])
                    while _open(customer) >= MOST_OPEN and not over.is_set():
                        over.wait(0.1)

            asking = threading.Thread(target=keep_asking)
            asking.start()
            for _ in range(KILLS):
                time.sleep(dice.uniform(0.05, 1.5))
                cloud.end(signal.SIGKILL)
                cloud.start()
            over.set()
            asking.join()
            found = {job: ended(customer, job) for job in every_job(customer)}
        assert accepted <= found.keys(), "a job that was accepted is lost"
        assert {each["job"]["state"] for each in found.values()} == {"done"}
        for job, each in found.items():
            assert verify(customer.get(f"/compute/jobs/{job}/receipt").text)[1] == []
            billed = sum(row["seconds"] for row in each["charges"] if row["category"] == "Usage")
            assert billed == pytest.approx(sum(one["billable_s"] for one in each["attempts"]), abs=0.01)
        wallet = customer.get("/billing/wallet").json()["accounts"]
        (cash,) = [each for each in wallet if each["kind"] == "cash"]
        assert cash["held"] == 0, "nothing is held for what has ended"
        charged = sum(each["job"]["cost"] for each in found.values())
        assert 100 - cash["there"] == pytest.approx(charged, abs=1e-6)
        customer.close()
        provider.close()
        cloud.stop()
        assert json.loads(cloud.run("compute", "verify-ledger")) == {"faults": []}
    record_property("figure", f"{KILLS} kills: 0 of {len(found)} jobs lost, 0 billed twice")
