"""Machines as Asset Administration Shells, read back with the reference implementation, strictly."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import pytest
from basyx.aas import model
from basyx.aas.adapter.aasx import AASXReader, DictSupplementaryFileContainer
from basyx.aas.adapter.json import read_aas_json_file
from basyx.aas.util.traversal import walk_semantic_ids_recursive, walk_submodel

from cloud.core.db import Database
from cloud.semantics import service
from protocols.reading import BAD_TIMEOUT
from protocols.uplink.messages import PointRef
from tests.cloud.conftest import Company, NewCompany
from tests.cloud.production.test_production import a_day, a_machine, kpis
from tests.doubles.agent import POWER, frame, readings

OIL = PointRef("press-1", "油温 #1", "", "CEL")
RECIPE = PointRef("press-1", "Recipe\x1b", "", "C62")
SILENT = PointRef("press-1", "T", "motor_temperature", "CEL")


def opened(content: bytes) -> Any:
    """Return what is in an AASX package, by id."""
    store: Any = model.DictIdentifiableStore()
    with AASXReader(io.BytesIO(content), failsafe=False) as reader:
        reader.read_into(store, DictSupplementaryFileContainer())
    return store


def kinds(store: Any) -> dict[str, int]:
    return {
        kind.__name__: sum(isinstance(one, kind) for one in store)
        for kind in (model.AssetAdministrationShell, model.Submodel, model.ConceptDescription)
    }


def properties(submodel: Any) -> dict[str, Any]:
    return {one.id_short: one.value for one in walk_submodel(submodel) if isinstance(one, model.Property)}


def qualified(element: Any) -> dict[str, Any]:
    return {one.type: one.value for one in element.qualifier}


def iec(concept: Any) -> Any:
    (specification,) = concept.embedded_data_specifications
    return specification.data_specification_content


@pytest.fixture
async def press(company: Company, db: Database, owner_dsn: str) -> tuple[str, date]:
    """A machine with one shift, and nothing planned since; returns its id and the shift's day."""
    day, rows = a_day()
    for off in (1, 2):
        free = {"site_id": str(company.site_id), "day": (day + timedelta(days=off)).isoformat(), "name": "-"}
        (await company.http.put("/api/v1/production/calendar-exceptions", json=free)).raise_for_status()
    last_us = rows[-1][1].source_time
    rows += readings(OIL, [41.5], last_us) + readings(RECIPE, ["配方\x02-7"], last_us)
    rows += readings(SILENT, [None], last_us, quality=BAD_TIMEOUT)
    machine = await a_machine(company, db, owner_dsn, [frame(0, rows)])
    told = {
        "display_name": "注塑机-03",
        "asset_number": "A-17",
        "made_on": "2019-03-05",
        "installed_on": "2020-01-02",
        "rated_power_kw": 37.5,
    }
    (await company.http.patch(f"/api/v1/equipment/{machine}", json=told)).raise_for_status()
    return machine, day


async def test_a_machine_comes_back_from_its_package(company: Company, press: tuple[str, date]) -> None:
    machine, day = press
    answer = await company.http.get(f"/api/v1/equipment/{machine}/shell")
    assert answer.status_code == 200, answer.text
    assert "%E6%B3%A8%E5%A1%91%E6%9C%BA-03.aasx" in answer.headers["content-disposition"]
    store = opened(answer.content)
    assert kinds(store)["Submodel"] == 3
    shell = store.get_item(f"urn:sunmao:shell:{machine}")
    assert shell.display_name["zh"] == "注塑机-03"
    assert shell.asset_information.global_asset_id == f"urn:sunmao:equipment:{machine}"
    assert {one.value for one in shell.asset_information.specific_asset_id} == {"A-17"}
    submodels = {one.id_short: one for one in (reference.resolve(store) for reference in shell.submodel)}
    for submodel in submodels.values():
        for semantic_id in walk_semantic_ids_recursive(submodel):
            if isinstance(semantic_id, model.ModelReference):
                assert iec(semantic_id.resolve(store)).preferred_name["zh"]

    plate = {one.id_short: one.value for one in submodels["Nameplate"].submodel_element}
    assert (plate["YearOfConstruction"], plate["DateOfManufacture"]) == ("2019", date(2019, 3, 5))
    data = properties(submodels["TechnicalData"])
    assert (data["RatedPower"], data["PlannedRunTime"]) == (37.5, 30.0)

    points = {one.id_short: one for one in submodels["OperationalData"].get_referable("Points").value}
    state = points["machine_state"]
    assert (state.value, qualified(state)["Unit"], qualified(state)["Quality"]) == (2, "C62", "Good")
    meaning = iec(state.semantic_id.resolve(store))
    assert meaning.preferred_name["zh"] == "设备运行状态"
    assert meaning.definition["en"]
    names = {pair.value: iec(pair.value_id.resolve(store)).preferred_name["zh"] for pair in meaning.value_list}
    assert names["3"] == "运行"
    assert qualified(points["point_1"])["PointName"] == OIL.name
    assert (points["point_1"].value, points["point_1"].display_name["zh"]) == (41.5, OIL.name)
    assert points["Recipe"].value == "配方\ufffd-7"
    assert points["motor_temperature"].value is None
    assert qualified(points["motor_temperature"])["Quality"] == BAD_TIMEOUT.cause

    (row,) = (await kpis(company, "equipment", machine, day, granularity="shift"))["rows"]
    figures = submodels["OperationalData"].get_referable("KPIs")
    assert qualified(figures)["ProductionDay"] == day
    assert figures.description["zh"] == "白班"
    assert {one.id_short: one.value for one in figures.value} == {
        code: one["value"] for code, one in row["kpis"].items()
    }
    assert row["kpis"]["oee"]["value"] > 0
    lacking = figures.get_referable("first_pass_yield")
    assert (lacking.value, lacking.description["zh"]) == (None, row["kpis"]["first_pass_yield"]["reason_zh"])


async def test_json_says_the_same_and_ids_stay(company: Company, press: tuple[str, date]) -> None:
    machine, _ = press
    address = f"/api/v1/equipment/{machine}/shell"
    packages = [opened((await company.http.get(address)).content) for _ in range(2)]
    answer = await company.http.get(address, params={"format": "json"})
    assert answer.headers["content-type"] == "application/json"
    assert "设备运行状态" in answer.text
    told = read_aas_json_file(io.StringIO(answer.text), failsafe=False)
    assert {one.id for one in told} == {one.id for one in packages[0]} == {one.id for one in packages[1]}
    (values,) = (one for one in told if one.id.endswith("OperationalData"))
    assert properties(values) == properties(packages[0].get_item(values.id))


async def test_a_plant_is_one_package(company: Company, press: tuple[str, date], monkeypatch: Any) -> None:
    async with company.agent("second") as agent:
        await agent.deliver(frame(0, readings(POWER, [1.5], 1_700_000_000_000_000)))
    store = opened((await company.http.get("/api/v1/equipment:shells")).content)
    assert kinds(store)["AssetAdministrationShell"] == 2
    of_site = await company.http.get("/api/v1/equipment:shells", params={"site_id": str(company.site_id)})
    assert {one.id for one in opened(of_site.content)} == {one.id for one in store}
    monkeypatch.setattr(service, "MOST_SHELLS", 1)
    refused = await company.http.get("/api/v1/equipment:shells")
    assert (refused.status_code, "2 machines" in refused.text) == (422, True)


async def test_a_company_without_machines_and_anothers_machine(
    new_company: NewCompany, company: Company, press: tuple[str, date]
) -> None:
    other = await new_company()
    assert (await other.http.get("/api/v1/equipment:shells")).status_code == 404
    assert (await other.http.get(f"/api/v1/equipment/{press[0]}/shell")).status_code == 404
    assert (
        await other.http.get("/api/v1/equipment:shells", params={"site_id": str(company.site_id)})
    ).status_code == 404
