"""Entries of a company's own: four eyes, versions, points that have them, and files they come from."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from basyx.aas import model

from cloud.core.db import Database
from cloud.semantics import reading
from cloud.semantics.concepts import external
from cloud.semantics.package import packed
from protocols.reading import now_us
from protocols.uplink.messages import PointRef
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.production.test_production import settle
from tests.cloud.semantics.test_shells import iec, opened, qualified
from tests.cloud.test_roles import Member, member
from tests.doubles.agent import POWER, frame, readings

__all__ = ["member"]

AT = "/api/v1/dictionary/company-entries"
FORCE: dict[str, Any] = {
    "code": "own:strokes",
    "equipment_class": "injection_moulding",
    "name_zh": "合模次数",
    "name_en": "Clamp strokes",
    "definition_zh": "合模单元累计动作次数",
    "definition_en": "Cumulative strokes of the clamping unit",
    "unit": "H87",
    "data_type": "INTEGER_COUNT",
    "aggregation": "counter_delta",
}
STROKES = PointRef("press-1", "Hub", "", "C62")
BARS = PointRef("press-1", "Druck", "", "BAR")


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


async def released(company: Company, manager: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    proposed = await company.http.post(AT, json=FORCE | more)
    assert proposed.status_code == 201, proposed.text
    answer = await manager.post(f"{AT}/{proposed.json()['code']}/review", json={"approve": True})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def points(company: Company) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in (await company.http.get("/api/v1/points")).json()}


async def test_two_people_make_an_entry_and_each_change_is_a_version(company: Company, member: Member) -> None:
    engineer, manager = await member("engineer"), await member("manager")
    assert (await engineer.post(AT, json=FORCE)).status_code == 201
    assert (await company.http.post(AT, json=FORCE)).status_code == 409, "one version is reviewed at a time"
    assert (await engineer.post(f"{AT}/own:strokes/review", json={"approve": True})).status_code == 403
    assert (await manager.post(f"{AT}/own:strokes/review", json={"approve": False})).status_code == 422
    back = await manager.post(f"{AT}/own:strokes/review", json={"approve": False, "note": "再写清楚"})
    assert (back.json()["state"], back.json()["note"]) == ("returned", "再写清楚")

    assert (await manager.post(AT, json=FORCE)).status_code == 201
    own = await manager.post(f"{AT}/own:strokes/review", json={"approve": True})
    assert (own.status_code, "yourself" in own.text) == (403, True)
    assert (await company.http.post(f"{AT}/own:strokes/review", json={"approve": True})).json()["state"] == "released"

    other_unit = await engineer.post(AT, json=FORCE | {"unit": "C62"})
    assert (other_unit.status_code, "unit" in other_unit.text) == (422, True)
    assert (await released(company, manager, name_en="Strokes"))["version"] == 3
    taken = await engineer.post(AT, json=FORCE | {"code": "own:other", "name_en": "strokes"})
    assert (taken.status_code, "own:strokes" in taken.text) == (422, True)
    versions = (await company.http.get(f"{AT}/own:strokes")).json()
    assert [(one["version"], one["state"]) for one in versions] == [(3, "released"), (2, "released"), (1, "returned")]
    assert (await company.http.get(f"{AT}/own:nothing")).status_code == 404


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": "strokes"}, "own:"),
        ({"name_zh": "Strokes"}, "name_zh"),
        ({"definition_en": FORCE["name_en"]}, "repeats"),
        ({"name_zh": "合模\uffff"}, "name_zh"),
        ({"unit": "XXX"}, "unknown unit"),
        ({"equipment_class": "boat"}, "unknown class"),
        ({"data_type": "STRING"}, "cannot be aggregated"),
        ({"aggregation": "duration_by_state"}, "aggregation"),
        ({"typical_min": 5, "typical_max": 1}, "typical_min"),
    ],
)
async def test_what_is_no_entry_is_refused_by_name(company: Company, change: dict[str, Any], said: str) -> None:
    answer = await company.http.post(AT, json=FORCE | change)
    assert (answer.status_code, said in answer.text) == (422, True), answer.text


async def test_a_point_takes_the_meaning_everywhere(
    company: Company, member: Member, db: Database, owner_dsn: str
) -> None:
    manager = await member("manager")
    now = now_us()
    async with company.agent() as agent:
        counted = readings(STROKES, [float(10 + 2 * n) for n in range(60)], now - 3_600_000_000, 60_000_000)
        await agent.deliver(frame(0, counted + readings(BARS, [1.0], now) + readings(POWER, [1.0], now)))
    await settle(db, owner_dsn)
    await released(company, manager)
    strokes = (await points(company))["Hub"]["series_id"]

    async def mean(series: int, entry: str) -> httpx.Response:
        return await company.http.put(f"/api/v1/points/{series}/meaning", json={"entry": entry})

    assert (await mean(strokes, "own:strokes")).status_code == 204
    found = (await points(company))["Hub"]
    assert (found["property"], found["name_zh"], found["unit"]) == ("own:strokes", "合模次数", "H87")
    assert (found["data_type"], found["aggregation"]) == ("INTEGER_COUNT", "counter_delta")
    stats = (await company.http.get("/api/v1/telemetry/stats")).json()
    assert (stats["unmapped_points"], stats["properties"]) == (1, 2)
    every = await points(company)
    wrong, mapped = every["Druck"]["series_id"], every["P"]["series_id"]
    assert "BAR" in (await mean(wrong, "own:strokes")).text
    assert (await mean(mapped, "own:strokes")).status_code == 409
    assert (await mean(strokes, "own:nothing")).status_code == 422
    assert (await mean(strokes, "active_power_total")).status_code == 422

    span = {"series_id": strokes, "start": instant(now - 3_700_000_000), "end": instant(now), "resolution": "1h"}
    curve = (await company.http.get("/api/v1/history", params=span)).json()["curves"][0]
    assert curve["aggregation"] == "counter_delta"
    assert sum(sample["value"] or 0 for sample in curve["samples"]) == 118
    table = await company.http.get("/api/v1/export", params=span | {"format": "csv", "lang": "zh"})
    assert "合模次数" in table.text
    assert (
        await company.http.put("/api/v1/retention", json={"rules": [{"property": "own:strokes", "keep_days": 9}]})
    ).is_success
    rule = {"name": "r", "selection": {"property": "own:strokes"}, "condition": {"kind": "threshold", "high": 1e9}}
    assert (await company.http.post("/api/v1/alarms/rules", json=rule)).status_code == 201

    store = opened((await company.http.get(f"/api/v1/equipment/{found['equipment_id']}/shell")).content)
    values = store.get_item(f"urn:sunmao:submodel:{found['equipment_id']}:OperationalData").get_referable("Points")
    element = values.get_referable("own_strokes")
    assert (element.value, qualified(element)["Unit"]) == (128, "H87")
    assert element.semantic_id.key[0].value == f"urn:sunmao:company:{company.scope.tenant_id}:entry:strokes"
    assert iec(element.semantic_id.resolve(store)).definition["zh"] == FORCE["definition_zh"]

    withdrawn = await manager.post(f"{AT}/own:strokes/withdrawal", json={"note": "重复"})
    assert withdrawn.json()["state"] == "withdrawn"
    assert (await points(company))["Hub"]["name_zh"] == "合模次数", "who has it keeps it"
    assert (await mean(strokes, "")).status_code == 204
    assert (await points(company))["Hub"]["property"] == ""
    assert (await mean(strokes, "own:strokes")).status_code == 422, "and nobody takes it any more"
    assert (await manager.post(f"{AT}/own:strokes/withdrawal", json={"note": "重复"})).status_code == 404


def instant(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat()


async def sent(company: Company, content: bytes, format: str) -> httpx.Response:
    return await company.http.post("/api/v1/dictionary:import", params={"format": format}, content=content)


@pytest.mark.parametrize("format", ["csv", "aasx", "json"])
async def test_what_was_exported_comes_back_at_another_company(
    new_company: NewCompany, company: Company, member: Member, format: str
) -> None:
    await released(company, await member("manager"))
    exported = (await company.http.get("/api/v1/dictionary:export", params={"format": format})).content
    assert (await sent(company, exported, format)).json()["proposed"] == [], "they are there as they are"
    other = await new_company()
    report = (await sent(other, exported, format)).json()
    assert (report["proposed"], report["faults"]) == (["own:strokes"], []), report
    assert report["known"] > 200
    (entry,) = (await other.http.get(AT)).json()
    assert {name: entry["entry"][name] for name in FORCE} == FORCE
    assert (await sent(other, exported, format)).json()["faults"][0]["code"] == "own:strokes", "it is being reviewed"


async def test_a_table_is_taken_whole_or_not_at_all(company: Company) -> None:
    rows = [FORCE, FORCE | {"code": "own:b", "name_zh": "乙", "name_en": "B", "unit": "QQ"}, FORCE | {"code": "Own c"}]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(FORCE))
    writer.writeheader()
    writer.writerows(rows)
    report = (await sent(company, text.getvalue().encode("gb18030"), "csv")).json()
    assert report["proposed"] == []
    assert [(fault["row"], fault["code"]) for fault in report["faults"]] == [(3, "own:b"), (4, "Own c")]
    assert "未知单位" in report["faults"][0]["message_zh"]
    assert (await company.http.get(AT)).json() == []
    assert "Unknown column" in (await sent(company, b"code,colour\nown:a,red\n", "csv")).text
    assert (await sent(company, b"\xff\xfe\x00", "csv")).status_code == 422


async def test_concepts_of_others_get_a_code_of_ones_own(company: Company) -> None:
    content = model.DataSpecificationIEC61360(
        model.PreferredNameTypeIEC61360({"zh-CN": "锁模力", "en-GB": "Clamping force"}),
        definition=model.DefinitionTypeIEC61360({"zh-CN": "合模所用的力", "en": "Force that keeps the mould shut"}),
        data_type=model.DataTypeIEC61360.REAL_MEASURE,
        unit="kN",
    )
    concept = model.ConceptDescription(
        "https://example.com/force",
        embedded_data_specifications=[model.EmbeddedDataSpecification(external("https://example.com/iec"), content)],
    )
    report = (await sent(company, packed([[concept]], "aasx"), "aasx")).json()
    assert report["proposed"] == ["own:clamping_force"], report
    (entry,) = (await company.http.get(AT)).json()
    assert (entry["entry"]["name_zh"], entry["entry"]["unit"], entry["entry"]["aggregation"]) == (
        "锁模力",
        "B47",
        "avg",
    )


def bomb(part: bytes, name: str = "aasx/data.xml") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, part)
    return file.getvalue()


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l "ha"><!ENTITY m "&l;&l;&l;">]><a>&m;</a>'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bomb(b"\0" * (reading.MOST_UNPACKED + 1)), "8 MiB"),
        (bomb(LAUGHS), "DTD"),
        (bomb(LAUGHS, "[Content_Types].xml"), "DTD"),
        (bomb(LAUGHS.decode().encode("utf-16")), "DTD"),
        (bomb(b"<a/>"), "Neither"),
        (b"PK\x03\x04 nothing", "damaged"),
        (b"[" * 100_000, "Neither"),
        (b'{"conceptDescriptions": [{"modelType": "ConceptDescription"}]}', "Neither"),
        (b"\xff\xff", "Neither"),
    ],
)
async def test_hostile_files_are_refused_by_name(company: Company, content: bytes, said: str) -> None:
    answer = await sent(company, content, "aasx")
    assert (answer.status_code, said in answer.text) == (422, True), answer.text
    assert (await company.http.get(AT)).json() == []


async def test_more_than_a_mebibyte_is_not_read(company: Company) -> None:
    assert (await sent(company, b"x" * (1024 * 1024 + 1), "csv")).status_code == 413


async def test_entries_are_their_companys_alone(new_company: NewCompany, company: Company, member: Member) -> None:
    await released(company, await member("manager"))
    other = await new_company()
    assert (await other.http.get(AT)).json() == []
    assert (await other.http.get(f"{AT}/own:strokes")).status_code == 404
    assert "own:strokes" not in (await other.http.get("/api/v1/dictionary:export")).text
