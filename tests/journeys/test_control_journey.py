"""Process control and lots, as a quality engineer uses them: a tolerance is put into force, a lot is sampled."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.cloud.conftest import Company
from tests.doubles.factory import Factory
from tests.journeys.test_every_page import OVERFLOW, picture

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]


def test_a_tolerance_and_a_lot(open_browser, works: Company, factory: Factory) -> None:
    page = open_browser("en", company=works)
    page.goto("/control?hours=24")
    page.locator("select[aria-label='Equipment']").select_option(label="注塑机-01")
    page.wait_for_url("**series=*")
    other = page.url
    page.locator("select[aria-label='Measured value']").select_option(label="Melt temperature")
    page.wait_for_url(lambda url: url != other)
    page.wait_for_function("window.did_handshake")
    expect(page.locator(".echarts, canvas").first).to_be_visible()
    page.get_by_label("Tolerance from").fill("200")
    page.get_by_label("Tolerance to").fill("199")
    page.get_by_role("button", name="Put into force").click()
    expect(page.get_by_role("alert")).to_contain_text("the lower limit is below the upper one")
    page.get_by_label("Tolerance to").fill("260")
    page.get_by_label("Readings per point").select_option("4")
    page.get_by_label("Control limits").select_option("freeze")
    page.get_by_role("button", name="Put into force").click()
    expect(page.locator(".page")).to_contain_text("Version 1, by")
    expect(page.locator(".figure").filter(has_text="Cpk")).to_contain_text(re.compile(r"\d\.\d\d"))
    assert page.evaluate(OVERFLOW) == []
    picture(page, "control-set-en")
    _watch_by_rule(open_browser("zh", "phone", company=works), page.url.partition("series=")[2].partition("&")[0])

    page.goto("/lots")
    page.get_by_label("Product").fill("cap 28 mm")
    page.get_by_label("Lot", exact=True).fill("2026-11-26/1")
    page.get_by_label("Parts in the lot").fill("one")
    page.get_by_role("button", name="How many to inspect?").click()
    expect(page.get_by_role("alert")).to_have_text("'one' is no whole number.")
    page.get_by_label("Parts in the lot").fill("1000")
    page.get_by_role("button", name="How many to inspect?").click()
    expect(page.locator(".notice")).to_contain_text("inspect 80 parts; accept the lot with at most 2 nonconforming")
    page.get_by_label("Nonconforming parts in the sample").fill("3")
    page.get_by_role("button", name="Enter the result").click()
    expect(page.locator(".lot .mark")).to_have_text("Not accepted")
    expect(page.locator(".page")).to_contain_text("The next lot: Normal inspection")
    picture(page, "lots-en")
    phone = open_browser("zh", "phone", company=works)
    phone.goto("/lots")
    expect(phone.locator(".lot .mark")).to_have_text("不接收")
    assert phone.evaluate(OVERFLOW) == []

    page.get_by_role("link", name="2026-11-26/1").click()
    expect(page.get_by_label("Part begins with")).to_have_value("2026-11-26/1")
    expect(page.locator(".page")).to_contain_text("Nothing here is like that.")
    part = factory.inspections[-1].part
    page.get_by_label("Part begins with").fill(part[:-1])
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".page")).to_contain_text(part)
    assert part[:-1] in page.locator(".shot").first.inner_text()
    assert f"part={part[:-1]}" in page.url
    page.go_back()
    expect(page.get_by_label("Part begins with")).to_have_value("2026-11-26/1")
    page.get_by_role("link", name="× Part begins with").click()
    expect(page.locator(".shot").first).to_be_visible()
    phone.goto(f"/inspections?verdict=reject&part={part[:2]}")
    expect(phone.locator(".shot").first).to_be_visible()
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "inspections-of-a-lot-zh")


def _watch_by_rule(phone: Page, series: str) -> None:
    """Make a rule that alarms when the chart of `series` signals, and try it on what is stored."""
    phone.goto(f"/alarm-rules/new?series_id={series}")
    phone.wait_for_function("window.did_handshake")
    phone.get_by_label("规则类型").click()
    phone.get_by_role("option", name="过程失控(SPC)").click()
    expect(phone.get_by_text("仅监视已在“过程控制”页面冻结控制限的数据点。")).to_be_visible()
    phone.get_by_label("发出信号的控制图").click()
    phone.get_by_role("option", name="EWMA：小幅持续偏移").click()
    phone.keyboard.press("Escape")
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "alarm-rule-spc-zh")
    phone.get_by_role("button", name="用近 7 天数据试算").click()
    expect(phone.locator(".page")).to_contain_text("近 7 天将触发")
    phone.get_by_label("规则名称").fill("Melt SPC")  # a name in Chinese is nothing for others' English pages
    phone.get_by_label("规则名称").blur()
    phone.get_by_role("button", name="保存").click()
    phone.wait_for_url("**/alarm-rules")
    expect(phone.locator(".rule").filter(has_text="Melt SPC")).to_be_visible()
