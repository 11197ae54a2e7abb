"""From a fresh box to three machines whose values reach the cloud, on a phone, with one thumb."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.doubles.cloud import CloudDouble
from tests.journeys import technician
from tests.journeys.technician import Thumb, cloud_aside, fits, opened, photograph_of, running

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(300)]

WORDS = {
    "en": {"connect": "Connect this box", "sure": "sure", "meter": "Energy meter", "report": "Set-up report"},
    "zh": {"connect": "接入本机", "sure": "确定", "meter": "电能表", "report": "安装调试报告"},
}
MOST_TAPS, MOST_S = 12, 300.0
SAMPLES_S = 15
"""How long the test watches the unknown machine; a technician would let the two minutes pass."""


class Workshop:
    """What stands around the box."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.cloud: CloudDouble = stack.enter_context(cloud_aside())
        self.places = []
        for name, device, *more in (
            ("known", technician.KNOWN),
            ("meter", str(technician.UNKNOWN_METER), "--load", "demo-injection-moulder"),
            ("press", str(technician.PRESS)),
        ):
            said = stack.enter_context(running(folder, name, "simulate", device, *more))
            self.places.append(said["address"].removeprefix("opc.tcp://").partition("/")[0])
        self.url = stack.enter_context(running(folder, "ui", "ui", "--port", "0", "--rate", "500"))["url"]

    def values(self, device: str) -> dict[str, float]:
        """Return the last good value of each mapped point the cloud has of `device`, by dictionary entry."""
        return {
            ref.property: value
            for ref, _, value, quality in self.cloud.readings()
            if ref.device == device and ref.property and quality >= 0
        }


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with ExitStack() as stack:
        yield Workshop(tmp_path, stack)


@pytest.fixture
def phone(browser: Browser, workshop: Workshop, language: str) -> Iterator[Page]:
    with opened(browser, workshop.url, language) as page:
        yield page


def rows(page: Page, mark: str) -> Locator:
    return page.locator(".point").filter(has=page.locator(".mark").get_by_text(mark, exact=True))


@pytest.mark.parametrize("language", ["zh"])  # what is said in English, test_technician_pages sees
def test_three_machines_in_twelve_taps(workshop: Workshop, phone: Page, language: str, record_property) -> None:
    words, page, thumb = WORDS[language], phone, Thumb(phone)
    page.goto("/")
    expect(page.locator("h1")).to_have_text(words["connect"])

    # 1: the code, photographed; address and code stand in the fields.
    with page.expect_file_chooser() as chooser:
        thumb.tap(page.locator("label.button"))
    chooser.value.set_files({"name": "code.jpg", "mimeType": "image/jpeg", "buffer": photograph_of(workshop.cloud.url)})
    expect(page.locator("input").nth(0)).to_have_value(workshop.cloud.url)
    thumb.tap(page.locator(".card .button"))
    page.wait_for_url("**/machines")

    with running(workshop.folder, "agent", "run"):
        # 2: the search, in the range a person names.
        thumb.tap(page.locator("input").first)
        page.keyboard.type(" ".join(workshop.places))
        thumb.tap(page.locator(".card .button").first)
        cards = page.locator("a.machine")
        expect(cards).to_have_count(3, timeout=60_000)
        expect(page.locator(".card .button").first).to_be_visible(timeout=30_000)
        assert fits(page)

        # 3a: one of the library, its values live beside what they mean.
        name = cards.nth(0).locator(".name").inner_text()
        thumb.tap(cards.nth(0))
        expect(rows(page, words["sure"]).first.locator(".value")).to_contain_text("V")
        assert fits(page)
        thumb.tap(page.locator(".actions .button"))

        # 3b: one that nobody knows, found out by watching.
        page.wait_for_url("**/machine/2")
        thumb.tap(page.locator(".card .button").first)
        enough = page.locator(".card .button").first
        expect(enough).to_be_visible(timeout=30_000)
        page.wait_for_timeout(1000 * SAMPLES_S)
        thumb.tap(enough)
        expect(rows(page, words["sure"]).first).to_be_visible()
        expect(rows(page, words["sure"]).first.locator(".value")).to_contain_text("V")
        assert fits(page)
        expect(page.locator("h1")).to_have_text(words["meter"])
        meter = words["meter"]
        thumb.tap(page.locator(".actions .button"))

        # 3c: an OPC UA server that told its points itself.
        page.wait_for_url("**/machine/3")
        press = page.locator("h1").inner_text()
        expect(rows(page, words["sure"]).first.locator(".value")).not_to_have_text("–")
        thumb.tap(page.locator(".actions .button"))

        # 4 and 5: the check list, then the report.
        page.wait_for_url("**/check")
        expect(page.locator("[data-check]")).to_be_visible(timeout=30_000)
        for machine in (name, meter, press):
            finding = page.locator(".finding").filter(has=page.get_by_text(machine, exact=True))
            expect(finding.locator(".tone-good")).to_be_visible()
        assert fits(page)
        report = page.locator("a.button[href='/report']")
        thumb.tap(report)
        expect(page.frame_locator("iframe").locator("h1")).to_have_text(words["report"])

        for machine in (name, meter, press):
            assert eventually(page, lambda machine=machine: workshop.values(machine)), machine
        taps, seconds = thumb.taps, thumb.seconds
    print(f"\ntechnician's journey ({language}): {taps} taps, {seconds:.0f} s")
    record_property("taps", taps)
    record_property("seconds", round(seconds))
    assert taps <= MOST_TAPS
    assert seconds < MOST_S

    assert 210 < workshop.values(name)["voltage_l1_n"] < 250
    found_out = workshop.values(meter)
    assert {"voltage_l1_n", "voltage_l2_n", "voltage_l3_n", "frequency_grid"} <= found_out.keys()
    assert 210 < found_out["voltage_l3_n"] < 250
    assert 49 < found_out["frequency_grid"] < 51
    assert 150 < workshop.values(press)["melt_temperature"] < 300


def eventually(page: Page, condition, deadline_s: float = 20.0) -> bool:
    """Wait, with the browser's own loop going on, until `condition` holds."""
    for _ in range(int(deadline_s / 0.1)):
        if condition():
            return True
        page.wait_for_timeout(100)
    return False
