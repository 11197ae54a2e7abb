"""What the tests of this room share: points, an open driver, an inbox for what is delivered, a publisher, a broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from protocols.mqtt.broker import Broker, find_mosquitto
from protocols.mqtt.config import MqttConnection, MqttPoint
from protocols.mqtt.driver import MqttDriver
from protocols.mqtt.link import Link, Message
from protocols.reading import Reading

DEADLINE_S = 20.0
"""After this a wait has failed; far above anything a loaded machine needs."""

needs_mosquitto = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")


class Inbox:
    """Collects what a subscription delivers, or what a link receives."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._news = asyncio.Event()

    def deliver(self, items: Sequence[Any]) -> None:
        self.items += items
        self._news.set()

    def latest(self) -> dict[str, Reading]:
        return {reading.point: reading for reading in self.items}

    async def until(self, condition: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not condition():
                self._news.clear()
                await self._news.wait()

        try:
            await asyncio.wait_for(wait(), DEADLINE_S)
        except TimeoutError:
            pytest.fail(f"not within {DEADLINE_S} s; there is {self.items[-20:]}")


def point(name: str, **fields: Any) -> MqttPoint:
    """A point of topic "t/<name>" unless fields say where it is."""
    where = {} if {"topic", "sparkplug"} & fields.keys() else {"topic": f"t/{name}"}
    return MqttPoint.model_validate({"name": name, **where, **fields})


def connection(port: int, **fields: Any) -> MqttConnection:
    return MqttConnection.model_validate({"host": "127.0.0.1", "port": port, "security": "none", **fields})


@asynccontextmanager
async def running(settings: str = "allow_anonymous true", port: int = 0) -> AsyncIterator[Broker]:
    broker = Broker(port, settings)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


@asynccontextmanager
async def opened(port: int, points: Sequence[MqttPoint] = (), **fields: Any) -> AsyncIterator[MqttDriver]:
    driver = MqttDriver("press-1", connection(port, **fields), points)
    try:
        await driver.open()
        yield driver
    finally:
        await driver.close()


@asynccontextmanager
async def publishing(port: int, *filters: str) -> AsyncIterator[tuple[Link, Inbox]]:
    """A link for publishing, and what it hears on `filters`."""
    inbox = Inbox()
    link = Link("publisher", connection(port, timeout_s=DEADLINE_S), inbox.deliver)
    try:
        await link.open()
        await link.subscribe(filters)
        yield link, inbox
    finally:
        await link.close()


def heard(inbox: Inbox, topic: str) -> list[Message]:
    return [message for message in inbox.items if message.topic == topic]
