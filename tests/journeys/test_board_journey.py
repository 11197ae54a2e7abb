"""A wall board: made on a page, opened by its code on a screen that nobody logs in at, dark once it is withdrawn."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.doubles.factory import FAULTY, GATEWAYS, Factory, report_health
from tests.journeys.conftest import Company
from tests.journeys.test_every_page import picture
from tests.journeys.test_manager_journey import fits_the_screen
from tests.journeys.test_translation import check, lines, other_language

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(300)]

TELEVISION = {"width": 1920, "height": 1080}


def test_a_screen_on_the_wall(open_browser, works: Company, factory: Factory) -> None:
    for site in GATEWAYS:
        report_health(factory.plants[site], site)
    desk = open_browser("en", company=works)
    desk.goto("/boards")
    desk.get_by_label("Name").fill("苏州工厂")
    desk.get_by_label("Shows").select_option(label="苏州工厂 › 注塑线")
    desk.get_by_role("button", name="Make the board").click()
    code = desk.locator(".code").inner_text()

    # The screen: no session, a wrong code first, then the right one, typed carelessly.
    screen = open_browser("en")
    screen.set_viewport_size(TELEVISION)
    screen.goto("/board")
    screen.locator("input[name=code]").fill("0000-0000-0000")
    screen.get_by_role("button").click()
    expect(screen.get_by_role("alert")).to_contain_text("no board with this code")
    screen.locator("input[name=code]").fill(code.lower().replace("-", " "))
    screen.get_by_role("button").click()
    slide = screen.locator(".slide.now")
    expect(slide.locator("h1")).to_have_text("注塑线")
    card = slide.locator(".slide-card").filter(has_text=FAULTY)
    expect(card.locator(".mark")).to_have_text("Fault")
    expect(screen.locator(".board-ticker")).to_contain_text(f"{FAULTY} · The machine reports a fault.")
    expect(screen.locator(".slide-card")).to_have_count(3)
    assert "works@example.com" not in screen.content()
    assert fits_the_screen(screen)
    assert screen.evaluate("document.documentElement.scrollHeight <= innerHeight"), "a television does not scroll"
    picture(screen, "board-en-television")
    shown = [re.sub("|".join(map(re.escape, factory.names)), "", line).strip(" ·") for line in lines(screen)]
    check(shown, other_language("en"), "en")

    # Its code opens this page and nothing else.
    assert screen.request.get("/api/v1/equipment").status == 401
    assert "/login" in screen.request.get("/trends").url

    # The line is cut and comes back; the screen goes on by itself.
    screen.context.set_offline(True)
    factory.plants["苏州工厂"].deliver_point(FAULTY, "FltAct", "fault_active", "C62", 0)
    screen.wait_for_timeout(500)
    screen.context.set_offline(False)
    expect(card.locator(".mark")).to_have_text("Idle", timeout=30_000)
    factory.plants["苏州工厂"].deliver_point(FAULTY, "FltAct", "fault_active", "C62", 1)

    desk.get_by_role("button", name="Withdraw").click()
    desk.get_by_role("button", name="Withdraw it").click()
    expect(desk.get_by_text("There is no board yet.")).to_be_visible()
    expect(screen.get_by_role("heading", name="Type the code of this board")).to_be_visible(timeout=20_000)
