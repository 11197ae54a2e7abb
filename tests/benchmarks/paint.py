"""First paint of the pages opened every morning, in a real Chromium, warm: ms until the first words stand on the screen.

The plant is that of the `overview` benchmark, with a shift around the clock. Each page is opened several times in one browser
session, whose cache has the scripts and style sheets; first-contentful-paint is the browser's own. For each page the share of
the server - until its first byte - and the size of what it sent are printed as well. The limit is 1 s; the ratio is that of the
slowest page, limit / ours, so more is better.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright

from deploy.demo.platform import EMAIL, PASSWORD, Platform
from deploy.demo.processes import Plant as Processes
from deploy.demo.screenshots import CHROMIUM, FLAGS, log_in
from tests.benchmarks.comparison import Comparison, NotHere
from tests.benchmarks.overview import MACHINES, fill, wait_for_roll_ups

LIMIT_MS = 1000.0
WARM_UP, OPENED = 2, 7
AROUND_THE_CLOCK = {
    "name_en": "All day",
    "name_zh": "全天",
    "weekdays": [1, 2, 3, 4, 5, 6, 7],
    "start": "00:00",
    "end": "00:00",
}
PAINTED = "() => performance.getEntriesByName('first-contentful-paint').length > 0"
TIMES = """() => {
    const page = performance.getEntriesByType('navigation')[0];
    const painted = performance.getEntriesByName('first-contentful-paint')[0].startTime;
    return [painted, page.responseStart, page.responseEnd, page.domInteractive, page.encodedBodySize, page.decodedBodySize];
}"""


class Opened(NamedTuple):
    """Milliseconds from the click, and bytes of the page itself: as sent and as unpacked."""

    painted: float
    first_byte: float
    last_byte: float
    parsed: float
    sent: float
    unpacked: float


def addresses(platform: Platform) -> dict[str, str]:
    """Return the pages that are opened."""
    machine = platform.get("/equipment")[0]
    points = platform.get("/points", equipment_id=machine["id"])
    drawn = ".".join(str(point["series_id"]) for point in points[:4])
    return {
        "overview": "/",
        "line": f"/lines/{machine['line_id']}",
        "equipment": f"/equipment/{machine['id']}",
        "trends": f"/trends?s={drawn}&last=24h",
        "oee": "/oee",
    }


def open_page(page: Page, address: str) -> Opened:
    """Return the median of `OPENED` visits, one figure at a time."""
    taken = []
    for turn in range(-WARM_UP, OPENED):
        page.goto(address, wait_until="load")
        page.wait_for_function(PAINTED)
        if turn >= 0:
            taken.append(page.evaluate(TIMES))
        page.goto("about:blank")
    return Opened(*(statistics.median(column) for column in zip(*taken, strict=True)))


def measure() -> Comparison:
    """Return the slowest page's first paint beside the limit."""
    if not Path(CHROMIUM).exists():
        raise NotHere("there is no Chromium (apt install chromium-headless-shell)")
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        platform = Platform(processes)
        platform.start_cloud()
        platform.create_tenant()
        site = platform.get("/sites")[0]["id"]
        calendar = {"site_id": site, "valid_from": "2020-01-01", "shifts": [AROUND_THE_CLOCK]}
        platform.client.put("/production/calendars", json=calendar).raise_for_status()
        fill(platform)
        wait_for_roll_ups(platform)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(base_url=platform.url, viewport={"width": 1440, "height": 900})
            log_in(page, EMAIL, PASSWORD)
            page.locator(".page h1").wait_for()
            found = {name: open_page(page, address) for name, address in addresses(platform).items()}
            browser.close()
    for name, one in found.items():
        print(
            f"{name:<10} painted {one.painted:5.0f} ms · first byte {one.first_byte:5.0f} · last byte {one.last_byte:5.0f}"
            f" · parsed {one.parsed:5.0f} · {one.sent / 1024:,.0f} KiB sent, {one.unpacked / 1024:,.0f} unpacked",
            file=sys.stderr,
        )
    slowest = max(found, key=lambda name: found[name].painted)
    worst = found[slowest].painted
    what = f"the limit for the first paint of five pages, {MACHINES} machines, warm (ours: {slowest}, the slowest)"
    return Comparison("paint", what, "ms", round(worst, 1), LIMIT_MS, round(LIMIT_MS / worst, 3))
