"""Publishes points over real MQTT, for tests, demos and training."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

import msgspec

from protocols.dictionary.entries import load_dictionary
from protocols.errors import ConfigError, SunmaoError
from protocols.mqtt.broker import Broker
from protocols.mqtt.codec import measured, write_time
from protocols.mqtt.config import JsonPath, MqttConnection, MqttPoint
from protocols.mqtt.link import Link, Message
from protocols.mqtt.node_session import NodeSession
from protocols.mqtt.sparkplug import ENTRY_TYPES, DataType, Metric, metric_value, value_metric
from protocols.mqtt.writing import commanded_value
from protocols.reading import GOOD, Value, now_us
from protocols.text import Text

_PING_S = 10.0
_CONVERSIONS: Mapping[DataType, Callable[[Any], Value]] = {
    DataType.BOOLEAN: bool,
    DataType.INT64: round,
    DataType.DOUBLE: float,
    DataType.STRING: str,
}


class MqttSimulator:
    """A device that exists in software only, with a broker of its own unless one is given.

    JSON topics are published when a value in them has changed, and retained. Sparkplug nodes give birth at the start and
    when asked to, send what has changed under its alias, and leave their death with the broker. A value of None is
    null. A point with a `write` rule takes what is commanded within the rule, and keeps it from then on.

    Args:
        points: what to publish.
        values: gives the present engineering values by point name, at each tick.
        port: of the broker it starts on 127.0.0.1; 0 takes a free one.
        tick_s: seconds between two calls of `values`.
        broker: "host:port" of a broker to publish to, instead of its own.
    """

    def __init__(
        self,
        points: Sequence[MqttPoint],
        values: Callable[[], Mapping[str, Value]],
        *,
        port: int = 0,
        tick_s: float = 1.0,
        broker: str | None = None,
    ) -> None:
        self._values = values
        self._port = port
        self._tick_s = tick_s
        self._given = broker
        self._broker: Broker | None = None
        self._ticking: asyncio.Task[None] | None = None
        topics: dict[str, list[MqttPoint]] = defaultdict(list)
        nodes: dict[str, list[MqttPoint]] = defaultdict(list)
        for point in points:
            if point.topic is not None:
                topics[point.topic].append(point)
            else:
                nodes["/".join((point.sparkplug or "").split("/")[:2])].append(point)
        # One connection each: a node's death is the will of its own connection.
        self._held: dict[str, Value] = {}
        self._publishers: list[_Topics | _Node] = [_Node(name, its, self._hold) for name, its in nodes.items()]
        self._publishers += [_Topics(topics, self._hold)] if topics else []

    async def start(self) -> str:
        """Start the broker and publish; returns "host:port". Raises ConfigError if the port or a value cannot be used."""
        address = self._given
        if address is None:
            self._broker = Broker(self._port)
            await self._broker.start()
            address = f"127.0.0.1:{self._broker.port}"
        host, _, port = address.rpartition(":")
        connection = MqttConnection.model_validate(
            {"host": host, "port": int(port), "security": "none", "timeout_s": 10.0}
        )
        try:
            values = self._present()
            for publisher in self._publishers:
                await publisher.start(connection, values)
        except BaseException:
            await self.stop()
            raise
        self._ticking = asyncio.create_task(self._tick(), name="mqtt-simulator")
        return address

    async def stop(self) -> None:
        """Leave the broker without a word, as a device does that loses its power, and end the simulator's own."""
        ticking, self._ticking = self._ticking, None
        if ticking is not None:
            ticking.cancel()
            with suppress(asyncio.CancelledError, SunmaoError):
                await ticking
        for publisher in self._publishers:
            await publisher.stop()
        broker, self._broker = self._broker, None
        if broker is not None:
            await broker.stop()

    def _present(self) -> Mapping[str, Value]:
        return {**self._values(), **self._held} if self._held else self._values()

    def _hold(self, point: MqttPoint, raw: Any) -> None:
        """Take a command, as a device does: what its rule does not allow changes nothing."""
        value = measured(point, raw, GOOD, 0, 0).value
        if point.write is not None and point.write.allows(value):
            self._held[point.name] = value

    async def _tick(self) -> None:
        due = 0.0
        while True:
            await asyncio.sleep(self._tick_s)
            values, now = self._present(), time.monotonic()
            for publisher in self._publishers:
                publisher.publish(values)
                if now >= due:
                    await publisher.ping()  # a broker drops who says nothing while nothing changes
            due = now + _PING_S if now >= due else due


Hold = Callable[[MqttPoint, Any], None]
Connected = TypeVar("Connected", Link, NodeSession)


class _Publisher(Generic[Connected]):
    """One connection of the simulated device."""

    def __init__(self) -> None:
        self._link: Connected | None = None

    async def ping(self) -> None:
        if self._link is not None:
            await self._link.ping()

    async def stop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.drop()


class _Topics(_Publisher[Link]):
    """All JSON topics."""

    def __init__(self, topics: Mapping[str, Sequence[MqttPoint]], hold: Hold) -> None:
        super().__init__()
        self._topics = topics
        self._hold = hold
        self._commands: dict[str, list[MqttPoint]] = defaultdict(list)
        for points in topics.values():
            for point in points:
                if point.command_topic is not None:
                    self._commands[point.command_topic].append(point)
        self._sent: dict[str, list[Value]] = {}

    async def start(self, connection: MqttConnection, values: Mapping[str, Value]) -> None:
        self._sent = {}
        self._link = Link("simulator", connection, self._take)
        await self._link.open()
        await self._link.subscribe(list(self._commands))
        self.publish(values)
        await self._link.ping()  # the broker has it all

    def publish(self, values: Mapping[str, Value]) -> None:
        if self._link is None:
            return
        for topic, points in self._topics.items():
            present = [_raw(point, values.get(point.name)) for point in points]
            if present != self._sent.get(topic):
                self._sent[topic] = present
                self._link.publish(topic, _message(points, present, now_us()), retain=True)

    def _take(self, messages: Sequence[Message]) -> None:
        for topic, payload, _ in messages:
            for point in self._commands.get(topic, ()):
                with suppress(ValueError):
                    self._hold(point, commanded_value(point, payload))


class _Node(_Publisher[NodeSession]):
    """One Sparkplug edge node and its devices."""

    def __init__(self, name: str, points: Sequence[MqttPoint], hold: Hold) -> None:
        super().__init__()
        self._hold = hold
        self._group, _, self._node = name.partition("/")
        self._points = {point.name: (alias, point) for alias, point in enumerate(points, start=1)}
        self._devices: dict[str, list[str]] = {"": []}
        for point in points:
            self._devices.setdefault((point.sparkplug or "").removeprefix(name).removeprefix("/"), []).append(
                point.name
            )
        self._types: dict[str, DataType] = {}
        self._sent: dict[str, Value] = {}
        self._sessions = 0

    async def start(self, connection: MqttConnection, values: Mapping[str, Value]) -> None:
        self._sessions += 1
        self._types = {name: _type_of(point, values.get(name)) for name, (_, point) in self._points.items()}
        self._link = session = NodeSession(
            "simulator", connection, self._group, self._node, self._sessions, commanded=self._take
        )
        await session.open()
        self._give_birth(session, values)
        await session.ping()

    def publish(self, values: Mapping[str, Value]) -> None:
        session = self._link
        if session is None:
            return
        if session.wants_birth:
            self._give_birth(session, values)
        for device, names in self._devices.items():
            changed = [name for name in names if self._value(name, values) != self._sent[name]]
            if changed:
                session.data(device, [self._metric(name, values, named=False) for name in changed])

    def _take(self, device: str, metrics: Sequence[Metric]) -> None:
        for metric in metrics:
            for name in self._devices.get(device, ()):
                alias, point = self._points[name]
                if metric.alias == alias or metric.name == point.metric:
                    self._hold(point, metric_value(metric, self._types[name])[0])

    def _give_birth(self, session: NodeSession, values: Mapping[str, Value]) -> None:
        for device, names in self._devices.items():
            metrics = [self._metric(name, values, named=True) for name in names]
            if device:
                session.device_birth(device, metrics)
            else:
                session.node_birth(metrics)

    def _metric(self, name: str, values: Mapping[str, Value], *, named: bool) -> Metric:
        alias, point = self._points[name]
        value = self._sent[name] = self._value(name, values)
        metric = value_metric(point.metric or "", alias, self._types[name], value, now_us() // 1000)
        return metric if named else metric._replace(name=None, data_type=None)

    def _value(self, name: str, values: Mapping[str, Value]) -> Value:
        value = _raw(self._points[name][1], values.get(name))
        return None if value is None else _CONVERSIONS[self._types[name]](value)


def _raw(point: MqttPoint, value: Value) -> Value:
    """Return what the device sends for the engineering value `value`."""
    if value is None or isinstance(value, (bool, str)):
        return value
    try:
        raw = point.raw(value)
    except ValueError:  # a code the device does not have
        return None
    return int(raw) if isinstance(value, int) and float(raw).is_integer() else raw


def _type_of(point: MqttPoint, value: Value) -> DataType:
    """Return the type a device would use: as the dictionary says of the property, else as the value is."""
    if point.property is not None:
        kind = ENTRY_TYPES[load_dictionary().entry(point.property).data_type]
    elif isinstance(value, bool):
        kind = DataType.BOOLEAN
    elif isinstance(value, str):
        kind = DataType.STRING
    else:
        kind = DataType.INT64 if isinstance(value, int) else DataType.DOUBLE
    scaled = point.scale != 1.0 or point.offset != 0.0
    return DataType.DOUBLE if scaled and kind is DataType.INT64 else kind


def _message(points: Sequence[MqttPoint], values: Sequence[Value], now: int) -> bytes:
    """Return the JSON message of one topic."""
    message: dict[str, Any] = {}
    for point, value in zip(points, values, strict=True):
        value_path, time_path, quality_path = point.paths
        said = str(value) if point.numeric_text and isinstance(value, (int, float)) else value
        message = _put(message, value_path, said)
        if time_path is not None:
            message = _put(message, time_path, write_time(now, point.time_format))
        if quality_path is not None:
            message = _put(message, quality_path, point.good[0])
    return msgspec.json.encode(message)


def _put(message: Any, path: JsonPath, value: object) -> Any:
    """Return `message` with `value` at `path`; keys that are numbers make lists."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if key.isdigit() and (not message or isinstance(message, list)):
        index = int(key)
        if index > 1000:
            raise ConfigError(Text(f"a list of {index} places", f"列表过长（{index}）"), key="value")
        listed = list(message or []) + [None] * (index + 1 - len(message or []))
        listed[index] = _put(listed[index], rest, value)
        return listed
    return {**(message or {}), key: _put((message or {}).get(key), rest, value)}
