"""The bare libraries reading the gateways' plants: no unit, no quality, no buffer, nobody told."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from asyncua import Client, ua
from pymodbus.client import AsyncModbusTcpClient

from tests.benchmarks.comparison import CpuClock
from tests.benchmarks.gateway_agents import POINTS_PER_DEVICE
from tests.benchmarks.gateway_plant import NAMESPACE

SECONDS = 10
MOST_REGISTERS = 125


async def bare_modbus(port: int, points: int, period_s: float = 1.0) -> float:
    """Read the registers of every device each `period_s`, merged, scaled; return values per processor second."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    units = range(1, max(points // POINTS_PER_DEVICE, 1) + 1)
    each = min(points, POINTS_PER_DEVICE)
    now = asyncio.get_running_loop().time
    clock, due, values = CpuClock(), now(), 0
    for _ in range(round(SECONDS / period_s)):
        for unit in units:
            read: dict[str, float] = {}
            for start in range(0, each, MOST_REGISTERS):
                count = min(MOST_REGISTERS, each - start)
                answer = await client.read_holding_registers(start, count=count, device_id=unit)
                raw = client.convert_from_registers(answer.registers, client.DATATYPE.INT16)
                read |= {f"p{start + i}": value / 10 for i, value in enumerate(raw)}  # type: ignore[arg-type]
            values += len(read)
        due += period_s
        await asyncio.sleep(due - now())
    speed = values / clock.seconds()
    client.close()
    return speed


async def bare_opcua(endpoint: str, points: int) -> float:
    """Subscribe to every node, sampling and queue as our driver asks for; return changes per processor second."""

    class Handler:
        values: dict[Any, float]
        count = 0

        def status_change_notification(self, status: Any) -> None:
            raise AssertionError(status)

        def datachange_notification(self, node: Any, val: Any, data: Any) -> None:
            self.values[node] = val
            self.count += 1

    handler = Handler()
    handler.values = {}
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    client = Client(endpoint, timeout=30, watchdog_intervall=30)  # the server is busy while items are created
    await client.connect()
    index = await client.get_namespace_index(NAMESPACE)
    subscription = await client.create_subscription(250, handler)
    nodes = [client.get_node(ua.NodeId(f"p{i}", index)) for i in range(points)]
    for start in range(0, points, 1000):
        await subscription.subscribe_data_change(nodes[start : start + 1000], queuesize=20, sampling_interval=250)
    await asyncio.sleep(2)
    before, clock = handler.count, CpuClock()
    await asyncio.sleep(SECONDS)
    speed = (handler.count - before) / clock.seconds()
    await client.disconnect()
    return speed
