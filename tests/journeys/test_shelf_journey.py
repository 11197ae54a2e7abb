"""A provider publishes what works for it; a factory looks, installs it in one click, changes a limit, updates, and takes it out."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.doubles.factory import Factory, report_health
from tests.journeys.conftest import Company
from tests.journeys.test_every_page import OVERFLOW, picture

SITE, MACHINE = "苏州工厂", "注塑机-03"

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(180)]


def rule(company: Company, name: str, high: float, identity: str = "") -> str:
    body = {"name": name, "selection": {"property": "melt_temperature", "equipment_class": "injection_moulding"}}
    body |= {"condition": {"kind": "threshold", "high": high}, "hint_en": "Check the heater bands."}
    path = "/api/v1/alarms/rules"
    answer = company.client.put(f"{path}/{identity}", json=body) if identity else company.client.post(path, json=body)
    answer.raise_for_status()
    return str(answer.json()["id"])


def publish(page: Page, version: str, *ticked: str) -> None:
    page.goto("/shelf")
    page.get_by_text("Publish a package …").click()
    for label, value in {
        "Short name": "melt-watch",
        "Version": version,
        "Licence": "CC-BY-4.0",
        "Title, English": "Melt watch",
        "Title, Chinese": "熔温监测",
        "What it is for, English": "Tells of a melt that is too hot.",
        "What it is for, Chinese": "熔体温度过高时报警。",
    }.items():
        page.get_by_label(label, exact=True).fill(value)
        page.get_by_label(label, exact=True).blur()
    for name in ticked:
        page.locator(".ticked", has_text=name).locator("input").check()
    page.get_by_role("button", name="Publish a package").click()


def test_from_a_provider_to_a_factory_and_out_again(open_browser, found, works: Company, factory: Factory) -> None:
    assert factory.names
    provider = found("toolmaker")
    hot, slow = rule(provider, "Melt hot", 20), rule(provider, "Melt very hot", 900)
    desk = open_browser("en", company=provider)
    publish(desk, "first", "Melt hot", "Melt very hot")
    expect(desk.get_by_role("alert")).to_contain_text("manifest.version")
    publish(desk, "1.0.0", "Melt hot", "Melt very hot")
    expect(desk.get_by_text("installed by 0")).to_be_visible()
    picture(desk, "shelf-provider-en")

    floor = open_browser("en", company=works)
    floor.goto("/shelf")
    card = floor.locator(".shelf-package").filter(has_text="Melt watch")
    expect(card).to_contain_text("toolmaker · version 1.0.0 · CC-BY-4.0")
    card.get_by_role("button", name="What would it do?").click()
    expect(card.locator(".shelf-step")).to_have_count(2)
    expect(card.locator(".shelf-step").first).to_contain_text("applies to")
    assert floor.evaluate(OVERFLOW) == []
    picture(floor, "shelf-preview-en")
    card.get_by_role("button", name="Install").click()
    expect(floor.get_by_role("status")).to_have_text("Melt watch is installed.")
    mine = floor.locator(".shelf-installed").filter(has_text="Melt watch")
    expect(mine).to_be_visible()

    floor.goto("/alarms")  # the factory's own machines are hotter than the limit that came with it
    report_health(factory.plants[SITE], SITE)  # of a gateway that is not heard of nothing is alarmed
    factory.plants[SITE].deliver_point(MACHINE, "MeltT", "melt_temperature", "CEL", 221.5)
    expect(floor.get_by_text("(limit 20)").first).to_be_visible(timeout=60_000)
    rules = {one["name"]: one["id"] for one in works.client.get("/api/v1/alarms/rules").json()}
    rule(works, "Melt hot", 700, rules["Melt hot"])

    rule(provider, "Melt hot", 25, hot)
    rule(provider, "Melt very hot", 800, slow)
    publish(desk, "1.1.0", "Melt hot", "Melt very hot")
    expect(desk.get_by_text("installed by 1").first).to_be_visible()

    phone = open_browser("zh", "phone", company=works)
    phone.goto("/shelf")
    mine = phone.locator(".shelf-installed").filter(has_text="熔温监测")
    expect(mine).to_contain_text("有新版本")
    mine.get_by_role("button", name="预览更新").click()
    expect(mine.locator(".shelf-step").filter(has_text="您已修改过")).to_contain_text("保留您的改动")
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "shelf-update-zh-phone")
    mine.get_by_role("button", name="更新", exact=True).click()
    expect(mine).to_contain_text("1.1.0")
    limits = {one["name"]: one["condition"].get("high") for one in works.client.get("/api/v1/alarms/rules").json()}
    assert (limits["Melt hot"], limits["Melt very hot"]) == (700, 800)

    mine.get_by_role("button", name="移除").click()
    expect(mine.locator(".shelf-step").filter(has_text="Melt very hot")).to_contain_text("移除")
    mine.get_by_role("button", name="确认移除").click()
    expect(mine).to_have_count(0)
    assert "Melt very hot" not in {one["name"] for one in works.client.get("/api/v1/alarms/rules").json()}

    # A view that came with the platform opens on the page of curves, with the factory's own points.
    phone.locator(".shelf-package").filter(has_text="注塑质量监测").get_by_role("button", name="预览").click()
    phone.get_by_role("button", name="安装").click()
    expect(phone.get_by_role("status")).to_contain_text("注塑质量监测")
    phone.goto("/trends")
    phone.get_by_role("button", name="注塑：周期与熔体温度", exact=True).click()
    expect(phone.locator(".chart canvas")).to_be_visible()
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "trends-kept-zh-phone")
    phone.get_by_role("button", name="删除注塑：周期与熔体温度").click()
    expect(phone.get_by_role("button", name="注塑：周期与熔体温度", exact=True)).to_have_count(0)
