"""Programs of one's own on rented machines: trusted or refused, gone on with after a loss, and billed as what they are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.compute.order_file import program_of, read_order
from cloud.core.db import Database
from models.archive_run import prove, run_archive
from models.signing import public_key
from models.task import ARCHIVE, INPUT, OUTPUT, PythonTask
from tests.cloud.billing.market import appoint, faults, paid_in
from tests.cloud.compute.site import ended, job_of, offered, submitted, working
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.models.programs import program

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


async def uploaded(company: Company, content: bytes) -> str:
    answer = await company.http.post("/api/v1/compute/uploads", content=content)
    assert answer.status_code == 201, answer.text
    assert answer.json() == {"digest": sha256(content).hexdigest(), "size": len(content)}
    return str(answer.json()["digest"])


async def reason(company: Company, body: dict[str, Any]) -> str:
    refused = await company.http.post("/api/v1/compute/jobs", json=body)
    assert refused.status_code == 422, refused.text
    return str(refused.json()["detail"])


async def test_a_program_is_rented(
    new_company: NewCompany, db: Database, cloud_url: str, owner_dsn: str, tmp_path: Path
) -> None:
    if why := prove():
        pytest.skip(f"no walls can be built here: {why}")
    operator, provider, customer = await new_company(), await new_company(), await new_company()
    appoint(owner_dsn, operator)
    await paid_in(operator, customer, db, 50)
    key = Ed25519PrivateKey.generate()
    (tmp_path / "sums.zip").write_bytes(program(tmp_path / "program", key))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some input")
    deadline = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    (tmp_path / "task.toml").write_text(
        f"""
        kind = "python"
        limits = {{ deadline = {deadline}, budget = 20 }}
        [python]
        archive = "sums.zip"
        inputs = "in"
        entry = "entry:main"
        work_s = 5
        parameters = {{ count = 12, pause_s = 0.3 }}
        """
    )
    task = read_order(tmp_path / "task.toml")
    assert task.python
    files = program_of(tmp_path / "task.toml", task.python)
    order = task.body(files={name: sha256(content).hexdigest() for name, content in files.items()})
    assert "has not been uploaded" in await reason(customer, order)
    for content in files.values():
        await uploaded(customer, content)
    stranger = await new_company()
    assert (await stranger.http.get("/api/v1/compute/uploads")).json() == []
    assert "has not been uploaded" in await reason(stranger, order)
    assert "Enter the public key of who signs it" in await reason(customer, order)
    trust = {"public_key": public_key(key), "name": "ours"}
    (await customer.http.post("/api/v1/models/keys", json=trust)).raise_for_status()
    assert "no nothing.py in the archive" in await reason(
        customer, order | {"python": order["python"] | {"entry": "nothing:main"}}
    )

    offer, token = await offered(provider)
    hello = {"public_key": "A" * 43 + "=", "provider": "CPUExecutionProvider", "speed": 1}
    bearer = {"Authorization": f"Bearer {token}"}
    (await customer.http.post("/api/v1/compute/worker/hello", json=hello, headers=bearer)).raise_for_status()
    assert "wall foreign code off" in await reason(customer, order), "nobody has proven that there are walls"
    folder = tmp_path / "worker"
    with working(cloud_url, token, folder):
        asks = order | {"python": order["python"] | {"network": True}}
        assert "it gives foreign code no network" in await reason(customer, asks)
        job = await submitted(customer, order)
        async with asyncio.timeout(60):
            while True:
                if any(each["saved"] for each in (await job_of(customer, job))["attempts"]):
                    break
                await asyncio.sleep(0.05)
    with working(cloud_url, token, folder):  # the one before was killed; it goes on from the checkpoint
        done = await ended(customer, job)
        assert done["job"]["state"] == "done", done
        assert done["job"]["result"] == {"ran": {"steps": 12, "mean": 5.5}}
        *others, last = [each["state"] for each in done["attempts"]]
        assert ({*others}, last) == ({"broken"}, "done"), "a busy machine may break one more"
        lines = (await customer.http.get(f"/api/v1/compute/jobs/{job}/log")).json()
        starts = [each["line"] for each in lines if each["line"].startswith("from step")]
        assert starts[-1] != "from step 0"
        parameters = {"secret": str(folder / "worker.key")}
        hostile = order | {"python": order["python"] | {"entry": "hostile:read", "parameters": parameters}}
        stopped = await ended(customer, await submitted(customer, hostile))
        assert stopped["job"]["state"] == "failed"
        assert "hostile.py, line 9: FileNotFoundError" in stopped["job"]["reason_en"]
        assert sum(each["cost"] for each in stopped["charges"]) > 0, "its time is billed as anybody's"
        assert len(stopped["attempts"]) == 1
    here = tmp_path / "here"
    here.mkdir()
    (here / ARCHIVE).write_bytes(files[""])
    (here / f"{INPUT}a.txt").write_bytes(files["a.txt"])
    run_archive(PythonTask("entry:main", public_key(key), ["a.txt"], {"count": 12}), here, lambda _: None)
    assert done["outputs"] == ["sums.txt"]
    found = await customer.http.get(f"/api/v1/compute/jobs/{job}/outputs/sums.txt")
    assert found.content == (here / f"{OUTPUT}sums.txt").read_bytes()
    assert faults(owner_dsn) == []
    assert offer["code"] in {each["code"] for each in done["attempts"]}
