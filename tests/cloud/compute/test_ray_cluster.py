"""A real Ray cluster of two nodes: the same findings as one process gives, whatever becomes of a node, and jobs of an offer."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud.core.db import Database
from models.task import RESULTS
from tests.cloud.billing.market import appoint, faults, paid_in
from tests.cloud.compute.cluster import Site, site
from tests.cloud.compute.site import ended, offered, pictured, submitted, wanted, working
from tests.cloud.compute.test_run_by_hand import run, task
from tests.cloud.conftest import Cluster, NewCompany
from tests.edge_agent.inspect.conftest import SignedBundle, small_bundle

__all__ = ["small_bundle"]

PICTURES = 96

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


@pytest.mark.parametrize("how", ["killed", "cut off"])
def test_a_node_is_lost_and_what_is_found_is_the_same(tmp_path: Path, small_bundle: SignedBundle, how: str) -> None:
    folder, alone = tmp_path / "task", tmp_path / "alone"
    task(folder, small_bundle, PICTURES, times=40)
    shutil.copytree(folder, alone)
    assert run(alone) == (0, "Done.\n")
    with site() as found:
        done = subprocess.Popen(found.command("run", folder, "--json"), stdout=subprocess.PIPE, text=True)
        while not found.other.at_work:
            assert done.poll() is None
            time.sleep(0.02)
        if how == "killed":
            found.other.kill()
        else:
            found.other.machine.cut()
        said, _ = done.communicate(timeout=100)
    assert json.loads(said)["done"], said
    assert (folder / RESULTS).read_bytes() == (alone / RESULTS).read_bytes()


@contextmanager
def worker(found: Site, url: str, token: str, folder: Path) -> Iterator[None]:
    """A worker of an offer on the site; its machine reaches the platform by a line of its own."""
    folder.mkdir()
    (folder / "token").write_text(token)
    line, port = found.folder / "line", url.rpartition(":")[2]
    outside = subprocess.Popen(["socat", f"UNIX-LISTEN:{line},fork", f"TCP:127.0.0.1:{port}"])
    inside = subprocess.Popen(
        found.head.machine.inside("socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork", f"UNIX-CONNECT:{line}")
    )
    words = ["work", "--url", url, "--token-file", folder / "token", "--folder", folder, "--json"]
    process = subprocess.Popen(found.command(*words), stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        greeting = json.loads(process.stdout.readline())
        assert greeting["proven"]
        assert greeting["contained"]
        yield
    finally:
        for each in (process, inside, outside):
            each.kill()
            each.wait()
        process.stdout.close()


async def test_one_job_gives_the_same_on_a_process_and_on_a_cluster(
    new_company: NewCompany, db: Database, cloud_url: str, owner_dsn: str, tmp_path: Path
) -> None:
    operator, customer = await new_company(), await new_company()
    appoint(owner_dsn, operator, 50_000)
    await paid_in(operator, customer, db, 50)
    set_id = await pictured(customer, "cap", 28, 6)
    texts, figures = [], []
    with site() as found:
        for where in ("process", "cluster"):
            offer, token = await offered(await new_company())
            folder = tmp_path / where
            here = worker(found, cloud_url, token, folder) if where == "cluster" else working(cloud_url, token, folder)
            with here:
                fitted = await ended(customer, await submitted(customer, wanted("fit", set_id)))
                assert fitted["job"]["state"] == "done", fitted
                version = (await customer.http.get(f"/api/v1/training/sets/{set_id}/versions")).json()[-1]
                job = await submitted(customer, wanted("inspect", set_id, version_id=version["id"]))
                done = await ended(customer, job)
            assert done["job"]["state"] == "done", done
            assert [each["code"] for each in done["attempts"]] == [offer["code"]]
            figures.append(version["after"])
            texts.append((await customer.http.get(f"/api/v1/compute/jobs/{job}/outputs/{RESULTS}")).text)
    assert texts[0].count("\n") == 34
    assert texts[0] == texts[1]
    assert figures[0] == figures[1]
    assert faults(owner_dsn) == []
