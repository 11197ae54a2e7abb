"""Devices behind one TCP connection: a silent one holds nobody up, a late answer is dropped, nothing is mixed up."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from protocols.errors import Malformed, SunmaoError, Unreachable
from protocols.modbus.config import ModbusPoint
from protocols.modbus.driver import ModbusDriver
from tests.conformance.plant import listening, opened
from tests.protocols.modbus.modbus_peer import Request, driver_at, read_request, registers, rtu, tcp

POINTS = [ModbusPoint(name="p0", address=0)]
FRAMINGS = pytest.mark.parametrize("framing", ["tcp", "rtu-over-tcp"])


class Gateway:
    """A gateway behind which every unit answers with its own number, after `delay(unit)` seconds; None is never."""

    def __init__(self, framing: str, delay: Callable[[int], float | None] = lambda unit: 0.0) -> None:
        self.framing = framing
        self.delay = delay
        self.connections = 0
        self.under_way = self.most = 0
        self.asked: dict[int, int] = defaultdict(int)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        async with listening(self._serve) as port:
            yield port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        build = tcp if self.framing == "tcp" else rtu
        loop = asyncio.get_running_loop()

        def answer(request: Request) -> None:
            self.under_way -= 1
            writer.write(build(request, registers(request, request.unit)))

        while True:
            request = await read_request(reader, 0, self.framing)
            self.asked[request.unit] += 1
            if (delay := self.delay(request.unit)) is not None:
                self.under_way += 1
                self.most = max(self.most, self.under_way)
                loop.call_later(delay, answer, request)


async def rounds(driver: ModbusDriver, count: int) -> list[object]:
    return [(await driver.read(POINTS))[0].value for _ in range(count)]


@FRAMINGS
async def test_the_devices_at_one_place_share_a_connection_and_nothing_else(framing: str) -> None:
    gateway = Gateway(framing)
    async with gateway.serving() as port, AsyncExitStack() as stack:
        units = range(1, 9)
        drivers = [
            await stack.enter_async_context(opened(driver_at(port, POINTS, unit_id=unit, framing=framing, timeout_s=5)))
            for unit in units
        ]
        got = await asyncio.gather(*(rounds(driver, 20) for driver in drivers))
        assert got == [[unit] * 20 for unit in units]
        assert (gateway.connections, gateway.most) == (1, 1)
        alone = driver_at(port, POINTS, unit_id=9, framing=framing, share=False)
        async with opened(alone):
            assert await rounds(alone, 1) == [9]
        assert gateway.connections == 2
        await drivers[0].close()
        assert await rounds(drivers[1], 1) == [2]


async def test_a_silent_unit_holds_the_others_up_for_a_moment_once() -> None:
    gateway = Gateway("tcp", lambda unit: None if unit == 1 else 0.001)
    async with gateway.serving() as port, AsyncExitStack() as stack:
        drivers = [
            await stack.enter_async_context(opened(driver_at(port, POINTS, unit_id=unit, timeout_s=60)))
            for unit in (1, 2, 3)
        ]
        silent = asyncio.create_task(rounds(drivers[0], 1))
        # All of this happens while the silent unit has its minute.
        assert await asyncio.wait_for(rounds(drivers[1], 50), 20) == [2] * 50
        assert await asyncio.wait_for(rounds(drivers[2], 50), 20) == [3] * 50
        assert not silent.done()
        silent.cancel()
        await asyncio.gather(silent, return_exceptions=True)


async def test_on_a_serial_line_a_silent_unit_takes_a_few_usual_times_only() -> None:
    gateway = Gateway("rtu-over-tcp", lambda unit: None if unit == 1 else 0.001)
    async with gateway.serving() as port, AsyncExitStack() as stack:
        dead, live = [
            await stack.enter_async_context(opened(driver_at(port, POINTS, unit_id=unit, framing="rtu-over-tcp", timeout_s=limit)))
            for unit, limit in ((1, 0.4), (2, 5.0))
        ]  # fmt: skip
        await rounds(live, 3)
        with pytest.raises(Unreachable, match=r"no answer from unit 1 within 0.4 s"):
            await rounds(dead, 1)
        assert dead.usable
        with pytest.raises(Unreachable, match=r"no answer from unit 1 within 0.25 s"):
            await rounds(dead, 1)
        assert await rounds(live, 3) == [2] * 3
        gateway.delay = lambda unit: 0.001
        assert await rounds(dead, 2) == [1] * 2
    assert gateway.connections == 1


@FRAMINGS
async def test_late_answers_are_dropped_and_the_connection_lives_on(framing: str) -> None:
    """Every other answer comes after the timeout, with an old value; none is ever taken for a later one's."""
    number = 0
    build = tcp if framing == "tcp" else rtu

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        loop = asyncio.get_running_loop()
        while True:
            request = await read_request(reader, 0, framing)
            number += 1
            answer = build(request, registers(request, number))
            loop.call_later(0.15 if number % 2 else 0.0, writer.write, answer)

    async with listening(serve) as port, opened(driver_at(port, POINTS, framing=framing, timeout_s=0.1)) as driver:
        for turn in range(10):
            with pytest.raises(Unreachable):
                await driver.read(POINTS)
            assert driver.usable, "a late answer is no reason to connect anew"
            assert await rounds(driver, 1) == [2 * turn + 2]
        assert driver.counters()["late_answers"] >= 9
    assert driver.counters()["late_answers"] >= 9


async def test_a_unit_that_is_slow_and_not_dead_gets_its_whole_time_again() -> None:
    gateway = Gateway("tcp")
    async with gateway.serving() as port, opened(driver_at(port, POINTS, timeout_s=1.0)) as driver:
        await rounds(driver, 3)
        gateway.delay = lambda unit: 1.2
        with pytest.raises(Unreachable, match=r"within 1 s"):
            await rounds(driver, 1)
        gateway.delay = lambda unit: 0.5
        with pytest.raises(Unreachable, match=r"within 0.25 s"):
            await rounds(driver, 1)
        await asyncio.sleep(0.6)  # both late answers come
        assert await rounds(driver, 1) == [1]
    assert gateway.connections == 1


async def test_a_connection_on_which_nothing_is_heard_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.modbus.tcp_line.SILENCE_S", 0.25)
    gateway = Gateway("tcp", lambda unit: None)
    async with gateway.serving() as port, opened(driver_at(port, POINTS, timeout_s=0.1)) as driver:
        usable = []
        for _ in range(3):
            with pytest.raises(Unreachable):
                await driver.read(POINTS)
            usable.append(driver.usable)
    assert usable == [True, True, False]


async def test_nonsense_from_one_ends_the_connection_for_all_and_all_come_back() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader, 0, "tcp")
            writer.write(tcp(request, registers(request, request.unit, 2 if request.unit == 1 else 1)))

    async with listening(serve) as port:
        one, two = (driver_at(port, POINTS, unit_id=unit) for unit in (1, 2))
        async with opened(one), opened(two):
            assert await rounds(two, 1) == [2]
            with pytest.raises(Malformed):
                await rounds(one, 1)
            assert not two.usable
            with pytest.raises(SunmaoError):
                await rounds(two, 1)
        async with opened(driver_at(port, POINTS, unit_id=2)) as again:
            assert await rounds(again, 1) == [2]


@FRAMINGS
async def test_whoever_waits_in_vain_passes_the_turn_on(framing: str) -> None:
    """Readers are cancelled wherever they are - waiting for their turn, given it, asking - and no turn is lost."""
    gateway = Gateway(framing, lambda unit: 0.001)
    async with gateway.serving() as port, AsyncExitStack() as stack:
        drivers = [
            await stack.enter_async_context(opened(driver_at(port, POINTS, unit_id=unit, framing=framing, timeout_s=5)))
            for unit in range(1, 9)
        ]
        for turns in range(12):
            tasks = [asyncio.create_task(rounds(driver, 1)) for driver in drivers[1:]]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
            assert await asyncio.wait_for(rounds(drivers[0], 1), 20) == [1]
            if framing != "tcp":
                break  # a cancelled unit is left in peace for its timeout


async def test_when_the_connection_ends_nobody_waits_for_a_turn_on_it() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader, 0, "tcp")

    async with listening(hang_up) as port, AsyncExitStack() as stack:
        drivers = [
            await stack.enter_async_context(opened(driver_at(port, POINTS, unit_id=unit, timeout_s=60)))
            for unit in range(1, 6)
        ]
        outcomes = await asyncio.wait_for(
            asyncio.gather(*(d.read(POINTS) for d in drivers), return_exceptions=True), 20
        )
    assert all(isinstance(outcome, Unreachable) for outcome in outcomes), outcomes


@pytest.mark.parametrize("pipeline", [1, 4])
async def test_as_many_requests_are_under_way_as_are_allowed(pipeline: int) -> None:
    wanted = [ModbusPoint(name=f"p{n}", address=200 * n) for n in range(12)]
    gateway = Gateway("tcp", lambda unit: 0.01)
    async with gateway.serving() as port, opened(driver_at(port, wanted, pipeline=pipeline, timeout_s=5)) as driver:
        readings = await driver.read(wanted)
    assert [reading.value for reading in readings] == [1] * 12
    assert gateway.most == pipeline


async def test_answers_that_overtake_each_other_find_their_questions() -> None:
    wanted = [ModbusPoint(name=f"p{n}", address=200 * n) for n in range(4)]

    async def backwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = [await read_request(reader, 0, "tcp") for _ in wanted]
        for request in reversed(requests):
            writer.write(tcp(request, registers(request, request.address)))
        await reader.read()

    async with listening(backwards) as port, opened(driver_at(port, wanted, pipeline=4, timeout_s=5)) as driver:
        readings = await driver.read(wanted)
    assert [reading.value for reading in readings] == [0, 200, 400, 600]


async def test_a_failure_of_one_of_several_requests_is_the_reads_failure() -> None:
    wanted = [ModbusPoint(name=f"p{n}", address=200 * n) for n in range(4)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader, 0, "tcp")
            if request.address != 400:
                writer.write(tcp(request, registers(request, 7)))

    async with listening(serve) as port, opened(driver_at(port, wanted, pipeline=2)) as driver:
        with pytest.raises(Unreachable, match="no answer"):
            await driver.read(wanted)
        assert driver.usable
