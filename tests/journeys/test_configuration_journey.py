"""Changing a gateway's configuration from its page: written, compared, sent, tried there, and what became of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from protocols.uplink.configuration import version_of
from protocols.uplink.messages import ConfigReport
from tests.doubles.plant import CONFIGURATION

pytestmark = pytest.mark.chromium

WORDS = {
    "en": (
        "Waiting for the gateway",
        "Undone by the gateway",
        "Send to the gateway",
        "Show the difference",
    ),
    "zh": ("待网关获取", "网关已回退", "下发到网关", "查看差异"),
}


@pytest.mark.parametrize(("language", "screen"), [("en", "desktop"), ("zh", "phone")])
def test_a_change_is_written_sent_and_its_fate_shown(open_browser, ours, delivered, language: str, screen: str) -> None:
    waiting, undone, send, compare = WORDS[language]
    plant = delivered.plant
    plant.report_health()
    page = open_browser(language, screen, company=ours)
    page.goto("/gateways")
    page.locator(".more-facts summary").click()
    expect(page.get_by_text("-0.12 s")).to_be_visible()
    page.locator("a.link").first.click()
    state = page.locator(".head .mark")
    editor = page.locator(".editor textarea")
    expect(editor).to_have_value(CONFIGURATION)

    def press(name: str) -> None:
        page.get_by_role("button", name=name, exact=True).first.click()

    editor.fill(CONFIGURATION + "[[device\n")
    press(send)
    expect(page.locator(".notice.bad").filter(has_text="TOML")).to_be_visible()
    editor.fill(CONFIGURATION.replace("2048", "512"))
    press(compare)
    expect(page.locator(".diff .added")).to_have_text("+limit_mb = 512\n")
    press(send)
    expect(state).to_have_text(waiting)
    number = plant.report_health().desired
    assert number > 0
    reason = "meter-1 is cut off" if language == "en" else "meter-1 断开"
    plant.report_health(
        config=ConfigReport(version_of(CONFIGURATION), number, "rolled_back", "meter-1 is cut off", "meter-1 断开")
    )
    expect(state).to_have_text(undone)
    expect(page.locator(".notice.bad").first).to_have_text(reason)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_anothers_gateway_has_no_page(open_browser, ours, theirs, delivered) -> None:
    (agent, *_) = ours.client.get("/api/v1/agents").json()
    page = open_browser("en", company=theirs)
    page.goto(f"/gateways/{agent['id']}/configuration")
    expect(page.locator("h1")).to_have_text("Nothing here")
