"""Packages through the API: published, previewed, installed, updated beside own changes, withdrawn and removed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from protocols.reading import now_us
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.registry.bundles import Shelf as Models
from tests.cloud.registry.bundles import shelf as models_of
from tests.doubles.agent import POWER, frame, readings
from tests.edge_agent.inspect.conftest import SignedBundle, small_bundle

__all__ = ["small_bundle"]

SHELF = "/api/v1/shelf"
WORDS = {"title": {"en": "Peak watch", "zh": "峰值监测"}, "description": {"en": "Tells of peaks.", "zh": "峰值报警。"}}
TEMPLATE = """
[device]
id = "press-works-meter"
version = 1
manufacturer = "Press Works"
model = "M1"
name = { en = "Meter of the press shop", zh = "冲压车间电表" }
equipment_class = "energy_meter"
protocol = "modbus"
source = "the maker's register map, page 3"
[[point]]
name = "P"
property = "active_power_total"
unit = "KWT"
table = "holding"
address = 0
type = "float32"
description = "Total active power"
"""


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


def rule(name: str, high: float, **selection: Any) -> dict[str, Any]:
    chosen = selection or {"property": "active_power_total"}
    return {"name": name, "selection": chosen, "condition": {"kind": "threshold", "high": high}}


async def made(company: Company, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await company.http.post(f"/api/v1/{path}", json=body)
    assert answer.is_success, answer.text
    return dict(answer.json())


async def published(company: Company, code: str, version: str, **more: Any) -> dict[str, Any]:
    return await made(company, "shelf/packages", {"id": code, "version": version, "licence": "MIT", **WORDS, **more})


async def got(company: Company, path: str) -> Any:
    answer = await company.http.get(path)
    assert answer.is_success, answer.text
    return answer.json()


async def plan(company: Company, package: dict[str, Any]) -> dict[str, Any]:
    return dict(await got(company, f"{SHELF}/packages/{package['id']}/plan"))


def told(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["kind"], one["name"], one["action"]) for one in found["steps"]]


async def installed(company: Company, package: dict[str, Any]) -> dict[str, Any]:
    digest = (await plan(company, package))["digest"]
    return await made(company, f"shelf/packages/{package['id']}/installation", {"plan": digest})


async def rules_of(company: Company) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in await got(company, "/api/v1/alarms/rules")}


async def test_the_shelf_is_not_empty_on_the_first_day(company: Company) -> None:
    packages = {one["code"]: one for one in await got(company, f"{SHELF}/packages") if one["with_platform"]}
    assert set(packages) == {"cnc-utilisation", "compressor-energy-watch", "moulding-quality-watch"}
    for package in packages.values():
        seen = await plan(company, package)
        assert {one["action"] for one in seen["steps"]} == {"add"}
        assert {one["bound"] for one in seen["steps"] if one["kind"] == "view"} == {0}, "said, not hidden"
        done = await installed(company, package)
        assert len(done["items"]) == len(seen["steps"])
    rules = await rules_of(company)
    assert all(one["enabled"] and one["origin"].startswith("shelf:") for one in rules.values())
    assert len(rules) == 9
    reasons = await got(company, "/api/v1/production/stop-reasons")
    parents = {one["id"]: one["name_en"] for one in reasons}
    purge = next(one for one in reasons if one["name_en"] == "Purging or colour change")
    assert parents[purge["parent_id"]] == "Setup and adjustment"
    for one in await got(company, f"{SHELF}/installations"):
        removal = await got(company, f"{SHELF}/installations/{one['id']}/removal")
        assert {step["action"] for step in removal["steps"]} == {"remove"}
        answer = await company.http.delete(f"{SHELF}/installations/{one['id']}", params={"plan": removal["digest"]})
        assert answer.status_code == 204, answer.text
    assert (await rules_of(company), await got(company, "/api/v1/trend-views")) == ({}, [])
    reasons = await got(company, "/api/v1/production/stop-reasons")
    assert next(one for one in reasons if one["id"] == purge["id"])["retired"], "stops may have it"
    again = await installed(company, packages["moulding-quality-watch"])
    assert purge["id"] in {item["target"] for item in again["items"]}, "what was retired comes back"


async def test_from_one_company_to_another_and_out_again(new_company: NewCompany) -> None:
    provider, factory = await new_company(), await new_company()
    high = await made(provider, "alarms/rules", rule("Peak", 40))
    low = await made(provider, "alarms/rules", rule("Hardly any", 9000))
    view = await made(provider, "trend-views", {"name": "Day of power", "entries": ["active_power_total"]})
    brings = {"rules": [high["id"], low["id"]], "views": [view["id"]], "templates": [TEMPLATE]}
    first = await published(provider, "peak-watch", "1.0.0", **brings)
    assert (first["mine"], first["installs"], first["public_key"] != "") == (True, 0, True)
    assert first["brings"] == {"rules": 2, "views": 1, "templates": 1}

    async with factory.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [41.0], now_us())))
        seen = await plan(factory, first)
        assert told(seen) == [
            ("rule", "Peak", "add"),
            ("rule", "Hardly any", "add"),
            ("view", "Day of power", "add"),
            ("template", "Press Works M1 · 冲压车间电表", "add"),
        ]
        assert [one["bound"] for one in seen["steps"]] == [1, 1, 1, None]
        done = await installed(factory, first)
        async with asyncio.timeout(30):  # the rule that came with it sees the factory's own meter
            sequence = 1
            while not (await got(factory, "/api/v1/alarms"))["items"]:
                sequence += 1
                await agent.deliver(frame(sequence, readings(POWER, [42.0], now_us())))
                await asyncio.sleep(0.2)
    assert [one["rule"] for one in (await got(factory, "/api/v1/alarms"))["items"]] == ["Peak"]
    again = await factory.http.post(f"{SHELF}/packages/{first['id']}/installation", json={"plan": seen["digest"]})
    assert again.status_code == 409
    mine = await got(provider, f"{SHELF}/packages")
    assert next(one for one in mine if one["id"] == first["id"])["installs"] == 1
    theirs = next(one for one in await got(factory, f"{SHELF}/packages") if one["id"] == first["id"])
    assert (theirs["mine"], theirs["installs"], theirs["installed"]) == (False, None, "1.0.0")

    # The factory sets a limit of its own, and whom the other rule tells; the provider brings out another version.
    rules = await rules_of(factory)
    own = rule("Peak", 55)
    await factory.http.put(f"/api/v1/alarms/rules/{rules['Peak']['id']}", json=own)
    off = {name: rules["Hardly any"][name] for name in ("name", "selection", "condition")} | {"enabled": False}
    await factory.http.put(f"/api/v1/alarms/rules/{rules['Hardly any']['id']}", json=off)
    for one, limit in ((high, 45), (low, 8000)):
        await provider.http.put(f"/api/v1/alarms/rules/{one['id']}", json=rule(one["name"], limit))
    for not_above in ("1.0.0", "0.9.9"):
        body = {"id": "peak-watch", "version": not_above, "licence": "MIT", **WORDS, **brings}
        assert (await provider.http.post(f"{SHELF}/packages", json=body)).status_code == 409
    second = await published(provider, "peak-watch", "1.1.0", rules=[high["id"], low["id"]], templates=[TEMPLATE])
    assert [one["newer"] for one in await got(factory, f"{SHELF}/installations")] == [second["id"]]
    seen = await plan(factory, second)
    assert told(seen) == [
        ("rule", "Peak", "keep"),
        ("rule", "Hardly any", "update"),
        ("template", "Press Works M1 · 冲压车间电表", "same"),
        ("view", "Day of power", "remove"),
    ]
    assert seen["steps"][0]["reason_zh"] == "您已修改过"
    await factory.http.put(f"/api/v1/alarms/rules/{rules['Peak']['id']}", json=own | {"enabled": False})
    done = await installed(factory, second)
    rules = await rules_of(factory)
    assert rules["Peak"]["condition"]["high"] == 55
    assert (rules["Hardly any"]["condition"]["high"], rules["Hardly any"]["enabled"]) == (8000, False)
    assert await got(factory, "/api/v1/trend-views") == []

    # A template is a file that the box's own command takes.
    text = (await factory.http.get(f"{SHELF}/installations/{done['id']}/templates/press-works-meter")).text
    assert text.startswith("# sunmao device template press-works-meter, version 1\n# sha256 ")
    missing = await factory.http.get(f"{SHELF}/installations/{done['id']}/templates/another")
    assert missing.status_code == 404

    # Withdrawn: not to be had any more, kept where it is, and told.
    stranger = await new_company()
    for company, status in ((factory, 404), (stranger, 404), (provider, 204), (provider, 404)):
        answer = await company.http.post(f"{SHELF}/packages/{second['id']}/withdrawal")
        assert answer.status_code == status, answer.text
    assert (await got(factory, f"{SHELF}/installations"))[0]["withdrawn"]
    assert (await stranger.http.get(f"{SHELF}/packages/{second['id']}/plan")).status_code == 404
    assert [one["version"] for one in await got(stranger, f"{SHELF}/packages") if not one["with_platform"]] == ["1.0.0"]

    removal = await got(factory, f"{SHELF}/installations/{done['id']}/removal")
    assert told(removal) == [
        ("rule", "Peak", "leave"),
        ("rule", "Hardly any", "remove"),
        ("template", "Press Works M1 · 冲压车间电表", "remove"),
    ]
    stale = await factory.http.delete(f"{SHELF}/installations/{done['id']}", params={"plan": seen["digest"]})
    assert stale.status_code == 412
    assert (await stranger.http.get(f"{SHELF}/installations/{done['id']}/removal")).status_code == 404
    answer = await factory.http.delete(f"{SHELF}/installations/{done['id']}", params={"plan": removal["digest"]})
    assert answer.status_code == 204, answer.text
    assert list(await rules_of(factory)) == ["Peak"], "the factory's own change is the factory's own rule"
    assert await got(factory, f"{SHELF}/installations") == []


async def test_who_has_a_withdrawn_package_is_told(new_company: NewCompany, owner_dsn: str) -> None:
    provider, factory = await new_company(), await new_company()
    channel = {"kind": "email", "name": "office", "recipients": ["somebody@example.com"]}
    await made(factory, "notify/channels", channel)
    one = await made(provider, "alarms/rules", rule("R", 40))
    package = await published(provider, "told", "1.0.0", rules=[one["id"]])
    await installed(factory, package)
    assert (await provider.http.post(f"{SHELF}/packages/{package['id']}/withdrawal")).status_code == 204
    with psycopg.connect(owner_dsn) as owner:
        rows = owner.execute(
            "SELECT tenant_id, notice->>'title_en' FROM notify_outbox WHERE key LIKE 'shelf:%'"
        ).fetchall()
    assert rows == [(factory.scope.tenant_id, "Peak watch 1.0.0 was withdrawn")]


async def test_all_or_nothing_and_what_cannot_be_had(new_company: NewCompany) -> None:
    provider, factory = await new_company(), await new_company()
    ours = [await made(provider, "alarms/rules", rule(name, 40)) for name in ("A", "B")]
    package = await published(provider, "two-rules", "1.0.0", rules=[one["id"] for one in ours])
    await made(factory, "alarms/rules", rule("B", 1))
    seen = await plan(factory, package)
    assert told(seen) == [("rule", "A", "add"), ("rule", "B", "refuse")]
    assert "already" in seen["steps"][1]["reason_en"]
    await made(factory, "alarms/rules", rule("A", 1))  # since the plan was looked at
    answer = await factory.http.post(f"{SHELF}/packages/{package['id']}/installation", json={"plan": seen["digest"]})
    assert answer.status_code == 412, answer.text
    assert (await rules_of(factory))["A"]["condition"]["high"] == 1
    nothing = (await plan(factory, package))["digest"]
    answer = await factory.http.post(f"{SHELF}/packages/{package['id']}/installation", json={"plan": nothing})
    assert answer.status_code == 409, "all of it refused"
    assert await got(factory, f"{SHELF}/installations") == []


async def test_what_is_of_one_plant_alone_does_not_travel(company: Company) -> None:
    placed = await made(
        company, "alarms/rules", rule("Here", 1, property="active_power_total", site_id=str(company.site_id))
    )
    view = await made(company, "trend-views", {"name": "own", "entries": ["own:x"]})

    async def refused(**more: Any) -> str:
        body = {"id": "mine", "version": "1.0.0", "licence": "MIT", **WORDS, **more}
        answer = await company.http.post(f"{SHELF}/packages", json=body)
        assert answer.status_code == 422, answer.text
        return str(answer.json()["detail"])

    assert "'Here' is for one place (site_id)" in await refused(rules=[placed["id"]])
    odd = await made(company, "alarms/rules", rule("Odd", 1, property="active_power_total", equipment_class="nonsense"))
    assert "'nonsense' is no equipment class" in await refused(rules=[odd["id"]])
    assert "no released entry" in await refused(views=[view["id"]])
    assert "a package brings something" in await refused()
    for wrong, why in (
        ("[defaults]\nhost = '192.0.2.7'\n", "defaults.host"),
        ("[defaults]\npassword = 'x'\n", "defaults.password"),
        ('[[point]]\nname = "Q"\nproperty = "nonsense"\n', "point[2].property"),
        ("x = [", "not valid TOML"),
    ):
        assert why in await refused(templates=[TEMPLATE + wrong])
    assert "device.id" in await refused(templates=[TEMPLATE.replace("press-works-meter", "Press Works")])
    assert "manifest.version" in await refused(version="one", templates=[TEMPLATE])
    assert [one for one in await got(company, f"{SHELF}/packages") if one["mine"]] == []


async def test_a_changed_document_is_refused(new_company: NewCompany, owner_dsn: str) -> None:
    provider, factory = await new_company(), await new_company()
    one = await made(provider, "alarms/rules", rule("R", 40))
    package = await published(provider, "tampered", "1.0.0", rules=[one["id"]])
    with psycopg.connect(owner_dsn) as owner:
        owner.execute("UPDATE shelf_package SET document = replace(document, '40.0', '41.0') WHERE code = 'tampered'")
        owner.execute(
            "UPDATE shelf_package SET digest = encode(sha256(convert_to(document, 'UTF8')), 'hex') WHERE code = 'tampered'"
        )
    answer = await factory.http.get(f"{SHELF}/packages/{package['id']}/plan")
    assert (answer.status_code, "signature" in answer.json()["detail"]) == (422, True)


async def test_a_model_travels_whole(new_company: NewCompany, tmp_path: Path, small_bundle: SignedBundle) -> None:
    models: Models = models_of(tmp_path, small_bundle)
    provider, factory = await new_company(), await new_company()
    await provider.http.post("/api/v1/models/keys", json={"public_key": models.trust, "name": "shelf"})
    answer = await provider.http.post(
        "/api/v1/models", content=models.zip("1"), headers={"Content-Type": "application/zip"}
    )
    package = await published(provider, "eyes", "1.0.0", models=[answer.json()["id"]])
    done = await installed(factory, package)
    (model,) = await got(factory, "/api/v1/models")
    assert (model["digest"], model["signer"]) == (models.digests["1"], models.trust)
    removal = await got(factory, f"{SHELF}/installations/{done['id']}/removal")
    assert [step["action"] for step in removal["steps"]] == ["leave"]


async def test_a_box_takes_an_installed_template(company: Company, tmp_path: Path) -> None:
    package = await published(company, "meter", "1.0.0", templates=[TEMPLATE])
    done = await installed(company, package)
    file = tmp_path / "press-works-meter.toml"
    file.write_bytes(
        (await company.http.get(f"{SHELF}/installations/{done['id']}/templates/press-works-meter")).content
    )
    edge = Path(sys.executable).parent / "sunmao-edge"
    added = await asyncio.to_thread(
        subprocess.run, [edge, "library", "add", file], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert added.returncode == 0, added.stderr + added.stdout
    assert (tmp_path / "library" / "press-works-meter.toml").exists()


async def test_kept_views(company: Company) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [41.0], now_us())))
    (point,) = await got(company, "/api/v1/points")
    view = await made(company, "trend-views", {"name": "mine", "series": [point["series_id"]]})
    assert (await company.http.post("/api/v1/trend-views", json={"name": "mine", "series": [1]})).status_code == 409
    both = {"name": "x", "series": [1], "entries": ["active_power_total"]}
    assert (await company.http.post("/api/v1/trend-views", json=both)).status_code == 422
    package = await published(company, "seen", "1.0.0", views=[view["id"]])
    document = await got(company, f"{SHELF}/packages/{package['id']}/document")
    (packed,) = document["contents"]["views"]
    assert packed["entries"] == ["active_power_total"], "by meaning, not by number"
    assert (await company.http.delete(f"/api/v1/trend-views/{view['id']}")).status_code == 204
    assert (await company.http.delete(f"/api/v1/trend-views/{view['id']}")).status_code == 404
