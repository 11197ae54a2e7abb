"""The simulated device, seen by a client that is not ours."""

from __future__ import annotations

import pytest
from pymodbus.client import AsyncModbusTcpClient

from protocols.errors import ConfigError
from protocols.modbus.config import ModbusPoint
from protocols.modbus.simulator import ModbusSimulator
from protocols.reading import Value

POINTS = [
    ModbusPoint.model_validate(fields)
    for fields in (
        {"name": "status", "address": 10},
        {"name": "alarm", "address": 10, "bit": 3},
        {"name": "ready", "address": 10, "bit": 0},
        {"name": "low", "address": 11, "bit": 0, "order": "BADC"},
        {"name": "level", "address": 20, "type": "int16", "invalid": ["0x8000"]},
        {"name": "count", "address": 21},
        {"name": "lamp", "table": "coil", "address": 5},
    )
]
VALUES: dict[str, Value] = {
    "status": 0x00F1,
    "alarm": True,
    "ready": False,
    "low": True,
    "level": -5,
    "count": 9,
    "lamp": True,
}


async def test_registers_bits_and_what_is_not_there() -> None:
    values = dict(VALUES)
    simulator = ModbusSimulator(POINTS, lambda: values, tick_s=0, unit_id=3)
    host, _, port = (await simulator.start()).rpartition(":")
    client = AsyncModbusTcpClient(host, port=int(port), retries=0)
    assert await client.connect()
    try:
        assert (await client.read_holding_registers(10, count=2, device_id=3)).registers == [0x00F8, 0x0100]
        assert (await client.read_holding_registers(20, count=2, device_id=3)).registers == [0x10000 - 5, 9]
        assert (await client.read_coils(5, count=1, device_id=3)).bits[0] is True
        assert (await client.read_holding_registers(12, device_id=3)).exception_code == 2
        assert (await client.read_holding_registers(10, count=3, device_id=3)).exception_code == 2
        assert (await client.read_coils(4, count=2, device_id=3)).exception_code == 2
        assert (await client.read_input_registers(10, device_id=3)).exception_code == 2
        assert (await client.read_holding_registers(10, device_id=4)).exception_code == 0x0B
        assert (await client.write_register(10, 1, device_id=3)).exception_code == 1
        assert (await client.mask_write_register(address=10, device_id=3)).exception_code == 1
        values |= {"level": None, "count": 70000}
        assert (await client.read_holding_registers(20, device_id=3)).registers == [0x8000]
        assert (await client.read_holding_registers(21, device_id=3)).exception_code == 4
    finally:
        client.close()
        await simulator.stop()


async def test_values_are_asked_for_once_per_tick() -> None:
    asked = 0

    def values() -> dict[str, Value]:
        nonlocal asked
        asked += 1
        return VALUES

    simulator = ModbusSimulator(POINTS, values, tick_s=3600)
    host, _, port = (await simulator.start()).rpartition(":")
    client = AsyncModbusTcpClient(host, port=int(port), retries=0)
    assert await client.connect()
    for _ in range(5):
        await client.read_coils(5)
    client.close()
    await simulator.stop()
    assert asked == 1


async def test_wrong_use_is_said_before_serving() -> None:
    with pytest.raises(ConfigError, match="70000 does not fit a uint16"):
        await ModbusSimulator(POINTS, lambda: {**VALUES, "count": 70000}).start()
    with pytest.raises(ConfigError, match="no value for point 'lamp'"):
        await ModbusSimulator(POINTS, lambda: {k: v for k, v in VALUES.items() if k != "lamp"}).start()
    first = ModbusSimulator(POINTS, lambda: VALUES)
    port = int((await first.start()).rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"port {port} can not be used"):
        await ModbusSimulator(POINTS, lambda: VALUES, port=port).start()
    await first.stop()
    await first.stop()
