"""A manager assesses the company: what is known is filled in, a level comes out, and the next step leads to a page."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from tests.doubles.factory import Factory
from tests.journeys.conftest import Company
from tests.journeys.test_every_page import OVERFLOW, picture

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]


def await_states(works: Company) -> None:
    """Wait until the states of the factory's machines are reckoned: what is known of them rests on that."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        known = works.client.get("/api/v1/assessment/evidence", params={"machines": 20}).raise_for_status().json()
        if any(one["id"] == "production" for one in known):
            return
        time.sleep(0.2)
    raise TimeoutError("the states of the factory's machines are not reckoned")


def test_from_what_is_known_to_the_next_step(open_browser, works: Company, factory: Factory) -> None:
    assert factory.names
    await_states(works)
    page = open_browser("zh", "phone", company=works)
    page.goto("/assessment")
    page.get_by_label("企业共有多少台生产设备？").fill("20")
    page.get_by_role("button", name="按平台数据预填").click()
    page.wait_for_url("**machines=20")
    expect(page.locator(".mark", has_text="20 台设备中")).to_have_count(2)
    expect(page.get_by_label("设备管理(约束性)")).to_have_value("3")
    expect(page.get_by_label("能耗管理(约束性)")).to_have_value("3")
    page.get_by_label("有高层负责人").check()
    page.get_by_label("绿色低碳").select_option(label="降低")
    page.get_by_label("资金保障").fill("abc")
    page.get_by_role("button", name="开始评测").click()
    expect(page.get_by_role("alert")).to_have_text("“abc”不是数字。")
    page.get_by_label("资金保障").fill("12")
    page.get_by_label("信息系统").select_option(label="超过 80%")
    for scene in ("产品设计(约束性)", "采购管理(约束性)", "财务管理(约束性)"):
        page.get_by_label(scene).select_option("1")
    assert page.evaluate(OVERFLOW) == []
    picture(page, "assessment-form-zh-phone")
    page.get_by_role("button", name="开始评测").click()
    expect(page.locator("h2.level")).to_have_text("1级(初始级)")
    expect(page.locator(".page")).to_contain_text("距2级还差")
    assert page.evaluate(OVERFLOW) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="下载 PDF 报告").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")
    desk = open_browser("en", company=works)
    desk.goto("/assessment")
    expect(desk.locator("h2.level")).to_have_text("1 - initial")
    picture(desk, "assessment-en")
    desk.locator(".lot").filter(has_text="effort").get_by_role("link", name="Open").first.click()
    expect(desk.locator(".page h1")).to_be_visible()
