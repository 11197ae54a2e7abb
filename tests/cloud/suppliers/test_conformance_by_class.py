"""What a programme asks of single classes of equipment, and of suppliers whose values come by file, once a day."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cloud.core.db import Database
from cloud.sharing.schemas import SharedMachine
from cloud.sharing.terms import Ask, Item, within
from cloud.suppliers.conformance import conforms, fresh, judged
from cloud.suppliers.schemas import Programme, Supplier
from cloud.web.supplier_words import lacking
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.sharing.pair import registered, values

SHANGHAI = ZoneInfo("Asia/Shanghai")
POWER = {"entry": "active_power_total", "granularity": "raw"}
PARTS = {"entry": "part_count_total", "granularity": "raw", "classes": ["cnc"]}
MELT = {"entry": "melt_temperature", "granularity": "raw", "classes": ["injection_moulding"]}
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


def test_less_is_fewer_classes_never_more() -> None:
    def terms(*classes: str) -> Any:
        return Ask(items=(Item(entry="part_count_total", granularity="hour", classes=classes),)).granted(NOW, None)

    assert within(terms("cnc"), terms())
    assert within(terms("cnc"), terms("cnc", "robot"))
    assert not within(terms(), terms("cnc"))
    assert not within(terms("cnc", "robot"), terms("cnc"))
    with pytest.raises(ValueError, match="teapot"):
        terms("teapot")


def test_what_is_asked_of_no_machine_of_the_supplier_keeps_it_from_nothing() -> None:
    press = SharedMachine(
        equipment_id="01999999-0000-7000-8000-000000000000", name="p", equipment_class="pump", entries=[]
    )
    asked = Item.model_validate(PARTS)
    terms = Ask(items=(asked,)).granted(NOW, None)
    found = judged(asked, terms, [press], None)
    assert (found.applies, found.missing) == (False, [])
    assert conforms(found, asked)
    programme = Programme(
        **{"id": press.equipment_id, "created_by": "", "created_at": NOW, "name": "n", "purpose": "p"},
        **{"terms": Ask(items=(asked,)), "deadline": NOW.date()},
    )
    assert fresh(found, asked, programme, NOW)
    everywhere = Item(entry="part_count_total", granularity="raw")
    assert judged(everywhere, terms, [press], None).granted is False, "shown of one class, asked of all"


async def programme(leader: Company, code: str, **more: Any) -> tuple[str, str]:
    """Return the ids of a programme and of the one supplier that is invited to it."""
    body = {"name": "2026", "purpose": "delivery risk", "terms": {"items": [POWER, PARTS, MELT], "history_days": 5}}
    body |= {"deadline": (date.today() + timedelta(days=30)).isoformat()} | more  # noqa: DTZ011
    made = await leader.http.post("/api/v1/programmes", json=body)
    assert made.status_code == 201, made.text
    identity = made.json()["id"]
    row = f"credit_code,name\n{code},one\n"
    invited = (await leader.http.post(f"/api/v1/programmes/{identity}/suppliers", content=row)).json()["invited"]
    return identity, invited[0]["supplier_id"]


async def machine(company: Company, name: str, kind: str) -> str:
    body = {"site_id": str(company.site_id), "name": name, "equipment_class": kind}
    return str((await company.http.post("/api/v1/equipment", json=body)).raise_for_status().json()["id"])


async def upload(company: Company, heading: str, *rows: str) -> None:
    params, content = {"site_id": str(company.site_id)}, "\n".join([heading, *rows])
    answer = await company.http.post("/api/v1/uploads", params=params, content=content.encode())
    assert answer.json()["stored"], answer.text


async def test_by_class_and_by_file_once_a_day(company: Company, new_company: NewCompany, db: Database) -> None:
    leader, supplier = company, await new_company()
    identity, member = await programme(leader, await registered(supplier, db), cadence="day")
    listed = {one["id"]: one for one in (await leader.http.get("/api/v1/programmes")).json()}
    assert listed[identity]["cadence"] == "day"
    assert [item["classes"] for item in listed[identity]["terms"]["items"]] == [[], ["cnc"], ["injection_moulding"]]
    (request,) = (await supplier.http.get("/api/v1/sharing/requests")).json()
    more = {"items": [POWER, PARTS | {"classes": []}, MELT]}
    acceptance = f"/api/v1/sharing/requests/{request['id']}/acceptance"
    assert (await supplier.http.post(acceptance, json=more)).status_code == 422, (
        "of all machines is more than of one class"
    )
    made = (await supplier.http.post(acceptance, json={})).raise_for_status().json()
    grant, listed_terms = made["id"], made["terms"]

    async def check() -> dict[str, Any]:
        return dict((await leader.http.post(f"/api/v1/suppliers/{member}/check")).raise_for_status().json())

    assert (await check())["stage"] == "agreed"
    lathe, mill = await machine(supplier, "lathe", "cnc"), await machine(supplier, "mill", "cnc")
    state = await check()
    assert state["stage"] == "device", "a machine that is entered by hand is one"
    assert {item["entry"]: (item["applies"], item["missing"]) for item in state["items"]} == {
        "active_power_total": (True, ["lathe", "mill"]),
        "part_count_total": (True, ["lathe", "mill"]),
        "melt_temperature": (False, []),
    }
    yesterday = f"{datetime.now(SHANGHAI) - timedelta(hours=20):%Y-%m-%d %H:%M}"
    await upload(supplier, "设备,时间,总有功功率,加工总件数,熔体温度", f"lathe,{yesterday},5,100,200")
    state = await check()
    parts = next(item for item in state["items"] if item["entry"] == "part_count_total")
    assert (state["stage"], parts["machines"], parts["by_hand"], parts["missing"]) == ("device", 1, 1, ["mill"])
    wanted = Programme(**next(one for one in listed.values() if one["id"] == identity))
    assert lacking("device", Supplier(**state).items, wanted, "en") == ["mill lacks Total part count"]
    await upload(supplier, "设备,时间,加工总件数", f"mill,{yesterday},50")
    state = await check()
    assert state["stage"] == "live", "twenty hours are in time where a day is asked for"

    # What is asked of a class is shown of that class alone.
    start, end = NOW - timedelta(days=2), NOW
    for entry, shown in (("part_count_total", {lathe, mill}), ("melt_temperature", set())):
        read = (await values(leader, grant, entry, start, end)).json()
        assert {one["equipment_id"] for one in read["series"]} == shown
    assert (await values(leader, grant, "melt_temperature", start, end, equipment_id=lathe)).status_code == 404
    machines = {one["name"]: one for one in (await leader.http.get(f"/api/v1/sharing/grants/{grant}/machines")).json()}
    assert machines["lathe"]["entries"] == ["active_power_total", "part_count_total"]
    await machine(supplier, "press", "injection_moulding")
    narrower = listed_terms | {"items": [PARTS], "machines": None}
    (await supplier.http.put(f"/api/v1/sharing/grants/{grant}/terms", json={"terms": narrower})).raise_for_status()
    shown = (await leader.http.get(f"/api/v1/sharing/grants/{grant}/machines")).json()
    assert {one["name"] for one in shown} == {"lathe", "mill"}, "of other kinds not even the name"


async def test_without_a_cadence_a_day_is_too_old_and_single_values_make_no_mean(
    company: Company, new_company: NewCompany, db: Database
) -> None:
    leader, supplier = company, await new_company()
    terms = {"items": [POWER | {"granularity": "hour"}], "history_days": 5}
    identity, member = await programme(leader, await registered(supplier, db), terms=terms)
    (request,) = (await supplier.http.get("/api/v1/sharing/requests")).json()
    (await supplier.http.post(f"/api/v1/sharing/requests/{request['id']}/acceptance", json={})).raise_for_status()
    await machine(supplier, "lathe", "cnc")
    hour = (datetime.now(SHANGHAI) - timedelta(hours=20)).replace(minute=0)
    heading, path = "设备,时间,总有功功率", f"/api/v1/suppliers/{member}/check"
    await upload(supplier, heading, f"lathe,{hour:%Y-%m-%d %H:%M},5")
    state = await rolled_up(leader, path, few=1)
    wanted = Programme(
        **next(one for one in (await leader.http.get("/api/v1/programmes")).json() if one["id"] == identity)
    )
    (said,) = lacking(state["stage"], Supplier(**state).items, wanted, "en")
    assert "fewer than three readings" in said
    await upload(supplier, heading, *(f"lathe,{hour + timedelta(minutes=each):%Y-%m-%d %H:%M},5" for each in (10, 20)))
    state = await rolled_up(leader, path, few=0)
    assert state["stage"] == "conformant", "twenty hours are too old where values are to come as they arise"


async def rolled_up(leader: Company, path: str, *, few: int) -> dict[str, Any]:
    """Check until the roll-ups have caught up."""
    async with asyncio.timeout(60):
        while True:
            state = dict((await leader.http.post(path)).raise_for_status().json())
            (item,) = state["items"]
            if item["few"] == few and item["few"] + item["values"]:
                return state
            await asyncio.sleep(0.3)
