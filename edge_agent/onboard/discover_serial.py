"""Finds the devices on a serial line a technician names: `sunmao-edge discover --serial`.

One request at a time, reads only, a bounded number a second. The settings are tried one after the other until somebody
answers, for a line has one; at what is no Modbus the rest of a sweep is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import product
from types import MappingProxyType
from typing import NamedTuple

from protocols.errors import ConfigError, Malformed, Unreachable
from protocols.modbus.config import ModbusConnection
from protocols.modbus.identification import identification, present_units
from protocols.text import Text
from protocols.validation import validate


class Setting(NamedTuple):
    """How a serial line is set; there are always 8 data bits."""

    baudrate: int
    parity: str
    stopbits: int

    def __str__(self) -> str:
        return f"{self.baudrate} 8{self.parity}{self.stopbits}"


class FoundOnLine(NamedTuple):
    """One unit on a serial line, or, with unit 0, what was strange on it.

    identity: texts the device gives of itself. note: what a person should know.
    """

    path: str
    setting: Setting
    unit: int
    identity: Mapping[str, str] = MappingProxyType({})
    note: Text | None = None


def parse_settings(bauds: str, parities: str, stopbits: int) -> list[Setting]:
    """Return every combination of the listed speeds ("9600,19200") and parities ("N,E"); raises ConfigError."""
    try:
        speeds = [int(baud) for baud in bauds.split(",")]
    except ValueError:
        speeds = []
    letters = [parity.strip().upper() for parity in parities.split(",")]
    if not speeds or min(speeds) < 300 or not set(letters) <= {"N", "E", "O"}:
        raise ConfigError(
            Text(
                f"'{bauds}' and '{parities}' are not lists of speeds and parities",
                f"“{bauds}”“{parities}”不是有效的波特率与校验",
            ),
            Text("write --baud 9600,19200 --parity N,E", "请写 --baud 9600,19200 --parity N,E"),
            key="--serial",
        )
    return [Setting(speed, letter, stopbits) for speed, letter in product(speeds, letters)]


async def discover_serial(
    path: str,
    settings: Sequence[Setting],
    units: Sequence[int],
    *,
    rate: float,
    timeout_s: float,
    advance: Callable[[], None] = lambda: None,
) -> AsyncIterator[FoundOnLine]:
    """Ask `units` on the port `path` in each of `settings` until some answer, and yield these.

    `rate` is the most questions a second, `timeout_s` the longest wait for one answer; `advance` is called after each
    setting. Raises Unreachable or Refused where the port itself can not be used.
    """
    for setting in settings:
        connection = validate(
            ModbusConnection,
            {"serial": path, "framing": "rtu", "timeout_s": timeout_s, "unit_id": 1, **setting._asdict()},
            "--serial",
        )
        answering: list[int] = []
        strange: Malformed | None = None
        try:
            async for unit, present in present_units(path, connection, units):
                if present:
                    answering.append(unit)
                await asyncio.sleep(1.0 / rate)
        except Malformed as error:
            strange = error
        for unit in answering:
            yield await _told(path, setting, connection.model_copy(update={"unit_id": unit}), rate)
        if strange is not None:
            yield FoundOnLine(path, setting, 0, note=strange.what)
        advance()
        if answering:
            return


async def _told(path: str, setting: Setting, connection: ModbusConnection, rate: float) -> FoundOnLine:
    """Return a unit with what it says of itself."""
    await asyncio.sleep(1.0 / rate)
    try:
        identity = await identification(path, connection)
    except (Malformed, Unreachable) as error:
        return FoundOnLine(path, setting, connection.unit_id, note=error.what)
    return FoundOnLine(path, setting, connection.unit_id, identity)
