"""The technician's workshop: three machines over real TCP, a cloud, the box's pages, and a thumb that counts its taps."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Locator, Page

from protocols.driver import Simulator
from tests.doubles.cloud import CODE, CloudDouble
from tests.journeys.conftest import LOCALES, SCREENS, Watch

T = TypeVar("T")

EDGE = Path(sys.executable).with_name("sunmao-edge")
LEAST_TARGET_PX = 44
"""Smallest side of what a thumb can hit (WCAG 2.2, 2.5.5 Target Size, level AAA)."""

KNOWN = "eastron-sdm630"

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
UNKNOWN_METER, PRESS = DEMO / "unlisted-meter.toml", DEMO / "unlisted-press.toml"


@contextmanager
def running(folder: Path, name: str, *words: str) -> Iterator[dict[str, str]]:
    """Run `sunmao-edge` until the block ends; yields the JSON object it says first."""
    errors = folder / f"{name}.stderr"
    with errors.open("w") as log:
        process = subprocess.Popen(
            [EDGE, *words, "--json"], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, errors.read_text()
            yield json.loads(line)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)
            process.stdout.close()
    assert "Traceback" not in errors.read_text(), errors.read_text()


class Aside:
    """An event loop in a thread of its own, for servers beside a test whose own thread belongs to the browser."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns, done in that loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        """Let what was cut end, then end the loop."""
        self.run(asyncio.sleep(0.1))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def cloud_aside() -> Iterator[CloudDouble]:
    """Run a cloud beside the test."""
    aside, cloud = Aside(), CloudDouble()
    try:
        aside.run(cloud.start())
        yield cloud
        aside.run(cloud.stop())
    finally:
        aside.close()


@contextmanager
def simulator_aside(simulator: Simulator) -> Iterator[str]:
    """Serve a simulated machine beside the test; yields its address."""
    aside = Aside()
    try:
        yield aside.run(simulator.start())
        aside.run(simulator.stop())
    finally:
        aside.close()


def photograph_of(url: str) -> bytes:
    """Return a photograph of the cloud's QR code: tilted, grey, not filling the picture."""
    code = zxingcpp.create_barcode(f"{url}/enrol#{CODE}", zxingcpp.BarcodeFormat.QRCode)
    bitmap = Image.fromarray(zxingcpp.write_barcode_to_image(code, scale=9))
    screen = Image.new("L", (1400, 1100), 190)
    screen.paste(bitmap, (430, 260))
    stream = io.BytesIO()
    screen.rotate(11, fillcolor=90).save(stream, "JPEG", quality=70)
    return stream.getvalue()


@contextmanager
def opened(browser: Browser, url: str, language: str) -> Iterator[Page]:
    """Open the pages of a box on a phone; at the end the browser may have had nothing to complain of."""
    context = browser.new_context(
        base_url=url, locale=LOCALES[language], viewport=SCREENS["phone"], has_touch=True, is_mobile=True
    )
    context.set_default_timeout(20_000)
    page = context.new_page()
    watch = Watch(url.removeprefix("http://"))
    watch.over(page)
    yield page
    context.close()
    assert watch.faults == []


def fits(page: Page) -> bool:
    """Return whether nothing has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@dataclass
class Thumb:
    """Walks through the pages as a thumb does, and counts."""

    page: Page
    taps: int = 0
    began: float = field(default_factory=time.monotonic)

    def tap(self, target: Locator) -> None:
        """Tap what is shown, large enough for a thumb, and not covered."""
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= LEAST_TARGET_PX, (target, box)
        target.tap()
        self.taps += 1

    @property
    def seconds(self) -> float:
        """Since the start of the walk."""
        return time.monotonic() - self.began
