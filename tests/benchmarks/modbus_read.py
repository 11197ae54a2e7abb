"""Values read per processor second: the Modbus driver beside a bare pymodbus loop, 60 float32 in one request each."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pymodbus.client import AsyncModbusTcpClient

from protocols.modbus.driver import ModbusDriver
from protocols.modbus.simulator import ModbusSimulator
from tests.benchmarks.comparison import Comparison, CpuClock, compare, server

POINTS = tuple(
    ModbusDriver.Point.model_validate({"name": f"p{i}", "table": "holding", "address": 2 * i, "type": "float32"})
    for i in range(60)
)
READS = 1000


@asynccontextmanager
async def serving() -> AsyncIterator[dict[str, object]]:
    simulator = ModbusSimulator(POINTS, lambda: {point.name: 1.5 * i for i, point in enumerate(POINTS)})
    host, _, port = (await simulator.start()).rpartition(":")
    yield {"host": host, "port": int(port)}
    await simulator.stop()


async def ours(address: dict[str, object]) -> float:
    driver = ModbusDriver("meter", ModbusDriver.Connection.model_validate(address), POINTS)
    await driver.open()
    clock = CpuClock()
    for _ in range(READS):
        readings = await driver.read(POINTS)
    speed = READS * len(readings) / clock.seconds()
    assert readings[59].value == 88.5
    await driver.close()
    return speed


async def bare(address: dict[str, object]) -> float:
    client = AsyncModbusTcpClient(str(address["host"]), port=int(str(address["port"])))
    await client.connect()
    clock = CpuClock()
    for _ in range(READS):
        answer = await client.read_holding_registers(0, count=120, device_id=1)
        values = struct.unpack(">60f", struct.pack(">120H", *answer.registers))
    speed = READS * len(values) / clock.seconds()
    assert values[59] == 88.5
    client.close()
    return speed


def measure() -> Comparison:
    with server(serving) as address:
        return compare(
            "modbus_read",
            "pymodbus client and struct.unpack",
            "values/CPU s",
            lambda: asyncio.run(ours(address)),
            lambda: asyncio.run(bare(address)),
        )
