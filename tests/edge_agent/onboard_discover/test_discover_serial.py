"""Devices found on a serial line, and a line on which something is strange; over a real terminal device."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.onboard.discover_serial import FoundOnLine, discover_serial, parse_settings
from protocols.errors import ConfigError, Unreachable
from protocols.modbus.config import ModbusPoint
from protocols.modbus.simulator import ModbusSimulator
from tests.conformance.plant import listening
from tests.doubles.serial_bridge import SerialBridge

POINT = ModbusPoint(name="p0", address=0)


@asynccontextmanager
async def line(path: Path, unit: int = 3) -> AsyncIterator[str]:
    """A serial line with one device on it."""
    simulator = ModbusSimulator([POINT], lambda: {"p0": 7}, framing="rtu-over-tcp", unit_id=unit)
    bridge = SerialBridge(path, int((await simulator.start()).rpartition(":")[2]))
    await bridge.start()
    yield str(path)
    await bridge.stop()
    await simulator.stop()


async def found_on(path: str, bauds: str = "19200", units: range = range(1, 6)) -> list[FoundOnLine]:
    settings = parse_settings(bauds, "N", 1)
    return [found async for found in discover_serial(path, settings, units, rate=500, timeout_s=0.15)]


async def test_a_unit_on_a_line_is_found_with_what_it_says_of_itself(tmp_path: Path) -> None:
    async with line(tmp_path / "ttyUSB0") as path:
        (found,) = await found_on(path)
    assert (found.path, str(found.setting), found.unit, found.note) == (path, "19200 8N1", 3, None)
    assert found.identity["server_id"]


async def test_settings_are_tried_until_somebody_answers(tmp_path: Path) -> None:
    tried = 0

    def advance() -> None:
        nonlocal tried
        tried += 1

    async with line(tmp_path / "ttyUSB0") as path:
        settings = parse_settings("9600,19200", "N,E", 1)
        assert len(settings) == 4
        found = [
            each
            async for each in discover_serial(path, settings, [3], rate=500, timeout_s=0.5, advance=advance)
        ]  # fmt: skip
    assert [each.unit for each in found] == [3]
    assert tried == 1, "a line has one setting"


async def test_at_what_is_no_modbus_the_sweep_ends(tmp_path: Path) -> None:
    asked = 0

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while await reader.read(4096):
            asked += 1
            writer.write(b"\xff\x00\xfe\x80" * 3)

    async with listening(babble) as port:
        bridge = SerialBridge(tmp_path / "ttyUSB0", port)
        await bridge.start()
        (found,) = await found_on(str(bridge.path), units=range(1, 100))
        await bridge.stop()
    assert (found.unit, asked) == (0, 1)
    assert found.note
    assert "it sent" in found.note.en


async def test_only_reads_are_sent(tmp_path: Path) -> None:
    functions = set()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while frame := await reader.read(4096):
            functions.add(frame[1])

    async with listening(listen) as port:
        bridge = SerialBridge(tmp_path / "ttyUSB0", port)
        await bridge.start()
        assert await found_on(str(bridge.path), units=range(1, 4)) == []
        await bridge.stop()
    assert functions == {3}


async def test_a_port_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"ttyUSB9.*not there"):
        await found_on(str(tmp_path / "ttyUSB9"))


@pytest.mark.parametrize(("bauds", "parities"), [("fast", "N"), ("9600", "X"), ("", "N"), ("9600,", "N"), ("50", "N")])
def test_settings_that_are_none_are_wrong_use(bauds: str, parities: str) -> None:
    with pytest.raises(ConfigError, match="--baud 9600,19200"):
        parse_settings(bauds, parities, 1)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """A line served beside the test, for the command has an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = line(tmp_path / "ttyUSB0")
    yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
    asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["discover", *arguments, "--lang", "en"])


def test_the_command_shows_what_is_on_a_line(served: str) -> None:
    common = ["--serial", served, "--units", "2-4", "--baud", "115200", "--timeout", "0.3", "--rate", "500"]
    result = run(*common, "--json")
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)
    assert (found["address"], found["protocol"], found["units"]) == (served, "modbus-rtu", [3])
    assert found["connection"] == {"serial": served, "framing": "rtu", "baudrate": 115200, "parity": "N", "stopbits": 1}
    assert "115200 8N1" in run(*common).stdout


def test_the_command_wants_a_place(tmp_path: Path) -> None:
    result = run()
    assert result.exit_code == 2
    assert "--range" in result.stderr
    assert "--serial" in result.stderr
    assert run("--serial", os.fspath(tmp_path / "none")).exit_code == 3
