"""A bad batch: events are taken in from a file, the batch is followed to the finished goods, a serial back to its batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.cloud.traceability.test_traceability import BOX, CAPS, CAR, RESIN, document, held, moulded
from tests.journeys.conftest import Company
from tests.journeys.test_every_page import OVERFLOW, picture

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]


def test_a_bad_batch_is_followed(open_browser, found, tmp_path: Path) -> None:
    company: Company = found("traced")
    page = open_browser("en", company=company)
    page.goto("/trace")
    file = tmp_path / "events.json"
    file.write_text(json.dumps(document(moulded(RESIN, *CAPS) | {"eventTime": "yesterday"})), "utf-8")
    page.get_by_label("Choose the file").set_input_files(file)
    expect(page.get_by_role("alert")).to_have_text(
        "epcisBody.eventList[0].eventTime: a time with its offset is expected"
    )
    events = [moulded(RESIN, *CAPS), held("AggregationEvent", BOX, *CAPS[:3]), held("AssociationEvent", CAR, BOX)]
    file.write_text(json.dumps(document(*events)), "utf-8")
    page.get_by_label("Choose the file").set_input_files(file)
    expect(page.get_by_role("status")).to_have_text("3 events stored, 0 were there already.")
    page.get_by_label("Lot, serial number or other identifier").fill(RESIN)
    page.get_by_role("button", name="Trace").click()
    page.wait_for_url("**thing=*")
    down = page.locator(".trace").nth(1)
    expect(down).to_contain_text("2 finished goods")
    expect(down.locator(".lot")).to_have_count(6)
    expect(page.locator(".chart canvas")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Affected, as a spreadsheet").click()
    assert "hdl:88.118.8/car-1,3" in download.value.path().read_text("utf-8-sig")
    assert page.evaluate(OVERFLOW) == []
    picture(page, "trace-en")
    phone = open_browser("zh", "phone", company=company)
    phone.goto("/trace")
    phone.get_by_label("批次、序列号或其他标识").fill(CAR)
    phone.get_by_role("button", name="追溯").click()
    expect(phone.locator(".trace").first).to_contain_text("起点 1 个")
    phone.wait_for_function(f"() => ({OVERFLOW})().length === 0")
    picture(phone, "trace-zh-phone")
    phone.get_by_role("link", name=RESIN).click()
    expect(phone.get_by_label("批次、序列号或其他标识")).to_have_value(RESIN)
    phone.goto("/trace?thing=urn:example:nothing")
    expect(phone.get_by_role("alert")).to_have_text("没有事件涉及该对象。")
    # The box was put into no car after all: the declaration stands beside what it declares, and the car is gone.
    declared = {"declarationTime": "2026-11-28T08:00:00+08:00", "reason": "did_not_occur"}
    file.write_text(json.dumps(document(events[2] | {"errorDeclaration": declared})), "utf-8")
    page.get_by_label("Choose the file").set_input_files(file)
    expect(page.get_by_role("status")).to_have_text("1 events stored, 0 were there already.")
    page.reload()
    expect(page.locator(".trace").nth(1).locator(".lot")).to_have_count(5)
    expect(page.get_by_text("put together - declared erroneous")).to_be_visible()
    phone.goto("/trace")
    expect(phone.get_by_text("装配 - 已声明有误")).to_be_visible()
    phone.wait_for_function(f"() => ({OVERFLOW})().length === 0")
    picture(phone, "trace-declared-zh-phone")
