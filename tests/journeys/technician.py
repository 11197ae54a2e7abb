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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import zxingcpp
from PIL import Image
from playwright.sync_api import Locator, Page

from tests.doubles.cloud import CODE, CloudDouble

EDGE = Path(sys.executable).with_name("sunmao-edge")
LEAST_TARGET_PX = 44
"""Smallest side of what a thumb can hit (WCAG 2.2, 2.5.5 Target Size, level AAA)."""

KNOWN = "eastron-sdm630"

UNKNOWN_METER = """
[device]
id = "unlisted-meter"
version = 1
manufacturer = "Nobody"
model = "NB-3"
equipment_class = "energy_meter"
protocol = "modbus"
source = "made for a test; its register map is in no library"
name = { en = "Meter in no library", zh = "库外电表" }
""" + "".join(
    f"""
[[point]]
name = "{code}"
property = "{code}"
unit = "{unit}"
table = "input"
address = {40 + 2 * number}
type = "float32"
order = "CDAB"
"""
    for number, (code, unit) in enumerate(
        (
            *((f"voltage_l{phase}_n", "VLT") for phase in (1, 2, 3)),
            *((f"current_l{phase}", "AMP") for phase in (1, 2, 3)),
            *((f"active_power_l{phase}", "WTT") for phase in (1, 2, 3)),
            ("active_power_total", "WTT"),
            ("frequency_grid", "HTZ"),
            *((f"power_factor_l{phase}", "C62") for phase in (1, 2, 3)),
        )
    )
)

PRESS = """
[device]
id = "unlisted-press"
version = 1
manufacturer = "Nobody"
model = "Press 9"
equipment_class = "injection_moulding"
protocol = "opcua"
source = "made for a test; its address space is in no library"
name = { en = "Press in no library", zh = "库外压机" }
""" + "".join(
    f"""
[[point]]
name = "{code}"
property = "{code}"
unit = "{unit}"
node = "nsu=urn:nobody:press;s=Press/{place}"
"""
    for code, unit, place in (
        ("cycle_time", "SEC", "Production/CycleTime"),
        ("melt_temperature", "CEL", "Barrel/MeltTemperature"),
        ("mould_temperature", "CEL", "Mould/MouldTemperature"),
        ("active_power_total", "KWT", "Energy/ActivePower"),
        ("machine_state", "C62", "Status/MachineState"),
    )
)


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


@contextmanager
def cloud_in_a_thread() -> Iterator[CloudDouble]:
    """Run a cloud beside the test, whose own thread belongs to the browser."""
    cloud, loop = CloudDouble(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(cloud.start(), loop).result(10)
        yield cloud
        asyncio.run_coroutine_threadsafe(cloud.stop(), loop).result(10)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def photograph_of(url: str) -> bytes:
    """Return a photograph of the cloud's QR code: tilted, grey, not filling the picture."""
    code = zxingcpp.create_barcode(f"{url}/enrol#{CODE}", zxingcpp.BarcodeFormat.QRCode)
    bitmap = Image.fromarray(zxingcpp.write_barcode_to_image(code, scale=9))
    screen = Image.new("L", (1400, 1100), 190)
    screen.paste(bitmap, (430, 260))
    stream = io.BytesIO()
    screen.rotate(11, fillcolor=90).save(stream, "JPEG", quality=70)
    return stream.getvalue()


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
