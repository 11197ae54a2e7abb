"""Changes received per processor second: the OPC UA driver beside a bare asyncua subscription, 200 nodes at 10 Hz."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from asyncua import Client, Server, ua

from protocols.opcua.driver import OpcuaDriver
from tests.benchmarks.comparison import Comparison, CpuClock, compare, server

NAMESPACE = "urn:sunmao:benchmark"
NODES = 200
SECONDS = 4.0
POINTS = tuple(
    OpcuaDriver.Point.model_validate({"name": f"p{i}", "node": f"nsu={NAMESPACE};s=p{i}"}) for i in range(NODES)
)


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Serve nodes that all change ten times a second."""
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    plant = Server()
    await plant.init()
    plant.set_endpoint("opc.tcp://127.0.0.1:0")
    plant.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await plant.register_namespace(NAMESPACE)
    nodes = [await plant.nodes.objects.add_variable(ua.NodeId(f"p{i}", index), f"p{i}", 0.0) for i in range(NODES)]

    async def change() -> None:
        count = 0.0
        while True:
            count += 1
            for node in nodes:
                await plant.write_attribute_value(node.nodeid, ua.DataValue(ua.Variant(count, ua.VariantType.Double)))
            await asyncio.sleep(0.1)

    async with plant:
        changes = asyncio.create_task(change())
        yield f"opc.tcp://127.0.0.1:{plant.bserver.port}"
        changes.cancel()


async def ours(endpoint: str) -> float:
    count = 0

    def deliver(readings: Any) -> None:
        nonlocal count
        count += len(readings)

    driver = OpcuaDriver(
        "moulder", OpcuaDriver.Connection.model_validate({"endpoint": endpoint, "security": "none"}), POINTS
    )
    await driver.open()
    await driver.subscribe(POINTS, 0.1, deliver)
    return await _rate(lambda: count, driver.close)


async def bare(endpoint: str) -> float:
    class Handler:
        count = 0

        def datachange_notification(self, node: Any, val: Any, data: Any) -> None:
            self.count += 1

    handler = Handler()
    client = Client(endpoint)
    await client.connect()
    index = await client.get_namespace_index(NAMESPACE)
    subscription = await client.create_subscription(100, handler)
    await subscription.subscribe_data_change([client.get_node(ua.NodeId(f"p{i}", index)) for i in range(NODES)])
    return await _rate(lambda: handler.count, client.disconnect)


async def _rate(count: Callable[[], int], close: Callable[[], Coroutine[Any, Any, None]]) -> float:
    while count() < NODES:  # noqa: ASYNC110 - two libraries' callbacks, one way to wait
        await asyncio.sleep(0.01)
    before, clock = count(), CpuClock()
    await asyncio.sleep(SECONDS)
    speed = (count() - before) / clock.seconds()
    await close()
    return speed


def measure() -> Comparison:
    with server(serving) as endpoint:
        return compare(
            "opcua_subscription",
            "asyncua client and an empty handler",
            "changes/CPU s",
            lambda: asyncio.run(ours(endpoint)),
            lambda: asyncio.run(bare(endpoint)),
        )
