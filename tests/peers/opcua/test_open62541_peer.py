"""The driver against open62541, which names no limits, samples by the clock and has the published types of machines."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from protocols.opcua.config import OpcuaPoint
from protocols.opcua.description import describe_server
from protocols.reading import BAD_NODE_ID_UNKNOWN
from tests.peers.opcua.peer_programs import Peer, open62541
from tests.protocols.opcua.opcua_stand import Inbox, opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

MACHINES = (
    "di",
    "ia",
    "machinery",
    "robotics.MotionDeviceSystemType",
    "machine_tool.MachineToolType",
    "plastics_rubber",
    "plastics_imm2mes.IMM_MES_InterfaceType",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Peer]:
    async with open62541(tmp_path_factory.mktemp("peer"), MACHINES) as peer:
        yield peer


def tag(peer: Peer, name: str) -> OpcuaPoint:
    return OpcuaPoint(name=name, node=f"nsu={peer.namespace};s=Line.{name}")


async def test_a_thousand_tags_without_a_limit_and_one_unknown(peer: Peer) -> None:
    tags = [tag(peer, f"Tag{number}") for number in range(1000)]
    points = [*tags[:500], tag(peer, "Absent"), *tags[500:]]
    expected = {point.name: float(number) for number, point in enumerate(tags)}
    inbox = Inbox()
    async with opened(peer) as driver:
        read = {reading.point: reading for reading in await driver.read(points)}
        await driver.subscribe(points, 1.0, inbox.deliver)
        subscribed = await inbox.until(lambda latest: len(latest) == len(points))
    for latest in (read, subscribed):
        assert {name: reading.value for name, reading in latest.items() if reading.quality.good} == expected
        assert latest["Absent"].quality == BAD_NODE_ID_UNKNOWN


async def test_changes_come_in_order_and_none_twice(peer: Peer) -> None:
    inbox = Inbox()
    async with opened(peer, publishing_s=0.1) as driver:
        await driver.subscribe([tag(peer, "Temperature")], 0.2, inbox.deliver)  # counts up every 50 ms
        await inbox.until(lambda _: len(inbox.readings) > 40)
        assert driver.counters() == {"overflows": 0}
    for values in ([reading.value for reading in inbox.readings], [reading.source_time for reading in inbox.readings]):
        assert values == sorted(set(values))


async def test_history_is_read_in_pages(peer: Peer) -> None:
    counter = tag(peer, "Temperature")
    kept = []
    async with opened(peer) as driver:
        (now,) = await driver.read([counter])
        async for page in driver.history([counter, tag(peer, "Tag1")], now.source_time - 10**9, now.source_time):
            kept += page
    assert {reading.point for reading in kept} == {"Temperature"}
    assert [reading.value for reading in kept] == [
        float(count) for count in range(int(kept[0].value), int(now.value) + 1)
    ]
    times = [reading.source_time for reading in kept]
    assert times == sorted(set(times))


async def test_machines_of_published_specifications_are_identified(peer: Peer) -> None:
    machines = {machine.path: machine for machine in (await describe_server(peer, 10)).machines}
    assert {path: machine.specifications[0] for path, machine in machines.items()} == {
        "MyMotionDeviceSystemType": "OPC 40010 Robotics",
        "Machines/MyMachineToolType": "OPC 40501 Machine Tools",
        "MyIMM_MES_InterfaceType": "OPC 40077 Injection moulding machines to MES (EUROMAP 77)",
    }
    assert "OPC 10000-100 Devices" in machines["MyMotionDeviceSystemType"].specifications
    tool, moulder = machines["Machines/MyMachineToolType"], machines["MyIMM_MES_InterfaceType"]
    assert tool.identification == {"manufacturer": "Acme", "serial_number": "SN-machine_tool"}
    assert moulder.identification == {"manufacturer": "Acme", "serial_number": "SN-plastics_imm2mes"}
