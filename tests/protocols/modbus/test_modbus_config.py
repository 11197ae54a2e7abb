"""What the Modbus models accept, and what they say about what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from protocols.errors import ConfigError
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.driver import ModbusDriver
from protocols.text import Text
from protocols.validation import validate


def test_addresses_are_numbers_or_hexadecimal_text() -> None:
    assert ModbusPoint.model_validate({"name": "p", "address": 4126}).address == 4126
    assert ModbusPoint.model_validate({"name": "p", "address": "0x101E"}).address == 4126


def test_single_bits_are_bool_without_saying_so() -> None:
    assert ModbusPoint.model_validate({"name": "p", "table": "coil", "address": 0}).type == "bool"
    assert ModbusPoint.model_validate({"name": "p", "address": 0, "bit": 15}).type == "bool"
    assert ModbusPoint.model_validate({"name": "p", "address": 0}).type == "uint16"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"address": "4x1"}, "is not a number"),
        ({"address": 400101}, "drop the first digit"),
        ({"address": -1}, "outside 0..65535"),
        ({"table": "coil", "type": "uint16"}, "holds single bits"),
        ({"table": "discrete", "bit": 0}, "holds single bits"),
        ({"type": "bool"}, "needs bit"),
        ({"type": "uint16", "bit": 3}, "needs bit"),
        ({"type": "string"}, "needs length"),
        ({"type": "uint32", "length": 2}, "needs length"),
        ({"type": "string", "length": 4, "order": "CDAB"}, "never swapped"),
        ({"type": "float64", "address": 65533}, "ends beyond 65535"),
        ({"type": "int16", "invalid": [65536]}, "can not be the raw value"),
        ({"type": "uint16", "invalid": [-1]}, "can not be the raw value"),
        ({"type": "uint32", "invalid": [1.5]}, "can not be the raw value"),
        ({"type": "bool", "bit": 1, "invalid": [0]}, "can not be the raw value"),
        ({"scale": 0}, "scale of 0"),
        ({"codes": {}}, "need entries"),
        ({"codes": {"1": 3}, "scale": 0.1}, "no scale or offset"),
        ({"codes": {"1": 3}, "type": "float32"}, "has no codes"),
    ],
)
def test_contradictions_are_refused_in_both_languages(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ModbusPoint.model_validate({"name": "p", "address": 0, **fields})
    said = caught.value.errors()[0]["ctx"]["error"].args[0]
    assert isinstance(said, Text)
    assert words in said.en
    assert any("\u4e00" <= letter <= "\u9fff" for letter in said.zh)


def test_numbers_that_are_none_are_refused() -> None:
    for fields in ({"scale": float("nan")}, {"offset": float("inf")}):
        with pytest.raises(ValidationError):
            ModbusPoint.model_validate({"name": "p", "address": 0, **fields})


def test_a_serial_line_has_no_unit_0() -> None:
    assert ModbusConnection(host="h", unit_id=0).unit_id == 0
    with pytest.raises(ValidationError, match="broadcast"):
        ModbusConnection(host="h", unit_id=0, framing="rtu-over-tcp")
    with pytest.raises(ValidationError, match="broadcast"):
        ModbusConnection(serial="/dev/ttyUSB0", unit_id=0, framing="rtu")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "give host and no serial"),
        ({"host": "h", "serial": "/dev/ttyUSB0"}, "give host and no serial"),
        ({"serial": "/dev/ttyUSB0"}, 'for a serial port set framing = "rtu"'),
        ({"framing": "rtu"}, "and no host"),
        ({"framing": "rtu", "host": "h"}, "and no host"),
        ({"framing": "rtu", "host": "h", "serial": "/dev/ttyUSB0"}, "and no host"),
    ],
)
def test_a_device_is_on_the_network_or_on_a_serial_port(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(ModbusConnection, fields, "device[1].connection")
    assert words in caught.value.what.en
    assert any("\u4e00" <= letter <= "\u9fff" for letter in caught.value.what.zh)


@pytest.mark.parametrize(
    "fields",
    [{"serial": "COM 3"}, {"serial": ""}, {"baudrate": 0}, {"parity": "even"}, {"stopbits": 3}, {"unit_id": 256}],
)
def test_wrong_settings_of_a_serial_port_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModbusConnection.model_validate({"framing": "rtu", "serial": "/dev/ttyUSB0", **fields})


def test_a_value_wider_than_a_request_is_refused_by_the_driver() -> None:
    with pytest.raises(ConfigError, match="takes 4 registers, more than max_registers = 2"):
        ModbusDriver("d", ModbusConnection(host="h", max_registers=2), [ModbusPoint(name="p", address=0, type="int64")])


@pytest.mark.parametrize("host", ["192.168.1.5", "plc-7", "plc.line1.example", "fe80::1"])
def test_hosts_are_addresses_or_names(host: str) -> None:
    assert ModbusConnection(host=host).host == host


@pytest.mark.parametrize("host", ["192.168.1.5:502", "tcp://plc", "__name", "plc 1", "a" * 64, "车间"])
def test_anything_else_is_no_host(host: str) -> None:
    with pytest.raises(ValidationError, match="neither an IP address nor a host name"):
        ModbusConnection(host=host)


@pytest.mark.parametrize(
    ("fields", "span", "limits"),
    [
        ({"address": 2}, ("holding", 32, 48), (0, 65535)),
        ({"address": 2, "type": "int32", "table": "input"}, ("input", 32, 64), (-(2**31), 2**31 - 1)),
        ({"address": 2, "bit": 3}, ("holding", 35, 36), None),
        ({"address": 2, "table": "coil"}, ("coil", 2, 3), None),
        ({"address": 0, "type": "string", "length": 4}, ("holding", 0, 64), None),
        ({"address": 0, "type": "float32"}, ("holding", 0, 32), None),
    ],
)
def test_a_point_tells_its_memory_and_its_limits(fields: dict[str, Any], span: object, limits: object) -> None:
    point = ModbusPoint.model_validate({"name": "p", **fields})
    assert point.span() == span
    assert point.raw_limits() == limits
