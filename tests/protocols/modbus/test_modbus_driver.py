"""How the driver gets along with devices that refuse some of what they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from protocols.errors import Malformed, Refused, Unreachable
from protocols.modbus import driver as driver_module
from protocols.modbus.config import ModbusPoint
from protocols.modbus.driver import ModbusDriver
from protocols.reading import (
    BAD_COMMUNICATION_ERROR,
    BAD_CONFIGURATION_ERROR,
    BAD_DEVICE_FAILURE,
    GOOD,
    Quality,
)
from tests.conformance.plant import opened
from tests.protocols.modbus.modbus_peer import Chunks, Request, answering, driver_at, registers, rtu, tcp


class Device:
    """Holds 7 in every register but the `missing` ones, for which it answers `exception`; keeps what it was asked."""

    def __init__(self, missing: Iterable[int] = (), exception: int = 2) -> None:
        self.missing = set(missing)
        self.exception = exception
        self.asked: list[tuple[int, int]] = []

    def __call__(self, request: Request) -> Chunks:
        self.asked.append((request.address, request.count))
        if self.missing & set(range(request.address, request.address + request.count)):
            return [tcp(request, bytes([request.function | 0x80, self.exception]))]
        return [tcp(request, registers(request, 7))]

    def asked_since(self) -> list[tuple[int, int]]:
        asked, self.asked = self.asked, []
        return asked


def points(*addresses: int) -> list[ModbusPoint]:
    return [ModbusPoint(name=f"p{address}", address=address) for address in addresses]


async def qualities(driver: ModbusDriver, wanted: list[ModbusPoint]) -> dict[str, Quality]:
    readings = await driver.read(wanted)
    assert [reading.point for reading in readings] == [point.name for point in wanted]
    assert all(reading.value == (7 if reading.quality.good else None) for reading in readings)
    return {reading.point: reading.quality for reading in readings}


async def test_a_missing_register_is_found_once_and_then_left_out() -> None:
    wanted, device = points(*range(64)), Device(missing=[21])
    async with answering(device) as port, opened(driver_at(port, wanted)) as driver:
        for most in (1 + 2 * 6, 6, 6):  # a search by halves, then the halves cut off on the way
            found = await qualities(driver, wanted)
            assert found.pop("p21") == BAD_CONFIGURATION_ERROR
            assert set(found.values()) == {GOOD}
            assert len(device.asked_since()) <= most


async def test_a_gap_that_can_not_be_read_costs_no_point() -> None:
    wanted, device = points(0, 1, 8, 9), Device(missing=range(2, 8))
    async with answering(device) as port, opened(driver_at(port, wanted)) as driver:
        assert set((await qualities(driver, wanted)).values()) == {GOOD}
        device.asked_since()
        assert set((await qualities(driver, wanted)).values()) == {GOOD}
    assert device.asked == [(0, 2), (8, 2)]


async def test_a_missing_register_is_tried_again_and_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(driver_module, "monotonic", lambda: now)
    wanted, device = points(*range(4)), Device(missing=[1, 2])
    async with answering(device) as port, opened(driver_at(port, wanted)) as driver:
        await qualities(driver, wanted)
        now += driver_module.RETRY_S - 1
        device.asked_since()
        await qualities(driver, wanted)
        assert not {(1, 1), (2, 1)} & set(device.asked_since())
        now += 2
        found = await qualities(driver, wanted)
        assert found == {"p0": GOOD, "p1": BAD_CONFIGURATION_ERROR, "p2": BAD_CONFIGURATION_ERROR, "p3": GOOD}
        assert len({(1, 1), (2, 1)} & set(device.asked_since())) == 1, "one trial per read"
        device.missing.clear()
        now += driver_module.RETRY_S + 1
        await qualities(driver, wanted)
        assert set((await qualities(driver, wanted)).values()) == {GOOD}


async def test_after_a_failure_of_the_device_all_points_come_back_together(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(driver_module, "monotonic", lambda: now)
    wanted, device = points(*range(50)), Device(missing=range(50), exception=4)
    async with answering(device) as port, opened(driver_at(port, wanted)) as driver:
        assert set((await qualities(driver, wanted)).values()) == {BAD_DEVICE_FAILURE}
        device.missing.clear()
        now += driver_module.RETRY_FAILURE_S + 1
        await qualities(driver, wanted)
        device.asked_since()
        assert set((await qualities(driver, wanted)).values()) == {GOOD}
    assert device.asked == [(0, 50)]


@pytest.mark.parametrize(
    ("exception", "quality"),
    [
        (0x01, BAD_CONFIGURATION_ERROR),
        (0x02, BAD_CONFIGURATION_ERROR),
        (0x03, BAD_CONFIGURATION_ERROR),
        (0x04, BAD_DEVICE_FAILURE),
        (0x05, BAD_COMMUNICATION_ERROR),
        (0x06, BAD_COMMUNICATION_ERROR),
        (0x08, BAD_DEVICE_FAILURE),
        (0xFF, BAD_DEVICE_FAILURE),
    ],
)
async def test_each_exception_has_its_quality(exception: int, quality: Quality) -> None:
    wanted = points(0, 1)
    async with answering(Device([1], exception)) as port, opened(driver_at(port, wanted)) as driver:
        assert (await qualities(driver, wanted))["p1"] == quality


async def test_a_busy_device_is_asked_the_same_again() -> None:
    wanted, device = points(0, 1), Device([1], exception=6)
    async with answering(device) as port, opened(driver_at(port, wanted)) as driver:
        assert set((await qualities(driver, wanted)).values()) == {BAD_COMMUNICATION_ERROR}
        device.missing.clear()
        assert set((await qualities(driver, wanted)).values()) == {GOOD}
    assert device.asked == [(0, 2)] * 2


async def test_a_function_the_device_has_not_is_not_searched() -> None:
    wanted, device = points(*range(100)), Device([50], exception=1)
    async with answering(device) as port, opened(driver_at(port, wanted)) as driver:
        assert set((await qualities(driver, wanted)).values()) == {BAD_CONFIGURATION_ERROR}
    assert device.asked == [(0, 100)]


@pytest.mark.parametrize("exception", [0x0A, 0x0B])
async def test_a_gateway_without_the_unit_is_unreachable(exception: int) -> None:
    wanted = points(0, 1)
    async with answering(Device([1], exception)) as port, opened(driver_at(port, wanted, unit_id=9)) as driver:
        with pytest.raises(Unreachable, match=rf"127.0.0.1:{port}.*unit 9 does not answer"):
            await driver.read(wanted)


@pytest.mark.parametrize("unit", [0, 255])
async def test_the_units_outside_a_serial_line_are_units_like_others(unit: int) -> None:
    wanted = points(0)
    async with answering(Device()) as port, opened(driver_at(port, wanted, unit_id=unit)) as driver:
        assert await qualities(driver, wanted) == {"p0": GOOD}
    other = answering(lambda request: [tcp(request, registers(request, 7), unit=5)])
    async with other as port, opened(driver_at(port, wanted, unit_id=unit)) as driver:
        with pytest.raises(Malformed):
            await driver.read(wanted)


async def test_groups_of_points_are_planned_apart() -> None:
    wanted, device = points(0, 5, 300), Device()
    async with answering(device) as port, opened(driver_at(port, wanted)) as driver:
        await qualities(driver, wanted[:2])
        await qualities(driver, wanted[2:])
        await qualities(driver, wanted[:2])
    assert device.asked == [(0, 6), (300, 1), (0, 6)]


@pytest.mark.parametrize("framing", ["tcp", "rtu-over-tcp"])
async def test_the_answer_to_a_cancelled_read_is_nobodys(framing: str) -> None:
    """Serial frames carry no transaction id: a later read must not take the cancelled one's answer for its own."""
    wanted, build = points(0), tcp if framing == "tcp" else rtu
    asked = asyncio.Event()

    def script(request: Request) -> Chunks:
        asked.set()
        old = [0.2, build(request, registers(request, 99))]
        return old if request.number == 1 else [build(request, registers(request, 7))]

    async with (
        answering(script, framing) as port,
        opened(driver_at(port, wanted, framing=framing, timeout_s=0.5)) as driver,
    ):
        task = asyncio.create_task(driver.read(wanted))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 20)
        assert await qualities(driver, wanted) == {"p0": GOOD}


async def test_a_cancellation_is_never_lost() -> None:
    """Wherever it meets the read, also where it meets the answer."""
    wanted = points(0, 300, 600)
    done = 0
    async with answering(Device()) as port:
        for rounds in range(60):
            async with opened(driver_at(port, wanted)) as driver:
                task = asyncio.create_task(driver.read(wanted))
                for _ in range(rounds):
                    await asyncio.sleep(0)
                if task.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await task
                else:
                    done += 1
                    assert len(await task) == 3
    assert done, "the last rounds outlast the read"


async def test_nothing_is_logged_that_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    wanted = points(0)
    async with answering(Device()) as port, opened(driver_at(port, wanted)) as driver:
        await qualities(driver, wanted)
    for script in (lambda request: [b"\0" * 600], lambda request: [tcp(request, b"\x66\1")], lambda request: [1.0]):
        async with answering(script) as port, opened(driver_at(port, wanted)) as driver:
            with pytest.raises((Malformed, Unreachable)):
                await driver.read(wanted)
    with pytest.raises(Unreachable):
        await driver_at(port, wanted).open()
    assert caplog.records == []


async def test_what_modbus_has_not_is_refused() -> None:
    driver = driver_at(1, points(0))
    with pytest.raises(Refused, match="can not list its points"):
        driver.browse()
    with pytest.raises(Refused, match="can not send changes"):
        await driver.watch()
