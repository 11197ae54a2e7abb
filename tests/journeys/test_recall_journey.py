"""A bad lot: a leader asks for events, sees through its suppliers, recalls, and a supplier answers on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.cloud.sharing.test_chain_trace import made
from tests.cloud.traceability.test_traceability import document
from tests.journeys.conftest import Company
from tests.journeys.test_every_page import OVERFLOW, picture

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]

URN = "urn:epc:id:sgtin:6905678"
LOT, CAPS, CAR = "urn:epc:class:lgtin:6905678.000001.LOT-7", [f"{URN}.000002.{n}" for n in range(3)], f"{URN}.000009.1"


def test_from_a_grant_of_events_to_an_answered_recall(open_browser, found, works: Company) -> None:
    leader: Company = found("chain-leader")
    for company, event in ((works, made([LOT], CAPS)), (leader, made(CAPS[:2], [CAR]))):
        company.client.post("/api/v1/trace/capture", json=document(event)).raise_for_status()
    desk = open_browser("en", company=leader)
    desk.goto("/shares")
    desk.get_by_label("Unified social credit code").fill(works.credit_code)
    desk.get_by_label("Name of the company").fill("Suzhou Works")
    desk.get_by_label("What the data is for").fill("recalls of caps")
    desk.get_by_label("Events of lots and serial numbers").select_option("full")
    desk.get_by_role("button", name="Send the request").click()
    expect(desk.locator(".mark", has_text="Waiting for an answer")).to_be_visible()

    phone = open_browser("zh", "phone", company=works)
    phone.goto("/shares")
    card = phone.locator(".share-request").filter(has_text="chain-leader申请查看")
    card.get_by_label("批次与序列号事件").select_option("products")
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "trace-asked-zh-phone")
    card.get_by_role("button", name="同意").click()
    expect(phone.locator("a.tile").filter(has_text="chain-leader")).to_contain_text("生效中")

    desk.goto(f"/trace?thing={CAR}")
    chain = desk.locator(".chain")
    expect(chain).to_contain_text("works: what came of what, and when")
    desk.get_by_label("Direction").select_option("up")
    expect(chain.locator(".lot").filter(has_text=LOT)).to_contain_text("2")
    expect(chain).not_to_contain_text(CAPS[2])
    assert desk.evaluate(OVERFLOW) == []
    picture(desk, "trace-chain-en")
    desk.get_by_label("What they are to do").select_option("investigation")
    desk.get_by_label("Reason, for the other companies").fill("brittle caps")
    desk.get_by_role("button", name="Tell the companies").click()
    recall = desk.locator(".recall")
    expect(recall).to_contain_text("4 affected")
    expect(recall).to_contain_text("No answer yet")

    phone.goto("/trace")
    told = phone.locator(".recall").filter(has_text="brittle caps")
    expect(told).to_contain_text("brittle caps")
    expect(told).to_contain_text("贵公司受影响对象 3 个")
    told.get_by_label("答复").select_option("contained")
    told.get_by_label("说明").fill("已隔离")
    phone.wait_for_function(f"() => ({OVERFLOW})().length === 0")
    picture(phone, "recall-told-zh-phone")
    told.get_by_role("button", name="提交答复").click()
    expect(told.locator(".mark")).to_have_text("已控制")
    desk.reload()
    expect(recall).to_contain_text("Contained")
    expect(recall).to_contain_text("已隔离")
    picture(desk, "recall-answered-en")
    phone.goto("/shares")
    phone.locator("a.tile").filter(has_text="chain-leader").click()
    expect(phone.locator(".receipt").first).to_contain_text("向上追溯：涉及 3 个对象")
    expect(phone.locator(".page")).to_contain_text("批次与序列号事件：来源与去向及时间")
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "share-traces-zh-phone")
