"""The MQTT driver: listens to topics of a broker and gives each point what was said of it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import ClassVar

from protocols.driver import BrowsedPoint, Deliver
from protocols.errors import Refused, SunmaoError, Unreachable
from protocols.mqtt.browse import LISTEN_S, Survey
from protocols.mqtt.codec import read_json
from protocols.mqtt.config import MqttConnection, MqttPoint
from protocols.mqtt.edge_node import NAMESPACE, REBIRTH, EdgeNode, Heard
from protocols.mqtt.link import Link, Message
from protocols.mqtt.sparkplug import DataType, encode_payload, value_metric
from protocols.mqtt.writing import command_message, command_payload
from protocols.reading import (
    BAD_CONFIGURATION_ERROR,
    BAD_NO_COMMUNICATION,
    BAD_WAITING_FOR_INITIAL_DATA,
    Reading,
    Value,
    now_us,
    same_value,
)
from protocols.text import Text

EVERYTHING = "#"
REBIRTH_S = 10.0
"""Shortest time between two requests for the birth certificate of one node, in seconds."""


class MqttDriver:
    """Listens to one broker. See `protocols.driver.Driver` for the promises.

    A device on MQTT speaks when it likes: `read` waits for points unheard of until `timeout_s` after they were first
    asked for, and otherwise gives what was last heard, with the times it was heard with. Published are only the request
    that a Sparkplug node send its birth certificate, and the commands a person writes.
    """

    Connection: ClassVar[type[MqttConnection]] = MqttConnection
    Point: ClassVar[type[MqttPoint]] = MqttPoint
    subscribes: ClassVar[bool] = True

    def __init__(self, device: str, connection: MqttConnection, points: Sequence[MqttPoint]) -> None:
        self._device = device
        self._connection = connection
        self._link: Link | None = None
        self._topics: dict[str, list[MqttPoint]] = defaultdict(list)
        by_node: dict[str, list[MqttPoint]] = defaultdict(list)
        for point in points:
            if point.topic is not None:
                self._topics[point.topic].append(point)
            else:
                by_node[_node_of(point)].append(point)
        self._nodes = {name: EdgeNode(name, its) for name, its in by_node.items()}
        self._asked_birth: dict[str, float] = {}
        self._filters: set[str] = set()
        self._latest: dict[str, Reading] = {}
        self._heard: dict[str, float] = {}
        self._deliver: dict[str, Deliver] = {}
        self._initial_until: dict[str, float] = {}
        self._survey: Survey | None = None

    async def open(self) -> None:
        """Connect and log in."""
        self._link = link = Link(self._device, self._connection, self._take)
        await link.open()

    async def read(self, points: Sequence[MqttPoint]) -> list[Reading]:
        """Return the latest reading of each of `points`; BadWaitingForInitialData where nothing was heard yet."""
        link = self._opened()
        await self._listen(points)
        while (left := self._silent_for(points)) > 0:
            link.news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await link.news.wait()
            link.check()
        await link.ping()
        self._expire()
        now = now_us()
        return [
            self._latest.get(point.name) or Reading(point.name, None, BAD_WAITING_FOR_INITIAL_DATA, now, now)
            for point in points
        ]

    async def subscribe(self, points: Sequence[MqttPoint], period_s: float, deliver: Deliver) -> None:
        """Have what is heard of `points` delivered as it comes; how often is the publisher's choice."""
        known = [self._latest[point.name] for point in points if point.name in self._latest]
        for point in points:
            self._deliver[point.name] = deliver
        if known:
            deliver(known)
        await self._listen(points)

    async def watch(self) -> None:
        """Wait while the broker lives. Points not heard of in time, or not any more, are delivered as bad once."""
        link, connection = self._opened(), self._connection
        tick = min(link.keepalive_s / 2, connection.timeout_s, (connection.stale_s or 60.0) / 4)
        ping_at = 0.0
        while True:
            await link.lost(tick)
            now = time.monotonic()
            if now >= ping_at:
                await link.ping()
                ping_at = now + link.keepalive_s / 2
            self._expire()
            self._ask_births()

    async def browse(self) -> AsyncIterator[BrowsedPoint]:
        """Listen to everything the broker lets this user hear for `LISTEN_S`, and yield what values were in it.

        Sparkplug nodes whose birth certificate was missed are asked for it, where `rebirth` allows that.
        """
        link = self._opened()
        self._survey = survey = Survey()
        try:
            if await link.subscribe([EVERYTHING]):
                raise Refused(
                    Text("the broker does not let us listen to all topics", "MQTT 服务器不允许订阅全部主题"),
                    Text(
                        "allow this user to read #, or take topics and metrics from the device's manual",
                        "请为该用户开放 # 的订阅权限，或从设备手册中查找主题与指标",
                    ),
                    key=self._device,
                )
            end = time.monotonic() + LISTEN_S
            while (left := end - time.monotonic()) > 0:
                await link.lost(min(left, 0.5))
                for node in sorted(survey.unborn - self._asked_birth.keys()) if self._connection.rebirth else ():
                    self._ask_birth(EdgeNode(node, ()))
                for point in survey.news():
                    yield point
            for point in survey.news():
                yield point
        finally:
            self._survey = None

    async def write(self, point: MqttPoint, value: Value) -> None:
        """Command `value` once, and wait until the device shows it, or, when `confirm_s` is over, has shown another.

        The state topic or the metric is listened to before anything is sent. Raises Unreachable where the device has
        shown nothing since, and else as the contract says.
        """
        point.check_write(value)
        link = self._opened()
        await self._listen([point])
        if point.command_topic is not None:
            message = command_message(point, value)
            sent = time.monotonic()
            await link.deliver(point.command_topic, message)
        else:
            node = self._nodes[_node_of(point)]
            payload = command_payload(self._device, node, point, value)
            sent = time.monotonic()
            link.publish(node.command_topic_of(point), payload)  # Sparkplug wants it at most once (6.4.22, 6.4.24)
            await link.ping()
        end = sent + point.confirm_s
        while True:
            latest = self._latest.get(point.name) if self._heard.get(point.name, 0.0) > sent else None
            shown = None if latest is None else latest.value  # a device that has died shows nothing
            if shown is not None and same_value(shown, value):
                return
            link.news.clear()
            if (left := end - time.monotonic()) <= 0:
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await link.news.wait()
            link.check()
        if shown is None:
            raise Unreachable(
                Text(
                    f"the broker has taken the command; '{point.name}' was not heard of within {point.confirm_s:g} s since",
                    f"服务器已接收命令；此后 {point.confirm_s:g} 秒内未收到“{point.name}”的状态",
                ),
                key=self._device,
            )

    async def close(self) -> None:
        """Let go of the broker."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def _opened(self) -> Link:
        if self._link is None:
            address = self._connection.address
            raise Unreachable(Text(f"not connected to {address}", f"尚未连接 {address}"), key=self._device)
        return self._link

    async def _listen(self, points: Sequence[MqttPoint]) -> None:
        filters = {self._filter(point): point for point in points}
        new = [topic for topic in filters if topic not in self._filters]
        if new:
            refused = await self._opened().subscribe(new, self._connection.qos)
            self._filters.update(new)
            until = time.monotonic() + self._connection.timeout_s
            now = now_us()
            for point in points:
                if self._filter(point) in refused:
                    self._hear([Heard(Reading(point.name, None, BAD_CONFIGURATION_ERROR, now, now))])
                elif self._filter(point) in new:
                    self._initial_until[point.name] = until
            self._ask_births()

    def _filter(self, point: MqttPoint) -> str:
        return point.topic if point.topic is not None else self._nodes[_node_of(point)].filter

    def _silent_for(self, points: Sequence[MqttPoint]) -> float:
        """Return for how many seconds a point of `points` that was not heard of yet is still to be waited for."""
        ends = [self._initial_until.get(point.name, 0.0) for point in points if point.name not in self._latest]
        return max(ends, default=0.0) - time.monotonic()

    def _take(self, messages: Sequence[Message]) -> None:
        """Take messages that came together."""
        if self._survey is not None:
            self._survey.take(messages)
        found: list[Heard] = []
        for topic, payload, arrival in messages:
            points = self._topics.get(topic)
            if points is not None:
                found += [Heard(reading) for reading in read_json(points, payload, arrival)]
            parts = topic.split("/")
            if parts[0] == NAMESPACE and len(parts) in (4, 5):
                node = self._nodes.get(f"{parts[1]}/{parts[3]}")
                if node is not None:
                    found += node.take(parts[2], "".join(parts[4:]), payload, arrival)
        self._hear(found)
        with suppress(SunmaoError):  # a link that has ended says so to whoever waits for it
            self._ask_births()

    def _hear(self, found: Sequence[Heard]) -> None:
        """Keep what was heard, and deliver it in the order it came."""
        now = time.monotonic()
        batches: dict[Deliver, list[Reading]] = defaultdict(list)
        for reading, historical in found:
            if not historical:
                self._latest[reading.point] = reading
                self._heard[reading.point] = now
            if deliver := self._deliver.get(reading.point):
                batches[deliver].append(reading)
        for deliver, readings in batches.items():
            deliver(readings)

    def _expire(self) -> None:
        """Turn points bad that were not heard of in time, or not since `stale_s`."""
        now, arrival = time.monotonic(), now_us()
        found = []
        for name, until in list(self._initial_until.items()):
            if name in self._latest:
                del self._initial_until[name]
            elif now >= until and name in self._deliver:
                del self._initial_until[name]
                found.append(Heard(Reading(name, None, BAD_WAITING_FOR_INITIAL_DATA, arrival, arrival)))
        if (stale_s := self._connection.stale_s) is not None:
            found += [
                Heard(Reading(name, None, BAD_NO_COMMUNICATION, arrival, arrival))
                for name, heard in self._heard.items()
                if now - heard > stale_s and self._latest[name].quality >= 0
            ]
        self._hear(found)

    def _ask_births(self) -> None:
        """Ask nodes for the birth certificates without which they are not understood."""
        if not self._connection.rebirth or self._link is None:
            return
        now = time.monotonic()
        for node in self._nodes.values():
            asked = self._asked_birth.get(node.name)
            if node.wants_birth and node.filter in self._filters and (asked is None or now - asked >= REBIRTH_S):
                self._ask_birth(node)

    def _ask_birth(self, node: EdgeNode) -> None:
        self._asked_birth[node.name] = time.monotonic()
        request = value_metric(REBIRTH, None, DataType.BOOLEAN, True, now_us() // 1000)
        self._opened().publish(node.command_topic, encode_payload(now_us() // 1000, None, [request]))


def _node_of(point: MqttPoint) -> str:
    """Return "<group>/<edge node>" of a Sparkplug point."""
    return "/".join((point.sparkplug or "").split("/")[:2])
