"""A machine's health model from stored readings, with a real worker: what is there, what is learnt, where it goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from protocols.uplink.messages import PointRef
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.training.test_training import ended
from tests.doubles.agent import frame, readings

ROWS = 600
START = datetime(2026, 3, 1, tzinfo=UTC)
STRETCH = {"start": START.isoformat(), "end": (START + timedelta(seconds=10 * ROWS)).isoformat(), "half_life": 3}


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


async def machine(company: Company) -> dict[str, Any]:
    """Ten seconds apart: pressure, flow that follows it and stops for a while, and whether the pump runs."""
    noise = np.random.default_rng(0)
    load = noise.normal(size=ROWS)
    runs = np.ones(ROWS)
    runs[300:400] = 0
    values = {"pressure": 5 + 0.1 * load, "flow": 30 + load + 0.1 * noise.normal(size=ROWS), "running": runs}
    values = {
        name: np.append(column, [{"pressure": 8.0, "running": 1}.get(name, 30.0)] * 60)
        for name, column in values.items()
    }
    begin = round(START.timestamp() * 1e6)
    rows = [
        one
        for name, column in values.items()
        for one in readings(PointRef("pump", name, "", "C62"), column[: 500 if name == "flow" else None], begin, 10**7)
    ]
    async with company.agent("hall") as agent:
        await agent.deliver(frame(1, rows))
    points = {each["name"]: each for each in (await company.http.get("/api/v1/points")).json()}
    body = {
        "name": "pump",
        "equipment_id": points["flow"]["equipment_id"],
        "sensors": {name: points[name]["series_id"] for name in ("pressure", "flow")},
        "running": points["running"]["series_id"],
    }
    answer = await company.http.post("/api/v1/training/machines", json=body)
    assert answer.status_code == 201, answer.text
    again = await company.http.post("/api/v1/training/machines", json=body)
    assert (again.status_code, "of this name" in again.json()["detail"]) == (409, True)
    return dict(answer.json())


async def test_a_stretch_of_good_running_becomes_a_released_model(company: Company, new_company: NewCompany) -> None:
    made = await machine(company)
    place = f"/api/v1/training/sets/{made['id']}"
    there = (await company.http.get(f"{place}/completeness", params=STRETCH | {"hold_s": 60})).json()
    assert (there["rows"], there["used"]) == (600, 500)
    assert there["read"] == pytest.approx({"pressure": 1.0, "flow": 0.812}, abs=0.005)
    fit = await company.http.post(f"{place}/machine-fits", json=STRETCH)
    assert fit.status_code == 202, fit.text
    found = await ended(company, fit.json())
    assert found["state"] == "done", found
    (version,) = (await company.http.get(f"{place}/versions")).json()
    assert (version["name"], version["card"]["task"], set(version["card"]["sensors"])) == (
        "pump",
        "health",
        {"pressure", "flow"},
    )
    assert version["card"]["fit"]["samples"] == 500, "rows at rest are not learnt from"
    assert version["after"]["false_review"]["value"] == pytest.approx(0.0, abs=0.06)
    assert version["before"] is None
    assert (version["after"]["found"], version["after"]["auroc"]) == (None, None)
    released = await company.http.post("/api/v1/models/from-training", json={"training_version_id": version["id"]})
    assert (released.status_code, released.json()["task"]) == (201, "health")

    # A later fit stands beside the version before, on the same readings; a time without flow is a known fault.
    half = START + timedelta(seconds=10 * 300)
    later = {
        "start": half.isoformat(),
        "end": (START + timedelta(seconds=10 * 540)).isoformat(),
        "fault_start": (START + timedelta(seconds=10 * ROWS)).isoformat(),
        "fault_end": (START + timedelta(seconds=10 * (ROWS + 60))).isoformat(),
        "half_life": 2,
    }
    found = await ended(company, (await company.http.post(f"{place}/machine-fits", json=later)).json())
    assert found["state"] == "done", found
    second = (await company.http.get(f"{place}/versions")).json()[0]
    assert second["parent_id"] == version["id"]
    assert (second["after"]["learnt_from"], second["before"]["learnt_from"]) == (0, 140 // 9), (
        "of rows, as an average forgets"
    )
    assert second["before"]["false_reject"]["value"] < 0.1
    assert second["after"]["found"]["value"] > 0.9
    assert second["before"]["found"]["value"] > 0.9
    for figures in (second["after"], second["before"]):
        low, high = figures["auroc_interval"]
        assert (figures["auroc"] > 0.9, 0 < low < figures["auroc"] <= high <= 1) == (True, True)
    assert second["comparison"] in {"better", "same", "mixed", "worse"}
    inside = await company.http.post(f"{place}/machine-fits", json=later | {"fault_start": later["start"]})
    assert (inside.status_code, "outside the time of good running" in inside.text) == (422, True)

    by_pictures = await company.http.post(f"{place}/fits")
    assert (by_pictures.status_code, "This is a machine" in by_pictures.json()["detail"]) == (422, True)
    long = await company.http.post(f"{place}/machine-fits", json=STRETCH | {"end": "2026-09-01T00:00:00Z"})
    assert (long.status_code, "choose a shorter time" in long.json()["detail"]) == (422, True)
    empty = {"start": "2025-01-01T00:00:00Z", "end": "2025-01-02T00:00:00Z"}
    failed = await ended(company, (await company.http.post(f"{place}/machine-fits", json=empty)).json())
    assert (failed["state"], "0 rows are too few" in failed["reason_en"]) == ("failed", True)

    stranger = await new_company()
    assert (await stranger.http.get(f"{place}/completeness", params=STRETCH)).status_code == 404
    theirs = {"name": "x", "equipment_id": made["equipment_id"], "sensors": made["sensors"]}
    assert (await stranger.http.post("/api/v1/training/machines", json=theirs)).status_code == 404
