"""Devices found on this machine: Modbus in both framings, OPC UA, and what speaks neither."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.onboard.discover import Found, Place, discover, parse_places
from edge_agent.onboard.identify import identify, judge
from protocols.errors import ConfigError
from protocols.library.physics import behaviour
from protocols.library.templates import load_template
from protocols.modbus.config import ModbusConnection
from protocols.modbus.simulator import ModbusSimulator
from protocols.opcua.description import describe_server
from protocols.opcua.simulator import OpcuaSimulator
from protocols.reading import now_us


@asynccontextmanager
async def meter(**options: Any) -> AsyncIterator[str]:
    template = load_template("demo-energy-meter")
    values = behaviour(template, 1, now_us() - 10**9)
    simulator = ModbusSimulator(template.points, lambda: values(now_us()), **options)  # type: ignore[arg-type]
    yield await simulator.start()
    await simulator.stop()


async def found_at(address: str, units: range = range(1, 5)) -> list[Found]:
    return [device async for device in discover(parse_places(address), units, rate=500, timeout_s=0.25)]


@pytest.mark.parametrize("framing", ["tcp", "rtu-over-tcp"])
async def test_a_modbus_unit_is_found_in_either_framing(framing: Literal["tcp", "rtu-over-tcp"]) -> None:
    async with meter(framing=framing, unit_id=3) as address:
        (device,) = await found_at(address)
    assert (device.protocol, device.units) == (f"modbus-{framing}", (3,))
    assert device.identity["server_id"]


async def test_a_device_that_ignores_the_unit_is_noted() -> None:
    async with meter() as address:
        (device,) = await found_at(address)
    assert device.units == (1, 2, 3, 4)
    assert device.note
    assert "one device" in device.note.en


async def test_an_opcua_server_tells_endpoints_and_maker() -> None:
    template = load_template("demo-injection-moulder")
    values = behaviour(template, 1, now_us())
    simulator = OpcuaSimulator(template.points, lambda: values(now_us()))  # type: ignore[arg-type]
    endpoint = await simulator.start()
    try:
        address = endpoint.removeprefix("opc.tcp://").partition("/")[0]
        (device,) = await found_at(address)
        server = await describe_server(endpoint)
    finally:
        await simulator.stop()
    assert device.protocol == "opcua"
    assert device.details["endpoints"][0]["policy"] == "None"
    assert device.identity["application"] == server.application
    assert server.build["manufacturer"]
    assert server.namespaces[0] == "http://opcfoundation.org/UA/"
    assert server._replace(namespaces=("http://opcfoundation.org/UA/Robotics/",)).companions == ["OPC 40010 Robotics"]


async def test_what_answers_strangely_is_left_alone_and_named() -> None:
    asked: list[bytes] = []

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if data := await reader.read(300):
            asked.append(data)
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" * 8)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (device,) = await found_at(f"127.0.0.1:{port}", range(1, 248))
    server.close()
    assert (device.place, device.protocol) == (Place("127.0.0.1", port), "unknown")
    assert device.note
    assert len(asked) <= 4  # not once for each of the 247 units


@pytest.mark.parametrize("text", ["", "10.0.0.1:9-3", "10.0.0.1:0", "10.0.0.300-301", "a b", "10.0.0.1:70000"])
def test_a_wrong_range_is_explained(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_places(text)


def test_ranges_are_what_was_named_and_not_too_large() -> None:
    assert parse_places("10.0.0.9-11:502") == [Place(f"10.0.0.{n}", 502) for n in (9, 10, 11)]
    assert [place.port for place in parse_places("plc-1")] == [502, 4840]
    with pytest.raises(ConfigError, match="65,535"):
        parse_places("10.0.0.1:1-65535")


async def test_the_library_is_tried_on_an_unknown_device() -> None:
    async with meter() as address:
        host, _, port = address.rpartition(":")
        found = await identify("meter", ModbusConnection(host=host, port=int(port), timeout_s=10.0))
    best = found.matches[0]
    assert best.template == "demo-energy-meter"
    assert best.score > 0.9
    assert any("P1 + P2 + P3" in reason.en for reason in best.reasons)
    assert all(match.score < best.score for match in found.matches[1:])


def test_what_a_device_says_of_itself_decides_and_broken_laws_count() -> None:
    template = load_template("demo-energy-meter")
    values = dict(behaviour(template, 1, 0)(60_000_000))
    plain = judge(template, values, {})
    assert judge(template, {}, {"vendor_name": "Sunmao demo", "product_code": "EM-63"}).score >= 0.95
    assert judge(template, {}, {"vendor_name": "Sunmao demo", "product_code": "XX"}).score == 0
    values["active_power_total"] = float(str(values["active_power_total"])) * 3
    assert judge(template, values, {}).score < plain.score


async def test_the_commands_speak_json_and_say_what_they_found(tmp_path: Any) -> None:
    async with meter() as address:
        out = tmp_path / "points.toml"

        async def command(*words: str) -> tuple[int, Any]:
            result = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--json", "--lang", "zh"])
            return result.exit_code, json.loads(result.stdout) if result.stdout else result.stderr

        code, devices = await command("discover", "--range", address, "--timeout", "0.3")
        assert (code, devices[0]["protocol"]) == (0, "modbus-tcp")
        code, found = await command("identify", address)
        assert (code, found["matches"][0]["template"]) == (0, "demo-energy-meter")
        code, points = await command(
            *("decode", address, "--range", "input:0-30", "--seconds", "1", "--period", "0.1"),
            *("--rate", "1000", "--out", str(out)),
        )
        assert code == 0
        assert points[0]["type"] == "float32"
        assert 'table = "input"' in out.read_text(encoding="utf-8")
    assert (await command("discover", "--range", address, "--timeout", "0.2"))[0] == 1
    assert (await command("decode", address))[0] == 3
    assert (await command("discover", "--range", "nonsense:"))[0] == 2
    code, said = await command("discover", "--range", "a..b")
    assert (code, "没有名为“a..b”的设备" in said) == (2, True)
