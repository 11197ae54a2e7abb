"""What a technician does when something is not as it should be, and that every page says it in one language."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import edge_agent.ui
from edge_agent.ui.drafts import DraftPoint, Drafts, Machine, load_drafts, save_drafts
from protocols.modbus.config import ModbusPoint
from protocols.modbus.simulator import ModbusSimulator
from protocols.opcua.certificates import fingerprint, load_certificate
from protocols.opcua.config import OpcuaPoint
from protocols.opcua.simulator import OpcuaSimulator
from protocols.text import Text
from tests.journeys.technician import Thumb, fits, opened, running, simulator_aside
from tests.journeys.test_translation import CHINESE, lines, texts_in
from tests.journeys.test_translation import check as check_language

pytestmark = pytest.mark.chromium

VOLTAGE, STATE = 231.4, 5
REGISTERS = [
    ModbusPoint.model_validate({"name": "u", "address": 10, "type": "float32", "order": "CDAB"}),
    ModbusPoint.model_validate({"name": "word 20", "address": 20, "type": "uint16"}),
]
NODES = [OpcuaPoint.model_validate({"name": "melt", "property": "melt_temperature", "node": "nsu=urn:x;s=Barrel/MeltTemperature"})]  # fmt: skip


def wrong_draft(place: str) -> Drafts:
    """A machine as a technician might have it before the eyes: byte order wrong, meanings open."""
    host, _, port = place.rpartition(":")
    machine = Machine("", place, "modbus", "panel", {"host": host, "port": int(port), "unit_id": 1})
    machine.points = [
        DraftPoint("u", {"table": "holding", "address": 10, "type": "float32", "order": "ABCD"}, unit="VLT"),
        DraftPoint("word 20", {"table": "holding", "address": 20, "type": "uint16", "order": "ABCD"}),
    ]
    drafts = Drafts()
    drafts.put(machine)
    return drafts


class Box:
    """A box with one drafted machine, and a secured OPC UA server beside it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.state_dir = folder / "state"
        modbus = ModbusSimulator(REGISTERS, lambda: {"u": VOLTAGE, "word 20": STATE})
        save_drafts(wrong_draft(stack.enter_context(simulator_aside(modbus))), self.state_dir)
        self.server_pki = folder / "server-pki"
        secured = OpcuaSimulator(NODES, lambda: {"melt": 231.5}, security="basic256sha256", pki=self.server_pki)
        self.server = stack.enter_context(simulator_aside(secured)).removeprefix("opc.tcp://").partition("/")[0]
        self.url = stack.enter_context(running(folder, "ui", "ui", "--port", "0", "--rate", "500"))["url"]

    def point(self, number: int) -> DraftPoint:
        """Return a drafted point as it is on disk."""
        return load_drafts(self.state_dir).machines[0].points[number]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with ExitStack() as stack:
        yield Box(tmp_path_factory.mktemp("box"), stack)


@pytest.fixture
def open_pages(browser: Browser, box: Box) -> Iterator[Callable[[str], Page]]:
    with ExitStack() as stack:
        yield lambda language: stack.enter_context(opened(browser, box.url, language))


def test_a_wrong_byte_order_is_mended_by_looking(box: Box, open_pages) -> None:
    page = open_pages("en")
    thumb = Thumb(page)
    page.goto("/machine/1/point/0")
    expect(page.locator(".big-value")).not_to_contain_text("–")
    expect(page.locator(".big-value")).not_to_contain_text("231.4")
    thumb.tap(page.get_by_role("button", name="Test this point"))
    right = page.locator(".choice").filter(has_text="CDAB @ 10").filter(has_text="231.4 V").first
    expect(right).to_be_visible()
    assert fits(page)
    thumb.tap(right)
    expect(page.locator(".big-value")).to_contain_text("231.4V")
    assert box.point(0).fields["order"] == "CDAB"
    assert thumb.taps == 2


def test_what_went_over_the_wire_is_told_in_words(open_pages) -> None:
    page = open_pages("zh")
    received = page.locator(".frame.received .mono").first
    for _ in range(3):  # on a busy machine the answer may come after the 2 s that a test waits
        page.goto("/machine/1/point/1")
        page.get_by_role("button", name="测试此点").tap()
        page.get_by_text("收发报文").tap()
        expect(page.locator(".frame.sent").first).to_contain_text("20")
        if received.is_visible():
            break
    expect(received).to_contain_text("05")


def test_an_entry_is_found_by_search_and_kept(box: Box, open_pages) -> None:
    page = open_pages("zh")
    page.goto("/machine/1/point/0")
    page.locator("input[type=search]").fill("A相电压")
    page.locator(".choice").filter(has_text="A相电压").first.tap()
    expect(page.locator(".mark").first).to_have_text("已确认")
    assert box.point(0).code == "voltage_l1_n"
    page.reload()
    expect(page.locator(".mark").first).to_have_text("已确认")


def test_an_entry_of_another_quantity_cannot_be_taken(box: Box, open_pages) -> None:
    page = open_pages("en")
    page.goto("/machine/1/point/0")
    before = box.point(0).code
    page.locator("input[type=search]").fill("melt temperature")
    choice = page.locator(".choice.unlikely").first
    expect(choice).to_contain_text("°C")
    choice.tap()
    page.wait_for_timeout(300)
    assert box.point(0).code == before


def test_a_machines_own_codes_are_named_by_looking(box: Box, open_pages) -> None:
    page = open_pages("en")
    page.goto("/machine/1/point/1")
    expect(page.locator(".big-value")).to_contain_text("5")
    page.locator("input[type=search]").fill("machine state")
    page.locator(".choice").filter(has_text="Machine state").first.tap()
    expect(page.locator(".mark").first).to_have_text("look")
    page.reload()  # the question is asked again once the value is there
    page.locator(".chip").filter(has_text="Executing").last.tap()
    expect(page.locator(".mark").first).to_have_text("confirmed")
    assert box.point(1).fields["codes"] == {"5": 3}
    expect(page.locator(".big-value")).to_contain_text("Executing")
    page.goto("/machine/1")
    row = page.locator(".point").filter(has_text="Machine state")
    expect(row.locator(".value")).to_have_text("Executing")


def test_a_point_is_renamed_and_left_out(box: Box, open_pages) -> None:
    page = open_pages("en")
    page.goto("/machine/1/point/1")
    page.locator("summary").last.tap()
    page.locator("details input").last.fill("u")
    page.get_by_role("button", name="Rename").tap()
    expect(page.get_by_role("alert")).to_contain_text("another point")
    page.locator("details input").last.fill("operating state")
    page.get_by_role("button", name="Rename").tap()
    expect(page.locator("h1")).to_have_text("operating state")
    page.locator("summary").last.tap()
    page.get_by_role("button", name="Do not collect it").tap()
    page.wait_for_url("**/machine/1")
    page.get_by_text("Not collected (1)").tap()
    expect(page.locator(".point.out")).to_contain_text("Machine state")


def test_without_an_agent_a_technician_learns_how_to_start_it(open_pages) -> None:
    page = open_pages("en")
    page.goto("/machine/1")
    page.locator(".actions .button").tap()
    expect(page.get_by_role("alert").filter(has_text="sunmao-edge run --config")).to_be_visible()
    page.goto("/check")
    expect(page.locator("[data-check=bad]")).to_be_visible(timeout=30_000)
    expect(page.locator(".finding").filter(has_text="Cloud: connection")).to_contain_text("→")


def test_an_unknown_server_is_trusted_in_one_tap(box: Box, open_pages) -> None:
    page = open_pages("en")
    thumb = Thumb(page)
    page.goto("/machines")
    page.locator("input").first.fill(box.server)
    page.locator(".card .button").first.tap()
    card = page.locator("a.machine").filter(has_text="OPC UA")
    expect(card).to_contain_text("encrypted")
    card.tap()
    shown = fingerprint(load_certificate((box.server_pki / "certificate.der").read_bytes()))
    expect(page.locator(".card .mono")).to_have_text(shown, timeout=30_000)
    assert fits(page)
    thumb.tap(page.get_by_role("button", name="The same - trust it"))
    row = page.locator(".point").filter(has_text="Melt temperature")
    expect(row.locator(".value")).to_contain_text("231.5")
    assert thumb.taps == 1


def test_the_link_of_a_qr_code_fills_the_fields(open_pages) -> None:
    page = open_pages("en")
    page.goto("/connect#https%3A%2F%2Fcloud.example.com%2Fenrol%23K7QF-3XWD-9MPA")
    expect(page.locator("input").nth(1)).to_have_value("https://cloud.example.com")
    expect(page.locator("input").nth(2)).to_have_value("K7QF-3XWD-9MPA")
    expect(page.get_by_role("alert")).to_contain_text("Is it right?")


def test_a_range_that_is_none_is_said_to_be_none(open_pages) -> None:
    page = open_pages("zh")
    page.goto("/machines")
    page.locator("input").first.fill("here, please!")
    page.locator(".card .button").first.tap()
    expect(page.get_by_role("alert")).to_contain_text("不是有效的地址范围")


SAID_BY_OTHERS = r"/|http|127\.|OPC UA|.*Connect call failed"
"""Addresses, names, and what the operating system says of a connection that failed."""


def all_texts() -> set[Text]:
    found: set[Text] = set()
    for module in pkgutil.walk_packages(edge_agent.ui.__path__, "edge_agent.ui."):
        for value in vars(importlib.import_module(module.name)).values():
            found |= set(texts_in(value))
    return found


def test_no_text_of_the_pages_is_left_in_english() -> None:
    texts = all_texts()
    assert len(texts) > 200
    worded = [text for text in texts if re.search("[A-Za-z]{3}", re.sub(r"{\w*}|OPC UA|Modbus", "", text.en))]
    assert [text for text in worded if not CHINESE.search(text.zh) or CHINESE.search(text.en)] == []
    assert [t for t in texts if sorted(re.findall(r"{\w*}", t.en)) != sorted(re.findall(r"{\w*}", t.zh))] == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_page_of_the_box_shows_the_other_language(open_pages, language: str) -> None:
    page = open_pages(language)
    foreign = {text.zh if language == "en" else text.en for text in all_texts() if "{" not in text.en} - {
        "Modbus",
        "OPC UA",
    }
    for address in (
        "/connect",
        "/machines",
        "/machine/1",
        "/machine/1/point/0",
        "/check",
        "/report",
        "/pair",
        "/no/such",
    ):
        page.goto(address)
        expect(page.locator("html")).to_have_attribute("lang", {"zh": "zh-CN", "en": "en-US"}[language])
        expect(page.locator("h1, .notice").first).to_be_visible()
        shown = [line for line in lines(page) if not re.match(SAID_BY_OTHERS, line)]
        check_language(shown, foreign, language)
        assert fits(page)


def test_the_switch_overrules_the_browser(open_pages) -> None:
    page = open_pages("en")
    page.goto("/machines")
    page.locator(".languages a", has_text="中文").tap()
    expect(page.locator("h1")).to_have_text("搜索设备")
    page.goto("/connect")
    expect(page.locator("h1")).to_have_text("接入本机")


def colours(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8")
    return [line.strip() for line in text[text.index(":root {") : text.index("html {")].splitlines() if line.strip()]


def test_box_and_cloud_have_one_look() -> None:
    root = Path(__file__).parents[2]
    assert colours(root / "edge_agent/ui/static/theme.css") == colours(root / "cloud/web/static/theme.css")
