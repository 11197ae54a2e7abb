"""A box hears of the plant's shifts, and keeps what it heard while the cloud is away."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import msgspec

from edge_agent.cloud_link import CloudLink
from edge_agent.config import parse_config
from edge_agent.identity import Login, enrol
from edge_agent.plant_shifts import FILE, PlantShifts, StationShifts
from protocols.uplink.shifts import PlannedShift, ShiftsPlanned, ShiftsRequest
from tests.doubles.cloud import CODE, CloudDouble
from tests.edge_agent.conftest import until

CONFIG = """
[agent]
name = "a"
state_dir = "."
report_s = 1
[cloud]
url = "{url}"
[[inspection]]
device = "camera-1"
folder = "pictures"
bundle = "model"
trust = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
"""


class PlannedCloud(CloudDouble):
    """A cloud that knows of shifts."""

    def _shifts(self, body: bytes) -> ShiftsPlanned:
        stations = msgspec.msgpack.decode(body, type=ShiftsRequest).stations
        return ShiftsPlanned({name: [PlannedShift(100, 200)] for name in stations})


async def test_what_is_planned_is_heard_and_outlives_the_link(tmp_path: Path) -> None:
    cloud = PlannedCloud()
    await cloud.start()
    config = parse_config(CONFIG.format(url=cloud.url), tmp_path / "agent.toml")
    await enrol(tmp_path, cloud.url, CODE, "a")
    async with CloudLink(cloud.url) as link:
        asking = asyncio.create_task(PlantShifts(lambda: config, link, Login(tmp_path, link)).run())
        try:
            await until((tmp_path / FILE).exists)
        finally:
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
            await cloud.stop()
    shifts = StationShifts(tmp_path, "camera-1")
    assert [shifts.begin_of(time) for time in (99, 100, 199, 200)] == [None, 100, 100, None]
    assert StationShifts(tmp_path, "camera-2").begin_of(150) is None
