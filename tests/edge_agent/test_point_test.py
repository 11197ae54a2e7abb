"""Testing a point on real devices: a person sees what was sent, what came, and which reading of it makes sense."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli import app
from edge_agent.config import DeviceConfig
from edge_agent.point_test import Candidate, PointTest
from edge_agent.point_test import test_point as try_point
from protocols.errors import ConfigError
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.simulator import ModbusSimulator
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.opcua.simulator import OpcuaSimulator
from protocols.reading import Value
from tests.protocols.modbus.modbus_peer import Chunks, Request, answering, tcp

VOLTAGE = {"name": "U1", "property": "voltage_l1_n", "address": 10, "type": "float32"}


def device(port: int, *points: Mapping[str, Any], **connection: Any) -> DeviceConfig:
    fields = {"host": "127.0.0.1", "port": port, **connection}
    return DeviceConfig(
        name="meter",
        protocol="modbus",
        connection=ModbusConnection.model_validate(fields),
        points=tuple(ModbusPoint.model_validate(point) for point in points),
    )


def registers_at(first: int, data: bytes, exception: int = 2) -> Any:
    """Return a device that has exactly `data` from register `first` on."""
    words = dict(enumerate(struct.unpack(f">{len(data) // 2}H", data), first))

    def script(request: Request) -> Chunks:
        wanted = range(request.address, request.address + request.count)
        if not all(place in words for place in wanted):
            return [tcp(request, bytes([request.function | 0x80, exception]))]
        body = b"".join(words[place].to_bytes(2, "big") for place in wanted)
        return [tcp(request, bytes([request.function, len(body)]) + body)]

    return script


def sensible(found: PointTest) -> list[Candidate]:
    return [candidate for candidate in found.candidates if candidate.plausible]


async def test_a_good_point_shows_frames_registers_unit_and_time() -> None:
    async with answering(registers_at(9, bytes(2) + struct.pack(">f", 231.5) + bytes(4))) as port:
        found = await try_point(device(port, VOLTAGE), "U1")
    assert (found.value, found.unit, found.quality, found.reached) == (231.5, "VLT", "Good", True)
    assert found.registers == [0x4367, 0x8000]
    assert found.round_trip_ms is not None
    assert [frame.direction for frame in found.frames][:2] == ["sent", "received"]
    assert found.frames[0].hex == "00 01 00 00 00 06 01 03 00 0A 00 02"
    assert found.frames[1].hex == "00 01 00 00 00 07 01 03 04 43 67 80 00"
    assert "read 2 holding registers, 10 to 11" in found.frames[0].words.en
    best = found.candidates[0]
    assert (best.type, best.order, best.address, best.configured) == ("float32", "ABCD", 10, True)
    assert best.plausible


async def test_a_person_sees_the_digits_that_were_measured() -> None:
    async with answering(registers_at(9, bytes(2) + struct.pack(">f", 231.82) + bytes(4))) as port:
        found = await try_point(device(port, VOLTAGE), "U1")
    assert found.value != 231.82  # no 32-bit float is
    assert found.found.en == "reads 231.82 V"


async def test_the_right_order_is_the_plausible_one_whatever_is_configured() -> None:
    data = {"ABCD": "43676666", "CDAB": "66664367", "BADC": "67436666", "DCBA": "66666743"}

    async def look(order: str, configured: str) -> None:
        async with answering(registers_at(10, bytes.fromhex(data[order]))) as port:
            found = await try_point(device(port, {**VOLTAGE, "order": configured}), "U1")
        floats = [each for each in sensible(found) if each.type == "float32" and each.address == 10]
        assert [each.order for each in floats] == [order]
        assert floats[0].value == pytest.approx(231.4, abs=0.01)
        assert "usual for" in floats[0].why.en
        assert (found.quality == "Good") == (configured == order)

    await asyncio.gather(*(look(order, configured) for order, configured in product(data, repeat=2)))


async def test_a_manual_that_counts_from_one_is_seen() -> None:
    async with answering(registers_at(9, struct.pack(">f", 231.4) + bytes(8))) as port:
        found = await try_point(device(port, VOLTAGE), "U1")
    assert ("float32", "ABCD", 9) in [(each.type, each.order, each.address) for each in sensible(found)]
    assert found.quality == "UncertainEngineeringUnitsExceeded"
    assert "other ways of reading it are plausible" in found.found.en


@pytest.mark.parametrize(
    ("configured", "function", "first", "place"),
    [
        ({"address": 40011}, 3, 10, (None, 10)),
        ({"address": 30011}, 4, 10, ("input", 10)),
        ({"address": 40012}, 3, 11, (None, 11)),
        ({"address": 10}, 4, 10, ("input", 10)),
        ({"address": 10, "table": "input"}, 3, 10, ("holding", 10)),
    ],
)
async def test_a_number_from_the_manual_is_looked_up_where_it_is_meant(
    configured: dict[str, Any], function: int, first: int, place: tuple[str | None, int]
) -> None:
    """The device has one float, in the table of `function`; everything else is exception 2."""
    has = registers_at(first, struct.pack(">f", 231.5))

    def script(request: Request) -> Chunks:
        return has(request) if request.function == function else [tcp(request, bytes([request.function | 0x80, 2]))]

    async with answering(script) as port:
        found = await try_point(device(port, {**VOLTAGE, **configured}), "U1")
    (right,) = [each for each in sensible(found) if (each.type, each.order) == ("float32", "ABCD")]
    assert (right.table, right.address, right.value) == (*place, 231.5)
    assert not any(each.configured for each in found.candidates)
    assert found.registers == []
    assert f"nothing at {configured.get('table', 'holding')} {configured['address']}" in found.found.en
    assert "因此又查看了" in found.found.zh
    assert "other ways of reading it are plausible" in found.found.en
    fields: dict[str, Any] = {**VOLTAGE, **configured}
    right.choose(fields)
    fixed = ModbusPoint.model_validate(fields)
    assert (fixed.table, fixed.address) == ("input" if function == 4 else "holding", first)


async def test_what_the_devices_other_points_say_decides() -> None:
    """P = U × I × cos φ tells 2.3 kW from 23 kW, both of which the range allows."""
    points = [
        {"name": "U1", "property": "voltage_l1_n", "address": 0, "type": "uint16", "scale": 0.1},
        {"name": "I1", "property": "current_l1", "address": 1, "type": "uint16", "scale": 0.1},
        {"name": "F1", "property": "power_factor_l1", "address": 2, "type": "uint16", "scale": 0.001},
        {"name": "P1", "property": "active_power_l1", "unit": "WTT", "address": 3, "type": "uint16"},
    ]
    async with answering(registers_at(0, struct.pack(">4H", 2300, 100, 1000, 2300))) as port:
        right = await try_point(device(port, *points), "P1")
        points[3]["scale"] = 10
        wrong = await try_point(device(port, *points), "P1")
    mine = next(each for each in right.candidates if each.configured)
    assert (mine.plausible, mine.why.en) == (True, "agrees with U × I × cos φ = 2300")
    mine = next(each for each in wrong.candidates if each.configured)
    assert (mine.plausible, mine.why.en) == (False, "U × I × cos φ gives 2300")


async def test_a_number_that_jumps_is_no_measurement() -> None:
    values = iter([700, 65000] * 10)

    def script(request: Request) -> Chunks:
        body = next(values).to_bytes(2, "big") * request.count
        return [tcp(request, bytes([request.function, len(body)]) + body)]

    async with answering(script) as port:
        found = await try_point(device(port, {"name": "n", "address": 10}), "n")
    mine = next(each for each in found.candidates if each.configured)
    assert not mine.plausible
    assert "jumps to 700 within 0.3 s" in mine.why.en


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"table": "coil", "address": 1}, True),
        ({"address": 10, "bit": 3}, True),
        ({"address": 10, "type": "string", "length": 2}, "A042"),
        ({"address": 0, "type": "uint64"}, 2**40),
    ],
)
async def test_every_kind_of_point_can_be_tested(fields: Mapping[str, Any], value: Value) -> None:
    point = ModbusPoint.model_validate({"name": "p", **fields})
    simulator = ModbusSimulator([point], lambda: {"p": value})
    port = int((await simulator.start()).rpartition(":")[2])
    try:
        found = await try_point(device(port, point.model_dump(exclude_unset=True)), "p")
    finally:
        await simulator.stop()
    assert (found.value, found.quality) == (value, "Good")
    configured = [each for each in found.candidates if each.configured]
    assert [each.value for each in configured] == [value]
    assert configured[0].plausible


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "p", "address": 10, "type": "int16", "invalid": ["0x8000"], "scale": 0.1},
        {"name": "p", "address": 10, "bit": 3},
        {"name": "p", "address": 10, "bit": 3, "bits": 4},
        {"name": "p", "address": 10, "type": "int8", "byte": "low"},
        {"name": "p", "address": 10, "type": "string", "length": 2},
    ],
)
async def test_whatever_way_is_chosen_reads_what_it_showed(fields: dict[str, Any]) -> None:
    async with answering(registers_at(9, bytes.fromhex("1234 4367 6666 1234 5678 0001"))) as port:
        found = await try_point(device(port, fields), "p")
        assert len(found.candidates) > 1
        for candidate in found.candidates:
            chosen = dict(fields)
            candidate.choose(chosen)
            point = ModbusPoint.model_validate(chosen)
            driver = device(port, chosen).driver()
            await driver.open()
            (reading,) = await driver.read([point])
            await driver.close()
            assert reading.value == candidate.value or candidate.value != candidate.value, chosen


async def test_a_refusal_is_a_finding_with_its_frames() -> None:
    async with answering(registers_at(100, bytes(4))) as port:
        found = await try_point(device(port, VOLTAGE), "U1")
    assert (found.reached, found.value, found.quality) == (True, None, "BadConfigurationError")
    assert "exception 2: illegal data address" in found.frames[1].words.en
    assert found.candidates == []


async def test_silence_shows_what_was_asked() -> None:
    async with answering(lambda request: [30.0]) as port:
        found = await try_point(device(port, VOLTAGE, timeout_s=0.2), "U1")
    assert (found.reached, found.quality, found.round_trip_ms) == (False, "BadNoCommunication", None)
    assert [frame.direction for frame in found.frames] == ["sent"]
    assert f"127.0.0.1:{port}" in found.found.en
    assert found.found.zh != found.found.en


async def test_any_other_protocol_is_tested_through_its_driver() -> None:
    point = OpcuaPoint(name="t", node="nsu=urn:test:plant;s=T", unit="CEL")
    simulator = OpcuaSimulator([point], lambda: {"t": 21.5})
    address = await simulator.start()
    connection = OpcuaConnection.model_validate({"endpoint": address, "security": "none"})
    opcua = DeviceConfig(name="press", protocol="opcua", connection=connection, points=(point,))
    try:
        found = await try_point(opcua, "t")
    finally:
        await simulator.stop()
    assert (found.value, found.unit, found.quality, found.candidates) == (21.5, "CEL", "Good", [])
    assert [frame.direction for frame in found.frames] == ["sent", "received"]
    assert "nsu=urn:test:plant;s=T" in found.frames[0].words.en


async def test_a_point_nobody_knows_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="there are: U1"):
        await try_point(device(1, VOLTAGE), "U2")


def command(arguments: Sequence[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        app([*arguments])
    return int(ended.value.code or 0), capfd.readouterr().out


@pytest.mark.parametrize(("port", "code"), [(0, 0), (1, 3)])
def test_the_command_shows_the_same(port: int, code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    simulator = ModbusSimulator([ModbusPoint.model_validate(VOLTAGE)], lambda: {"U1": 229.0})
    try:
        address = asyncio.run_coroutine_threadsafe(simulator.start(), loop).result()
        config = tmp_path / "agent.toml"
        config.write_text(
            f"""
[agent]
name = "a"
[cloud]
url = "http://127.0.0.1:1"
[[device]]
name = "meter"
protocol = "modbus"
[device.connection]
host = "127.0.0.1"
port = {port or address.rpartition(":")[2]}
[[device.point]]
name = "U1"
property = "voltage_l1_n"
address = 10
type = "float32"
"""
        )
        arguments = ["test", "meter", "U1", "-c", str(config)]
        status, shown = command([*arguments, "--lang", "zh"], capfd)
        assert (status, "含义" in shown) == (code, True)
        status, shown = command([*arguments, "--json", "--lang", "en"], capfd)
        assert status == code
        found = json.loads(shown)
        assert found["quality"] == ("Good" if code == 0 else "BadNoCommunication")
        assert isinstance(found["found"], str)
    finally:
        asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
