"""Gaps of an outage filled from the device's history: link cut or agent stopped, nothing missing, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest
from asyncua import Server, ua

from edge_agent.collect import Collector
from edge_agent.config import DeviceConfig
from edge_agent.normalise import Mark, Normaliser
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.reading import BAD_NO_COMMUNICATION, Reading
from protocols.text import Text
from protocols.uplink.messages import PointRef

DEADLINE_S = 30.0
NAMESPACE = "urn:test:history"


class Machine:
    """An OPC UA server with a counter whose history it keeps and one whose it does not."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._nodes: dict[str, ua.NodeId] = {}
        self.values: list[float] = []

    async def begin(self) -> None:
        index = await self._server.register_namespace(NAMESPACE)
        for name in ("Kept", "Forgotten"):
            node = await self._server.nodes.objects.add_variable(ua.NodeId(name, index), name, 0.0)
            self._nodes[name] = node.nodeid
            if name == "Kept":
                await node.set_attr_bit(ua.AttributeIds.AccessLevel, ua.AccessLevel.HistoryRead)
                await self._server.iserver.history_manager.storage.new_historized_node(node.nodeid, None)
        await self.count()

    async def count(self) -> None:
        """Show the next number, and keep the last in the history."""
        self.values.append(float(len(self.values)))
        now = datetime.now(UTC)
        for name, node in self._nodes.items():
            value = ua.DataValue(ua.Variant(self.values[-1]), SourceTimestamp=now, ServerTimestamp=now)
            await self._server.write_attribute_value(node, value)
            if name == "Kept":
                await self._server.iserver.history_manager.storage.save_node_value(node, value)
        await asyncio.sleep(0.002)  # so that no two share a microsecond

    async def count_to(self, number: int) -> None:
        while len(self.values) <= number:
            await self.count()


@pytest.fixture
async def machine() -> AsyncIterator[tuple[Machine, int]]:
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/machine")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    made = Machine(server)
    await made.begin()
    async with server:
        yield made, server.bserver.port


class Link:
    """A line to 127.0.0.1:`port` that can be cut and mended."""

    def __init__(self, port: int) -> None:
        self._far = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._far)
        self._writers |= {writer, far_writer}

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            target.transport.abort()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


class Kept:
    """What was kept, by point, and the marks that go with it."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.marks: dict[str, Mark] = {}
        self.said: list[str] = []
        self._changed = asyncio.Event()

    def add(self, readings: Sequence[tuple[PointRef, Reading]], marks: Sequence[tuple[PointRef, Mark]]) -> None:
        self.readings += [reading for _, reading in readings]
        self.marks |= {ref.name: mark for ref, mark in marks}
        self._changed.set()

    def announce(self, device: str, kind: str, text: Text) -> None:
        self.said.append(kind)
        self._changed.set()

    def values(self, name: str) -> list[float]:
        """The good values of a point, by source time."""
        good = [r for r in self.readings if r.point == name and r.quality.good]
        assert len({reading.source_time for reading in good}) == len(good)
        return [reading.value for reading in sorted(good, key=lambda reading: reading.source_time)]  # type: ignore[misc]

    async def until_last(self, number: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not all(self.values(name)[-1:] == [float(number)] for name in ("Kept", "Forgotten")):
                self._changed.clear()
                await self._changed.wait()

    async def until_said(self, kind: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while kind not in self.said:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def collecting(port: int, kept: Kept, marks: Mapping[str, Mark] | None = None) -> AsyncIterator[Collector]:
    endpoint = f"opc.tcp://127.0.0.1:{port}/machine"
    device = DeviceConfig(
        name="d",
        protocol="opcua",
        period_s=0.1,
        connection=OpcuaConnection(endpoint=endpoint, security="none", publishing_s=0.02, timeout_s=2),
        points=tuple(OpcuaPoint(name=name, node=f"nsu={NAMESPACE};s={name}") for name in ("Kept", "Forgotten")),
    )
    collector = Collector(device, Normaliser(device, marks or {}), kept.add, kept.announce)
    task = asyncio.create_task(collector.run())
    try:
        yield collector
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_cut_link_leaves_no_gap_where_the_device_keeps_history(machine: tuple[Machine, int]) -> None:
    plant, port = machine
    link, kept = Link(port), Kept()
    await link.mend()
    async with collecting(link.port, kept) as collector:
        await kept.until_last(0)
        await plant.count_to(5)
        await kept.until_last(5)
        await link.cut()
        await kept.until_said("device_lost")
        await plant.count_to(1500)
        await link.mend()
        await kept.until_last(1500)  # live values do not wait for the past
        await plant.count_to(1505)
        await kept.until_said("history_filled")
        await kept.until_last(1505)
        await link.cut()
        lost = [reading.point for reading in kept.readings if reading.quality == BAD_NO_COMMUNICATION]
        counters = collector.report().counters
    assert sorted(lost) == ["Forgotten", "Kept"]  # the loss is said once of each point
    assert kept.values("Kept") == plant.values
    assert kept.values("Forgotten") == [*plant.values[:6], *plant.values[1500:]]
    assert counters["history"] == 1494


async def test_a_stopped_agent_leaves_no_gap_either(machine: tuple[Machine, int]) -> None:
    plant, port = machine
    first, second = Kept(), Kept()
    async with collecting(port, first):
        await first.until_last(0)
        await plant.count_to(10)
        await first.until_last(10)
    await plant.count_to(60)
    async with collecting(port, second, first.marks) as collector:
        await second.until_said("history_filled")
        await second.until_last(60)
        await plant.count_to(65)
        await second.until_last(65)
        assert collector.report().counters["history"] == 49
    assert first.values("Kept") + second.values("Kept") == plant.values


async def test_a_first_start_fetches_no_past(machine: tuple[Machine, int]) -> None:
    plant, port = machine
    await plant.count_to(20)
    kept = Kept()
    async with collecting(port, kept) as collector:
        await kept.until_last(20)
        await plant.count_to(21)
        await kept.until_last(21)
        assert collector.report().counters.get("history", 0) == 0
    assert kept.values("Kept") == [20.0, 21.0]
