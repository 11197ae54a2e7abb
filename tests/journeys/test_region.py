"""Where a model looks is drawn on a good picture, with a mouse at a desk and with a finger on a phone, and kept with the set."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.cloud.training.pictures import part, png
from tests.journeys.conftest import Company
from tests.journeys.test_every_page import OVERFLOW, a_picture_set, picture

pytestmark = pytest.mark.chromium

Point = tuple[float, float]


def on_plate(page: Page, point: Point) -> Point:
    """Return where a point in shares of the picture is on the screen."""
    plate = page.locator(".drawing")
    plate.scroll_into_view_if_needed()
    around = plate.bounding_box()
    assert around
    return around["x"] + point[0] * around["width"], around["y"] + point[1] * around["height"]


def drag(page: Page, begin: Point, end: Point) -> None:
    page.mouse.move(*on_plate(page, begin))
    page.mouse.down()
    page.mouse.move(*on_plate(page, end), steps=4)
    page.mouse.up()


def draw_by_finger(page: Page, begin: Point, end: Point) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    steps = [tuple(a + (b - a) * share for a, b in zip(begin, end, strict=True)) for share in (0, 0.3, 0.7, 1)]
    for number, step in enumerate(steps):
        x, y = on_plate(page, (step[0], step[1]))
        kind = "touchMove" if number else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_region_is_drawn_saved_and_drawn_again(open_browser, found) -> None:
    company: Company = found("region")
    set_id = a_picture_set(company)
    sent = company.client.post("/api/v1/training/pictures", params={"set_id": set_id, "part": part(1)}, content=png(1))
    sent.raise_for_status()

    def saved() -> list[list[list[float]]]:
        region: list[list[list[float]]] = company.client.get(f"/api/v1/training/sets/{set_id}").json()["region"]
        return region

    page = open_browser("en", company=company)
    page.goto(f"/training/{set_id}")
    drag(page, (0.1, 0.2), (0.6, 0.9))
    expect(page.locator(".drawing .outline .border polygon")).to_have_count(1)
    drag(page, (0.5, 0.5), (0.505, 0.6))  # a slip, no rectangle
    page.get_by_role("button", name="Polygon").click()
    for number, corner in enumerate([(0.7, 0.1), (0.9, 0.1), (0.8, 0.5)], 1):
        page.mouse.click(*on_plate(page, corner))
        expect(page.locator(".drawing .corner")).to_have_count(number)
    page.mouse.click(*on_plate(page, (0.71, 0.11)))
    expect(page.locator(".drawing .outline .border polygon")).to_have_count(2)
    expect(page.get_by_text("Not saved yet.")).to_be_visible()
    assert saved() == []
    page.get_by_role("button", name="Save the region").click()
    expect(page.get_by_role("status").filter(has_text="The next training looks there.")).to_be_visible()
    rectangle, triangle = saved()
    assert [round(share, 1) for corner in rectangle for share in corner] == [0.1, 0.2, 0.6, 0.2, 0.6, 0.9, 0.1, 0.9]
    assert len(triangle) == 3
    assert page.evaluate(OVERFLOW) == []
    picture(page, "region-en-desktop")

    phone = open_browser("zh", "phone", company=company)
    phone.goto(f"/training/{set_id}")
    expect(phone.locator(".drawing .outline .border polygon")).to_have_count(2)
    phone.get_by_role("button", name="检测整幅").click()
    expect(phone.locator(".drawing .outline")).to_have_count(0)
    draw_by_finger(phone, (0.2, 0.2), (0.8, 0.7))
    expect(phone.locator(".drawing .outline .border polygon")).to_have_count(1)
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "region-zh-phone")
    phone.get_by_role("button", name="保存区域").click()
    expect(phone.get_by_role("status").filter(has_text="下次训练")).to_be_visible()
    assert [round(share, 1) for share in saved()[0][2]] == [0.8, 0.7]
