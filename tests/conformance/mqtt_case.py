"""MQTT without TLS: JSON topics, and a Sparkplug B node with a device; `tests/protocols/mqtt` holds TLS to its promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from protocols.mqtt.broker import find_mosquitto
from protocols.mqtt.config import MqttPoint
from tests.conformance.case import DriverCase

JSON = [
    {"name": "temperature", "topic": "hall/press/state", "value": "zones.0.temperature", "unit": "CEL"},
    {
        "name": "pressure",
        "topic": "hall/press/state",
        "value": "/hydraulics/pressure",
        "scale": 0.1,
        "offset": 1.0,
        "command_topic": "hall/press/set",
        "command": '{"pressure": {value}}',
    },
    {"name": "shots", "topic": "hall/press/shots"},
    {"name": "recipe", "topic": "hall/press/job", "value": "recipe", "time": "at"},
    {"name": "running", "topic": "hall/press/job", "value": "running", "quality": "q", "good": ["ok"]},
    {"name": "broken", "topic": "hall/press/broken", "value": "v"},
]
SPARKPLUG = [
    {"name": "temperature", "sparkplug": "hall/node-1/press", "metric": "Zone 1/Temperature"},
    {"name": "pressure", "sparkplug": "hall/node-1/press", "metric": "Pressure", "scale": 0.1, "offset": 1.0},
    {"name": "shots", "sparkplug": "hall/node-1", "metric": "Shots"},
    {"name": "recipe", "sparkplug": "hall/node-1/press", "metric": "Recipe"},
    {"name": "running", "sparkplug": "hall/node-1", "metric": "Running"},
    {"name": "broken", "sparkplug": "hall/node-1/press", "metric": "Broken"},
]
FIRST = {"temperature": 21.5, "pressure": 2.5, "shots": 2**40 + 1, "recipe": "A42", "running": True, "broken": None}
SECOND = {"temperature": -0.25, "pressure": 7.1, "shots": 2**40 + 2, "recipe": "007", "running": False, "broken": 3.5}


def _connection(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {"host": host, "port": int(port), "security": "none"}


def _case(name: str, points: Sequence[dict[str, Any]], absent: dict[str, Any]) -> DriverCase:
    return DriverCase(
        name=name,
        protocol="mqtt",
        points=[MqttPoint.model_validate(fields) for fields in points],
        values=FIRST,
        other_values=SECOND,
        absent=MqttPoint.model_validate({"name": "absent", **absent}),
        address=lambda port: f"127.0.0.1:{port}",
        connection=_connection,
        refused_connections=[
            {"host": ""},
            {"host": "mqtt://127.0.0.1"},
            {"port": 70000},
            {"security": "ssl"},
            {"password": "secret"},
            {"security": "tls", "certificate": "agent.pem"},
            {"ca": "authority.pem"},
            {"version": "3"},
            {"qos": 3},
            {"keepalive_s": 0},
            {"timeout_s": 0},
            {"hots": "127.0.0.1"},
        ],
        refused_points=[
            {"name": "p"},
            {"name": "p", "topic": ""},
            {"name": "p", "topic": "hall/+/state"},
            {"name": "p", "topic": "hall/#"},
            {"name": "p", "topic": "hall", "sparkplug": "hall/node-1", "metric": "m"},
            {"name": "p", "topic": "hall", "metric": "m"},
            {"name": "p", "sparkplug": "hall/node-1"},
            {"name": "p", "sparkplug": "hall", "metric": "m"},
            {"name": "p", "sparkplug": "hall/+/press", "metric": "m"},
            {"name": "p", "sparkplug": "hall/node-1", "metric": "m", "time": "t"},
            {"name": "p", "topic": "hall", "time": "t", "time_format": "ns"},
            {"name": "p", "topic": "hall", "quality": "q"},
            {"name": "p", "topic": "hall", "good": [192]},
            {"name": "p", "topic": "hall", "write": {"values": [1]}},
            {"name": "p", "topic": "hall", "command_topic": "hall"},
            {"name": "p", "topic": "hall", "command_topic": "hall/+/set"},
            {"name": "p", "topic": "hall", "command_topic": "set", "command": "on"},
            {"name": "p", "topic": "hall", "command_topic": "set", "command": "{value}{value}"},
            {"name": "p", "topic": "hall", "command_topic": "set", "confirm_s": 0},
            {"name": "p", "sparkplug": "hall/node-1", "metric": "m", "command_topic": "set"},
        ],
        nonsense=b"HTTP/1.1 400 Bad Request\r\n\r\n",
        simulator_options={"tick_s": 0.02},
        program=find_mosquitto() or "mosquitto",
        goodbye="sparkplug" in name,
    )


CASES = [
    _case("mqtt-json", JSON, {"topic": "hall/press/absent"}),
    _case("mqtt-sparkplug", SPARKPLUG, {"sparkplug": "hall/node-1/press", "metric": "Absent"}),
]
