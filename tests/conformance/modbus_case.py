"""Modbus: over TCP, serial frames over TCP, and a serial port."""

from __future__ import annotations

from typing import Any

from protocols.modbus.config import ModbusPoint
from tests.conformance.case import DriverCase

POINTS = [
    ModbusPoint.model_validate(fields)
    for fields in (
        {"name": "temperature", "address": 0, "type": "int16", "scale": 0.1},
        {"name": "power", "address": 1, "type": "float32", "order": "CDAB"},
        {"name": "energy", "address": 10, "type": "uint64", "order": "DCBA"},
        {"name": "serial", "address": 20, "type": "string", "length": 4},
        {"name": "alarm", "address": 30, "bit": 3},
        {"name": "empty", "address": 31, "type": "uint16", "invalid": ["0xFFFF"]},
        {"name": "speed", "table": "input", "address": 500, "type": "uint32", "order": "BADC"},
        {"name": "running", "table": "coil", "address": 7},
        {"name": "door", "table": "discrete", "address": 9},
    )
]
FIRST = {
    "temperature": -12.3,
    "power": 1500.5,
    "energy": 2**40 + 1,
    "serial": "A0042",
    "alarm": True,
    "empty": None,
    "speed": 123456,
    "running": True,
    "door": False,
}
SECOND = {
    "temperature": 45.6,
    "power": -0.25,
    "energy": 2**40 + 2,
    "serial": "B7",
    "alarm": False,
    "empty": 17,
    "speed": 7,
    "running": False,
    "door": True,
}


def _connection(framing: str, address: str) -> dict[str, Any]:
    if framing == "rtu":
        return {"serial": address, "framing": framing, "baudrate": 115200}
    host, _, port = address.rpartition(":")
    return {"host": host, "port": int(port), "framing": framing}


REFUSED = [
    {"port": 70000},
    {"unit_id": 256},
    {"max_registers": 126},
    {"pipeline": 0},
    {"timeout_s": 0},
    {"hots": "127.0.0.1"},
    {"max_registers": 1},
]
OVER_TCP = [{"host": ""}, {"framing": "rtu"}, {"serial": "/dev/ttyUSB0"}]
ON_A_PORT = [
    {"host": "127.0.0.1"},
    {"unit_id": 0},
    {"serial": "COM1"},
    {"baudrate": 1},
    {"parity": "M"},
    {"stopbits": 3},
]

CASES = [
    DriverCase(
        name=f"modbus-{framing}",
        protocol="modbus",
        points=POINTS,
        values=FIRST,
        other_values=SECOND,
        absent=ModbusPoint(name="absent", address=4000),
        address=lambda port, framing=framing: f"/dev/ttyNONE{port}" if framing == "rtu" else f"127.0.0.1:{port}",
        connection=lambda address, framing=framing: _connection(framing, address),
        refused_connections=[*REFUSED, *(ON_A_PORT if framing == "rtu" else OVER_TCP)],
        refused_points=[
            {"name": "p"},
            {"name": "p", "address": 70000},
            {"name": "p", "address": "4x1"},
            {"name": "p", "address": 0, "type": "int128"},
            {"name": "p", "address": 0, "type": "string"},
            {"name": "p", "address": 65535, "type": "float32"},
            {"name": "p", "address": 0, "table": "coil", "bit": 3},
        ],
        nonsense=b"HTTP/1.1 400 Bad Request\r\n\r\n",
        simulator_options={"framing": "tcp" if framing == "tcp" else "rtu-over-tcp", "tick_s": 0},
        serial=framing == "rtu",
    )
    for framing in ("tcp", "rtu-over-tcp", "rtu")
]
