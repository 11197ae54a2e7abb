"""What the dictionary lacks: an engineer proposes it on a phone, a manager releases it, a point takes it, its machine's shell has it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from deploy.demo.screenshots import log_in
from tests.cloud.semantics.test_shells import iec, opened
from tests.doubles.plant import Plant
from tests.journeys.conftest import PASSWORD, Company
from tests.journeys.test_every_page import OVERFLOW, picture

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]

ENTRY = {
    "中文名称": "拉杆伸长量",
    "英文名称": "Tie-bar elongation",
    "中文定义": "锁模时拉杆被拉长的长度",
    "英文定义": "How much longer the tie bars are while the mould is shut",
}


def test_an_entry_of_ones_own_comes_into_use(open_browser, found, cloud: str, tmp_path: Path) -> None:
    company: Company = found("spoken")
    with httpx.Client(base_url=cloud, timeout=30) as client:
        plant = Plant(client)
        plant.enrol(company.code())
        plant.deliver_point("press-1", "SKx", "", "MMT", 0.8)
    engineer = {"email": "li@example.com", "password": PASSWORD, "role": "engineer"}
    company.client.post("/api/v1/users", json=engineer).raise_for_status()

    phone = open_browser("zh", "phone")
    log_in(phone, engineer["email"], PASSWORD)
    phone.goto("/dictionary")
    phone.get_by_label("代码(own: 之后)").fill("tie_bar_elongation")
    for label, text in ENTRY.items():
        phone.get_by_label(label).fill(text)
    phone.get_by_label("单位(UN/ECE 代码，无单位填 C62)").fill("mm")
    phone.get_by_role("button", name="提交").click()
    expect(phone.get_by_role("alert")).to_contain_text("未知单位“mm”")
    phone.get_by_label("单位(UN/ECE 代码，无单位填 C62)").fill("MMT")
    phone.get_by_role("button", name="提交").click()
    expect(phone.get_by_text("待审核")).to_be_visible()
    expect(phone.get_by_role("button", name="发布")).to_have_count(0)
    phone.wait_for_function(f"() => ({OVERFLOW})().length === 0")
    picture(phone, "dictionary-own-zh-phone")

    desk = open_browser("en", company=company)
    desk.goto("/dictionary")
    desk.get_by_role("button", name="Release").click()
    expect(desk.get_by_text("Released", exact=True)).to_be_visible()
    picture(desk, "dictionary-own-en-desktop")
    table = tmp_path / "own.csv"
    table.write_text("code,name_zh,name_en\nown:b,乙,B\n", "utf-8")
    desk.locator("input[type=file][accept='.csv']").set_input_files(table)
    expect(desk.locator(".notice.bad").first).to_contain_text("2, own:b: definition_zh")
    (machine,) = company.client.get("/api/v1/equipment").json()
    desk.goto(f"/equipment/{machine['id']}")
    desk.get_by_label("SKx").select_option("Tie-bar elongation · mm")
    expect(desk.locator(".points .name").filter(has_text="Tie-bar elongation")).to_be_visible()
    assert desk.evaluate(OVERFLOW) == []
    picture(desk, "equipment-meaning-en-desktop")
    with desk.expect_download() as download:
        desk.get_by_role("link", name="AASX").click()
    store = opened(download.value.path().read_bytes())
    (concept,) = (one for one in store if one.id.endswith(":entry:tie_bar_elongation"))
    assert iec(concept).preferred_name["zh"] == "拉杆伸长量"
    desk.goto("/dictionary?q=lagan")
    expect(desk.get_by_role("link", name="press-1 · SKx")).to_be_visible()
