"""What we read and write, held by three foreign servers and looked at by a foreign client: register by register.

The registers are set raw, never through a server's own helpers for floats.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pyModbusTCP.client import ModbusClient

from protocols.modbus.codec import own_bits
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.driver import ModbusDriver
from protocols.reading import Value
from tests.conformance.plant import opened
from tests.peers.modbus.peer_programs import SERVERS, foreign_server
from tests.protocols.modbus.modbus_vectors import CONVERTED, PUBLISHED


@pytest.fixture(params=SERVERS)
async def port(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[int]:
    """A server with registers 0 to 999, all 0."""
    async with foreign_server(request.param, tmp_path) as port:
        yield port


def vectors() -> list[tuple[ModbusPoint, list[int], Value]]:
    """Return every golden vector as a writable point, its registers and its value, one behind the other."""
    found, address = [], 0
    for number, (fields, data, value) in enumerate([*PUBLISHED, *CONVERTED]):
        is_number = not isinstance(value, (bool, str))
        write = {"min": -1e308, "max": 1e308} if is_number else {"values": [value]}
        point = ModbusPoint.model_validate({"name": str(number), "address": address, "write": write, **fields})
        registers = list(struct.unpack(f">{point.width}H", bytes.fromhex(data)))
        found.append((point, registers, value))
        address += point.width
    return found


async def test_what_is_read_and_written_back_is_the_same_to_the_bit(port: int) -> None:
    wanted = vectors()
    points = [point for point, _, _ in wanted]
    foreign = ModbusClient("127.0.0.1", port, unit_id=1, auto_close=True, timeout=5)
    for point, registers, _ in wanted:
        assert foreign.write_multiple_registers(point.address, registers)
    connection = ModbusConnection.model_validate({"host": "127.0.0.1", "port": port, "timeout_s": 5})
    async with opened(ModbusDriver("peer", connection, points)) as driver:
        readings = await driver.read(points)
        assert [(reading.value, reading.quality.good) for reading in readings] == [
            (value, True) for *_, value in wanted
        ]
    for point, registers, _ in wanted:
        assert foreign.write_multiple_registers(point.address, [0] * len(registers))
    async with opened(ModbusDriver("peer", connection, points)) as driver:
        for point, _, value in wanted:
            await driver.write(point, value)
        readings = await driver.read(points)
        assert [reading.value for reading in readings] == [value for *_, value in wanted]
    for point, registers, _ in wanted:
        own = own_bits(point)
        kept = struct.unpack(f">{point.width}H", own) if own else [0xFFFF] * point.width
        held = foreign.read_holding_registers(point.address, point.width)
        if point.type != "string" or int(point.name) < len(
            PUBLISHED
        ):  # else what is behind the end of the text is free
            assert held == [register & mask for register, mask in zip(registers, kept, strict=True)], point
