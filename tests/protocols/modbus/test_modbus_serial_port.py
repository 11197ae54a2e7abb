"""Several devices on one serial port, and every way in which the port itself fails; on a real terminal device."""

from __future__ import annotations

import asyncio
import fcntl
import os
import tty
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from protocols.errors import Malformed, Refused, Unreachable
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.driver import ModbusDriver
from tests.conformance.plant import only_left, opened, tasks_and_threads
from tests.protocols.modbus.modbus_peer import read_request, registers, rtu

DEADLINE_S = 20.0
POINT = ModbusPoint(name="unit", address=0)
SILENT = 9


class SerialLine:
    """A serial port that can be unplugged. Every unit on its line but SILENT answers with its own number."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = asyncio.Event()
        self.noise = b""
        self.mute = False

    async def plug(self) -> None:
        self.master, self.port = os.openpty()
        tty.setraw(self.port)
        self.path.symlink_to(os.ttyname(self.port))
        reader = asyncio.StreamReader()
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self.master, "rb", buffering=0)
        )
        self._task = asyncio.create_task(self._answer(reader))

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        while True:
            request = await read_request(reader, 0, "rtu")
            self.asked.set()
            if request.unit != SILENT and not self.mute:
                await asyncio.sleep(0.002)  # the others would talk into it here
                os.write(self.master, self.noise or rtu(request, registers(request, request.unit)))

    async def unplug(self) -> None:
        if self.path.is_symlink():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._transport.close()
            await asyncio.sleep(0)  # lets the event loop close the line's end
            os.close(self.port)
            self.path.unlink()

    def driver(self, unit: int = 1, timeout_s: float = 5.0) -> ModbusDriver:
        connection = ModbusConnection(serial=str(self.path), framing="rtu", unit_id=unit, timeout_s=timeout_s)
        return ModbusDriver(f"press-{unit}", connection, [POINT])


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[SerialLine]:
    line = SerialLine(tmp_path / "ttyUSB0")
    await line.plug()
    yield line
    await line.unplug()


async def values(driver: ModbusDriver, times: int) -> list[object]:
    async with opened(driver):
        return [(await driver.read([POINT]))[0].value for _ in range(times)]


async def test_the_devices_on_one_port_take_turns(line: SerialLine) -> None:
    units = (1, 2, 3)
    got = await asyncio.gather(*(values(line.driver(unit), 10) for unit in units))
    assert got == [[unit] * 10 for unit in units]


async def test_a_silent_device_holds_the_others_up_and_harms_none(line: SerialLine) -> None:
    silent = asyncio.create_task(values(line.driver(SILENT, timeout_s=0.2), 1))
    await asyncio.wait_for(line.asked.wait(), DEADLINE_S)
    assert await values(line.driver(2), 3) == [2, 2, 2]
    with pytest.raises(Unreachable, match=f"{line.path}.*no answer from unit 9 within 0.2 s - check unit_id, baudrate"):
        await silent


async def test_a_unit_that_was_silent_takes_a_moment_only_until_it_answers(line: SerialLine) -> None:
    async with opened(line.driver(1, timeout_s=0.5)) as driver:
        assert [reading.value for reading in await driver.read([POINT])] == [1]
        line.mute = True
        for wait in ("0.5", "0.25", "0.25"):
            with pytest.raises(Unreachable, match=f"no answer from unit 1 within {wait} s"):
                await driver.read([POINT])
            assert driver.usable
        line.mute = False
        assert [reading.value for reading in await driver.read([POINT])] == [1]


async def test_a_late_answer_on_a_port_is_nobodys(line: SerialLine) -> None:
    async with opened(line.driver(1, timeout_s=0.2)) as driver:
        line.mute = True
        with pytest.raises(Unreachable):
            await driver.read([POINT])
        line.mute = False
        os.write(line.master, bytes.fromhex("0103020063f86d"))  # 99, late
        assert [reading.value for reading in await driver.read([POINT])] == [1]


async def test_what_comes_before_a_request_is_discarded(line: SerialLine) -> None:
    async with opened(line.driver()) as driver:
        os.write(line.master, bytes.fromhex("0103020063f86d"))  # 99, late
        assert [reading.value for reading in await driver.read([POINT])] == [1]


async def test_garbage_is_malformed(line: SerialLine) -> None:
    line.noise = b"\xff\x00\xfe\x80" * 4
    with pytest.raises(Malformed, match=f"{line.path}.*check baudrate, parity and stopbits"):
        await values(line.driver(timeout_s=0.2), 1)


async def test_a_line_that_is_never_silent_is_malformed(line: SerialLine) -> None:
    async def babble() -> None:
        while True:
            os.write(line.master, b"\xff")
            await asyncio.sleep(0)

    babbling = asyncio.create_task(babble())
    with pytest.raises(Malformed, match=f"{line.path}.*it sent"):
        await values(line.driver(timeout_s=0.02), 1)
    babbling.cancel()


async def test_an_unplugged_port_is_unreachable_and_resumes(line: SerialLine) -> None:
    async with opened(line.driver(SILENT, timeout_s=60)) as driver:
        reading = asyncio.create_task(driver.read([POINT]))
        await asyncio.wait_for(line.asked.wait(), DEADLINE_S)
        await line.unplug()
        with pytest.raises(Unreachable, match=f"{line.path}.*the serial port has gone"):
            await asyncio.wait_for(reading, DEADLINE_S)
    with pytest.raises(Unreachable, match=f"{line.path}.*not there - plug the adapter in.*driver is loaded"):
        await line.driver().open()
    await line.plug()
    assert await values(line.driver(), 1) == [1]


async def test_a_port_unplugged_between_two_reads_is_unreachable(line: SerialLine) -> None:
    async with opened(line.driver()) as driver:
        await driver.read([POINT])
        await line.unplug()
        with pytest.raises(Unreachable, match=f"{line.path}.*the serial port is not there"):
            await driver.read([POINT])


async def test_a_port_without_permission_is_refused(line: SerialLine) -> None:
    line.path.parent.chmod(0o755)
    os.fchmod(line.port, 0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may open anything
    try:
        with pytest.raises(Refused, match=r"no permission.*dialout"):
            await line.driver().open()
    finally:
        os.seteuid(user)


async def test_a_file_is_no_serial_port(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.touch()
    with pytest.raises(Refused, match=f"{path}.*not a serial port"):
        await SerialLine(path).driver().open()


async def test_a_port_that_another_program_keeps_is_refused(line: SerialLine) -> None:
    fcntl.flock(line.port, fcntl.LOCK_EX)
    with pytest.raises(Refused, match=f"{line.path}.*another program keeps the serial port"):
        await values(line.driver(timeout_s=0.02), 1)
    fcntl.flock(line.port, fcntl.LOCK_UN)
    assert await values(line.driver(), 1) == [1]


async def test_nothing_is_left_open(line: SerialLine) -> None:
    tasks, files = tasks_and_threads(), psutil.Process().num_fds()
    await values(line.driver(), 2)
    with pytest.raises(Unreachable):
        await values(line.driver(SILENT, timeout_s=0.05), 1)
    cancelled = asyncio.create_task(values(line.driver(SILENT, timeout_s=60), 1))
    line.asked.clear()
    await asyncio.wait_for(line.asked.wait(), DEADLINE_S)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(cancelled, DEADLINE_S)
    assert psutil.Process().num_fds() == files
    await only_left(tasks, DEADLINE_S)
