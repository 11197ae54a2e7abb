"""Data over a grant, through the API: what is shown and what is not, who is told, and the proof of it."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from cloud.core.db import Database
from cloud.sharing import reader, receipts
from protocols.uplink.codec import encode
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.sharing.pair import asked, granted, registered, values
from tests.doubles.agent import ENERGY, POWER, frame, readings

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
BEGUN = NOW - timedelta(hours=6)
HOUR = {"entry": "active_power_total", "granularity": "hour"}
RAW = {"entry": "active_power_total", "granularity": "raw"}

__all__ = ["encode"]


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


async def machine(supplier: Company, name: str = "press") -> str:
    """Let a machine of the supplier report for five hours, its power 10, 20, ... kW by the hour; return its id."""
    async with supplier.agent(name) as agent:
        rows = readings(POWER, [10.0 * (1 + minute // 60) for minute in range(300)], us(BEGUN), 60_000_000)
        rows += readings(ENERGY, [float(minute) for minute in range(300)], us(BEGUN), 60_000_000)
        await agent.deliver(frame(1, rows))
    points = (await supplier.http.get("/api/v1/points")).json()
    async with asyncio.timeout(30):  # until the hours are rolled up
        while True:
            query = {"series_id": points[0]["series_id"], "start": BEGUN.isoformat(), "end": NOW.isoformat()}
            found = (await supplier.http.get("/api/v1/history", params=query | {"resolution": "1h"})).json()
            if len(found["curves"][0]["samples"]) == 5:
                return str(points[0]["equipment_id"])
            await asyncio.sleep(0.2)


def us(at: datetime) -> int:
    return int(at.timestamp() * 1e6)


async def test_what_is_granted_is_shown_receipted_and_ends(new_company: NewCompany, db: Database) -> None:
    leader, supplier, stranger = [await new_company() for _ in range(3)]
    code = await registered(supplier, db)
    equipment = await machine(supplier)
    unknown = await leader.http.post("/api/v1/sharing/requests", json=asked("91350100M000100Y43", HOUR))
    assert unknown.status_code == 201, "who is not here is asked like anybody else"
    grant = (await granted(leader, supplier, asked(code, HOUR)))["id"]
    read = (await values(leader, grant, HOUR["entry"], BEGUN, NOW)).json()
    (series,) = read["series"]
    assert [one["value"] for one in series["values"]] == [10, 20, 30, 40, 50]
    assert set(series["values"][0]) == {"time", "value", "completeness", "few"}, "no extremes, no counts"
    assert (series["equipment_id"], read["granularity"], read["unit"]) == (equipment, "hour", "kW")
    # An hour that the span cuts is not shown: its difference to the whole one would be a finer value.
    cut = (await values(leader, grant, HOUR["entry"], BEGUN + timedelta(minutes=1), NOW)).json()
    assert [one["value"] for one in cut["series"][0]["values"]] == [20, 30, 40, 50]
    for wrong in ({"entry": "energy_active_import"}, {"entry": "kpi:oee"}, {"equipment_id": str(uuid4())}):
        query = {"entry": HOUR["entry"], "start": BEGUN, "end": NOW} | wrong
        assert (await values(leader, grant, **query)).status_code == 404, wrong
    for other in (stranger, supplier):
        assert (await values(other, grant, HOUR["entry"], BEGUN, NOW)).status_code == 404
    assert (await stranger.http.get(f"/api/v1/sharing/grants/{grant}/receipts")).status_code == 404

    page = (await supplier.http.get(f"/api/v1/sharing/grants/{grant}/receipts")).json()["items"]
    assert [one["kind"] for one in page] == ["read", "read", "granted"], "what was refused is no read"
    assert page[1]["body"]["digest"] == read["digest"]
    assert (page[1]["hash"], page[1]["actor"]) == (read["receipt"]["hash"], f"user:{leader.email}")
    assert page == (await leader.http.get(f"/api/v1/sharing/grants/{grant}/receipts")).json()["items"]

    ended = await supplier.http.post(f"/api/v1/sharing/grants/{grant}/end", json={"reason": "contract over"})
    assert (ended.json()["live"], ended.json()["ended_by"]) == (False, "supplier")
    assert (await values(leader, grant, HOUR["entry"], BEGUN, NOW)).status_code == 404
    assert (await leader.http.get(f"/api/v1/sharing/grants/{grant}")).json()["end_reason"] == "contract over"
    again = await leader.http.post(f"/api/v1/sharing/grants/{grant}/end", json={})
    assert again.status_code == 409


async def test_the_supplier_says_less_and_narrows_and_neither_can_widen_alone(
    new_company: NewCompany, db: Database
) -> None:
    leader, supplier = await new_company(), await new_company()
    code = await registered(supplier, db)
    equipment = await machine(supplier)
    energy = {"entry": "energy_active_import", "granularity": "hour"}
    asking = await leader.http.post("/api/v1/sharing/requests", json=asked(code, RAW, energy))
    path = f"/api/v1/sharing/requests/{asking.json()['id']}/acceptance"
    for more in (
        {"items": [RAW | {"entry": "power_factor_total"}]},
        {"days": 31},
        {"history_days": 6},
        {"items": [energy | {"granularity": "minute"}]},
    ):
        assert (await supplier.http.post(path, json=more)).status_code == 422, more
    assert (await supplier.http.post(path, json={"machines": [str(uuid4())]})).status_code == 422
    assert (await leader.http.post(path, json={})).status_code == 404, "who asks does not say yes"
    grant = (await supplier.http.post(path, json={"items": [RAW], "machines": [equipment]})).json()
    assert (await supplier.http.post(path, json={})).status_code == 409
    identity = grant["id"]
    assert len((await values(leader, identity, RAW["entry"], BEGUN, NOW)).json()["series"][0]["values"]) == 300

    terms = grant["terms"] | {"items": [HOUR]}
    narrow = f"/api/v1/sharing/grants/{identity}/terms"
    assert (await leader.http.put(narrow, json={"terms": terms})).status_code == 404
    assert (await supplier.http.put(narrow, json={"terms": terms})).json()["version"] == 2
    assert len((await values(leader, identity, RAW["entry"], BEGUN, NOW)).json()["series"][0]["values"]) == 5
    for wider in (grant["terms"], terms | {"machines": None}, terms | {"until": "2100-01-01T00:00:00Z"}):
        assert (await supplier.http.put(narrow, json={"terms": wider})).status_code == 422, wider
    # More is asked for, and granted, as a change of the same grant.
    wish = asked(code, RAW, grant_id=identity)
    wider = await granted(leader, supplier, wish)
    assert (wider["id"], wider["version"], wider["terms"]["items"][0]["granularity"]) == (identity, 3, "raw")
    declined = await leader.http.post("/api/v1/sharing/requests", json=asked(code, energy))
    refusal = f"/api/v1/sharing/requests/{declined.json()['id']}/refusal"
    assert (await supplier.http.post(refusal)).json()["answer"] == "declined"
    assert (await leader.http.post(refusal)).status_code == 409


async def test_passing_is_told_without_the_value_and_few_readings_make_no_mean(
    new_company: NewCompany, db: Database
) -> None:
    leader, supplier = await new_company(), await new_company()
    code = await registered(supplier, db)
    await machine(supplier)
    async with supplier.agent("quiet") as agent:
        await agent.deliver(frame(1, readings(POWER, [77.0, 78.0], us(BEGUN), 60_000_000)))
    await asyncio.sleep(3)  # rolled up
    limits = {"entry": POWER.property, "granularity": "pass_fail", "low": 15, "high": 45}
    told = (await granted(leader, supplier, asked(code, limits)))["id"]
    shown = (await values(leader, told, POWER.property, BEGUN, NOW)).json()
    full = max((one["values"] for one in shown["series"]), key=len)
    assert [one["value"] for one in full] == [False, True, True, True, False]
    assert {type(value["value"]) for one in shown["series"] for value in one["values"]} == {bool, type(None)}
    mean = (await granted(leader, supplier, asked(code, HOUR)))["id"]
    series = (await values(leader, mean, POWER.property, BEGUN, NOW)).json()["series"]
    few = min((one["values"] for one in series), key=len)
    assert [(one["value"], one["few"]) for one in few] == [(None, True)]


async def test_revocation_reaches_stream_export_and_reads_within_seconds(new_company: NewCompany, db: Database) -> None:
    leader, supplier = await new_company(), await new_company()
    code = await registered(supplier, db)
    await machine(supplier)
    grant = (await granted(leader, supplier, asked(code, RAW)))["id"]
    base = f"/api/v1/sharing/grants/{grant}"
    query = {"entry": RAW["entry"], "start": BEGUN.isoformat(), "end": NOW.isoformat()}
    export = await leader.http.get(f"{base}/export", params=query, headers={"Accept-Language": "zh"})
    lines = export.content.decode("utf-8-sig").splitlines()
    assert lines[0] == "时间(UTC),设备,点位,总有功功率 (kW),完整率,凭据"
    assert len(lines) == 301
    resume = {"Last-Event-ID": (BEGUN - timedelta(hours=1)).isoformat()}
    events: list[str] = []
    async with leader.http.stream("GET", f"{base}/changes", params={"entry": RAW["entry"]}, headers=resume) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event:"):
                events.append(line)
            if line.startswith("data:") and len(events) == 1:
                assert len(json.loads(line.removeprefix("data: "))["series"][0]["values"]) == 300
                began = time.perf_counter()
                await supplier.http.post(f"{base}/end", json={})
    assert events == ["event: values", "event: ended"]
    took = time.perf_counter() - began
    print(f"{took:.3f} s from the end to the last event")
    assert took < 5
    for path in ("values", "export", "changes", "machines"):
        assert (await leader.http.get(f"{base}/{path}", params=query)).status_code == 404, path


async def test_an_export_in_pieces_loses_and_doubles_no_bucket(
    new_company: NewCompany, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, supplier = await new_company(), await new_company()
    code = await registered(supplier, db)
    await machine(supplier)
    grant = (await granted(leader, supplier, asked(code, HOUR)))["id"]
    query = {"entry": HOUR["entry"], "start": (BEGUN - timedelta(minutes=7)).isoformat(), "end": NOW.isoformat()}
    # Pieces of 2.5 hours, cut in the middle of hours.
    monkeypatch.setattr(reader, "LONGEST", timedelta(minutes=150))
    export = await leader.http.get(f"/api/v1/sharing/grants/{grant}/export", params=query)
    rows = [line.split(",") for line in export.text.splitlines()[1:]]
    assert [float(row[3]) for row in rows] == [10, 20, 30, 40, 50]
    assert len({row[5] for row in rows}) > 1, "each piece has its receipt"


async def test_receipts_verify_on_both_sides_and_a_tampered_one_is_named(
    new_company: NewCompany, db: Database, owner_dsn: str, tmp_path: Path
) -> None:
    leader, supplier = await new_company(), await new_company()
    code = await registered(supplier, db)
    await machine(supplier)
    grant = (await granted(leader, supplier, asked(code, HOUR)))["id"]
    for _ in range(4):
        await values(leader, grant, HOUR["entry"], BEGUN, NOW)
    path = f"/api/v1/sharing/grants/{grant}/receipts/chain"
    earlier = (await supplier.http.get(path)).text
    await values(leader, grant, HOUR["entry"], BEGUN, NOW)
    ours, theirs = [(await one.http.get(path)).text for one in (leader, supplier)]
    assert ours == theirs
    assert receipts.verify(ours)[1:] == (6, 5, None, None)
    assert receipts.compare(ours, earlier).fault is None
    shorter = receipts.compare(earlier, ours)
    assert (shorter.seq, "has more" in str(shorter.fault)) == (6, True)
    lines = ours.splitlines(keepends=True)
    for spoiled, seq in (
        ([*lines[:3], lines[3].replace('"hour"', '"day"'), *lines[4:]], 3),
        (lines[:3] + lines[4:], 3),
        (lines[:-1], 6),
        ([lines[0], lines[2], lines[1], *lines[3:]], 1),
    ):
        assert receipts.verify("".join(spoiled)).seq == seq
    # The database's owner edits a row; whoever verifies sees it.
    with psycopg.connect(owner_dsn) as owner:
        owner.execute("ALTER TABLE share_receipt NO FORCE ROW LEVEL SECURITY")
        owner.execute("UPDATE share_receipt SET actor = 'user:nobody' WHERE grant_id = %s AND seq = 4", [grant])
        owner.execute("ALTER TABLE share_receipt FORCE ROW LEVEL SECURITY")
    assert receipts.verify((await leader.http.get(path)).text).seq == 4
