"""Takes the pictures of docs/technician.md: a technician's way through the pages of a box, on a phone, in both languages.

python -m deploy.demo.technician_images [--out docs/images]
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from deploy.demo.platform import EMAIL, PASSWORD, Platform
from deploy.demo.processes import Plant, free_port, wait_until
from deploy.demo.screenshots import CHROMIUM, FLAGS, LANGUAGES, log_in
from protocols.text import Text

HERE = Path(__file__).parent
MACHINES = {
    "meter-1": ("eastron-sdm630", ()),
    "meter-2": (str(HERE / "unlisted-meter.toml"), ("--load", "demo-injection-moulder")),
    "press-1": (str(HERE / "unlisted-press.toml"), ()),
}
WATCHED_S = 30


def main() -> None:
    """Take all pictures; the cloud and the machines run once, each language has a fresh box."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    out = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Plant(Path(folder)) as plant, sync_playwright() as playwright:
        platform = Platform(plant)
        platform.start_cloud()
        platform.create_tenant()
        places = [platform.simulate(name, template, *more) for name, (template, more) in MACHINES.items()]
        ranges = " ".join(place.removeprefix("opc.tcp://").partition("/")[0] for place in places)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for language in LANGUAGES:
            for file in Walk(browser, platform, language, out).take(ranges):
                print(file)
        browser.close()


class Walk:
    """One language's way through the pages."""

    def __init__(self, browser: Browser, platform: Platform, language: str, out: Path) -> None:
        self._browser, self._platform, self._language, self._out = browser, platform, language, out
        self._files: list[Path] = []

    def take(self, ranges: str) -> list[Path]:
        """Walk from a fresh box to the report and return the pictures taken on the way."""
        code = self._gateways_page()
        with self._box() as (page, start_agent):
            page.goto("/connect")
            self._shoot(page, "connect")
            fields = page.locator(".field input")
            for number, text in enumerate((self._platform.url, code, f"workshop-{self._language}")):
                fields.nth(number).fill(text)
            page.locator(".card .button").first.click()
            page.wait_for_url("**/machines")
            start_agent()
            page.locator(".field input").first.fill(ranges)
            page.locator(".card .button").first.click()
            expect(page.locator("a.machine")).to_have_count(3, timeout=60_000)
            expect(page.locator(".card .button").first).to_be_visible(timeout=30_000)
            self._shoot(page, "machines", full=True)
            page.locator("a.machine").first.click()
            self._points(page, "known")
            page.locator(".actions .button").click()
            page.wait_for_url("**/machine/2")
            page.locator(".card .button").first.click()
            expect(page.locator(".card .button").first).to_be_visible(timeout=60_000)
            page.wait_for_timeout(1000 * WATCHED_S)
            self._shoot(page, "watching")
            page.locator(".card .button").first.click()
            self._points(page, "found-out")
            page.locator(".point").first.click()
            page.locator(".big-value").wait_for()
            page.locator(".button.quiet").filter(has_text=re.compile("Test|测试")).click()
            page.locator(".choice .value").first.wait_for()
            page.locator(".choice").first.scroll_into_view_if_needed()
            self._shoot(page, "test")
            page.goto("/machine/2")
            page.locator(".actions .button").click()
            page.wait_for_url("**/machine/3")
            self._points(page, "opcua")
            page.locator(".actions .button").click()
            page.wait_for_url("**/check")
            page.locator("[data-check]").wait_for()
            self._shoot(page, "check", full=True)
            page.goto("/report")
            page.frame_locator("iframe").locator("h1").wait_for()
            self._shoot(page, "report")
        return self._files

    def _points(self, page: Page, name: str) -> None:
        expect(page.locator(".point .value").first).not_to_have_text("–", timeout=30_000)
        self._shoot(page, name)

    def _shoot(self, page: Page, name: str, *, full: bool = False) -> None:
        page.wait_for_load_state("networkidle")
        page.evaluate("document.fonts.ready")
        page.wait_for_timeout(500)
        file = self._out / f"technician-{name}-{self._language}.png"
        page.screenshot(path=file, full_page=full)
        self._files.append(file)

    def _gateways_page(self) -> str:
        """Make a code on the cloud's page, take its picture, and return it."""
        context = self._browser.new_context(
            base_url=self._platform.url,
            locale=LANGUAGES[self._language],
            viewport={"width": 1000, "height": 800},
        )
        page = context.new_page()
        log_in(page, EMAIL, PASSWORD)
        page.locator(".page h1").wait_for()
        page.goto("/gateways")
        page.locator(".card .button").last.click()
        page.locator(".qr svg").wait_for()
        file = self._out / f"technician-code-{self._language}.png"
        page.locator(".card").last.screenshot(path=file)
        self._files.append(file)
        code = page.locator(".code").inner_text()
        context.close()
        return code

    @contextmanager
    def _box(self) -> Iterator[tuple[Page, Callable[[], object]]]:
        """Yield the pages of a fresh box on a phone, and what starts its agent."""
        plant, port, name = self._platform.plant, free_port(), f"box-{self._language}"
        config = Path(name) / "agent.toml"
        (plant.folder / name).mkdir()
        plant.start(name, "sunmao-edge", "ui", "--config", config, "--port", str(port), "--rate", "200")
        wait_until(lambda: str(port) in plant.last_line(name), 30, Text("the pages", "页面"), plant.check)
        context = self._browser.new_context(
            base_url=f"http://127.0.0.1:{port}",
            locale=LANGUAGES[self._language],
            viewport={"width": 390, "height": 844},
            device_scale_factor=1.5,
            is_mobile=True,
            has_touch=True,
        )
        context.set_default_timeout(30_000)
        yield (
            context.new_page(),
            lambda: plant.start(f"agent-{self._language}", "sunmao-edge", "run", "--config", config),
        )
        context.close()
        for process in (f"agent-{self._language}", name):
            plant.stop(process)


if __name__ == "__main__":
    main()
