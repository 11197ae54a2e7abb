"""A server that goes away and comes back with its namespaces in another order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from protocols.errors import Unreachable
from protocols.opcua.config import OpcuaPoint
from protocols.opcua.simulator import OpcuaSimulator
from tests.conformance.plant import only_left, tasks_and_threads
from tests.protocols.opcua.opcua_stand import DEADLINE_S, Inbox, opened

PARTS = OpcuaPoint(name="parts", node="nsu=urn:test:line;s=Counter")
WASTE = OpcuaPoint(name="waste", node="nsu=urn:test:waste;s=Counter")


def plant(parts: int, waste: int, port: int, namespaces: Sequence[str]) -> OpcuaSimulator:
    """A machine whose two counters differ in nothing but their namespace."""
    return OpcuaSimulator(
        [PARTS, WASTE], lambda: {"parts": parts, "waste": waste}, port=port, namespaces=namespaces, tick_s=0.02
    )


async def test_a_restart_with_other_namespace_indices_mixes_nothing_up() -> None:
    inbox = Inbox()
    first = plant(100, 3, 0, ["urn:test:line", "urn:test:waste"])
    endpoint = await first.start()
    port = int(endpoint.rpartition(":")[2].partition("/")[0])
    before = tasks_and_threads()
    async with opened(endpoint) as driver:
        await driver.subscribe([PARTS, WASTE], 0.1, inbox.deliver)
        latest = await inbox.until(lambda latest: len(latest) == 2)
        assert (latest["parts"].value, latest["waste"].value) == (100, 3)
        watch = asyncio.create_task(driver.watch())
        await first.stop()
        with pytest.raises(Unreachable):
            await asyncio.wait_for(watch, DEADLINE_S)
    second = plant(101, 4, port, ["urn:test:waste", "urn:test:other", "urn:test:line"])
    assert await second.start() == endpoint
    try:
        async with opened(endpoint) as driver:
            await driver.subscribe([PARTS, WASTE], 0.1, inbox.deliver)
            await inbox.until(lambda latest: latest["parts"].value != 100 and latest["waste"].value != 3)
            read = [reading.value for reading in await driver.read([PARTS, WASTE])]
    finally:
        await second.stop()
    assert read == [101, 4]
    await only_left(before, DEADLINE_S)
    for name, values in {"parts": {100, 101}, "waste": {3, 4}}.items():
        assert {reading.value for reading in inbox.readings if reading.point == name} == values
