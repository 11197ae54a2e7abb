"""Against Debian's mosquitto: what is published arrives, what breaks is told, and nobody else suffers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest

from protocols.errors import ConfigError, Unreachable
from protocols.mqtt.broker import Broker
from protocols.mqtt.edge_node import REBIRTH
from protocols.mqtt.simulator import MqttSimulator
from protocols.mqtt.sparkplug import DataType, decode_payload, encode_payload, value_metric
from protocols.reading import (
    BAD_DECODING_ERROR,
    BAD_NO_COMMUNICATION,
    BAD_WAITING_FOR_INITIAL_DATA,
    GOOD,
    Value,
    now_us,
)
from tests.protocols.mqtt.mqtt_stand import (
    DEADLINE_S,
    Inbox,
    heard,
    needs_mosquitto,
    opened,
    point,
    publishing,
    running,
)

pytestmark = needs_mosquitto


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    async with running() as broker:
        yield broker


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_every_message_arrives_in_order(broker: Broker, version: str) -> None:
    inbox = Inbox()
    async with opened(broker.port, [point("n")], version=version) as driver, publishing(broker.port) as (link, _):
        await driver.subscribe([point("n")], 1.0, inbox.deliver)
        for number in range(5000):
            link.publish("t/n", b"%d" % number)
        await inbox.until(lambda: len(inbox.items) >= 5000)
    assert [reading.value for reading in inbox.items] == list(range(5000))


async def test_a_broken_message_spoils_its_own_topic_only(broker: Broker) -> None:
    points = [point("a"), point("b"), point("s", sparkplug="g/n", metric="s")]
    inbox = Inbox()
    async with opened(broker.port, points) as driver, publishing(broker.port) as (link, _):
        await driver.subscribe(points, 1.0, inbox.deliver)
        link.publish("t/a", b"\xff\x00{")
        link.publish("spBv1.0/g/NBIRTH/n", b"\xff")
        link.publish("t/b", b"7")
        await inbox.until(lambda: "b" in inbox.latest())
        latest = inbox.latest()
        assert [latest[name].quality for name in "asb"] == [BAD_DECODING_ERROR, BAD_DECODING_ERROR, GOOD]
        link.publish("t/a", b"8")
        await inbox.until(lambda: inbox.latest()["a"].value == 8)


async def test_retained_messages_are_the_present_values(broker: Broker) -> None:
    timed = point("timed", value="v", time="t", time_format="ms")
    async with publishing(broker.port) as (link, _):
        link.publish("t/timed", json.dumps({"v": 1, "t": 1_767_571_200_000}).encode(), retain=True)
        link.publish("t/plain", b"2", retain=True)
        await link.ping()
    before = now_us()
    async with opened(broker.port, [timed, point("plain")]) as driver:
        first, second = await driver.read([timed, point("plain")])
    assert (first.value, first.source_time) == (1, 1_767_571_200_000_000)
    assert second.value == 2
    assert before <= second.source_time == second.arrival_time <= now_us()


async def test_a_group_that_subscribes_later_gets_the_present_values(broker: Broker) -> None:
    points = [point("a", topic="t", value="a"), point("b", topic="t", value="b")]
    first, second = Inbox(), Inbox()
    async with opened(broker.port, points) as driver, publishing(broker.port) as (link, _):
        await driver.subscribe(points[:1], 1.0, first.deliver)
        link.publish("t", b'{"a": 1, "b": 2}')
        await first.until(lambda: bool(first.items))
        await driver.subscribe(points[1:], 2.0, second.deliver)
        assert [reading.value for reading in second.items] == [2]
        link.publish("t", b'{"a": 3, "b": 4}')
        await second.until(lambda: len(second.items) == 2)
    assert [reading.value for reading in first.items] == [1, 3]
    assert [reading.value for reading in second.items] == [2, 4]


async def test_a_silent_broker_and_a_silent_device_are_noticed(broker: Broker) -> None:
    points = [point("speaks"), point("never")]
    inbox = Inbox()
    async with opened(broker.port, points, timeout_s=0.2, stale_s=0.4) as driver, publishing(broker.port) as (link, _):
        await driver.subscribe(points, 1.0, inbox.deliver)
        watch = asyncio.create_task(driver.watch())
        link.publish("t/speaks", b"1")
        await inbox.until(
            lambda: [r.quality for r in inbox.items if r.point == "speaks"] == [GOOD, BAD_NO_COMMUNICATION]
        )
        assert [r.quality for r in inbox.items if r.point == "never"] == [BAD_WAITING_FOR_INITIAL_DATA]
        link.publish("t/speaks", b"2")
        await inbox.until(lambda: inbox.latest()["speaks"].value == 2)
        await broker.stop()
        with pytest.raises(Unreachable, match=f"127.0.0.1:{broker.port}"):
            await asyncio.wait_for(watch, DEADLINE_S)


async def test_a_broker_that_restarts_is_lost_and_found(broker: Broker) -> None:
    values: dict[str, Value] = {"n": 1}
    async with opened(broker.port, [point("n")]) as driver:
        inbox = Inbox()
        await driver.subscribe([point("n")], 1.0, inbox.deliver)
        await broker.stop()
        with pytest.raises(Unreachable):
            await asyncio.wait_for(driver.watch(), DEADLINE_S)
        with pytest.raises(Unreachable):
            await driver.read([point("n")])
    simulator = MqttSimulator([point("n")], lambda: values, port=broker.port, tick_s=0.02)
    await simulator.start()
    async with opened(broker.port, [point("n")]) as driver:
        assert (await driver.read([point("n")]))[0].value == 1
    await simulator.stop()


async def test_a_sparkplug_node_is_asked_for_its_birth_followed_and_mourned(broker: Broker) -> None:
    points = [point("a", sparkplug="g/n", metric="A"), point("b", sparkplug="g/n/d", metric="B")]
    values: dict[str, Value] = {"a": 1, "b": 2.5}
    simulator = MqttSimulator(points, lambda: values, tick_s=0.02, broker=f"127.0.0.1:{broker.port}")
    await simulator.start()
    inbox = Inbox()
    async with publishing(broker.port, "spBv1.0/g/NCMD/#") as (link, commands), opened(broker.port, points) as driver:
        # The birth was before us: without asking for another one nothing of the node could be understood.
        await driver.subscribe(points, 1.0, inbox.deliver)
        await inbox.until(lambda: {n: r.value for n, r in inbox.latest().items()} == {"a": 1, "b": 2.5})
        (asked,) = heard(commands, "spBv1.0/g/NCMD/n")
        assert [(m.name, m.raw) for m in decode_payload(asked.payload).metrics] == [(REBIRTH, 1)]
        values = {"a": -7, "b": None}
        await inbox.until(lambda: inbox.latest()["a"].value == -7 and inbox.latest()["b"].value is None)
        past = value_metric("A", None, DataType.INT64, 5, 1_767_571_200_000)._replace(historical=True)
        link.publish("spBv1.0/g/NDATA/n", encode_payload(0, None, [past]))
        await inbox.until(lambda: inbox.latest()["a"].value == 5)
        assert [reading.value for reading in await driver.read(points)] == [-7, None]
        await simulator.stop()
        await inbox.until(lambda: inbox.latest()["a"].quality == BAD_NO_COMMUNICATION)
        assert inbox.latest()["b"].quality == BAD_NO_COMMUNICATION
        assert len(commands.items) == 1


async def test_nothing_is_ever_published_without_leave(broker: Broker) -> None:
    points = [point("a", sparkplug="g/n", metric="A"), point("j")]
    async with publishing(broker.port, "#") as (link, everything):
        async with opened(broker.port, points, rebirth=False, timeout_s=0.2) as driver:
            readings = await driver.read(points)
        assert {reading.quality for reading in readings} == {BAD_WAITING_FOR_INITIAL_DATA}
        link.publish("end", b"")
        await everything.until(lambda: bool(everything.items))
        assert [message.topic for message in everything.items] == ["end"]


async def test_normal_operation_logs_nothing(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with publishing(broker.port) as (link, _), opened(broker.port, [point("n")]) as driver:
            link.publish("t/n", b"1", retain=True)
            assert (await driver.read([point("n")]))[0].value == 1
    assert [record for record in caplog.records if record.name != "asyncio"] == []


async def test_the_simulator_names_what_it_lacks(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=f"port: mosquitto does not start on port {broker.port}"):
        await MqttSimulator([point("n")], dict, port=broker.port).start()
    monkeypatch.setattr("protocols.mqtt.broker.find_mosquitto", lambda: None)
    with pytest.raises(ConfigError, match="needs the broker mosquitto - install it: apt-get install mosquitto"):
        await MqttSimulator([point("n")], dict).start()


async def test_a_hundred_and_one_topics_are_asked_for_in_two_requests(broker: Broker) -> None:
    points = [point(f"p{number}") for number in range(101)]
    async with publishing(broker.port) as (link, _), opened(broker.port, points) as driver:
        for each in points:
            link.publish(f"t/{each.name}", b"1", retain=True)
        await link.ping()
        assert {reading.value for reading in await driver.read(points)} == {1}
