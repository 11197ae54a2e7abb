"""Further kinds of jobs: a model judged by pictures, and a health model over stored readings; the same wherever and however often broken off."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.compute.backfill import held
from cloud.core.db import Database
from models.bundle import LIMITS, packed, read_bundle, write_bundle
from models.evaluate import evaluate
from models.series.health_fit import fit
from models.series.monitor import Monitor
from models.series.recipe import HealthRecipe
from models.series.table import Table
from models.signing import public_key
from models.task import RESULTS, ROWS, BackfillTask
from models.verdict import VERDICTS
from models.vision.detector import Detector
from models.vision.pictures import read_grey
from protocols.reading import BAD, GOOD
from protocols.uplink.messages import PointRef
from tests.cloud.billing.market import appoint, faults, paid_in
from tests.cloud.compute.site import ended, offered, pictured, submitted, wanted, working
from tests.cloud.compute.test_run_by_hand import findings, run, task
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.doubles.agent import frame, readings
from tests.edge_agent.inspect.conftest import SignedBundle, small_bundle
from tests.models.series.test_health import SENSORS, running

__all__ = ["small_bundle"]

BEGIN = datetime(2026, 2, 2, 8, tzinfo=UTC)
ROWS_N = 900

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


class Pump:
    """A health bundle of a pump with a short memory, signed, and readings in which its flow strays."""

    def __init__(self, folder: Path) -> None:
        self.folder, key = folder, Ed25519PrivateKey.generate()
        release = fit(Table(SENSORS, running(1200), None), HealthRecipe("pump", half_life=8))
        write_bundle(folder, release.card, release.onnx, key)
        self.trust = public_key(key)
        self.bundle = read_bundle(folder, [self.trust])
        self.rows = running(ROWS_N, seed=2).astype("<f4")
        self.rows[600:, 1] = 30 - 4 * (self.rows[600:, 0] - 5)
        self.rows[300:310, 2] = np.nan
        self.rows[400:460] = np.nan  # the gateway was off

    def zip(self) -> bytes:
        return packed("bundle", {name: (self.folder / name).read_bytes() for name in LIMITS})

    def order(self, folder: Path, checkpoint_s: float = 10) -> None:
        """Lay the task out for a child."""
        folder.mkdir()
        for name, given in (("card.toml", "before.toml"), ("model.onnx", "before.onnx")):
            shutil.copy(self.folder / name, folder / given)
        (folder / ROWS).write_bytes(self.rows.tobytes())
        order = BackfillTask(list(SENSORS), 10**15, 10**6, ROWS_N, checkpoint_s)
        (folder / "task.json").write_bytes(msgspec.json.encode(order))


@pytest.fixture(scope="module")
def pump(tmp_path_factory: pytest.TempPathFactory) -> Pump:
    return Pump(tmp_path_factory.mktemp("pump") / "pump")


def plain(folder: Path) -> list[dict[str, Any]]:
    """Return the findings without what is kept to go on from, which depends on when it was."""
    return [{name: value for name, value in each.items() if name != "kept"} for each in findings(folder)]


def test_a_back_fill_is_what_a_box_would_have_said_wherever_it_was_broken_off(tmp_path: Path, pump: Pump) -> None:
    folder = tmp_path / "whole"
    pump.order(folder, checkpoint_s=0)  # every line says what is known
    assert run(folder) == (0, "Done.\n")
    whole = findings(folder)
    monitor, expected = Monitor(pump.bundle), []
    for row in pump.rows:
        if np.isnan(row).all():
            expected.append(None)
            continue
        if len(expected) == 460:
            monitor.restart()
        expected.append(monitor.follow(row))
    for said, due in zip(whole, expected, strict=True):
        if due is None or due.verdict is None:
            assert "score" not in said
        else:
            assert (said["score"], VERDICTS[said["verdict"]]) == (due.score, due.verdict)
    verdicts = [each.get("verdict") for each in whole]
    assert verdicts[620:].count(2) > 10 * verdicts[:600].count(2)

    lines = (folder / RESULTS).read_bytes().splitlines(keepends=True)
    bare = [json.dumps({k: v for k, v in each.items() if k != "kept"}).encode() + b"\n" for each in whole]
    for place in (1, 305, 430, 461, 899):
        again = tmp_path / str(place)
        pump.order(again)
        known = max(0, place - 7)  # what is known was written down seven rows before it broke off
        cut = [*bare[:known], *lines[known : known + 1], *bare[known + 1 : place]]
        (again / RESULTS).write_bytes(b"".join(cut) + lines[place][:9])
        assert run(again) == (0, "Done.\n")
        assert plain(again) == plain(folder), place


def test_rows_hold_the_last_value_and_no_longer_than_it_may() -> None:
    at = np.arange(0, 100, 10, dtype=np.int64)
    time, value = np.array([5, 20, 55], np.int64), np.array([1.0, np.nan, 3.0])
    assert held(at, time, value, 30).tolist()[:2] == pytest.approx([np.nan, 1], nan_ok=True)
    found = held(at, time, value, 30)
    assert [None if np.isnan(each) else each for each in found] == [None, 1, None, None, None, None, 3, 3, 3, None]
    assert np.isnan(held(at, time[:0], value[:0], 30)).all()


def test_an_evaluation_gives_the_figures_of_the_models_own(tmp_path: Path, small_bundle: SignedBundle) -> None:
    folder = tmp_path / "task"
    pictures = task(folder, small_bundle, 8)
    good, bad = [each for each in pictures if each["file"] != "3.png"], [pictures[3]]
    (folder / "task.json").write_text(json.dumps({"type": "evaluate", "good": good, "bad": bad}))
    (folder / RESULTS).write_text("")
    result = json.loads(run(folder, "--json")[1])["result"]["evaluated"]
    detector = Detector(read_bundle(small_bundle.folder, small_bundle.trust))
    greys = [[read_grey(folder / each["file"], detector.side) for each in group] for group in (good, bad)]
    due = evaluate(*greys, *[[detector.inspect(grey) for grey in group] for group in greys])
    assert msgspec.convert(result, type(due)) == due
    lines = (folder / RESULTS).read_text().splitlines(keepends=True)
    (folder / RESULTS).write_text("".join(lines[:5]))
    assert json.loads(run(folder, "--json")[1])["result"]["evaluated"] == result


async def _operator(new_company: NewCompany, owner_dsn: str) -> Company:
    company = await new_company()
    appoint(owner_dsn, company)
    return company


async def test_an_evaluation_is_rented(
    new_company: NewCompany, db: Database, cloud_url: str, owner_dsn: str, tmp_path: Path
) -> None:
    operator, provider, customer = await _operator(new_company, owner_dsn), await new_company(), await new_company()
    await paid_in(operator, customer, db, 50)
    set_id, bare = await pictured(customer, "cap", 28, 6), await pictured(customer, "good", 4)
    _, token = await offered(provider)
    with working(cloud_url, token, tmp_path / "worker"):
        done = await ended(customer, await submitted(customer, wanted("fit", set_id)))
        assert done["job"]["state"] == "done", done
        (version,) = (await customer.http.get(f"/api/v1/training/sets/{set_id}/versions")).json()
        one_kind = wanted("evaluate", bare, version_id=version["id"])
        refused = await customer.http.post("/api/v1/compute/jobs", json=one_kind)
        assert "of good and of defective parts" in refused.json()["detail"]
        done = await ended(customer, await submitted(customer, wanted("evaluate", set_id, version_id=version["id"])))
    assert done["job"]["state"] == "done", done
    figures = done["job"]["result"]["evaluated"]
    assert figures["auroc"] > 0.9
    assert (figures["false_reject"]["pictures"], figures["recall_review"]["pictures"]) == (28, 6)
    assert done["outputs"] == [RESULTS]
    assert faults(owner_dsn) == []


async def stored(customer: Company, pump: Pump) -> tuple[dict[str, int], str]:
    """Store what the pump's sensors said; return their series and the pump's id."""
    start = int(BEGIN.timestamp() * 1e6)
    async with customer.agent() as agent:
        rows = []
        for place, name in enumerate(SENSORS):
            point = PointRef("pump", name, "", "")
            values = [None if np.isnan(each) else float(each) for each in pump.rows[:, place]]
            for step, value in enumerate(values):
                quality = BAD if value is None else GOOD
                rows += readings(point, [value], start + step * 1_000_000, quality=int(quality))
        await agent.deliver(frame(1, rows))
    points = (await customer.http.get("/api/v1/points")).json()
    return {each["name"]: each["series_id"] for each in points}, points[0]["equipment_id"]


async def test_a_back_fill_writes_scores_once_and_the_days_follow(
    new_company: NewCompany, db: Database, cloud_url: str, owner_dsn: str, tmp_path: Path, pump: Pump
) -> None:
    operator, provider, customer = await _operator(new_company, owner_dsn), await new_company(), await new_company()
    await paid_in(operator, customer, db, 50)
    key = {"public_key": pump.trust, "name": "ours"}
    (await customer.http.post("/api/v1/models/keys", json=key)).raise_for_status()
    kept = await customer.http.post("/api/v1/models", content=pump.zip(), headers={"Content-Type": "application/zip"})
    assert kept.is_success, kept.text
    sensors, equipment = await stored(customer, pump)
    _, token = await offered(provider)
    over = BEGIN + timedelta(seconds=ROWS_N)
    about = {"model_id": kept.json()["id"], "equipment_id": equipment, "sensors": sensors, "hold_s": 5}
    about |= {"start": BEGIN.isoformat(), "end": over.isoformat()}
    order = wanted("backfill", "") | {"set_id": None, "backfill": about}
    for wrong, status in (
        ({"sensors": {"pressure": sensors["pressure"]}}, 422),
        ({"sensors": sensors | {"flow": 2**30}}, 404),
        ({"equipment_id": str(customer.site_id)}, 404),
        ({"end": BEGIN.isoformat()}, 422),
    ):
        refused = await customer.http.post("/api/v1/compute/jobs", json=order | {"backfill": about | wrong})
        assert refused.status_code == status, (wrong, refused.text)
    stranger = await new_company()
    assert (await stranger.http.post("/api/v1/compute/jobs", json=order)).status_code == 404
    with working(cloud_url, token, tmp_path / "worker"):
        done = await ended(customer, await submitted(customer, order))
        assert done["job"]["state"] == "done", done
        told = done["job"]["result"]["backfilled"]
        again = await ended(customer, await submitted(customer, order))
    assert told["steps"] == ROWS_N
    assert told["written"] == 2 * told["judged"] > 0
    assert again["job"]["result"]["backfilled"] == told | {"written": 0}, "each time of a series has one reading"

    points = (await customer.http.get("/api/v1/points", params={"equipment_id": equipment})).json()
    (score,) = [each for each in points if each["property"] == "machine_health_score"]
    (verdict,) = [each for each in points if each["property"] == "machine_health_verdict"]
    results = await customer.http.get(f"/api/v1/compute/jobs/{done['job']['id']}/outputs/{RESULTS}")
    said = [json.loads(line) for line in results.text.splitlines()]
    due = [(each["at"], each["score"]) for each in said if "score" in each]
    async with db.tenant(customer.scope) as connection:
        rows = await (
            await connection.execute(
                "SELECT (extract(epoch FROM ts) * 1000000)::bigint, value FROM telemetry WHERE series_id = %s ORDER BY ts",
                [score["series_id"]],
            )
        ).fetchall()
    assert [tuple(row) for row in rows] == due
    assert len(due) == told["judged"]
    span = {
        "start": BEGIN.isoformat(),
        "end": (over + timedelta(minutes=1)).isoformat(),
        "series_id": verdict["series_id"],
    }
    async with asyncio.timeout(30):
        while True:  # rolled up as readings that come late are
            history = await customer.http.get("/api/v1/history", params=span | {"resolution": "1m"})
            assert history.is_success, history.text
            if any(each["high"] == 2 for each in history.json()["curves"][0]["samples"]):
                break
            await asyncio.sleep(0.2)
    assert faults(owner_dsn) == []
