"""The assessment through the API: what the platform knows, what is kept, and the report."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from protocols.reading import now_us
from protocols.uplink.codec import encode
from protocols.uplink.messages import Batch, Frame, Inspection, PointRef
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.doubles.agent import ENERGY, frame, readings


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


async def test_evidence_is_proposed_and_kept_with_the_answers(company: Company, new_company: NewCompany) -> None:
    get, post = company.http.get, company.http.post
    assert (await get("/api/v1/assessment/evidence")).json() == []
    edition = (await get("/api/v1/assessment/edition")).json()
    assert (edition["edition"], len(edition["question"]), len(edition["scene"])) == ("2024", 15, 16)
    async with company.agent() as agent:
        power = PointRef("press", "P", "active_power_total", "KWT")
        now = now_us() - 60_000_000
        await agent.deliver(frame(1, readings(power, [5.0] * 10, now) + readings(ENERGY, [1.0, 2.0], now, 30_000_000)))
        seen = Inspection(
            *(str(uuid4()), "camera", now, "p-1", "pass", 0.1, 0.5, 0.9, "m", "1", 1), picture=b"", heatmap=b""
        )
        await agent.deliver(Frame(2, encode(Batch(inspections=[seen]))))
    async with asyncio.timeout(30):  # the cloud makes a meter of the counter by itself
        while True:
            if (await get("/api/v1/energy/meters")).json():
                break
            await asyncio.sleep(0.2)
    known = {one["id"]: one for one in (await get("/api/v1/assessment/evidence", params={"machines": 8})).json()}
    assert known["collection"]["answer"] == ["quality", "equipment", "energy"]
    assert (known["connected"]["answer"], known["energy"]["answer"], known["quality"]["answer"]) == (25.0, 3, 3)
    assert "8 台设备中 2 台" in known["connected"]["words_zh"]
    questions = {one: item["answer"] for one, item in known.items() if not item["scene"]}
    scenes = {one: item["answer"] for one, item in known.items() if item["scene"]}
    made = await post("/api/v1/assessment/results", json={"machines": 8, "questions": questions, "scenes": scenes})
    assert made.status_code == 201, made.text
    result = made.json()
    assert result["points"] == pytest.approx(2 + 3 + 3 + 2.1)
    assert (result["level"], result["lacking"]["points"]) == (0, pytest.approx(20 - 10.1))
    assert result["evidence"], "kept as it was"
    assert (await get("/api/v1/assessment/results")).json() == [result]
    assert datetime.now(UTC) > datetime.fromisoformat(result["assessed_at"])
    for language in ("zh", "en"):
        report = await get(f"/api/v1/assessment/results/{result['id']}/report", params={"lang": language})
        assert report.content.startswith(b"%PDF"), report.text[:300]
        assert len(re.findall(rb"/Type /Page\b", report.content)) >= 2
    wrong = await post("/api/v1/assessment/results", json={"scenes": {"energy": 9}})
    assert wrong.status_code == 422
    stranger = await new_company()
    assert (await stranger.http.get("/api/v1/assessment/results")).json() == []
    assert (await stranger.http.get(f"/api/v1/assessment/results/{result['id']}/report")).status_code == 404
