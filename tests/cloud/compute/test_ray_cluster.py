"""A real Ray cluster of two nodes: what one process gives, of every kind of job, whatever becomes of a node, and jobs of an offer."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.core.db import Database
from models.signing import public_key
from models.task import ARCHIVE, FOLD, INPUT, OUTPUT, RESULTS, STATE, FitTask, PythonTask, Shown
from tests.cloud.billing.market import appoint, faults, paid_in
from tests.cloud.compute.cluster import Site, site
from tests.cloud.compute.site import ended, offered, pictured, submitted, wanted, working
from tests.cloud.compute.test_kinds import Pump, plain, pump
from tests.cloud.compute.test_run_by_hand import run, task
from tests.cloud.conftest import Cluster, NewCompany
from tests.cloud.training.pictures import png
from tests.edge_agent.inspect.conftest import SignedBundle, small_bundle
from tests.models.programs import program

__all__ = ["pump", "small_bundle"]

PICTURES = 96

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    """One cluster for all of these: to start one takes as long as a test."""
    with site() as found:
        yield found


@pytest.fixture
def found(running: Site) -> Site:
    """The cluster with both its nodes."""
    running.restore()
    return running


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, small_bundle: SignedBundle) -> Path:
    """An inspection and what one process finds; large pictures, so that it takes a while."""
    folder = tmp_path_factory.mktemp("alone") / "task"
    task(folder, small_bundle, PICTURES, times=20)
    assert run(folder) == (0, "Done.\n")
    return folder


@pytest.mark.parametrize("how", ["killed", "cut off"])
def test_a_node_is_lost_and_what_is_found_is_the_same(found: Site, tmp_path: Path, alone: Path, how: str) -> None:
    folder = tmp_path / "task"
    shutil.copytree(alone, folder, ignore=shutil.ignore_patterns(RESULTS))
    (folder / RESULTS).touch()
    done = subprocess.Popen(found.command("run", folder, "--json"), stdout=subprocess.PIPE, text=True)
    while not found.other.at_work:
        assert done.poll() is None
        time.sleep(0.02)
    found.lose(how)
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
    found: Site, new_company: NewCompany, db: Database, cloud_url: str, owner_dsn: str, tmp_path: Path
) -> None:
    operator, customer = await new_company(), await new_company()
    appoint(owner_dsn, operator, 50_000)
    await paid_in(operator, customer, db, 50)
    set_id = await pictured(customer, "cap", 28, 6)
    texts, figures = [], []
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


def run_fold(folder: Path, fitting: FitTask, number: int) -> bool:
    """Do a part of a fit; whether something was found."""
    (folder / "task.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(fitting, fold=number)))
    assert run(folder) == (0, "Done.\n")
    return (folder / FOLD.format(number)).exists()


def test_all_kinds_are_the_same_on_a_cluster(
    found: Site, tmp_path: Path, pump: Pump, small_bundle: SignedBundle
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    key, programs = Ed25519PrivateKey.generate(), [tmp_path / "program-here", tmp_path / "program-there"]
    packed = program(tmp_path / "program", key)
    sums = PythonTask("entry:main", public_key(key), ["a.txt"], {"count": 3})
    for folder in programs:
        folder.mkdir()
        for name, content in ((ARCHIVE, packed), (f"{INPUT}a.txt", b"x"), ("task.json", msgspec.json.encode(sums))):
            (folder / name).write_bytes(content)
    assert run(programs[0]) == (0, "Done.\n")
    fits = [tmp_path / "fit-here", tmp_path / "fit-there"]
    learn = [Shown(f"{number}.png", f"part-{number}") for number in range(20)]
    for folder in fits:
        folder.mkdir()
        for number, shown in enumerate(learn):
            (folder / shown.file).write_bytes(png(number))
        fitting = FitTask({"name": "cap", "family": "compare", "planted": 40, "size": 128}, learn, learn[:2])
        (folder / "task.json").write_bytes(msgspec.json.encode(fitting))
    assert run(fits[0]) == (0, "Done.\n")
    assert run_fold(fits[0], fitting, 1), "what the cluster spreads can be done apart"
    for folder in (here, there):
        pump.order(folder)
    assert run(here) == (0, "Done.\n")
    pictures, figures = tmp_path / "pictures", []
    shown = task(pictures, small_bundle, 40)
    order = {"type": "evaluate", "good": [each for each in shown if each["file"] != "3.png"], "bad": [shown[3]]}
    (pictures / "task.json").write_text(json.dumps(order))
    apart = tmp_path / "apart"
    shutil.copytree(pictures, apart)
    figures.append(json.loads(run(pictures, "--json")[1])["result"])
    for folder in (there, apart, programs[1], fits[1]):
        done = subprocess.run(
            found.command("run", folder, "--json"), capture_output=True, text=True, timeout=120, check=True
        )
        told = json.loads(done.stdout)
        assert told["done"], done.stderr
        figures.append(told["result"])
    assert plain(there) == plain(here)
    assert figures[2] == figures[0]
    outputs = [
        {
            path.name: path.read_bytes()
            for path in folder.iterdir()
            if path.name.startswith(OUTPUT) or path.name == STATE
        }
        for folder in programs
    ]
    for name in ("card.toml", "model.onnx"):
        assert (fits[0] / name).read_bytes() == (fits[1] / name).read_bytes()
    assert len(outputs[0]) == 2
    assert outputs[0] == outputs[1]
