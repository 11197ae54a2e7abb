"""Collecting from real Modbus devices on real TCP: periods, losses, returns, and that one never delays another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from edge_agent.collect import Collector
from edge_agent.config import DeviceConfig
from edge_agent.normalise import Mark, Normaliser
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.simulator import ModbusSimulator
from protocols.reading import BAD_NO_COMMUNICATION, Reading
from protocols.text import Text
from protocols.uplink.messages import PointRef

DEADLINE_S = 20.0


def points(count: int = 3) -> tuple[ModbusPoint, ...]:
    return tuple(ModbusPoint(name=f"p{n}", table="holding", address=n, type="uint16") for n in range(count))


class Kept:
    """What one collector gave and said."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.said: list[str] = []
        self.changed = asyncio.Event()

    def add(self, readings: Sequence[tuple[PointRef, Reading]], marks: Sequence[tuple[PointRef, Mark]]) -> None:
        self.readings += [reading for _, reading in readings]
        self.changed.set()

    def announce(self, device: str, kind: str, text: Text) -> None:
        self.said.append(kind)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    @property
    def good(self) -> list[Reading]:
        return [reading for reading in self.readings if reading.quality.good]

    @property
    def lost(self) -> list[Reading]:
        return [reading for reading in self.readings if reading.quality == BAD_NO_COMMUNICATION]


@asynccontextmanager
async def collecting(port: int, period_s: float = 0.05, slow: str = "") -> AsyncIterator[tuple[Collector, Kept]]:
    connection = ModbusConnection(host="127.0.0.1", port=port, timeout_s=0.5)
    chosen = tuple(point.model_copy(update={"period_s": 60.0}) if point.name == slow else point for point in points())
    device = DeviceConfig(name="d", protocol="modbus", period_s=period_s, connection=connection, points=chosen)
    kept = Kept()
    collector = Collector(device, Normaliser(device, {}), kept.add, kept.announce)
    task = asyncio.create_task(collector.run())
    try:
        yield collector, kept
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def simulate() -> AsyncIterator[Callable[..., Awaitable[tuple[ModbusSimulator, int]]]]:
    running = []

    async def start(port: int = 0, count: int = 3) -> tuple[ModbusSimulator, int]:
        simulator = ModbusSimulator(points(count), lambda: {f"p{n}": n for n in range(count)}, port=port)
        address = await simulator.start()
        running.append(simulator)
        return simulator, int(address.rpartition(":")[2])

    yield start
    for simulator in running:
        await simulator.stop()


@asynccontextmanager
async def serving(answer: Callable[[bytes], Awaitable[bytes | None]]) -> AsyncIterator[int]:
    """A device that answers every request of 12 bytes by `answer`, or not at all where that is None."""
    open_connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        try:
            while request := await reader.readexactly(12):
                if reply := await answer(request):
                    writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for task in open_connections:
        task.cancel()
    await asyncio.gather(*open_connections, return_exceptions=True)


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A device that takes connections and never answers."""

    async def silence(request: bytes) -> None:
        return None

    async with serving(silence) as port:
        yield port


async def test_every_point_is_read_each_period(simulate: Any) -> None:
    _, port = await simulate()
    async with collecting(port) as (collector, kept):
        await kept.until(lambda: len(kept.good) >= 30)
        assert collector.report().state == "up"
    assert {reading.point: reading.value for reading in kept.good} == {"p0": 0, "p1": 1, "p2": 2}
    times = [reading.source_time for reading in kept.good if reading.point == "p0"]
    assert times == sorted(set(times))
    assert kept.said == []


async def test_points_have_their_own_period(simulate: Any) -> None:
    _, port = await simulate()
    async with collecting(port, 0.02, slow="p2") as (_, kept):
        await kept.until(lambda: len(kept.good) >= 41)
    assert [reading.point for reading in kept.good].count("p2") == 1


async def test_a_loss_is_one_bad_reading_per_point_and_one_announcement_and_ends_with_new_values(simulate: Any) -> None:
    simulator, port = await simulate()
    async with collecting(port) as (collector, kept):
        await kept.until(lambda: len(kept.good) >= 6)
        await simulator.stop()
        await kept.until(lambda: collector.report().state == "down")
        good_before = len(kept.good)
        last_good = max(reading.source_time for reading in kept.good)
        reason = collector.report()
        assert "127.0.0.1" in reason.reason_en
        assert "127.0.0.1" in reason.reason_zh
        await simulate(port)
        await kept.until(lambda: len(kept.good) >= good_before + 3)
        assert collector.report().state == "up"
    assert sorted(reading.point for reading in kept.lost) == ["p0", "p1", "p2"]
    assert all(reading.value is None for reading in kept.lost)
    assert min(reading.source_time for reading in kept.good[good_before:]) > last_good
    assert kept.said == ["device_lost", "device_back"]


async def test_a_device_that_was_never_there_is_said_once(silent_port: int) -> None:
    async with collecting(silent_port) as (collector, kept):
        await kept.until(lambda: len(kept.lost) == 3)
        assert collector.report().state == "down"
    assert kept.said == ["device_lost"]
    assert len(kept.readings) == 3


async def test_dead_devices_do_not_delay_a_live_one(simulate: Any, silent_port: int) -> None:
    _, port = await simulate()
    async with (
        collecting(silent_port) as (_, dead),
        collecting(silent_port) as (_, dead_too),
        collecting(port) as (collector, kept),
    ):
        await dead.until(lambda: len(dead.lost) == 3)
        await dead_too.until(lambda: len(dead_too.lost) == 3)
        cycles = len(kept.good) // 3
        assert cycles >= 3
        assert kept.lost == []
        assert collector.missed < cycles


async def test_a_slow_device_never_has_overlapping_cycles_and_missed_ones_are_counted() -> None:
    waiting = most = 0

    async def slow(request: bytes) -> bytes:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0.12)
        waiting -= 1
        count = int.from_bytes(request[10:12], "big")
        body = request[6:8] + bytes([2 * count]) + bytes(2 * count)
        return request[:4] + len(body).to_bytes(2, "big") + body

    async with serving(slow) as port, collecting(port, 0.05) as (collector, kept):
        await kept.until(lambda: len(kept.good) >= 15)
        assert collector.missed >= 4
        assert kept.lost == []
    assert most == 1
