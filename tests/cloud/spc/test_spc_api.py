"""Process control over the API: a point's chart by its plan, rejects by hour, lots one after the other."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from protocols.uplink.codec import encode
from protocols.uplink.messages import Batch, Frame, Inspection
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.doubles.agent import POWER, frame, readings

BEGUN = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


async def get(company: Company, path: str, **params: Any) -> Any:
    return (await company.http.get(f"/api/v1/spc/{path}", params=params)).json()


async def test_a_chart_goes_by_its_plan_and_finds_what_changed(company: Company, new_company: NewCompany) -> None:
    values = np.random.default_rng(4).normal(40, 0.5, 1000)
    values[800:] += 1.5
    async with company.agent("mill") as agent:
        rows = readings(POWER, values.tolist(), int(BEGUN.timestamp() * 1e6))
        rows += readings(POWER, [None], int((BEGUN + timedelta(hours=1)).timestamp() * 1e6), quality=-0x8000)
        await agent.deliver(frame(1, rows))
        (point,) = (await company.http.get("/api/v1/points")).json()
    series, end = point["series_id"], BEGUN + timedelta(hours=2)
    span = {"start": BEGUN.isoformat(), "end": end.isoformat()}
    plain = await get(company, f"charts/{series}", **span)
    assert (plain["plan"]["version"], plain["readings"], plain["unused"], len(plain["values"])) == (0, 1000, 1, 200)
    assert plain["capability"] is None
    plan = {
        "subgroup": 4,
        "lower_limit": 38.0,
        "upper_limit": 42.0,
        "baseline_start": BEGUN.isoformat(),
        "baseline_end": (BEGUN + timedelta(seconds=800)).isoformat(),
    }
    stored = await company.http.put(f"/api/v1/spc/plans/{series}", json=plan)
    assert (stored.status_code, stored.json()["version"]) == (200, 1)
    chart = await get(company, f"charts/{series}", **span)
    assert len(chart["times"]) == len(chart["values"]) == len(chart["ranges"]) == 250
    assert chart["value_line"]["centre"] == pytest.approx(40, abs=0.05)
    assert chart["value_line"]["upper"] == pytest.approx(40.75, abs=0.06)
    late = [one for one in chart["signals"] if one["index"] >= 200]
    assert {one["rule"] for one in late} >= {"beyond", "cusum"}
    assert len(chart["signals"]) - len(late) < 12
    assert (chart["stable"], chart["related"]) == (False, True), "the shift makes neighbours alike"
    assert chart["capability"]["cp"] == pytest.approx(4 / 3, abs=0.08)
    assert chart["capability"]["pp"] < chart["capability"]["cp"]
    assert len(chart["ewma"]) == len(chart["ewma_away"]) == 250
    assert (chart["spread"], chart["ewma_away"][0] < chart["ewma_away"][-1]) == ("range", True)
    before = await get(company, f"charts/{series}", start=span["start"], end=plan["baseline_end"])
    assert (before["related"], before["capability"]["ppk"]) == (False, pytest.approx(4 / 3, abs=0.12))
    wrong = await company.http.put(f"/api/v1/spc/plans/{series}", json=plan | {"lower_limit": 50})
    assert (wrong.status_code, "below the upper" in wrong.text) == (422, True)
    large = await company.http.put(f"/api/v1/spc/plans/{series}", json=plan | {"subgroup": 20})
    assert large.status_code == 200, large.text
    by_deviation = await get(company, f"charts/{series}", **span)
    assert (by_deviation["spread"], len(by_deviation["ranges"])) == ("deviation", 50)
    assert by_deviation["range_line"]["centre"] == pytest.approx(0.5, abs=0.05)
    assert (await company.http.put(f"/api/v1/spc/plans/{series}", json=plan | {"subgroup": 26})).status_code == 422
    # Two people save at once: each has a version of their own.
    saved = await asyncio.gather(*(company.http.put(f"/api/v1/spc/plans/{series}", json=plan) for _ in range(4)))
    assert sorted(answer.json()["version"] for answer in saved) == [3, 4, 5, 6]
    stranger = await new_company()
    for path in (f"charts/{series}", f"plans/{series}"):
        assert (await stranger.http.get(f"/api/v1/spc/{path}")).status_code == 404
    assert await get(stranger, "plans") == []
    assert [each["version"] for each in await get(company, f"plans/{series}")] == [6, 5, 4, 3, 2, 1]


async def test_rejects_are_charted_by_hour(company: Company) -> None:
    async with company.agent("line") as agent:
        made = []
        for hour in range(24):
            for number in range(50):
                verdict = "reject" if number < (12 if hour == 20 else 3 * (hour % 2)) else "pass"
                time = int((BEGUN + timedelta(hours=hour, seconds=number)).timestamp() * 1e6)
                fields = (str(uuid4()), "camera-1", time, f"{hour}-{number}", verdict, 0.5, 3.0, 4.0, "m", "1", 1)
                made.append(Inspection(*fields, picture=b"", heatmap=b""))
        await agent.deliver(Frame(1, encode(Batch(inspections=made))))
    end = BEGUN + timedelta(days=1)
    chart = await get(company, "rejects", start=BEGUN.isoformat(), end=end.isoformat())
    assert (len(chart["times"]), set(chart["parts"])) == (24, {50})
    assert [(one["index"], one["rule"]) for one in chart["signals"]] == [(20, "beyond")]
    numbers = await get(company, "rejects", start=BEGUN.isoformat(), end=end.isoformat(), kind="np")
    assert (numbers["shares"][20], numbers["kind"]) == (12, "np")
    assert numbers["upper"] == pytest.approx([50 * each for each in chart["upper"]])
    each_part = await get(company, "rejects", start=BEGUN.isoformat(), end=end.isoformat(), kind="u")
    assert each_part["shares"] == chart["shares"]
    assert each_part["upper"][0] > chart["upper"][0], "counts spread a little more than shares"
    by_day = await get(company, "rejects", start=(BEGUN - timedelta(days=20)).isoformat(), end=end.isoformat())
    assert by_day["parts"] == [16 * 50, 8 * 50]


async def test_lots_are_accepted_and_inspection_tightens(company: Company) -> None:
    plan = await get(company, "sampling-plan", lot_size=1000, aql=1.0)
    assert (plan["letter"], plan["size"], plan["accept"], plan["reject"]) == ("J", 80, 2, 3)
    assert 0.94 < plan["at_aql"] < 0.96
    assert 0.01 < plan["half"] < plan["tenth"] < 0.08
    refused = await company.http.get("/api/v1/spc/sampling-plan", params={"lot_size": 1000, "aql": 1.1})
    assert (refused.status_code, "0.65, 1, 1.5" in refused.text) == (422, True)

    async def enter(lot: str, found: int) -> tuple[int, Any]:
        body = {"product": "cap", "lot": lot, "lot_size": 1000, "aql": 1.0, "found": found}
        answer = await company.http.post("/api/v1/spc/lots", json=body)
        return answer.status_code, answer.json()

    assert [(await enter(f"L{n}", found))[1]["accepted"] for n, found in enumerate((2, 3, 0, 4))] == [
        True,
        False,
        True,
        False,
    ]
    assert (await get(company, "lots", product="cap"))["next"] == "tightened"
    code, lot = await enter("L4", 2)
    assert (code, lot["severity"], lot["accept"], lot["accepted"]) == (201, "tightened", 1, False)
    assert (await enter("L4", 0))[0] == 409
    assert (await enter("L5", 81))[0] == 422
    # Two people enter lots at once: each is judged after the other.
    codes = await asyncio.gather(*(enter(f"M{n}", 9) for n in range(6)))
    assert sorted(code for code, _ in codes) == [201] * 4 + [409] * 2
    lots = await get(company, "lots", product="cap")
    assert (len(lots["items"]), lots["next"]) == (9, "discontinued")
    assert await get(company, "products") == ["cap"]
