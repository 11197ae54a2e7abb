"""A motor whose controller holds its vibration as OPC UA arrays: each renewal judged once, the channel named, trouble said."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from asyncua import Node, Server, ua
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.config import parse_config
from edge_agent.inspect.wave_array import ArraySource
from edge_agent.outlets.outlets import Outlets
from edge_agent.parts import Parts
from models.bundle import write_bundle
from models.series.health_fit import fit_vibration
from models.series.monitor import Block
from models.series.waveform import cut
from models.signing import public_key
from protocols.errors import ConfigError
from protocols.uplink.codec import decode
from tests.benchmarks.vibration import RECIPE, Doubles, Machine, recorded
from tests.edge_agent.conftest import OpenBuffer, until
from tests.models.series.test_vibration import healthy

NAMESPACE = "urn:motor"
BLOCK = Block(2048, 12_800, ("drive end", "fan end"))
CONFIG = """
[agent]
name = "a"
[cloud]
url = "http://127.0.0.1:1"
[[device]]
name = "plc"
protocol = "{protocol}"
connection = {connection}
[[device.point]]
name = "speed"
{speed}
[[machine_health]]
device = "motor-health"
bundle = "motor"
trust = {trust}
period_s = 0.2
[machine_health.array]
device = "plc"
rate_point = {{ node = "nsu=urn:motor;s=rate" }}
[[machine_health.array.channel]]
name = "drive end"
node = "nsu=urn:motor;s=drive"
scale = 0.5
[[machine_health.array.channel]]
name = "{second}"
node = "nsu=urn:motor;s=fan"
"""


class Controller:
    """An OPC UA server that holds two arrays and their rate."""

    def __init__(self) -> None:
        self.server = Server()
        self.nodes: dict[str, Node] = {}

    async def start(self) -> str:
        await self.server.init()
        self.server.set_endpoint("opc.tcp://127.0.0.1:0/")
        index = await self.server.register_namespace(NAMESPACE)
        for name, value in (("drive", [0.0] * 100), ("fan", [0.0] * 100), ("rate", 12_800.0), ("speed", 1480.0)):
            node = ua.NodeId(name, index)
            self.nodes[name] = await self.server.nodes.objects.add_variable(node, name, value, ua.VariantType.Double)
        await self.server.start()
        port = self.server.bserver._server.sockets[0].getsockname()[1]
        return f"opc.tcp://127.0.0.1:{port}/"

    async def renew(self, drive: Doubles, fan: Doubles) -> None:
        for name, samples in (("drive", drive / 0.5), ("fan", fan)):
            await self.nodes[name].write_value(samples.tolist(), ua.VariantType.Double)


@pytest.fixture
async def controller() -> AsyncIterator[Controller]:
    made = Controller()
    yield made
    await made.server.stop()


def configured(endpoint: str, trust: list[str], second: str = "fan end") -> str:
    connection, speed = f'{{ endpoint = "{endpoint}", security = "none" }}', 'node = "nsu=urn:motor;s=speed"'
    return CONFIG.format(protocol="opcua", connection=connection, speed=speed, trust=json.dumps(trust), second=second)


async def test_arrays_of_a_controller_are_judged_once_renewed_and_the_channel_is_named(
    tmp_path: Path, open_buffer: OpenBuffer, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.inspect.machine_health.QUIET_S", 0.5)
    endpoint, key = await controller.start(), Ed25519PrivateKey.generate()
    ends = np.stack([healthy(5, 30).ravel(), healthy(6, 30).ravel()])
    recipe = msgspec.structs.replace(RECIPE, samples=2048, rpm=0, balls=0, channels=", ".join(BLOCK.channels))
    release = fit_vibration(cut(ends, "healthy", BLOCK), recipe)
    write_bundle(tmp_path / "motor", release.card, release.onnx, key)
    (tmp_path / "state").mkdir()
    worn = recorded(Machine(np.random.default_rng(7), "outer race", 4.0), 6).ravel()
    config = parse_config(configured(endpoint, [public_key(key)]), tmp_path / "agent.toml")
    buffer = await open_buffer()

    async def said() -> dict[str, list[float]]:
        await buffer.flush()
        delivery = await buffer.take(10**9)
        found: dict[str, list[float]] = {}
        for columns in (decode(frame.payload).columns for frame in delivery.frames) if delivery else ():
            rows = zip(memoryview(columns.point).cast("I"), memoryview(columns.value).cast("d"), strict=True)  # type: ignore[union-attr]
            for index, value in rows:
                found.setdefault(columns.points[index].name, []).append(value)  # type: ignore[union-attr]
        return found

    async def told(verdict: int) -> dict[str, list[float]]:
        """Wait until a verdict is the latest, and return all readings."""
        async with asyncio.timeout(20):
            while (found := await said()).get("verdict", [math.nan])[-1] != verdict:  # noqa: ASYNC110 - the buffer does not call
                await asyncio.sleep(0.05)
        return found

    async with Outlets(buffer, tmp_path / "state") as outlets, Parts(buffer, outlets) as parts:
        await parts.become(config)

        def reason() -> str:
            return parts.reports()[-1].reason_en

        await until(lambda: "has 100 samples, a block takes 2048" in reason())
        await controller.renew(*ends[:, : 20 * 2048])
        await told(0)
        # What is not renewed is judged once; then nothing is known of the machine.
        await until(lambda: reason() == "no vibration has come")
        assert [value for value in (await said())["verdict"] if value == value] == [0]
        await controller.renew(worn, ends[1, -len(worn) :])
        there = await told(2)
        assert abs(there["part of drive end"][-1]) > 2 * abs(there["part of fan end"][-1])
        await controller.nodes["rate"].write_value(8000.0)
        await controller.renew(*ends[:, : 20 * 2048])
        await until(lambda: "was recorded at 8000 Hz, the model is of 12800 Hz" in reason())
        await controller.nodes["fan"].write_value([math.nan] * 3000, ua.VariantType.Double)
        await until(lambda: "fan end is no array of numbers (BadTypeMismatch)" in reason())


async def test_arrays_are_read_once_a_period_and_sooner_only_while_they_are_still_the_old_ones(
    tmp_path: Path, controller: Controller
) -> None:
    config = parse_config(configured(await controller.start(), ["A" * 43 + "="]), tmp_path / "agent.toml")
    array, waits = config.machine_health[0].array, []
    assert array
    source = ArraySource(array, 10.0, lambda: config)
    for renewed in (True, False, False, True, True):
        if renewed:
            await controller.renew(*np.random.default_rng(len(waits)).normal(size=(2, 50)))
        assert bool(await source.next()) == renewed
        waits.append(source.look_s)
    await source.close()
    assert waits == [10, 5, 5, 10, 10]


def test_a_device_without_arrays_and_a_channel_twice_are_refused_by_name(tmp_path: Path) -> None:
    key = ["A" * 43 + "="]
    with pytest.raises(ConfigError, match="same name") as raised:
        parse_config(configured("opc.tcp://127.0.0.1:1/", key, "drive end"), tmp_path / "agent.toml")
    assert raised.value.key == "machine_health[1].array.channel"
    modbus = CONFIG.format(
        protocol="modbus", connection='{ host = "127.0.0.1" }', speed="address = 1", trust=json.dumps(key), second="b"
    )
    with pytest.raises(ConfigError, match="modbus has no arrays of samples"):
        parse_config(modbus, tmp_path / "agent.toml")
    with pytest.raises(ConfigError, match="either rate or rate_point"):
        parse_config(modbus.replace("rate_point", "rate = 5\nrate_point"), tmp_path / "agent.toml")
