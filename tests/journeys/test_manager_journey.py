"""A manager's way through the pages, in both languages, at a desk and on a phone."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from edge_agent.ui.enrolment_code import read_link, read_photograph
from protocols.reading import GOOD, Reading, now_us
from protocols.uplink.codec import columns_of
from protocols.uplink.messages import Batch, PointRef
from tests.doubles.plant import Plant, inspection_of

pytestmark = pytest.mark.chromium

WORDS = {
    "en": {
        "overview": "Plant overview",
        "running": "Running",
        "reject": "Reject",
        "good": "Good",
        "melt": "Melt temperature",
    },
    "zh": {"overview": "工厂总览", "running": "运行", "reject": "不合格", "good": "正常", "melt": "熔体温度"},
}


def tile(page: Page, name: str) -> Locator:
    return page.locator(".tile").filter(has=page.get_by_text(name, exact=True))


def fits_the_screen(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


CURVE_IS_DRAWN = """() => {
    const canvas = document.querySelector('.chart canvas');
    if (!canvas) return false;
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0;
    for (let i = 0; i < data.length; i += 4)
        if (Math.abs(data[i] - 0x92) + Math.abs(data[i + 1] - 0x56) + Math.abs(data[i + 2] - 0x1f) < 12) count++;
    return count > 200;
}"""
"""Pixels of the curve's own colour are on the chart."""


@pytest.mark.parametrize(("language", "screen"), [("en", "desktop"), ("zh", "phone")])
def test_from_log_in_to_the_defect(open_browser, ours, delivered, language: str, screen: str) -> None:
    words = WORDS[language]
    delivered.plant.report_health()
    page = open_browser(language, screen, company=ours)
    expect(page.locator("h1")).to_have_text(words["overview"])
    expect(page.locator("html")).to_have_attribute("lang", {"en": "en-US", "zh": "zh-CN"}[language])
    expect(tile(page, "moulder-1").locator(".mark")).to_have_text(words["running"])
    assert fits_the_screen(page)

    # A value changes in front of the reader: same document, no reload.
    page.evaluate("window.sameDocument = true")
    for value, shown in ((123.4, "123.4"), (87.25, "87.25")):
        delivered.plant.deliver_value("meter-1", "P", value)
        expect(tile(page, "meter-1").locator(".reading .value").first).to_contain_text(shown)
        expect(page.locator(".figure .big").nth(1)).to_contain_text(shown)
    assert page.evaluate("window.sameDocument")

    # The equipment: names of the dictionary, units, quality in words, and a curve that is drawn.
    tile(page, "moulder-1").click()
    row = page.locator(".points tbody tr").filter(has_text=words["melt"])
    expect(row.locator(".unit")).to_have_text("°C")
    expect(row.locator(".quality")).to_have_text(words["good"])
    row.click()
    expect(page.locator("h2").filter(has_text=f"{words['melt']} (°C)")).to_be_visible()
    expect(row).to_have_class(re.compile("here"))
    page.wait_for_function(CURVE_IS_DRAWN)
    made_from = page.locator(".card-head .muted")
    before = made_from.inner_text()
    page.locator(".choices button").nth(1).click()
    expect(made_from).not_to_have_text(before)
    expect(page.locator(".choices button").nth(1)).to_have_class(re.compile("here"))
    assert fits_the_screen(page)

    # The inspections: the planted defect, its picture, and the heat map over it.
    page.goto("/inspections?verdict=reject")
    expect(page.locator(".shot .mark").first).to_have_text(words["reject"])
    page.locator(".shot").filter(has_text=delivered.defect.part).click()
    expect(page.locator("h1")).to_have_text(delivered.defect.part)
    for image in page.locator(".plate img").all():
        expect(image).to_be_visible()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
    expect(page.locator(".plate .heat")).to_have_css("opacity", "0.75")
    page.locator(".plate-controls input").fill("20")
    expect(page.locator(".plate .heat")).to_have_css("opacity", "0.2")
    expect(page.locator(".needle")).to_have_text(f"{delivered.defect.score:.2f}")
    local = datetime.fromtimestamp(delivered.defect.time / 1e6, ZoneInfo("Asia/Shanghai"))
    expect(page.locator(".facts")).to_contain_text(f"{local:%H:%M:%S}")
    assert fits_the_screen(page)


def test_the_phones_own_camera_leads_on_to_the_box(open_browser, cloud: str) -> None:
    """The link of the QR code, opened by a phone: what stands behind its # goes to the address a person types."""
    page = open_browser("zh", "phone")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/enrol#K7QF-3XWD-9MPA")
    assert fits_the_screen(page)
    page.locator("input[name=box]").fill(f"{cloud.removeprefix('http://')}/machines")
    page.locator("button[type=submit]").click()
    page.wait_for_url(f"{cloud}/connect#*")
    link = page.evaluate("decodeURIComponent(location.hash.slice(1))")
    assert read_link(link) == (cloud, "K7QF-3XWD-9MPA")
    assert not [url for url in asked if "K7QF" in url.partition("#")[0]]


def test_a_new_part_appears_by_itself(open_browser, ours, delivered) -> None:
    page = open_browser(company=ours)
    page.goto("/inspections")
    expect(page.locator(".shot").first).to_be_visible()
    delivered.plant.deliver_values([], inspections=[inspection_of(777, now_us(), defect=True)])
    expect(page.locator(".shot").first).to_contain_text("P-00777")


def test_a_silent_machine_says_why_and_what_to_do(open_browser, ours, delivered) -> None:
    page = open_browser(company=ours)
    delivered.plant.report_health(broken="compressor-1")
    delivered.plant.deliver_values([now_us()], broken="compressor-1")
    expect(tile(page, "compressor-1").locator(".mark")).to_have_text("Not answering")
    tile(page, "compressor-1").click()
    expect(page.get_by_role("alert")).to_contain_text("no answer from 192.0.2.7:502 within 2 s")
    expect(page.get_by_role("alert")).to_contain_text("Check its power")
    expect(page.locator(".points .quality").first).to_have_text("Bad: no connection to the device")
    delivered.plant.report_health()
    delivered.plant.deliver_values([now_us()])
    expect(page.get_by_role("alert")).not_to_be_visible()
    expect(page.locator(".points .quality").first).to_have_text("Good")


def test_the_operators_word_is_kept(open_browser, ours, delivered) -> None:
    page = open_browser(company=ours)
    page.goto(f"/inspections/{delivered.inspections[0].id}")
    page.get_by_role("button", name="Defect").click()
    expect(page.locator(".mark").filter(has_text="Operator: defect")).to_be_visible()
    page.reload()
    expect(page.locator(".mark").filter(has_text="Operator: defect")).to_be_visible()


def test_a_stranger_sees_none_of_it(open_browser, ours, theirs, delivered) -> None:
    mine = open_browser(company=ours)
    equipment = tile(mine, "moulder-1").get_attribute("href")
    assert equipment
    page = open_browser(company=theirs)
    expect(page.locator(".steps")).to_be_visible()
    expect(page.locator(".tile")).to_have_count(0)
    for address in (equipment, f"/inspections/{delivered.defect.id}", "/equipment/none", "/no/such/page"):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 404
        expect(page.locator("h1")).to_have_text("Nothing here")
    page.goto("/inspections")
    expect(page.locator(".shot")).to_have_count(0)
    page.goto("/gateways")
    expect(page.get_by_text("workshop-1")).to_have_count(0)
    for image in ("picture", "heatmap"):
        assert page.request.get(f"/api/v1/inspections/{delivered.defect.id}/{image}").status == 404


def test_from_nothing_to_the_first_value(open_browser, found, cloud: str) -> None:
    """An administrator makes a code on the empty page; the page fills itself once a gateway has used it."""
    page = open_browser("zh", "phone", company=found("newcomer"))
    page.locator(".steps button").click()
    code = page.locator(".code").inner_text()
    expect(page.locator(".command").first).to_have_text(f"sunmao-edge enrol {code}")
    assert read_photograph(page.locator(".qr").screenshot()) == (cloud, code)
    with httpx.Client(base_url=cloud) as client:
        plant = Plant(client)
        plant.enrol(code)
        plant.deliver_values([now_us()])
    expect(page.locator(".tile")).to_have_count(3)


@pytest.mark.parametrize("name", ["L" * 200, "一号车间三楼东侧注塑机二百八十吨" * 12])
def test_long_names_and_texts_fit_a_phone(open_browser, found, cloud: str, name: str) -> None:
    company = found(f"long-{ord(name[0])}")
    refs = [PointRef(name, "P", "active_power_total", "KWT"), PointRef(name, "x" * 200, "", "C62")]
    values: list[float | str] = [1e12, name * 5]
    with httpx.Client(base_url=cloud) as client:
        plant = Plant(client)
        plant.enrol(company.code(), "G" * 120)
        now = now_us()
        rows = [(ref, Reading(ref.name, value, GOOD, now, now)) for ref, value in zip(refs, values, strict=True)]
        columns, texts = columns_of(rows)
        plant.deliver(Batch(columns=columns, texts=texts))
    page = open_browser("zh", "phone", company=company)
    expect(page.locator(".chart canvas").first).to_be_visible()
    assert fits_the_screen(page)
    page.locator(".tile").click()
    expect(page.locator(".points tbody tr")).to_have_count(2)
    assert fits_the_screen(page)


def test_log_in_and_out(open_browser, ours) -> None:
    page = open_browser("zh")
    page.goto("/inspections?verdict=review")
    page.wait_for_url("**/login?next=*")
    page.locator("input[name=email]").fill(ours.email)
    page.locator("input[name=password]").fill("not the password")
    page.locator("button[type=submit]").click()
    expect(page.get_by_role("alert")).to_contain_text("邮箱或密码错误")
    page.locator("input[name=email]").fill(ours.email)
    page.locator("input[name=password]").fill("joined-without-a-nail")
    page.locator("button[type=submit]").click()
    page.wait_for_url("**/inspections?verdict=review")
    page.get_by_role("button", name="退出登录").click()
    page.wait_for_url("**/login")
    page.goto("/")
    page.wait_for_url("**/login?next=*")


def test_a_session_that_ends_closes_the_open_page(open_browser, ours, delivered) -> None:
    page = open_browser(company=ours)
    second = page.context.new_page()
    second.goto("/")
    second.get_by_role("button", name="Log out").click()
    second.wait_for_url("**/login")
    page.wait_for_url("**/login")


def test_what_a_session_allowed_ends_with_it(open_browser, ours, delivered) -> None:
    page = open_browser(company=ours)
    unjudged = delivered.inspections[1]
    page.goto(f"/inspections/{unjudged.id}")
    expect(page.get_by_role("button", name="Defect")).to_be_visible()
    assert page.request.delete("/api/v1/sessions/current").status == 204
    page.get_by_role("button", name="Defect").click()
    page.wait_for_url("**/login")
    assert ours.client.get(f"/api/v1/inspections/{unjudged.id}").json()["judgement"] is None


def test_the_switch_overrules_the_browser_and_is_remembered(open_browser, ours, delivered) -> None:
    page = open_browser("en", company=ours)
    page.goto("/inspections?verdict=pass")
    page.locator(".languages a", has_text="中文").click()
    expect(page.locator("h1")).to_have_text("质检")
    assert page.url.endswith("/inspections?verdict=pass")
    page.goto("/gateways")
    expect(page.locator("h1")).to_have_text("网关")


@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/", "//elsewhere.example/", "/\\elsewhere.example", "javascript:1"]
)
def test_no_link_leads_elsewhere(open_browser, ours, cloud: str, target: str) -> None:
    page = open_browser()
    answer = page.request.get("/language/zh", params={"next": target}, max_redirects=0)
    assert answer.headers["location"] == "/"
    form = {"email": ours.email, "password": "joined-without-a-nail", "next": target}
    assert page.request.post("/login", form=form, max_redirects=0).headers["location"] == "/"


def test_a_foreign_form_does_nothing(cloud: str, ours) -> None:
    with httpx.Client(base_url=cloud, headers={"Origin": "https://elsewhere.example"}) as client:
        form = {"email": ours.email, "password": "joined-without-a-nail"}
        assert client.post("/login", data=form).status_code == 403
        assert client.post("/logout").status_code == 403


def test_pages_leave_the_api_its_own_answers(cloud: str) -> None:
    with httpx.Client(base_url=cloud) as client:
        for path in ("/api/v1/none", "/api/none"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        answer = client.delete("/api/v1/inspections")
        assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
        assert answer.headers["allow"] == "GET"
