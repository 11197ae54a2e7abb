"""How faithfully OPC UA is collected: changes that arrive, time to come back, sessions tried, idle links left alone.

`python -m tests.benchmarks.opcua_faithful changes outage idle [--items 10000] [--seconds 60]` writes
.bench/opcua_faithful_<name>.json and prints it. The servers are node-opcua (changes) and asyncua's (the others), each in
a process of its own; the bare client beside ours is asyncua's with its default subscription.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from asyncua import Client, Server, ua

from edge_agent.collect import Collector
from edge_agent.config import DeviceConfig
from edge_agent.normalise import Normaliser
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.opcua.driver import OpcuaDriver
from tests.peers.opcua.peer_programs import node_modules

HERE = Path(__file__).parent
OUT = Path(".bench")
NAMESPACE = "urn:load"


def points(count: int) -> list[OpcuaPoint]:
    return [OpcuaPoint(name=f"C{number}", node=f"nsu={NAMESPACE};s=C{number}") for number in range(count)]


class Arrived:
    """Counts the different values of each counter, between the first and the last one all are known to have had."""

    def __init__(self) -> None:
        self.values: dict[str, set[float]] = {}

    def take(self, name: str, value: float) -> None:
        self.values.setdefault(name, set()).add(value)

    def share(self, first: float, last: float) -> float:
        wanted = int(last - first + 1) * len(self.values)
        got = sum(sum(first <= value <= last for value in values) for values in self.values.values())
        return 100.0 * got / wanted


@asynccontextmanager
async def load_server(items: int) -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as pki:
        process = await asyncio.create_subprocess_exec(
            "node", str(HERE / "opcua_load.js"), str(items), pki,
            env={**os.environ, "NODE_PATH": str(node_modules())}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                if line.startswith(b'{"port"'):
                    break
            yield f"opc.tcp://127.0.0.1:{json.loads(line)['port']}"
        finally:
            process.kill()
            await process.communicate()


async def changes(items: int, seconds: float) -> dict[str, Any]:
    """Share of the changes of `items` counters that arrive, at one change a second: ours with its defaults, and bare."""

    async def ours(endpoint: str, arrived: Arrived) -> dict[str, Any]:
        driver = OpcuaDriver("load", OpcuaConnection(endpoint=endpoint, security="none", timeout_s=30), points(items))
        await driver.open()

        def deliver(readings: Any) -> None:
            for reading in readings:
                arrived.take(reading.point, reading.value)

        await driver.subscribe(points(items), 1.0, deliver)
        spent = await _window(arrived, items, seconds)
        counters = driver.counters()
        await driver.close()
        return spent | counters

    async def bare(endpoint: str, arrived: Arrived) -> dict[str, Any]:
        class Handler:
            def datachange_notification(self, node: Any, val: Any, data: Any) -> None:
                arrived.take(node.nodeid.Identifier, val)

        client = Client(endpoint, timeout=30)
        await client.connect()
        index = await client.get_namespace_index(NAMESPACE)
        subscription = await client.create_subscription(1000, Handler())
        nodes = [client.get_node(ua.NodeId(f"C{number}", index)) for number in range(items)]
        for first in range(0, items, 1000):
            await subscription.subscribe_data_change(nodes[first : first + 1000])
        spent = await _window(arrived, items, seconds)
        await client.disconnect()
        return spent

    found: dict[str, Any] = {"items": items, "seconds": seconds}
    for name, run in (("ours", ours), ("bare", bare)):
        async with load_server(items) as endpoint:
            found[name] = await run(endpoint, Arrived())
    return found


async def _window(arrived: Arrived, items: int, seconds: float) -> dict[str, Any]:
    while len(arrived.values) < items:  # noqa: ASYNC110 - two libraries' callbacks, one way to wait
        await asyncio.sleep(0.05)
    await asyncio.sleep(2)
    first, cpu, began = (
        max(max(values) for values in arrived.values.values()) + 1,
        time.process_time(),
        time.monotonic(),
    )
    await asyncio.sleep(seconds)
    cpu_share = (time.process_time() - cpu) / (time.monotonic() - began)
    last = max(max(values) for values in arrived.values.values())
    if last < first:
        sys.exit(f"nothing new came within {seconds} s: this machine is too slow for {items} items")
    await asyncio.sleep(3)  # what is on its way
    return {"arrived_percent": round(arrived.share(first, last), 3), "cpu_percent": round(100 * cpu_share, 1)}


def serve_counter(port: int, period_s: float, indices: int) -> None:
    """Serve one counter for ever; `indices` namespaces come before its own."""

    async def main() -> None:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        server = Server()
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        for number in range(indices):
            await server.register_namespace(f"urn:other:{number}")
        index = await server.register_namespace(NAMESPACE)
        node = await server.nodes.objects.add_variable(ua.NodeId("C0", index), "C0", 0.0)
        async with server:
            print("up", flush=True)
            while True:
                await asyncio.sleep(period_s or 3600)
                await server.write_attribute_value(node.nodeid, ua.DataValue(ua.Variant(time.time())))

    asyncio.run(main())


@asynccontextmanager
async def counter_server(port: int, period_s: float, indices: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "tests.benchmarks.opcua_faithful", "serve",
        "--port", str(port), "--period", str(period_s), "--indices", str(indices), stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


class Watched:
    """A collector of the counter, and what it does: readings and attempts to open a session."""

    def __init__(self, port: int, period_s: float = 1.0) -> None:
        self.at: list[tuple[float, bool, int]] = []
        self.opened = 0
        watched = self

        class Counting(OpcuaDriver):
            async def open(self) -> None:
                watched.opened += 1
                await super().open()

        connection = OpcuaConnection(endpoint=f"opc.tcp://127.0.0.1:{port}", security="none")

        class Device(DeviceConfig):
            def driver(self, *, collects: bool = False) -> Any:
                return Counting(self.name, connection, self.points)

        device = Device(name="d", protocol="opcua", period_s=period_s, connection=connection, points=tuple(points(1)))
        self.collector = Collector(device, Normaliser(device, {}), self._add, self._announce)

    def _add(self, readings: Any, marks: Any) -> None:
        self.at += [(time.monotonic(), reading.quality.good, reading.source_time) for _, reading in readings]

    def _announce(self, device: str, kind: str, text: Any) -> None:
        """Nobody listens."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.collector.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def good_after(self, when: float) -> float:
        """Wait for a good reading after `when` and return how long after it came."""
        while not (later := [at for at, good, _ in self.at if good and at > when]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return later[0] - when


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def outage() -> dict[str, Any]:
    """Kill the server for 10 s and for 2 min, then let one take connections for 2 min that never answers."""
    found: dict[str, Any] = {}
    for length in (10.0, 120.0):
        port = free_port()
        watched = Watched(port)
        async with watched.running():
            async with counter_server(port, 0.2, 0):
                await watched.good_after(0.0)
                await asyncio.sleep(2)
            opened, killed = watched.opened, time.monotonic()
            await asyncio.sleep(length)
            async with counter_server(port, 0.2, 3):  # other namespace indices
                back = time.monotonic()
                recovery = await watched.good_after(back)
                await asyncio.sleep(3)
                times = [source for _, good, source in watched.at if good]
                lost = [at - killed for at, good, _ in watched.at if not good and killed < at < back]
        found[f"after_{length:g}_s"] = {
            "first_value_s": round(recovery, 2),
            "connections_refused": watched.opened - opened - 1,
            "values_that_came_twice": len(times) - len(set(times)),
            "readings_of_the_loss": len(lost),
            "loss_known_after_s": round(lost[0], 2) if lost else None,
        }
    accepted = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        with suppress(ConnectionError):
            await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    watched = Watched(server.sockets[0].getsockname()[1])
    async with watched.running():
        await asyncio.sleep(120)
    server.close()
    return found | {"sessions_tried_in_120_s_at_a_silent_server": accepted}


async def idle(seconds: float) -> dict[str, Any]:
    """Leave a server alone that says something ten times a second, and one that never does; count reconnections."""

    async def one(period_s: float) -> int:
        port = free_port()
        watched = Watched(port, 0.1)
        async with counter_server(port, period_s, 0), watched.running():
            await watched.good_after(0.0)
            await asyncio.sleep(seconds)
            return watched.opened - 1

    busy, quiet = await asyncio.gather(one(0.1), one(0.0))
    return {"seconds": seconds, "reconnections_at_10_Hz": busy, "reconnections_when_idle": quiet}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="+", choices=["changes", "outage", "idle", "serve"])
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--period", type=float, default=0.0)
    parser.add_argument("--indices", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.what == ["serve"]:
        serve_counter(chosen.port, chosen.period, chosen.indices)
        return
    runs: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "changes": lambda: changes(chosen.items, chosen.seconds),
        "outage": outage,
        "idle": lambda: idle(chosen.seconds),
    }
    OUT.mkdir(exist_ok=True)
    for what in chosen.what:
        found = asyncio.run(runs[what]())  # type: ignore[arg-type]
        text = json.dumps(found, indent=2)
        (OUT / f"opcua_faithful_{what}.json").write_text(text + "\n", encoding="utf-8")
        print(what, text, flush=True)


if __name__ == "__main__":
    main()
