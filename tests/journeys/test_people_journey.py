"""A manager lets an operator into one line; the operator joins on a phone, and that line is all there is for them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from deploy.demo.screenshots import log_in
from tests.journeys.conftest import PASSWORD

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(300)]


def test_an_operator_is_invited_to_one_line_joins_on_a_phone_and_sees_that_line_only(
    open_browser, ours, delivered
) -> None:
    machines = {each["name"]: each for each in ours.client.get("/api/v1/equipment").json()}
    mine, other = sorted(machines)[:2]
    desk = open_browser("en", "desktop", company=ours)

    desk.goto("/plant")
    desk.locator(".plant-line.new input").fill("Line 1")
    desk.get_by_role("button", name="Add the line").click()
    expect(desk.locator(".plant-line h3").filter(has_text="Line 1")).to_be_visible()
    desk.get_by_label(f"Line of {mine}").select_option("Line 1")
    placed = desk.locator(".plant-line").filter(has=desk.locator("h3", has_text="Line 1"))
    expect(placed.locator(".machine")).to_have_count(1)
    desk.locator(".machine").filter(has_text=other).locator(".muted").drag_to(placed)
    expect(placed.locator(".machine")).to_have_count(2)
    desk.get_by_label(f"Line of {other}").select_option("Not in a line")
    expect(placed.locator(".machine")).to_have_count(1)
    assert ours.client.get(f"/api/v1/equipment/{machines[mine]['id']}").json()["path"].endswith(f" / Line 1 / {mine}")

    desk.goto("/people")
    desk.get_by_label("For whom").fill("Operator Wang")
    desk.get_by_label("Role").select_option("Operator")
    desk.get_by_label("Only at").select_option(label="harbour plant / Line 1")
    desk.get_by_role("button", name="Make the invitation").click()
    code = desk.locator(".code").inner_text()
    link = desk.locator(".command").inner_text()
    expect(desk.get_by_text("Operator Wang")).to_be_visible()

    phone = open_browser("zh", "phone")
    phone.goto(link)
    fields = phone.locator("form").first
    for name, typed in (("code", code.lower()), ("email", "wang@example.com"), ("password", PASSWORD), ("again", "x")):
        fields.locator(f"[name={name}]").fill(typed)
    fields.get_by_role("button").click()
    expect(phone.locator(".notice.bad")).to_have_text("两次输入的密码不一致。")
    fields.locator("[name=again]").fill(PASSWORD)
    fields.get_by_role("button").click()
    expect(phone.locator(".notice.good")).to_contain_text("您已加入企业")
    log_in(phone, "wang@example.com", PASSWORD)
    expect(phone.locator(".tile")).to_have_count(1)
    expect(phone.locator(".tile")).to_contain_text(mine)
    assert phone.goto(f"/equipment/{machines[other]['id']}").status == 404
    expect(phone.locator("a[href='/people']")).to_have_count(0)
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    desk.goto("/people")
    desk.locator(".person").filter(has_text="wang@example.com").click()
    expect(desk.locator(".granted").first).to_contain_text("harbour plant / Line 1")
    seen = desk.locator(".reach .place").filter(has_text=mine)
    expect(seen).to_contain_text("granted at harbour plant / Line 1")
    expect(desk.locator(".reach .place").filter(has_text=other)).to_contain_text("No access")
    desk.locator(".granted").first.get_by_role("button", name="Remove").click()
    expect(seen).to_contain_text("No access")
    phone.reload()
    expect(phone).to_have_url(re.compile("/login"))

    desk.goto("/audit?act=user.")
    expect(desk.locator(".entry").first).to_contain_text("set roles by place")
    desk.get_by_role("button", name="Verify the log").click()
    expect(desk.locator(".notice.good")).to_contain_text("entries are as they were written")
