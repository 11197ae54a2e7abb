"""From deliveries to accounts: stored energy equals a computation from scratch, and nothing is counted twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from cloud.core.db import Database
from cloud.core.errors import NotFound
from cloud.core.principal import Principal, Role, Scope
from cloud.core.since import BEGINNING, this_hour
from cloud.energy.registry import Registry
from tests.cloud.conftest import Company
from tests.cloud.energy.plant import (
    GAS,
    MAIN,
    OVEN,
    PRESS,
    PRESS_GOOD,
    PRESS_POWER,
    PRESS_STATE,
    PRESS_TOTAL,
    classify,
    days_of,
    settle,
)
from tests.doubles.agent import frame, readings

START_US = 1_770_048_000_000_000  # 2026-02-02T16:00:00Z: midnight in Shanghai
MINUTE_US = 60_000_000
DAY = {"start": "2026-02-03T00:00:00+08:00", "end": "2026-02-04T00:00:00+08:00"}


async def get(company: Company, path: str, **query: Any) -> Any:
    answer = await company.http.get(f"/api/v1/energy/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_late_and_replayed_data_give_the_same_bits_as_a_computation_from_scratch(
    company: Company, db: Database, owner_dsn: str
) -> None:
    random, total, rows = Random(7), 5000.0, []
    at = START_US
    for _ in range(900):
        at += random.choice([20, 45, 60, 60, 61, 300, 4000]) * 1_000_000
        total = 3.0 if random.random() < 0.01 else total + random.uniform(0, 4)
        rows += readings(PRESS, [0.0 if random.random() < 0.02 else total], at)
        rows += readings(OVEN, [random.uniform(-5, 90)], at + 7_000_000)
    random.shuffle(rows)
    frames = [frame(seq, rows[seq::9]) for seq in range(9)]
    async with company.agent() as agent:
        for some in frames + frames[:3]:
            await agent.deliver(some)
            await settle(db, owner_dsn)
    kept = days_of(owner_dsn, company)
    assert len({day for _, day, _, _ in kept}) > 3
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("DELETE FROM energy_day WHERE tenant_id = %s", [company.scope.tenant_id])
        connection.execute(
            "INSERT INTO energy_dirty (tenant_id, meter_id, first, last) SELECT m.tenant_id, m.id, min(r.bucket), max(r.bucket)"
            " FROM energy_meter m JOIN rollup_minute r USING (series_id) WHERE m.tenant_id = %s GROUP BY 1, 2",
            [company.scope.tenant_id],
        )
    await settle(db, owner_dsn)
    assert days_of(owner_dsn, company) == kept


async def test_a_days_account_with_a_main_meter_a_sub_meter_and_a_power(
    company: Company, db: Database, owner_dsn: str
) -> None:
    minutes = range(0, 1441)
    around_the_clock = {
        "name_en": "All",
        "name_zh": "全天",
        "weekdays": [1, 2, 3, 4, 5, 6, 7],
        "start": "00:00",
        "end": "00:00",
    }
    site = str(company.site_id)
    calendar = {"site_id": site, "valid_from": "2026-01-01", "shifts": [around_the_clock]}
    assert (await company.http.put("/api/v1/production/calendars", json=calendar)).status_code == 200
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(MAIN, [0.0], START_US)))
        await classify(company, owner_dsn)
        await agent.deliver(
            frame(2, readings(MAIN, [minute * 1.0 for minute in minutes], START_US, MINUTE_US)),
            frame(3, readings(PRESS, [minute * 0.4 for minute in minutes], START_US, MINUTE_US)),
            frame(4, readings(PRESS_POWER, [24.0] * 1441, START_US, MINUTE_US)),
            frame(5, readings(OVEN, [12.0] * 1441, START_US, MINUTE_US)),
            frame(7, readings(PRESS_STATE, [3] * 720 + [2] * 721, START_US, MINUTE_US)),
            frame(8, readings(PRESS_GOOD, [min(minute, 720) for minute in minutes], START_US, MINUTE_US)),
            frame(9, readings(PRESS_TOTAL, [min(minute, 720) for minute in minutes], START_US, MINUTE_US)),
            frame(6, readings(GAS, [minute * 0.1 for minute in minutes], START_US, MINUTE_US)),
        )
    await settle(db, owner_dsn)
    meters = {meter["name"]: meter for meter in await get(company, "meters")}
    assert {name: meter["basis"] for name, meter in meters.items()} == {
        "main-meter": "counter",
        "press-1": "counter",  # its power is not counted a second time
        "oven-1": "power",
    }
    assert meters["press-1"]["parent_id"] == meters["oven-1"]["parent_id"] == meters["main-meter"]["id"]
    assert not meters["press-1"]["confirmed"]

    summary = await get(company, "summary", site_id=site, **DAY)
    assert summary["energy"]["value"] == pytest.approx(1440, rel=1e-3), "the main meter alone"
    assert summary["energy"]["completeness"] == pytest.approx(1.0, abs=0.01)
    assert summary["energy"]["inputs"] == ["main-meter (counter)"]
    assert summary["peak"]["load"] == pytest.approx(60.0)
    assert summary["base_load"]["value"] == pytest.approx(60.0)
    assert {one["name"]: round(one["load"], 3) for one in summary["peak"]["contributors"]} == {
        "press-1": 24.0,
        "oven-1": 12.0,
    }
    (tree,) = summary["tree"]
    assert [(node["kind"], node["name"], round(node["energy"]["value"], -1)) for node in tree["children"]] == [
        ("equipment", "press-1", 580),
        ("equipment", "oven-1", 290),
        ("rest", "", 580),
    ]
    assert summary["cost"]["value"] is None
    assert "电价" in summary["cost"]["why_zh"]
    assert summary["co2"]["value"] == pytest.approx(1440 * 0.5306, rel=1e-3)
    assert summary["co2_factor"]["source"].startswith("生态环境部")
    assert summary["night"]["value"] == pytest.approx(100 * 8 / 24, abs=0.2)

    flat = {
        "prices": {"flat": 0.5},
        "schedules": [{"months": list(range(1, 13)), "bands": [{"minute": 0, "band": "flat"}]}],
    }
    tariff = {"site_id": site, "name": "flat", "valid_from": "2026-01-01", "terms": flat}
    made = await company.http.post("/api/v1/energy/tariffs", json=tariff)
    assert made.status_code == 201, made.text
    assert (await company.http.post("/api/v1/energy/tariffs", json=tariff)).status_code == 409
    summary = await get(company, "summary", site_id=site, **DAY)
    assert summary["cost"]["value"] == pytest.approx(0.5 * summary["energy"]["value"])
    bill = await get(company, "bill", site_id=site, day="2026-02-03")
    assert bill["total"] == pytest.approx(summary["cost"]["value"], rel=1e-3)

    press = meters["press-1"]
    query = {"node": "equipment", "node_id": press["equipment_id"], "granularity": "hour", "format": "csv", **DAY}
    table = (await company.http.get("/api/v1/energy/export", params=query)).content.decode("utf-8-sig").splitlines()
    assert len(table) == 26
    assert table[1].startswith("2026-02-03 00:00:00,2026-02-03 01:00:00,")
    assert float(table[-1].split(",")[3]) == pytest.approx(576, rel=2e-3)

    report = await company.http.get(
        "/api/v1/production/kpis",
        params={"node": "site", "node_id": site, "first_day": "2026-02-03", "last_day": "2026-02-03"},
    )
    good = {row["equipment_id"]: row["good"] for row in report.json()["machines"]}
    assert good[press["equipment_id"]] == pytest.approx(720, abs=2)
    for machine in summary["machines"]:
        assert machine["good"] == good.get(machine["equipment_id"])
        query = {"node": "equipment", "node_id": machine["equipment_id"], "granularity": "day", **DAY}
        total = (await get(company, "usage", **query))["total"]
        assert {name: total[name] for name in ("energy", "cost", "specific")} == {
            name: machine[name] for name in ("energy", "cost", "specific")
        }
    curve = await get(company, "load", node="site", node_id=site, **DAY)
    assert max(point["load"] for point in curve["points"] if point["load"] is not None) == summary["peak"]["load"]

    usage = await get(company, "usage", node="site", node_id=site, granularity="hour", **DAY)
    assert len(usage["rows"]) == 24
    assert sum(row["energy"]["value"] for row in usage["rows"]) == pytest.approx(usage["total"]["energy"]["value"])

    engineer = Principal(company.scope, uuid4(), uuid4(), company.email, Role.ENGINEER, None, frozenset(Scope))
    with pytest.raises(NotFound):
        await Registry(db).confirm_meters(engineer, uuid4())
    await Registry(db).confirm_meters(engineer, company.site_id)
    assert await get(company, "meters") == [meter | {"confirmed": True} for meter in meters.values()]
    assert (await get(company, "summary", site_id=site, **DAY))["machines"] == summary["machines"]
    (entry, *_) = (await company.http.get("/api/v1/audit")).json()["items"]
    assert (entry["act"], len(entry["detail"]["meters"])) == ("meter.confirm", len(meters))

    # What a meter measures from today on leaves that day as it was; back-dated to its noon, the day is divided there.
    oven, noon = meters["oven-1"], datetime.fromtimestamp(START_US / 1e6, UTC) + timedelta(hours=12)
    url, past = f"/api/v1/energy/meters/{press['id']}", {"valid_from": noon.isoformat()}
    said = {"name": "press-1", "carrier": "electricity", "parent_id": press["parent_id"]}

    async def used(node: str, node_id: str) -> tuple[float, float]:
        await settle(db, owner_dsn)
        found = await get(company, "usage", node=node, node_id=node_id, granularity="month", **DAY)
        return round(found["total"]["energy"]["value"], -1), round(found["total"]["energy"]["completeness"], 1)

    async def each() -> list[tuple[float, float]]:
        return [await used("equipment", one["equipment_id"]) for one in (press, oven)] + [await used("site", site)]

    for body in (said | {"equipment_id": press["equipment_id"]}, said | {"equipment_id": oven["equipment_id"]}):
        (await company.http.put(url, json=body)).raise_for_status()
    assert await each() == [(580, 1.0), (290, 1.0), (1440, 1.0)]
    (await company.http.put(url, json=body, params=past)).raise_for_status()
    assert await each() == [(290, 0.5), (580, 1.0), (1440, 1.0)]
    places = [one["equipment_id"] for one in await get(company, f"meters/{press['id']}/places")]
    assert places == [oven["equipment_id"], oven["equipment_id"], press["equipment_id"]]
    assert (await company.http.delete(f"{url}/places", params=past)).status_code == 204
    assert (await each())[:2] == [(580, 1.0), (290, 1.0)]

    # So does which one it stands behind: from noon on on its own, it is the site's, too.
    alone = body | {"equipment_id": press["equipment_id"], "parent_id": None}
    (await company.http.put(url, json=alone)).raise_for_status()
    assert (await each())[2] == (1440, 1.0)
    (await company.http.put(url, json=alone, params=past)).raise_for_status()
    assert await each() == [(580, 1.0), (290, 1.0), (1730, 1.0)]
    trees = (await get(company, "summary", site_id=site, **DAY))["tree"]
    assert [(node["id"], round(node["energy"]["value"], -1)) for node in trees] == [
        (meters["main-meter"]["id"], 1440),
        (press["id"], 290),
    ]
    assert [(node["name"], round(node["energy"]["value"], -1)) for node in trees[0]["children"]] == [
        ("oven-1", 290),
        ("press-1", 290),
        ("", 860),
    ]
    assert trees[0]["children"][-1]["energy"]["completeness"] == pytest.approx(1.0, abs=0.01)
    main = f"/api/v1/energy/meters/{meters['main-meter']['id']}"
    behind = {"name": "main-meter", "carrier": "electricity", "parent_id": press["id"]}
    for begin, status in ((BEGINNING, 422), (this_hour(), 200)):
        answer = await company.http.put(main, json=behind, params={"valid_from": begin.isoformat()})
        assert answer.status_code == status, "at no time a meter stands behind one that stands behind it"
    (latest, *_) = await get(company, f"meters/{meters['main-meter']['id']}/places")
    assert latest["parent_id"] == press["id"]
    refused = await company.http.delete(f"{url}/places", params={"valid_from": BEGINNING.isoformat()})
    assert refused.status_code == 422
    for one, at in ((main, latest["valid_from"]), (url, noon.isoformat())):
        assert (await company.http.delete(f"{one}/places", params={"valid_from": at})).status_code == 204
    (await company.http.put(url, json=said | {"equipment_id": press["equipment_id"]})).raise_for_status()
    assert await each() == [(580, 1.0), (290, 1.0), (1440, 1.0)]

    for at, status in (("1970-01-01T00:00:00Z", 422), (noon.isoformat(), 404)):
        assert (await company.http.delete(f"{url}/places", params={"valid_from": at})).status_code == status
    for at in (noon + timedelta(minutes=5), datetime(2100, 1, 1, tzinfo=UTC)):
        refused = await company.http.put(url, json=body, params={"valid_from": at.isoformat()})
        assert refused.status_code == 422

    (machine,) = [one for one in summary["machines"] if one["name"] == "press-1"]
    assert machine["idle"]["value"] == pytest.approx(288, rel=5e-3), "half of the day it stood, at the same load"
    assert machine["idle_cost"]["value"] == pytest.approx(144, rel=5e-3)
    assert machine["standby"]["value"] == pytest.approx(24.0, rel=1e-3)
    assert machine["good"] == pytest.approx(720, abs=1)
    assert machine["specific"]["value"] == pytest.approx(576 / 720, rel=5e-3)
    query = {"node": "equipment", "node_id": press["equipment_id"], "granularity": "shift", **DAY}
    (shift,) = (await get(company, "usage", **query))["rows"]
    assert (shift["name_zh"], shift["good"]) == ("全天", machine["good"])
    assert shift["specific"]["value"] == pytest.approx(576 / 720, rel=5e-3)

    change = {"name": "main", "carrier": "electricity", "parent_id": press["id"]}
    refused = await company.http.put(f"/api/v1/energy/meters/{meters['main-meter']['id']}", json=change)
    assert refused.status_code == 422, "a meter cannot stand behind one that stands behind it"
    factors = {"main-meter": 1, "press-1": -1, "oven-1": -1}
    virtual = {"site_id": site, "name": "offices", "carrier": "electricity"}
    virtual["parts"] = [{"meter_id": meters[name]["id"], "factor": factor} for name, factor in factors.items()]
    made = await company.http.post("/api/v1/energy/meters", json=virtual)
    assert made.status_code == 201, made.text
    tree = (await get(company, "summary", site_id=site, **DAY))["tree"]
    assert [node["name"] for node in tree] == ["main-meter"], "a computed meter without a place is counted nowhere"
    del virtual["site_id"]
    placed = virtual | {"parent_id": meters["main-meter"]["id"]}
    since = {"valid_from": BEGINNING.isoformat()}
    changed = await company.http.put(f"/api/v1/energy/meters/{made.json()['id']}", json=placed, params=since)
    assert changed.status_code == 200, changed.text
    tree = (await get(company, "summary", site_id=site, **DAY))["tree"][0]["children"]
    found = {node["name"]: node["energy"]["value"] for node in tree}
    assert found["offices"] == pytest.approx(576, rel=1e-2)
    assert found[""] == pytest.approx(0, abs=1e-6), "nothing is left"
    refused = await company.http.delete(f"/api/v1/energy/meters/{press['id']}")
    assert (refused.status_code, "offices" in refused.json()["detail"]) == (409, True)

    gas = await get_meter(company, site, "gas")
    assert gas["basis"] == "counter"
    await settle(db, owner_dsn)
    summary = await get(company, "summary", site_id=site, carrier="natural_gas", **DAY)
    assert (summary["energy"]["unit"], round(summary["energy"]["value"])) == ("m³", 144)


async def get_meter(company: Company, site: str, point: str) -> Any:
    series = {one["name"]: one for one in (await company.http.get("/api/v1/points")).json()}[point]
    body = {"site_id": site, "series_id": series["series_id"], "name": "Gas", "carrier": "natural_gas"}
    body["equipment_id"] = series["equipment_id"]
    refused = await company.http.post("/api/v1/energy/meters", json=body | {"carrier": "electricity"})
    assert refused.status_code == 422
    assert "m³" in refused.json()["detail"]
    made = await company.http.post("/api/v1/energy/meters", json=body)
    assert made.status_code == 201, made.text
    return made.json()
