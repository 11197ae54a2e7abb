"""Commands: what is sent for a value, and what is made of the device's answer, through a real broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from protocols.errors import ConfigError, Refused, Unreachable
from protocols.mqtt.config import MqttPoint
from protocols.mqtt.edge_node import EdgeNode
from protocols.mqtt.link import Link
from protocols.mqtt.simulator import MqttSimulator
from protocols.mqtt.sparkplug import DataType, decode_payload, encode_payload, metric_value, value_metric
from protocols.mqtt.writing import command_message, command_payload, commanded_value
from protocols.reading import Value
from tests.protocols.mqtt.mqtt_stand import (
    DEADLINE_S,
    connection,
    heard,
    needs_mosquitto,
    opened,
    point,
    publishing,
    running,
)

RANGE = {"min": -100, "max": 100}
SPEED = point(
    "speed",
    topic="fan/state",
    value="speed",
    scale=0.1,
    command_topic="fan/set",
    command='{"speed": {value}}',
    write=RANGE,
    confirm_s=0.3,
)
RELAY = point(
    "relay", topic="r/state", value="POWER", command_topic="r/cmnd", command="{text}", write={"values": ["ON", "OFF"]}
)
NODE = point("limit", sparkplug="g/n", metric="Limit", write=RANGE, confirm_s=0.3)
DEVICE = point("run", sparkplug="g/n/d", metric="Run", write={"values": [True, False]})
ALL: Mapping[str, tuple[MqttPoint, Value, Value]] = {
    "json": (SPEED.model_copy(update={"confirm_s": 20.0}), 10.5, -20.1),
    "text": (RELAY, "OFF", "ON"),
    "node": (NODE.model_copy(update={"confirm_s": 20.0}), 1.5, 2.5),
    "device": (DEVICE, False, True),
}


@pytest.mark.parametrize(
    ("fields", "value", "message"),
    [
        ({}, 21.5, b"21.5"),
        ({}, 6.0, b"6"),
        ({}, True, b"true"),
        ({}, "A1", b'"A1"'),
        ({"command": "{text}"}, "ON", b"ON"),
        ({"command": "{text}"}, False, b"false"),
        ({"command": '{"zones": [{"sp": {value}}]}', "scale": 0.1}, 20.1, b'{"zones": [{"sp": 201}]}'),
        ({"command": '{"sp": "{text}"}', "scale": 2.0, "offset": 1.0}, 2.0, b'{"sp": "0.5"}'),
        ({"codes": {5: 3}}, 3, b"5"),
    ],
)
def test_a_command_is_as_the_point_says(fields: dict[str, Any], value: Value, message: bytes) -> None:
    sent = point("p", command_topic="c", **fields)
    assert command_message(sent, value) == message
    raw = commanded_value(sent, message)
    assert sent.engineering(raw) == value or raw == str(value).lower()


def test_a_code_the_device_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="no code for 4"):
        command_message(point("p", command_topic="c", codes={5: 3}), 4)


@pytest.mark.parametrize("aliased", [True, False])
def test_a_sparkplug_command_is_in_the_type_of_the_birth(aliased: bool) -> None:
    kinds = {DataType.INT16: -5, DataType.FLOAT: 1.5, DataType.BOOLEAN: True, DataType.STRING: "A1"}
    points = {kind: point(kind.name, sparkplug="g/n/d", metric=kind.name) for kind in kinds}
    node = EdgeNode("g/n", list(points.values()))
    with pytest.raises(Refused, match="does not offer 'INT16'"):
        command_payload("fan", node, points[DataType.INT16], -5)
    born = [value_metric(k.name, k.value if aliased else None, k, v, 1) for k, v in kinds.items()]
    node.take("NBIRTH", "", encode_payload(1, 0, []), 1)
    node.take("DBIRTH", "d", encode_payload(1, 1, born), 1)
    for kind, value in kinds.items():
        payload = decode_payload(command_payload("fan", node, points[kind], value))
        (metric,) = payload.metrics
        assert payload.seq is None
        assert (metric.name, metric.alias) == ((None, kind.value) if aliased else (kind.name, None))
        assert metric_value(metric, metric.data_type or 0)[0] == value
    for kind, value in ((DataType.INT16, 1.5), (DataType.INT16, 40000), (DataType.FLOAT, 1e39), (DataType.BOOLEAN, 2)):
        with pytest.raises(ConfigError, match=f"the metric is of type {kind.name}"):
            command_payload("fan", node, points[kind], value)
    node.take("NDEATH", "", encode_payload(1, None, []), 1)
    with pytest.raises(Refused, match="see whether the node is connected"):
        command_payload("fan", node, points[DataType.INT16], -5)


@needs_mosquitto
async def test_a_device_takes_a_command_and_shows_it() -> None:
    """Each manner at one simulated device; what its own rule does not allow it does not take, and says so by silence."""
    points = [each for each, _, _ in ALL.values()]
    values = {each.name: before for each, before, _ in ALL.values()}
    simulator = MqttSimulator(points, lambda: values, tick_s=0.02)
    port = int((await simulator.start()).rpartition(":")[2])
    try:
        async with opened(port, points) as driver, publishing(port, "#") as (_, everything):
            await driver.read(points)
            for each, before, wanted in ALL.values():
                assert (await driver.read([each]))[0].value == before
                await driver.write(each, wanted)
                assert (await driver.read([each]))[0].value == wanted
            assert len(heard(everything, "fan/set")) == len(heard(everything, "r/cmnd")) == 1
            assert len(heard(everything, "spBv1.0/g/DCMD/n/d")) == 1
            greedy = NODE.model_copy(update={"write": NODE.write.model_copy(update={"max": 900})})  # type: ignore[union-attr]
            with pytest.raises(
                Unreachable, match=r"has taken the command; 'limit' was not heard of within 0\.3 s since"
            ):
                await driver.write(greedy, 800.0)
            assert (await driver.read([greedy]))[0].value == 2.5
    finally:
        await simulator.stop()


@needs_mosquitto
@pytest.mark.parametrize("answer", [{"speed": 300}, None, {"other": 1}, {"speed": None}])
async def test_only_what_is_heard_after_the_command_counts(answer: dict[str, int | None] | None) -> None:
    """A retained state that is as wanted already proves nothing; a device that shows another value is believed."""
    async with running() as broker:
        device: Link

        def take(_: object) -> None:
            if answer is not None:
                device.publish("fan/state", json.dumps(answer).encode())

        device = Link("fan", connection(broker.port), take)
        await device.open()
        await device.subscribe(["fan/set"])
        device.publish("fan/state", b'{"speed": 205}', retain=True)
        await device.ping()
        async with opened(broker.port, [SPEED]) as driver:
            assert (await driver.read([SPEED]))[0].value == 20.5
            if answer == {"speed": 300}:
                await driver.write(SPEED, 20.5)
                assert (await driver.read([SPEED]))[0].value == 30.0
            else:
                with pytest.raises(Unreachable, match="'speed' was not heard of"):
                    await driver.write(SPEED, 20.5)
        await device.close()


@needs_mosquitto
async def test_a_broker_that_passes_it_to_nobody_is_refused_and_one_that_goes_leaves_it_open() -> None:
    async with running() as broker:
        async with opened(broker.port, [SPEED], version="5", timeout_s=0.3) as driver:
            with pytest.raises(Refused, match="does not pass on fan/set: No matching subscribers"):
                await driver.write(SPEED, 5.0)
        slow = SPEED.model_copy(update={"confirm_s": 60.0})
        async with publishing(broker.port, "fan/set") as (_, commands), opened(broker.port, [slow]) as driver:
            writing = asyncio.create_task(driver.write(slow, 5.0))
            await commands.until(lambda: bool(commands.items))
            await broker.stop()
            with pytest.raises(Unreachable, match="closed the connection"):
                await asyncio.wait_for(writing, DEADLINE_S)
