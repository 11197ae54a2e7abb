"""A leader asks, a supplier says what of it may be seen, the leader sees that and no more, and the supplier ends it."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from tests.doubles.factory import Factory
from tests.journeys.conftest import Company
from tests.journeys.test_every_page import OVERFLOW, picture

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]


def test_from_a_request_to_the_end_of_a_grant(open_browser, found, works: Company, factory: Factory) -> None:
    assert factory.names
    leader = found("vehicles")
    desk = open_browser("en", company=leader)
    desk.goto("/shares")
    desk.get_by_label("Unified social credit code").fill("91350100M000100Y44")
    desk.get_by_role("button", name="Send the request").click()
    expect(desk.get_by_role("alert")).to_have_text("Add at least one thing to be shown.")
    desk.get_by_role("button", name="Add", exact=True).click()  # the OEE index by shift
    desk.get_by_label("What", exact=True).select_option(label="Total active power")
    expect(desk.get_by_label("How finely")).to_have_value("hour")
    desk.get_by_role("button", name="Add", exact=True).click()
    expect(desk.locator(".lot")).to_have_count(2)
    desk.get_by_label("Name of the company").fill("Suzhou Works")
    desk.get_by_label("What the data is for").fill("delivery risk of part 4711")
    desk.get_by_role("button", name="Send the request").click()
    expect(desk.get_by_role("alert")).to_contain_text("check character")
    desk.get_by_label("Unified social credit code").fill(works.credit_code)
    desk.get_by_role("button", name="Send the request").click()
    expect(desk.locator(".mark", has_text="Waiting for an answer")).to_be_visible()
    picture(desk, "shares-asked-en")

    phone = open_browser("zh", "phone", company=works)
    phone.goto("/shares")
    card = phone.locator(".share-request").filter(has_text="vehicles申请查看")
    expect(card).to_contain_text("用途：delivery risk of part 4711")
    expect(card).to_contain_text("范围：同意之前 30 天起，有效期 365 天")
    expect(card.get_by_label("设备综合效率 OEE")).to_have_value("shift")
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "shares-asked-zh-phone")
    card.get_by_label("总有功功率").select_option("day")
    card.get_by_label("哪些设备").select_option(label="注塑机-03")
    card.get_by_role("button", name="同意").click()
    tile = phone.locator("a.tile").filter(has_text="vehicles")
    expect(tile).to_contain_text("生效中")

    desk.goto("/shares")
    desk.locator("a.tile").filter(has_text="works").click()
    expect(desk.locator(".page")).to_contain_text("Total active power: one figure a day")
    expect(desk.locator(".page")).to_contain_text("Machines: 注塑机-03")
    desk.get_by_label("What", exact=True).select_option(label="Total active power")
    desk.get_by_label("Time", exact=True).select_option("168")
    expect(desk.locator(".shared-value")).to_contain_text(re.compile(r"注塑机-03 · .*: \d.* kW"))
    expect(desk.locator(".chart canvas")).to_be_visible()
    assert desk.evaluate(OVERFLOW) == []
    picture(desk, "share-values-en")
    with desk.expect_download() as download:
        desk.get_by_role("link", name="As a spreadsheet").click()
    assert "注塑机-03" in download.value.path().read_text("utf-8-sig")

    tile.click()
    expect(phone.locator(".receipt").first).to_contain_text("vehicles@example.com 读取 总有功功率(每天一个数值)")
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "share-zh-phone")
    phone.get_by_label("终止原因(对方可见)").fill("合同到期")
    began = time.monotonic()
    phone.get_by_role("button", name="终止授权").click()
    expect(desk.locator(".shared-value")).to_have_count(0)
    expect(desk.locator(".notice.warn")).to_contain_text("Ended by works at")
    assert time.monotonic() - began < 5
    expect(desk.locator(".notice.warn")).to_contain_text("合同到期")
    expect(phone.locator(".mark", has_text="已终止")).to_be_visible()
