"""Which functions write what, byte by byte, and what becomes of a device's answer to a write."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from protocols.errors import ConfigError, Malformed, Refused, Unreachable
from protocols.modbus.config import ModbusPoint
from protocols.reading import Value
from tests.conformance.plant import listening, opened
from tests.protocols.modbus.modbus_peer import driver_at

RANGE = {"min": -1000, "max": 70000}
SWITCH = {"values": [True, False]}


@asynccontextmanager
async def device(answer: Callable[[bytes], bytes]) -> AsyncIterator[tuple[int, list[str]]]:
    """Serve a device that answers each request PDU by `answer`; yield its port and what it is asked, in hex."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            tid, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
            pdu = await reader.readexactly(length - 1)
            asked.append(pdu.hex(" ").upper())
            reply = answer(pdu)
            writer.write(struct.pack(">HHHB", tid, 0, len(reply) + 1, unit) + reply)

    async with listening(serve) as port:
        yield port, asked


def confirming(pdu: bytes) -> bytes:
    """A device that does all it is told; its registers hold 00FF."""
    if pdu[0] == 3:
        return bytes.fromhex("030200FF")
    return pdu[:7] if pdu[0] == 22 else pdu[:5]


def point(**fields: Any) -> ModbusPoint:
    return ModbusPoint.model_validate({"name": "p", "address": 10, "write": RANGE, **fields})


@pytest.mark.parametrize(
    ("fields", "value", "one", "many"),
    [
        ({"table": "coil", "write": SWITCH}, True, "05 00 0A FF 00", "0F 00 0A 00 01 01 01"),
        ({"table": "coil", "write": SWITCH}, False, "05 00 0A 00 00", "0F 00 0A 00 01 01 00"),
        ({}, 500, "06 00 0A 01 F4", "10 00 0A 00 01 02 01 F4"),
        ({"type": "int16", "scale": 0.1}, -12.5, "06 00 0A FF 83", "10 00 0A 00 01 02 FF 83"),
        ({"type": "float32", "order": "CDAB"}, 229.5, *["10 00 0A 00 02 04 80 00 43 65"] * 2),
        ({"type": "string", "length": 2, "write": {"values": ["A42"]}}, "A42", *["10 00 0A 00 02 04 41 34 32 00"] * 2),
        ({"codes": {"7": 3}, "write": {"values": [3]}}, 3, "06 00 0A 00 07", "10 00 0A 00 01 02 00 07"),
        ({"bit": 3, "write": SWITCH}, True, *["16 00 0A FF F7 00 08"] * 2),
        ({"bit": 3, "write": SWITCH}, False, *["16 00 0A FF F7 00 00"] * 2),
    ],
)
async def test_each_kind_of_point_has_its_function(
    fields: Mapping[str, Any], value: Value, one: str, many: str
) -> None:
    async with device(confirming) as (port, asked):
        for write_multiple in (False, True):
            async with opened(driver_at(port, [point(**fields)], write_multiple=write_multiple)) as driver:
                await driver.write(point(**fields), value)
    assert asked == [one, many]


async def test_without_mask_write_a_bit_is_changed_in_what_the_register_holds() -> None:
    def answer(pdu: bytes) -> bytes:
        return b"\x96\x01" if pdu[0] == 22 else confirming(pdu)

    async with device(answer) as (port, asked), opened(driver_at(port, [point(bit=3, write=SWITCH)])) as driver:
        await driver.write(point(bit=3, write=SWITCH), False)
    assert asked[1:] == ["03 00 0A 00 01", "06 00 0A 00 F7"]


@pytest.mark.parametrize(
    ("fields", "value", "error"),
    [
        ({"write": None}, 5, Refused),
        ({}, 70001, ConfigError),
        ({}, 1.5, ConfigError),
        ({}, 65536, ConfigError),
        ({}, -1, ConfigError),
        ({}, True, ConfigError),
        ({}, "5", ConfigError),
        ({}, None, ConfigError),
        ({"invalid": [5]}, 5, ConfigError),
        ({"type": "float32", "write": {"min": 0, "max": 1e300}}, 1e299, ConfigError),
    ],
)
async def test_what_may_not_or_can_not_be_written_is_never_sent(
    fields: Mapping[str, Any], value: Value, error: type[Exception]
) -> None:
    async with device(confirming) as (port, asked), opened(driver_at(port, [point(**fields)])) as driver:
        with pytest.raises(error):
            await driver.write(point(**fields), value)
    assert asked == []


async def test_a_refusal_names_the_exception() -> None:
    async with device(lambda pdu: bytes([pdu[0] | 0x80, 3])) as (port, _), opened(driver_at(port, [point()])) as driver:
        with pytest.raises(Refused, match="'p' written, exception 3: illegal data value"):
            await driver.write(point(), 5)


async def test_a_gateway_without_the_unit_is_unreachable() -> None:
    async with (
        device(lambda pdu: bytes([pdu[0] | 0x80, 11])) as (port, _),
        opened(driver_at(port, [point()])) as driver,
    ):
        with pytest.raises(Unreachable, match="gateway says that unit 1"):
            await driver.write(point(), 5)


@pytest.mark.parametrize("wrong", ["06000B0005", "06000A0006", "06000A", "05000A0005", "06000A000500"])
async def test_the_confirmation_of_anything_else_is_malformed(wrong: str) -> None:
    answered = device(lambda pdu: bytes.fromhex(wrong))
    async with answered as (port, _), opened(driver_at(port, [point()])) as driver:
        with pytest.raises(Malformed):
            await driver.write(point(), 5)


@pytest.mark.parametrize(
    "fields",
    [
        {"table": "input"},
        {"table": "discrete"},
        {"table": "coil"},
        {"bit": 3},
        {"type": "string", "length": 2},
        {"write": {"values": [True]}},
        {"write": {"values": ["a"]}},
        {"table": "coil", "write": {"values": [1]}},
        {"write": {"min": 5}},
        {"write": {"min": 5, "max": 4}},
        {"write": {"min": 1, "max": 4, "values": [2]}},
        {"write": {"values": []}},
        {"write": {}},
    ],
)
def test_rules_that_make_no_sense_are_wrong_configuration(fields: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"write|values|min"):
        point(**fields)
