"""Registers found and sampled over real TCP."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from time import monotonic

import pytest

from edge_agent.onboard.decode import decode
from edge_agent.onboard.decode_sample import Range, RegisterSampler, parse_range
from protocols.errors import ConfigError, Unreachable
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.simulator import ModbusSimulator

POINTS = [
    ModbusPoint.model_validate({"name": f"u{k}", "table": "input", "address": 30 + 2 * k, "type": "float32"})
    for k in range(3)
] + [
    ModbusPoint.model_validate({"name": "f", "table": "input", "address": 70, "scale": 0.01}),
    ModbusPoint.model_validate({"name": "run", "table": "coil", "address": 9}),
]


def values() -> dict[str, float]:
    t = monotonic()
    found = {f"u{k}": 230.0 + k + math.sin(3 * t + k) for k in range(3)}
    return found | {"f": 50.0 + 0.03 * math.sin(2 * t), "run": 1.0}


@pytest.fixture
async def sampler() -> AsyncIterator[RegisterSampler]:
    simulator = ModbusSimulator(POINTS, values, tick_s=0.01)
    host, _, port = (await simulator.start()).rpartition(":")
    sampler = RegisterSampler("meter", ModbusConnection(host=host, port=int(port)), rate=1000)
    await sampler.open()
    yield sampler
    await sampler.close()
    await simulator.stop()


async def test_exactly_the_registers_of_the_device_are_found_and_decoded(sampler: RegisterSampler) -> None:
    looked: list[None] = []
    found = await sampler.explore(Range("input", 0, 99), lambda: looked.append(None))
    assert found == [30, 31, 32, 33, 34, 35, 70]
    assert len(looked) == 100
    assert await sampler.explore(Range("coil", 5, 12), lambda: None) == [9]
    assert await sampler.explore(Range("holding", 0, 20), lambda: None) == []
    shots = await sampler.sample({"input": found, "coil": [9]}, 2.0, 0.05, lambda: None)
    proposals = {p.point.address: p for p in decode(shots)}
    assert [proposals[address].point.type for address in (30, 32, 34)] == ["float32"] * 3
    assert [proposals[address].point.scale for address in (30, 70)] == [1.0, 0.01]
    assert proposals[9].value == 1.0


async def test_the_pace_is_kept(sampler: RegisterSampler) -> None:
    sampler._wait = 0.02
    start = monotonic()
    await sampler.explore(Range("holding", 0, 15), lambda: None)  # 1 + 16 questions
    assert monotonic() - start >= 16 * 0.02


async def test_a_silent_device_ends_the_work() -> None:
    simulator = ModbusSimulator(POINTS, values)
    host, _, port = (await simulator.start()).rpartition(":")
    sampler = RegisterSampler("meter", ModbusConnection(host=host, port=int(port), timeout_s=0.3), rate=1000)
    await sampler.open()
    await simulator.stop()
    with pytest.raises(Unreachable):
        await sampler.explore(Range("input", 0, 9), lambda: None)
    await sampler.close()


@pytest.mark.parametrize("text", ["holding", "holding:5-3", "input:0-70000", "register:1-2", "input:a-b"])
def test_a_wrong_range_is_explained(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_range(text)
    assert text in caught.value.explain("zh")
    assert parse_range("input:0x10-0x1F") == Range("input", 16, 31)
