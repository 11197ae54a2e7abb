"""The plants the gateways read: Modbus devices on libmodbus, an OPC UA server, and a device that never answers."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Thread

from asyncua import Server, ua

from tests.benchmarks.comparison import server

NAMESPACE = "urn:sunmao:benchmark"
BUILT = Path(".dev") / "benchmarks"
SLICES = 10
"""Nodes change once a second, a tenth of them every tenth of a second, as no machine changes everything at once."""


@contextmanager
def modbus_plant(port: int = 0) -> Iterator[int]:
    """Run the libmodbus plant and yield its port; needs gcc and libmodbus-dev."""
    BUILT.mkdir(parents=True, exist_ok=True)
    source, binary = Path(__file__).with_suffix(".c"), BUILT / "gateway_plant"
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Werror", "-I/usr/include/modbus", source, "-o", binary, "-lmodbus"], check=True
    )
    with subprocess.Popen([binary, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


_GROUP = 100


class _OpcuaPlant:
    """Serves `nodes` doubles under Objects/Line, each changing once a second. A class, for a process must import it."""

    def __init__(self, nodes: int, port: int) -> None:
        self._nodes = nodes
        self._port = port

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[str]:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        plant = Server()
        await plant.init()
        plant.set_endpoint(f"opc.tcp://127.0.0.1:{self._port}")
        plant.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await plant.register_namespace(NAMESPACE)
        line = await plant.nodes.objects.add_object(ua.NodeId("Line", index), f"{index}:Line")
        nodes = []
        for i in range(self._nodes):
            if i % _GROUP == 0:  # asyncua looks through all siblings for each new node
                group = await line.add_object(ua.NodeId(f"group{i}", index), f"{index}:group{i}")
            nodes.append(await group.add_variable(ua.NodeId(f"p{i}", index), f"{index}:p{i}", 20.0))
        async with plant:
            changes = asyncio.create_task(_change(plant, [node.nodeid for node in nodes]))
            yield f"opc.tcp://127.0.0.1:{plant.bserver.port}"
            changes.cancel()


async def _change(plant: Server, nodes: list[ua.NodeId]) -> None:
    clock = asyncio.get_running_loop().time
    due, count = clock(), 0
    while True:
        for node in nodes[count % SLICES :: SLICES]:
            value = ua.DataValue(ua.Variant(20.0 + count / 8, ua.VariantType.Double))
            await plant.write_attribute_value(node, value)
        count += 1
        due += 1 / SLICES
        await asyncio.sleep(due - clock())


@contextmanager
def opcua_plant(nodes: int, port: int = 0) -> Iterator[str]:
    """Serve `nodes` changing nodes in a process of their own and yield the endpoint."""
    with server(_OpcuaPlant(nodes, port)) as endpoint:
        yield endpoint


@contextmanager
def black_hole() -> Iterator[int]:
    """Accept every connection, answer none, and yield the port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    held: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                held.append(listening.accept()[0])

    thread = Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for connection in held:
            connection.close()
