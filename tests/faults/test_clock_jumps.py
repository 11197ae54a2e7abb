"""A box whose clock is set while it works: readings keep their order and none is lost, whatever it says the time is."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.demo.processes import BIN
from tests.faults.conftest import NOTHING_LOST, Joint

pytestmark = pytest.mark.faults

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
JUMPS = ("+10y", "-3y", "+0")


@pytest.mark.skipif(FAKETIME is None, reason="FAKETIME IS MISSING: no clock has been set (apt install faketime)")
def test_the_clock_of_the_box_is_set_while_it_works(joint: Joint) -> None:
    """the clock of the box jumps ten years ahead and three years back, and is put right"""
    clock = joint.platform.plant.folder / f"{joint.name}.clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME_TIMESTAMP_FILE": clock,
        "FAKETIME_NO_CACHE": 1,
        "FAKETIME_DONT_FAKE_MONOTONIC": 1,
    }
    words = [f"{name}={value}" for name, value in faked.items()]
    joint.platform.plant.start(
        "agent", "/usr/bin/env", *words, BIN / "sunmao-edge", "run", "--config", joint.platform.config
    )
    for jump in JUMPS:
        reached, collected = joint.stored()["readings"], joint.collected()
        clock.write_text(jump)
        joint.until(lambda collected=collected: joint.collected() > collected + 100, "readings")
        joint.until(lambda reached=reached: joint.stored()["readings"] > reached + 100, "readings in the cloud")
    points = [point["series_id"] for point in joint.platform.get("/points")]
    for start, end in (
        ("2030-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
        ("2020-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
    ):
        pages = (joint.platform.get(f"/series/{point}/readings", start=start, end=end) for point in points)
        assert any(page["items"] for page in pages), "the clock was not set"
    assert joint.close() == NOTHING_LOST
