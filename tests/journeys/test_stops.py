"""From the figure to the reason: a manager sees the OEE of the plant, an operator says on a phone why a machine stood."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.doubles.factory import Factory
from tests.journeys.conftest import Company

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(300)]


def recorded(works: Company, factory: Factory) -> dict[str, Any]:
    """Return the site's figures of the last seven days, once the cloud has made the records of all of them."""
    today = datetime.now(UTC).date()
    query = {
        "node": "site",
        "node_id": factory.sites["苏州工厂"],
        "first_day": str(today - timedelta(days=6)),
        "last_day": str(today),
        "granularity": "day",
    }
    for _ in range(240):
        found: dict[str, Any] = works.client.get("/api/v1/production/kpis", params=query).raise_for_status().json()
        if len(found["rows"]) >= 5 and found["total"]["kpis"]["oee"]["value"] is not None:
            return found
        time.sleep(0.25)
    raise AssertionError("no figures were made")


def test_a_stop_is_given_its_reason_with_two_taps_on_a_phone(open_browser, works: Company, factory: Factory) -> None:
    report = recorded(works, factory)
    page = open_browser("zh", "phone", company=works)
    page.goto(f"/oee?node_id={factory.sites['苏州工厂']}&period=7")
    shown = page.locator(".figure .big").first
    expect(shown).to_contain_text(re.compile(r"\d+\.\d"))
    # Machines whose backlog is still being worked off come in meanwhile, and change it a little.
    assert abs(float(shown.inner_text().rstrip("%")) - 100 * report["total"]["kpis"]["oee"]["value"]) < 10
    page.goto(f"/oee/stops?node_id={factory.equipment['注塑机-01']}&period=7")
    stop = page.locator("button.stop", has_text="填写原因").first
    begin = stop.locator(".small").inner_text()
    stop.click()
    page.locator(".reason", has_text="缺料").click()
    given = page.locator("button.stop").filter(has=page.get_by_text(begin, exact=True))
    expect(given).to_contain_text("等待：缺料")
    expect(page.locator(".loss", has_text="等待：缺料")).to_have_count(1)


def test_settings_of_a_machine_are_restored_from_their_history(open_browser, works: Company, factory: Factory) -> None:
    machine = factory.equipment["注塑机-01"]
    settings = f"/api/v1/production/equipment/{machine}/settings"
    before = works.client.get(settings).json()
    page = open_browser("en", "phone", company=works)
    page.goto(f"/oee/settings?node_id={machine}")
    page.get_by_role("button", name="How it is read").click()
    page.get_by_label("Micro-stops are shorter than, s").fill("7")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="How it is read").click()
    expect(page.get_by_label("Micro-stops are shorter than, s")).to_have_value("7")
    assert works.client.get(settings).json()["micro_stop_s"] == 7
    page.get_by_text("Settings until now (2)").click()
    expect(page.get_by_text("set by works@example.com").first).to_be_visible()
    page.get_by_role("button", name="Restore from now on").first.click()
    expect(page.locator(".sheet")).to_have_count(0)
    assert works.client.get(settings).json() == before


def test_a_reason_is_counted_otherwise_from_now_on(open_browser, works: Company, factory: Factory) -> None:
    page = open_browser("en", "phone", company=works)
    page.goto("/oee/settings")
    named = page.locator(".line", has_text="Changeover")
    row = named.filter(has=page.get_by_role("button", name="Retire")).last
    row.get_by_title("Count it otherwise").click()
    expect(page.get_by_text("from the beginning · Setup")).to_be_visible()
    page.get_by_label("Counted as").first.click()
    page.get_by_role("option", name="No order").click()
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(row.get_by_title("Count it otherwise")).to_have_text("No order")
    row.get_by_title("Count it otherwise").click()
    page.get_by_role("button", name="Take away").click()
    expect(row.get_by_title("Count it otherwise")).to_have_text("Setup")
