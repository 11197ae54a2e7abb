"""From stored readings to a model of a machine's health that can be rolled out, by the pages."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Company, Delivered
from tests.journeys.test_training_journey import look

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]


def test_from_an_hour_of_good_running_to_a_roll_out(open_browser, ours: Company, delivered: Delivered) -> None:
    assert delivered
    page = open_browser("en", company=ours)
    page.goto("/training")
    form = page.locator(".machine-form")
    form.get_by_label("Name of its models").fill("moulder")
    form.get_by_label("Machine").select_option("moulder-1")
    form.get_by_label("Says that it runs").select_option("Machine state")
    for sensor in ("Melt temperature", "Mould temperature", "Clamping force"):
        form.get_by_text(re.compile(sensor, re.IGNORECASE)).first.click()
    look(page, "machine-form-en")
    form.get_by_role("button", name="Go on").click()
    page.wait_for_url(re.compile(r"/training/[0-9a-f-]{36}"))
    page.get_by_role("button", name="How complete is it?").click()
    expect(page.locator(".completeness")).to_have_text(re.compile(r"[1-9]\d\d of 60,480 rows can be learnt from"))
    page.get_by_role("button", name="Train the model").click()
    version = page.locator(".version")
    expect(version).to_be_visible(timeout=60_000)
    expect(version).to_contain_text("Healthy readings alarmed")
    expect(page.locator(".command")).to_contain_text('point = "MeltTemperature"')
    expect(page.locator(".command")).to_contain_text('running = { device = "moulder-1", point = "MachineStatus" }')
    look(page, "machine-en")
    page.get_by_role("button", name="Roll out").click()
    page.wait_for_url("**/models?version=*")
    expect(page.locator("main.page")).to_contain_text("moulder 1")
    chinese = open_browser("zh", company=ours)
    chinese.goto("/training")
    chinese.get_by_text("设备健康，3 个传感器").click()
    expect(chinese.locator(".version")).to_contain_text("健康读数误报率")
    look(chinese, "machine-zh")
