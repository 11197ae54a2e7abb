"""How a machine is read holds from an hour on: an edit of today leaves last month as it was, unless it says otherwise."""

from __future__ import annotations

from datetime import datetime, timedelta

from cloud.core.db import Database
from cloud.production.service import BEGINNING
from tests.cloud.conftest import Company
from tests.cloud.production.test_production import ZONE, a_day, a_machine, dump, kpis, settle
from tests.doubles.agent import frame

ALL_IDLE = {"state_values": {"1": "idle", "2": "idle", "3": "idle"}}


async def test_an_edit_leaves_the_past_as_it_was_unless_it_is_back_dated(
    company: Company, db: Database, owner_dsn: str
) -> None:
    day, rows = a_day()
    machine = await a_machine(company, db, owner_dsn, [frame(1, rows)])
    settings = f"/api/v1/production/equipment/{machine}/settings"

    async def put(body: object, **since: str) -> int:
        answer = await company.http.put(settings, json=body, params=since)
        await settle(db, owner_dsn)
        return answer.status_code

    async def producing() -> float:
        total = (await kpis(company, "equipment", machine, day))["total"]
        return float(total["seconds"]["producing"]) / 3600

    before, hours = dump(owner_dsn), await producing()
    assert hours > 8
    assert await put(ALL_IDLE) == 200
    assert dump(owner_dsn) == before, "what the dictionary's entries said holds for what was"
    assert await put({"micro_stop_s": 60}, valid_from=BEGINNING.isoformat()) == 200
    before = dump(owner_dsn)
    assert await put(ALL_IDLE) == 200
    assert dump(owner_dsn) == before, "a month that is over keeps its figures"

    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZONE)
    assert await put(ALL_IDLE, valid_from=(noon + timedelta(minutes=30)).isoformat()) == 422
    assert await put(ALL_IDLE, valid_from=noon.isoformat()) == 200
    assert await producing() == 3.5, (
        "from noon on nothing is producing; the morning, two hours and one and a half, is as it was"
    )

    versions = (await company.http.get(f"{settings}/versions")).json()
    begins = [datetime.fromisoformat(one["valid_from"]) for one in versions]
    assert begins[1:] == [noon, BEGINNING]
    assert {one["set_by"] for one in versions} == {company.email}
    assert versions[2]["settings"]["micro_stop_s"] == 60

    gone = await company.http.delete(f"{settings}/versions", params={"valid_from": noon.isoformat()})
    assert gone.status_code == 204
    await settle(db, owner_dsn)
    assert dump(owner_dsn) == before, "as if it had never been"
    again = await company.http.delete(f"{settings}/versions", params={"valid_from": noon.isoformat()})
    assert again.status_code == 404
    acts = [
        one for one in (await company.http.get("/api/v1/audit")).json()["items"] if one["act"].startswith("production.")
    ]
    assert [one["act"] for one in acts] == ["production.unset", *["production.set"] * 4]
    assert datetime.fromisoformat(acts[1]["detail"]["valid_from"]) == noon
