"""Gaps of an outage filled from the device's history: link cut or agent stopped, nothing missing, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from asyncua import Server, ua

from edge_agent import backfill
from edge_agent.backfill import Backfill
from edge_agent.buffer import Buffer
from edge_agent.buffer_state import Gap
from edge_agent.collect import Collector
from edge_agent.config import DeviceConfig, load_config
from edge_agent.normalise import Mark, Normaliser
from edge_agent.outlets.outlets import Outlets
from edge_agent.parts import Parts
from protocols.errors import Unreachable
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.reading import BAD_NO_COMMUNICATION, GOOD, Reading, now_us
from protocols.text import Text
from protocols.uplink.codec import decode
from protocols.uplink.messages import Columns, PointRef
from tests.edge_agent.conftest import OpenBuffer

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


def device_at(port: int) -> DeviceConfig:
    endpoint = f"opc.tcp://127.0.0.1:{port}/machine"
    return DeviceConfig(
        name="d",
        protocol="opcua",
        period_s=0.1,
        connection=OpcuaConnection(endpoint=endpoint, security="none", publishing_s=0.02, timeout_s=2),
        points=tuple(OpcuaPoint(name=name, node=f"nsu={NAMESPACE};s={name}") for name in ("Kept", "Forgotten")),
    )


@asynccontextmanager
async def collecting(port: int, kept: Kept, marks: Mapping[str, Mark] | None = None) -> AsyncIterator[Collector]:
    device = device_at(port)
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


def good_values(columns: Columns | None, name: str) -> list[float]:
    if columns is None:
        return []
    point, value, quality = (
        np.frombuffer(column, kind)
        for column, kind in ((columns.point, "<u4"), (columns.value, "<f8"), (columns.quality, "<i2"))
    )
    wanted = [number for number, ref in enumerate(columns.points) if ref.name == name]
    return list(value[np.isin(point, wanted) & (quality == int(GOOD))])


async def reached(parts: Parts, buffer: Buffer, agents: int) -> bool:
    """Whether the first agent has begun, those between are fetching, and the last has fetched all."""
    report = parts.reports()[0]
    if report.state != "up":
        return False
    if agents == 3:
        return not await buffer.gaps("d")
    return agents == 0 or report.counters.get("history", 0) > 0


async def test_what_an_ended_agent_was_fetching_is_fetched_by_the_next(
    machine: tuple[Machine, int], open_buffer: OpenBuffer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, port = machine
    path = tmp_path / "agent.toml"
    path.write_text('[agent]\nname = "a"\n[cloud]\nurl = "http://127.0.0.1:1"\n', encoding="utf-8")
    config = load_config(path).model_copy(update={"devices": (device_at(port),)})
    await plant.count_to(5)
    agents = 0
    while agents < 4:
        monkeypatch.setattr(backfill, "PACE_S", 0.0 if agents == 3 else 0.02)  # the others are ended in its midst
        buffer = await open_buffer(tmp_path / "state")
        async with Outlets(buffer, tmp_path) as outlets, Parts(buffer, outlets) as parts:
            await parts.become(config)
            async with asyncio.timeout(DEADLINE_S):
                while not await reached(parts, buffer, agents):  # noqa: ASYNC110 - two parts, neither of which tells
                    await asyncio.sleep(0.01)
        await buffer.flush()
        left = await buffer.gaps("d")
        await buffer.close()
        assert bool(left) == (0 < agents < 3)
        await plant.count_to(len(plant.values) + 200)
        agents += 1
    buffer = await open_buffer(tmp_path / "state")
    delivery = await buffer.take(100_000_000)
    assert delivery is not None
    good = [value for frame in delivery.frames for value in good_values(decode(frame.payload).columns, "Kept")]
    assert len(good) > 600
    assert sorted(good) == plant.values[5 : len(good) + 5]


class Told:
    """A device whose history is known, but which says nothing live; a server that can do that is not to be had."""

    def __init__(self, times: Sequence[int], fails_after: int | None = None) -> None:
        self.times = times
        self.fails_after = fails_after

    async def history(self, points: Sequence[OpcuaPoint], start: int, end: int) -> AsyncIterator[Sequence[Reading]]:
        for number, time in enumerate(time for time in self.times if start <= time <= end):
            if number == self.fails_after:
                raise Unreachable(Text("cut", "断开"))
            yield [Reading("Kept", float(time), GOOD, time, now_us())]


async def test_a_silent_point_gets_its_past_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "FIRST_S", 0.01)
    begun = now_us() - 1_000_000
    told, kept, device = Told([begun + number for number in range(10)], fails_after=4), Kept(), device_at(1)
    left: list[Gap] = []

    def made() -> Backfill:
        normalise = Normaliser(device, {"Kept": Mark(begun, 0.0, 0)})
        gaps = msgspec.msgpack.decode(msgspec.msgpack.encode(left), type=list[Gap])
        return Backfill(device, normalise, lambda rows: kept.add(rows, ()), kept.announce, gaps=gaps, keep=keep)

    def keep(gaps: Sequence[Gap]) -> None:
        left[:] = gaps

    one = made()
    one.begin()
    await one.fill(told)
    assert len(kept.readings) == 3
    told.fails_after = None
    for again in range(3):
        agent = made() if again else one
        agent.begin()
        await agent.fill(told)
        assert kept.values("Kept") == [float(time) for time in told.times[1:]], "nothing is missing or comes twice"
        told.times = [*told.times, now_us()]
        await asyncio.sleep(0.01)
