"""Looking at curves: found by pinyin, zoomed by dragging, compared, exported, and shown again by the address."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from protocols.reading import GOOD, now_us
from protocols.uplink.messages import Batch, Columns, PointRef
from tests.doubles.factory import Factory
from tests.doubles.plant import Plant
from tests.journeys.conftest import Company
from tests.journeys.test_manager_journey import fits_the_screen

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(300)]

CHART = "getElement(document.querySelector('.chart').id.slice(1)).chart.getOption()"
FIRST, SECOND = (0x92, 0x56, 0x1F), (0x1F, 0x6F, 0x78)
"""Colours of the first curve and of the second."""


def pick(page: Page, typed: str, machine: str) -> None:
    page.locator(".search input").fill("")
    expect(page.locator(".found .pick")).to_have_count(0)
    page.locator(".search input").fill(typed)
    page.locator(".found .pick").filter(has_text=machine).first.click()


def drawn(page: Page, colour: tuple[int, int, int]) -> bool:
    """Return whether the chart comes to show enough of a curve's own colour."""
    for _ in range(40):
        with Image.open(io.BytesIO(page.locator(".chart canvas").screenshot())) as shot:
            apart = np.abs(np.asarray(shot.convert("RGB"), int) - colour)
        if (apart.max(axis=2) < 8).sum() > 60:
            return True
        page.wait_for_timeout(100)
    return False


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%S%z")


def test_from_a_search_to_an_export(open_browser, works: Company, factory: Factory) -> None:
    page = open_browser("zh", company=works)
    page.goto("/trends")
    expect(page.locator(".empty-note")).to_be_visible()

    # Two curves, found as people type: initials of pinyin, and words of either language.
    pick(page, "rtwd zsj-03", "注塑机-03")
    expect(page.locator(".numbers tbody tr")).to_have_count(1)
    pick(page, "active power 注塑机-03", "注塑机-03")
    expect(page.locator(".numbers tbody tr")).to_have_count(2)
    assert drawn(page, FIRST)
    assert drawn(page, SECOND)

    # A third unit has no axis; it is refused in words, and what was shown stays.
    pick(page, "周期时间 注塑机-03", "注塑机-03")
    expect(page.get_by_role("status")).to_contain_text("第三个坐标轴")
    expect(page.locator(".numbers tbody tr")).to_have_count(2)

    # A week comes from a roll-up; a part of it that is dragged over is asked for anew, and finer.
    page.get_by_role("button", name="7 天").click()
    made_from = page.locator(".chart + .muted")
    expect(made_from).to_contain_text("汇总绘制")
    expect(made_from).to_contain_text("毫秒")
    coarse = made_from.inner_text()
    page.wait_for_function(f"() => {CHART}.xAxis[0].max - {CHART}.xAxis[0].min > 6 * 86400e3")
    box = page.locator(".chart canvas").bounding_box()
    assert box
    # the last day has readings two minutes apart
    for share, act in ((0.9, page.mouse.down), (0.95, None), (0.96, page.mouse.up)):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2, steps=4)
        if act:
            act()
    page.wait_for_url(re.compile("from=.*to="))
    expect(made_from).to_contain_text("原始读数")
    assert made_from.inner_text() != coarse
    start, end = (instant(asked(page)[key][0]) for key in ("from", "to"))
    assert timedelta(hours=4) < end - start < timedelta(hours=24)

    # The day before lies under it, dashed; the address shows the same again.
    page.get_by_role("button", name="前一天").click()
    page.wait_for_url("**compare=day**")
    page.wait_for_function(f"() => {CHART}.series.filter(each => each.data.length).length === 4")
    address, figures = page.url, page.locator(".numbers").inner_text()
    page.goto(address)
    expect(page.locator(".numbers")).to_have_text(figures, use_inner_text=True)
    assert page.url == address

    # The same span as a file.
    link = page.locator("a", has_text="CSV").get_attribute("href")
    assert link
    file = page.request.get(link)
    assert file.ok
    heading, *rows = file.text().lstrip("\ufeff").splitlines()
    assert "熔体温度" in heading
    assert "总有功功率" in heading
    assert len(rows) > 100
    times = re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(?:Z|\+00:00)", file.text())
    assert all(start <= datetime.fromisoformat(time.replace("Z", "+00:00")) < end for time in times)


def test_on_a_phone(open_browser, works: Company, factory: Factory) -> None:
    page = open_browser("en", "phone", company=works)
    page.locator(".foot-nav a", has_text="Trends").click()
    pick(page, "melt", "注塑机-01")
    expect(page.locator(".numbers tbody tr")).to_have_count(1)
    assert drawn(page, FIRST)
    assert fits_the_screen(page)
    page.get_by_role("button", name="Take Melt temperature away").click()
    expect(page.locator(".empty-note")).to_be_visible()


@pytest.fixture(scope="module")
def large(cloud: str, found: Callable[..., Company]) -> Company:
    """A company with a line of 250 machines and 750 points, a site besides."""
    company, machines = found("large"), [f"press-{number:03}" for number in range(250)]
    names = (
        ("Power", "active_power_total", "KWT"),
        ("Melt", "melt_temperature", "CEL"),
        ("Cycle", "cycle_time", "SEC"),
    )
    points = [PointRef(machine, *name) for machine in machines for name in names]
    count = len(points)
    with httpx.Client(base_url=cloud, timeout=60) as agents:
        plant = Plant(agents)
        plant.enrol(company.code())
        plant.deliver(
            Batch(
                columns=Columns(
                    points,
                    np.arange(count, dtype="<u4").tobytes(),
                    np.full(count, now_us(), "<i8").tobytes(),
                    np.full(count, 7.0, "<f8").tobytes(),
                    np.full(count, int(GOOD), "<i2").tobytes(),
                    np.zeros(count, "<u4").tobytes(),
                )
            )
        )
    site = company.client.get("/api/v1/sites").json()[0]["id"]
    line = company.client.post("/api/v1/lines", json={"site_id": site, "name": "Hall 1"}).json()["id"]
    for machine in company.client.get("/api/v1/equipment", params={"limit": 10}).json():
        company.client.patch(f"/api/v1/equipment/{machine['id']}", json={"line_id": line}).raise_for_status()
    return company


def test_a_large_plant_is_shown_by_its_lines(open_browser, large: Company) -> None:
    page = open_browser("en", "phone", company=large)
    expect(page.locator(".part-head")).to_have_count(2)
    expect(page.locator(".tile")).to_have_count(0)
    page.locator(".part-head a", has_text="Hall 1").click()
    expect(page.locator(".tile")).to_have_count(10)
    page.goto("/trends")
    page.locator(".picker-tree > .picker-machine > summary", has_text="Hall 1").click()
    page.locator(".picker-machine .picker-machine > summary").first.click()
    page.locator(".picker-machine .pick").first.click()
    expect(page.locator(".numbers tbody tr")).to_have_count(1)
    assert fits_the_screen(page)
    page.goto("/plant")
    expect(page.locator(".machine")).to_have_count(0)
    page.locator(".plant-line summary", has_text="10 machines").click()
    expect(page.locator(".machine")).to_have_count(10)
    page.goto("/alarm-rules/new")
    page.get_by_label("Machine", exact=True).fill("press-007")
    page.locator(".q-item", has_text="press-007").first.click()
    page.get_by_label("One point").click()
    expect(page.locator(".q-menu .q-item")).to_have_count(3)
    page.keyboard.press("Escape")
    page.get_by_label("at this place").fill("ylj press-249")
    expect(page.locator(".search-none")).to_be_visible()
    page.get_by_label("at this place").fill("249")
    page.locator(".q-item", has_text="press-249").click()
    expect(page.get_by_label("at this place")).to_have_value(re.compile("press-249"))


def test_the_places_behind_more(open_browser, works: Company, factory: Factory) -> None:
    """On a phone the sheet holds every place, the language and the way out; it opens and closes without a script of ours."""
    page = open_browser("en", "phone", company=works)
    expect(page.locator(".side")).not_to_be_visible()
    page.get_by_role("button", name="More").click()
    for place in page.locator(".places a").all():  # the last of them a swipe away
        place.scroll_into_view_if_needed()
        expect(place).to_be_in_viewport()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".side")).not_to_be_visible()
    page.get_by_role("button", name="More").click()
    page.locator(".places a", has_text="Gateways").click()
    expect(page.locator("h1")).to_have_text("Gateways")
