"""Devices with times of their own: how far their clock is off, and what becomes of one that stops giving data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from edge_agent.collect import Collector
from edge_agent.config import DeviceConfig
from edge_agent.normalise import Normaliser
from edge_agent.source_clock import LIMIT_S, SourceClock
from protocols.driver import Deliver
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.reading import GOOD, Reading, now_us
from tests.edge_agent.test_collect import Kept

S = 1_000_000


def readings(*offsets_us: int) -> list[Reading]:
    now = now_us()
    return [Reading(f"p{n}", 1.0, GOOD, now + offset, now) for n, offset in enumerate(offsets_us)]


def test_the_offset_is_the_median_of_the_latest_of_each_delivery() -> None:
    clock = SourceClock()
    for way in (20_000, 30_000, 25_000, 900_000, 25_000, 26_000, 24_000):  # once the network was slow
        assert clock.see(readings(-3600 * S - way, 3 * S - way)) is None  # the first did not change for an hour
    assert clock.offset_us == 3 * S - 25_000


def test_a_device_without_times_has_no_clock() -> None:
    clock = SourceClock()
    for _ in range(20):
        assert clock.see(readings(0, 0)) is None
    assert clock.offset_us is None


def test_a_clock_that_is_far_off_is_said_once_until_it_was_right() -> None:
    clock = SourceClock()
    off = int(LIMIT_S * 2 * S)

    def said(offset: int, times: int) -> list[Any]:
        return [text for _ in range(times) if (text := clock.see(readings(offset))) is not None]

    (text,) = said(off, 100)
    assert "20 s ahead" in text.en
    assert "快 20 秒" in text.zh
    assert said(1000, 100) == []
    (text,) = said(-off, 100)
    assert "20 s behind" in text.en


class Talking:
    """A driver that is given readings by the test, as a server gives changes."""

    subscribes = True

    def __init__(self) -> None:
        self.deliver: Deliver | None = None
        self.subscribed = asyncio.Event()

    async def open(self) -> None: ...

    async def subscribe(self, points: Sequence[Any], period_s: float, deliver: Deliver) -> None:
        self.deliver = deliver
        self.subscribed.set()

    async def watch(self) -> None:
        await asyncio.Event().wait()  # keep-alives come, whether there is data or not

    async def close(self) -> None: ...


@asynccontextmanager
async def collecting(stale_s: float | None) -> AsyncIterator[tuple[Collector, Kept, Deliver]]:
    talking = Talking()

    class Device(DeviceConfig):
        def driver(self, *, collects: bool = False) -> Any:
            return talking

    device = Device(
        name="press",
        protocol="opcua",
        stale_s=stale_s,
        connection=OpcuaConnection.model_validate({"endpoint": "opc.tcp://127.0.0.1:1", "security": "none"}),
        points=tuple(OpcuaPoint(name=f"p{n}", node=f"nsu=urn:x;s={n}") for n in range(2)),
    )
    kept = Kept()
    collector = Collector(device, Normaliser(device, {}), kept.add, kept.announce)
    task = asyncio.create_task(collector.run())
    try:
        await talking.subscribed.wait()
        assert talking.deliver is not None
        yield collector, kept, talking.deliver
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_offset_and_the_warning_reach_the_report() -> None:
    async with collecting(None) as (collector, kept, deliver):
        for _ in range(9):
            deliver(readings(60 * S, 60 * S))
        report = collector.report()
        assert report.clock_offset_us is not None
        assert abs(report.clock_offset_us - 60 * S) < S
        assert kept.said == ["device_clock"]
        assert {reading.source_time - reading.arrival_time for reading in kept.good} == {60 * S}, (
            "times are not changed"
        )


async def test_a_subscribed_device_that_gives_nothing_is_lost_once_and_back_with_new_data() -> None:
    async with collecting(1.0) as (collector, kept, deliver):
        deliver(readings(-1000, -1000))
        await kept.until(lambda: len(kept.lost) == 2)
        assert collector.report().state == "down"
        assert "nothing for 1.0 s" in collector.report().reason_en
        assert kept.said == ["device_lost"]
        assert len(kept.readings) == 4, "no old value comes again"
        deliver(readings(-500))
        assert collector.report().state == "up"
        assert kept.said == ["device_lost", "device_back"]
