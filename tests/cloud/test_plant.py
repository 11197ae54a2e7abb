"""The plant: sites, lines and where equipment stands."""

from __future__ import annotations

from typing import Any

import httpx

from cloud.core.db import Database
from cloud.telemetry.catalogue import Catalogue
from tests.cloud.conftest import Company
from tests.doubles.agent import POWER, AgentDouble, frame, readings

AT = 1_770_000_000_000_000


async def _line(company: Company, name: str, site: str | None = None) -> dict[str, Any]:
    answer = await company.http.post("/api/v1/lines", json={"site_id": site or str(company.site_id), "name": name})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def _equipment(company: Company) -> dict[str, Any]:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0], AT)))
    (found,) = (await company.http.get("/api/v1/equipment")).json()
    return dict(found)


async def _last_act(company: Company) -> dict[str, Any]:
    return dict((await company.http.get("/api/v1/audit")).json()["items"][0])


async def test_a_machine_is_placed_described_and_moved_and_the_log_says_what_changed(
    company: Company, db: Database
) -> None:
    http, line = company.http, await _line(company, "Line 1")
    machine = await _equipment(company)
    assert (machine["line"], machine["path"], machine["label"]) == (None, f"main / {machine['name']}", machine["name"])
    url = f"/api/v1/equipment/{machine['id']}"
    said = {
        **{"line_id": line["id"], "display_name": "压铸机 3#", "class_override": "compressor"},
        **{"asset_number": "SB-0042", "made_on": "2011-05-01", "installed_on": "2012-03-01"},
        **{"rated_power_kw": 75.0, "purchase_price": "480000.00"},
    }
    placed = (await http.patch(url, json=said)).json()
    assert {name: placed[name] for name in said} == said
    assert placed["path"] == "main / Line 1 / 压铸机 3#"
    assert (placed["name"], placed["equipment_class"]) == (machine["name"], "compressor")
    act = await _last_act(company)
    assert act["act"] == "equipment.describe"
    assert act["detail"]["after"]["line_id"] == line["id"]
    assert act["detail"]["before"]["line_id"] is None
    assert (await http.get(f"/api/v1/lines/{line['id']}")).json()["equipment"] == 1

    assert (await http.delete(f"/api/v1/lines/{line['id']}")).status_code == 409, "a machine stands in it"
    for typed in ("压铸 3", "yazhu", "yzj line", "MAIN yzj", "sb-0042", machine["name"][:4]):
        (found,) = (await http.get("/api/v1/equipment", params={"search": typed})).json()
        assert found["id"] == machine["id"], typed
    for typed in ("zongyougong yzj", "active power line", "压铸机 总有功"):
        (point,) = (await http.get("/api/v1/points", params={"search": typed, "limit": 5})).json()
        assert (point["property"], point["equipment_id"]) == (POWER.property, machine["id"]), typed
    for path in ("equipment", "points"):
        assert (await http.get(f"/api/v1/{path}", params={"search": "yzj nowhere"})).json() == []
    catalogue = Catalogue(db)
    index = await catalogue.index(company.scope)
    for typed in ("main", "power", "gong", "main power", "power yzj line", "nowhere", " "):
        found = [one.series_id for one in await catalogue.find(company.scope, typed, 3)]
        assert found == index.find(typed, 3), typed

    taken_out = (await http.patch(url, json={"line_id": None})).json()
    assert (taken_out["line"], taken_out["asset_number"]) == (None, "SB-0042"), "the rest stays"
    assert list((await _last_act(company))["detail"]["after"]) == ["line_id"]
    assert (await http.delete(f"/api/v1/lines/{line['id']}")).status_code == 204
    assert (await http.get(f"/api/v1/lines/{line['id']}")).status_code == 404


async def test_a_machine_stands_in_lines_of_its_own_site_only(company: Company) -> None:
    http = company.http
    elsewhere = (await http.post("/api/v1/sites", json={"name": "elsewhere"})).json()["id"]
    here, there = await _line(company, "A"), await _line(company, "A", elsewhere)
    machine = await _equipment(company)
    url = f"/api/v1/equipment/{machine['id']}"
    assert (await http.patch(url, json={"line_id": there["id"]})).status_code == 422
    assert (await http.patch(url, json={"class_override": "spaceship"})).status_code == 422
    assert (await http.patch(url, json={"line_id": here["id"]})).status_code == 200
    move = {"site_id": elsewhere, "name": "B"}
    assert (await http.patch(f"/api/v1/lines/{here['id']}", json=move)).status_code == 409
    await http.patch(url, json={"line_id": None})
    assert (await http.patch(f"/api/v1/lines/{here['id']}", json=move)).json()["path"] == "elsewhere / B"


async def test_a_gateway_that_is_enrolled_at_another_site_takes_its_machines_out_of_the_lines(company: Company) -> None:
    http, line = company.http, await _line(company, "Line 1")
    agent = AgentDouble(str(http.base_url))
    async with agent.http:
        await agent.enrol(await company.code())
        await agent.log_in()
        await agent.deliver(frame(1, readings(POWER, [1.0], AT)))
        (machine,) = (await http.get("/api/v1/equipment")).json()
        await http.patch(f"/api/v1/equipment/{machine['id']}", json={"line_id": line["id"]})
        site = (await http.post("/api/v1/sites", json={"name": "second"})).json()["id"]
        await agent.enrol((await http.post("/api/v1/enrolment-codes", json={"site_id": site})).json()["code"])
    (moved,) = (await http.get("/api/v1/equipment")).json()
    assert (moved["line_id"], moved["path"]) == (None, f"second / {moved['name']}")


async def test_names_are_told_apart_and_lists_come_in_pages(company: Company) -> None:
    http = company.http
    made = [(await _line(company, f"Line {number}"))["id"] for number in range(5)]
    assert await _conflict(http.post("/api/v1/lines", json={"site_id": str(company.site_id), "name": "Line 3"}))
    assert await _conflict(http.patch(f"/api/v1/lines/{made[0]}", json={"name": "Line 3"}))
    await http.post("/api/v1/sites", json={"name": "second"})
    assert await _conflict(http.patch(f"/api/v1/sites/{company.site_id}", json={"name": "second"}))
    assert (await http.patch(f"/api/v1/sites/{company.site_id}", json={"name": "works"})).json()["name"] == "works"
    assert (await _last_act(company))["detail"]["before"] == "main"
    listed: list[str] = []
    after: str | None = None
    while True:
        page = (await http.get("/api/v1/lines", params={"limit": 2, **({"after": after} if after else {})})).json()
        listed += [line["id"] for line in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert listed == made
    assert page["items"][0]["path"] == "works / Line 4"


async def _conflict(asked: Any) -> bool:
    answer: httpx.Response = await asked
    return answer.status_code == 409
