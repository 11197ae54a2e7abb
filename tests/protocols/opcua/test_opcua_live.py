"""The driver against one simulated server: limits, browsing, faults of single nodes, dead subscriptions."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_session import InternalSession

from protocols.errors import Malformed, Refused, Unreachable
from protocols.opcua.simulator import OpcuaSimulator
from protocols.opcua.subscription import _Subscription
from protocols.reading import BAD_NODE_ID_UNKNOWN, BAD_SENSOR_FAILURE, Value
from tests.protocols.opcua.opcua_stand import DEADLINE_S, NAMESPACE, Inbox, opened, point

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = [point(f"Line.Tag{number}") for number in range(230)]
TEMPERATURE = point("Barrel.Zone1.Temperature", unit="CEL", low=0, high=400.0, description="Barrel, zone 1")
SENSOR = point("Sensor")
LOG = point("Log")
CLOCK = point("Clock", "i=2258")
ABSENT = point("Absent")
ELSEWHERE = point("Elsewhere", "nsu=urn:test:elsewhere;s=Absent")


class Plant:
    """A running simulator with values the tests change; `reset` restores them."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.reset()
        self.simulator = OpcuaSimulator([*MANY, TEMPERATURE, SENSOR, LOG], lambda: self.values, tick_s=0.02)
        self.endpoint = ""

    def reset(self) -> None:
        self.values = {tag.name: float(number) for number, tag in enumerate(MANY)}
        self.values |= {TEMPERATURE.name: 21.5, SENSOR.name: 1.5, LOG.name: ""}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Plant]:
    plant = Plant()
    plant.endpoint = await plant.simulator.start()
    yield plant
    await plant.simulator.stop()


@pytest.fixture
def plant(running: Plant) -> Plant:
    running.reset()
    return running


def stricter_than_it_says(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Let the server refuse larger requests than `most`, though it announces 10,000; return the sizes it accepts."""
    sizes: list[int] = []

    def limited(name: str, items: str) -> None:
        original = getattr(InternalSession, name)

        async def call(self: InternalSession, parameters: Any) -> Any:
            size = len(getattr(parameters, items))
            if size > most:
                raise ServiceError(ua.StatusCodes.BadTooManyOperations)
            sizes.append(size)
            return await original(self, parameters)

        monkeypatch.setattr(InternalSession, name, call)

    limited("read", "NodesToRead")
    limited("create_monitored_items", "ItemsToCreate")
    return sizes


async def test_requests_shrink_to_what_the_server_takes(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = stricter_than_it_says(monkeypatch, 100)
    inbox = Inbox()
    async with opened(plant.endpoint) as driver:
        readings = await driver.read(MANY)
        await driver.subscribe(MANY, 0.1, inbox.deliver)
        latest = await inbox.until(lambda latest: len(latest) == len(MANY))
    assert [(reading.point, reading.value) for reading in readings] == [(p.name, plant.values[p.name]) for p in MANY]
    assert {name: reading.value for name, reading in latest.items()} == {p.name: plant.values[p.name] for p in MANY}
    assert max(sizes) <= 100


async def test_one_node_the_server_refuses_even_alone_is_refused(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(plant.endpoint) as driver:
        stricter_than_it_says(monkeypatch, 0)
        with pytest.raises(Refused, match="BadTooManyOperations"):
            await driver.read(MANY)


async def test_unknown_nodes_are_named_and_the_rest_flows(plant: Plant) -> None:
    points = [*MANY[:50], ABSENT, ELSEWHERE, *MANY[50:100]]
    inbox = Inbox()
    async with opened(plant.endpoint) as driver:
        read = {reading.point: reading for reading in await driver.read(points)}
        await driver.subscribe(points, 0.1, inbox.deliver)
        subscribed = await inbox.until(lambda latest: len(latest) == len(points))
    for latest in (read, subscribed):
        bad = {name: reading.quality for name, reading in latest.items() if not reading.quality.good}
        assert bad == {"Absent": BAD_NODE_ID_UNKNOWN, "Elsewhere": BAD_NODE_ID_UNKNOWN}


async def test_an_unknown_node_flows_once_the_server_has_it(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.opcua.subscription._RETRY_S", 0.0)
    late = point("Late", "nsu=urn:test:late;s=Late")
    inbox = Inbox()
    async with opened(plant.endpoint, keepalive_s=0.2) as driver:
        await driver.subscribe([late, TEMPERATURE], 0.1, inbox.deliver)
        await inbox.until(lambda latest: latest.keys() == {"Late", TEMPERATURE.name})
        watch = asyncio.create_task(driver.watch())
        server = plant.simulator._server
        index = await server.register_namespace("urn:test:late")
        await server.nodes.objects.add_variable(ua.NodeId("Late", index), "Late", 7.0)
        latest = await inbox.until(lambda latest: latest["Late"].quality.good)
        watch.cancel()
    assert latest["Late"].value == 7.0
    assert [reading.quality for reading in inbox.readings if reading.point == "Late"][:-1] == [BAD_NODE_ID_UNKNOWN]


async def test_a_broken_sensor_never_leaves_as_good(plant: Plant) -> None:
    inbox = Inbox()
    async with opened(plant.endpoint) as driver:
        await driver.subscribe([SENSOR], 0.1, inbox.deliver)
        await inbox.until(lambda latest: "Sensor" in latest and latest["Sensor"].value == 1.5)
        plant.values["Sensor"] = None
        await inbox.until(lambda latest: latest["Sensor"].quality == BAD_SENSOR_FAILURE)
        (read,) = await driver.read([SENSOR])
        plant.values["Sensor"] = 1.5
        await inbox.until(lambda latest: latest["Sensor"].quality.good)
    assert (read.value, read.quality) == (None, BAD_SENSOR_FAILURE)
    assert [reading.value for reading in inbox.readings] == [1.5, None, 1.5]


async def test_source_time_is_the_servers(plant: Plant) -> None:
    async with opened(plant.endpoint) as driver:
        first, clock = await driver.read([TEMPERATURE, CLOCK])
        again, _ = await driver.read([TEMPERATURE, CLOCK])
    assert first.source_time == again.source_time < again.arrival_time
    assert isinstance(clock.value, str)
    assert clock.value.endswith("Z")


async def test_polling_by_configuration_refuses_to_subscribe(plant: Plant) -> None:
    async with opened(plant.endpoint, mode="poll") as driver:
        with pytest.raises(Refused, match="poll"):
            await driver.subscribe([TEMPERATURE], 0.1, Inbox().deliver)
        (reading,) = await driver.read([TEMPERATURE])
    assert reading.value == 21.5


async def test_a_server_without_subscriptions_is_polled(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise ServiceError(ua.StatusCodes.BadServiceUnsupported)

    monkeypatch.setattr(InternalSession, "create_subscription", refuse)
    async with opened(plant.endpoint) as driver:
        with pytest.raises(Refused, match="subscription"):
            await driver.subscribe([TEMPERATURE], 0.1, Inbox().deliver)
        (reading,) = await driver.read([TEMPERATURE])
    assert reading.value == 21.5


async def test_a_silent_subscription_is_noticed_while_the_connection_lives(plant: Plant) -> None:
    inbox = Inbox()
    async with opened(plant.endpoint, keepalive_s=0.2, timeout_s=0.5) as driver:
        await driver.subscribe([TEMPERATURE], 0.1, inbox.deliver)
        await inbox.until(lambda latest: TEMPERATURE.name in latest)
        watch = asyncio.create_task(driver.watch())
        await plant.simulator.mute()
        with pytest.raises(Unreachable, match="silent"):
            await asyncio.wait_for(watch, DEADLINE_S)
        (reading,) = await driver.read([TEMPERATURE])
    assert reading.value == 21.5


async def test_keep_alives_are_life_where_nothing_changes(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[ua.NotificationMessage] = []
    original = _Subscription.take

    def count(self: _Subscription, message: ua.NotificationMessage) -> None:
        heard.append(message)
        original(self, message)

    monkeypatch.setattr(_Subscription, "take", count)
    async with opened(plant.endpoint, keepalive_s=0.2, publishing_s=0.05, timeout_s=0.3) as driver:
        await driver.subscribe([TEMPERATURE], 0.1, Inbox().deliver)
        watch = asyncio.create_task(driver.watch())
        async with asyncio.timeout(DEADLINE_S):
            while len(heard) < 12:  # several times the silence that counts as death
                await asyncio.sleep(0.02)
                assert not watch.done()
        watch.cancel()
    assert sum(1 for message in heard if not message.NotificationData) >= 10


async def test_an_endless_answer_is_malformed(plant: Plant) -> None:
    plant.values[LOG.name] = "x" * 5_000_000
    async with opened(plant.endpoint, timeout_s=10) as driver:

        async def until_it_is_written() -> None:
            while True:
                await driver.read([LOG])

        with pytest.raises(Malformed, match="BadRequestTooLarge"):
            await asyncio.wait_for(until_it_is_written(), DEADLINE_S)
    plant.reset()
    await plant.simulator.write_changes()


async def test_browse_tells_path_type_unit_and_address(plant: Plant) -> None:
    async with opened(plant.endpoint) as driver:
        found = {point.path: point async for point in driver.browse()}
    ours = [point for point in found.values() if NAMESPACE in point.address["node"]]
    assert len(ours) == len(MANY) + 3
    assert not any(path.startswith(("Server/", "Aliases/")) for path in found)
    temperature = found["Barrel/Zone1/Temperature"]
    assert temperature.address == {"node": f"nsu={NAMESPACE};s=Barrel.Zone1.Temperature"}
    assert (temperature.data_type, temperature.unit, temperature.value) == ("Double", "CEL", 21.5)
    assert (temperature.range, temperature.description) == ((0.0, 400.0), "Barrel, zone 1")
    assert (found["Line/Tag17"].unit, found["Line/Tag17"].range) == (None, None)


async def test_a_walk_is_bounded(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.opcua.browse.MAX_NODES", 20)
    async with opened(plant.endpoint) as driver:
        assert 0 < len([point async for point in driver.browse()]) < 20


async def test_every_change_of_every_item_arrives_in_order(plant: Plant) -> None:
    inbox = Inbox()
    rounds = [1000.0, 2000.0, 3000.0, 4000.0]
    names = [tag.name for tag in MANY]
    async with opened(plant.endpoint) as driver:
        await driver.subscribe(MANY, 0.1, inbox.deliver)
        await inbox.until(lambda latest: len(latest) == len(names))
        for value in rounds:
            plant.values |= dict.fromkeys(names, value)
            await inbox.until(lambda latest, value=value: {latest[name].value for name in names} == {value})
    arrived: dict[str, list[Value]] = {name: [] for name in names}
    for reading in inbox.readings:
        arrived[reading.point].append(reading.value)
    assert {name: values[1:] for name, values in arrived.items()} == dict.fromkeys(names, rounds)


async def test_normal_operation_logs_nothing(plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    inbox = Inbox()
    caplog.set_level(logging.INFO)
    async with opened(plant.endpoint) as driver:
        await driver.read([*MANY, ABSENT])
        await driver.subscribe([*MANY, ABSENT], 0.1, inbox.deliver)
        await inbox.until(lambda latest: len(latest) == len(MANY) + 1)
    with socket.socket() as taken:  # bound, not listening: nobody else can answer on this port
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable):
            async with opened(f"opc.tcp://127.0.0.1:{taken.getsockname()[1]}"):
                pass
    assert caplog.records == []
