"""The sample is a configuration that works, and shows every field."""

from __future__ import annotations

import tomllib
from importlib.resources import files

from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.driver import ModbusDriver

SAMPLE = files("protocols.modbus").joinpath("sample.toml").read_text(encoding="utf-8")


def test_the_sample_is_valid_and_complete() -> None:
    (device,) = tomllib.loads(SAMPLE)["device"]
    connection = ModbusConnection.model_validate(device["connection"])
    points = [ModbusPoint.model_validate(point) for point in device["point"]]
    assert len(ModbusDriver(device["name"], connection, points).plan(points)) == 5
    for name in ModbusConnection.model_fields:
        assert f"{name} =" in SAMPLE
    own = ModbusPoint.model_fields.keys() - {"property", "offset", "period_s", "description", "low", "high"}
    assert own <= {field for point in device["point"] for field in point}


def test_defaults_shown_in_the_sample_are_the_defaults() -> None:
    shown = [
        line.removeprefix("# ").partition(" #")[0]
        for line in SAMPLE.splitlines()
        if line.startswith("# ") and "=" in line
    ]
    assert len(shown) == 12
    for name, value in tomllib.loads("\n".join(shown)).items():
        assert ModbusConnection.model_fields[name].default == value


def test_every_library_device_of_this_protocol_can_be_planned() -> None:
    from protocols.library.templates import load_template, template_ids

    templates = [load_template(name) for name in template_ids()]
    planned = [t for t in templates if t.device.protocol == "modbus"]
    assert planned
    for template in planned:
        connection = ModbusConnection.model_validate({"host": "127.0.0.1", **template.defaults})
        assert ModbusDriver("d", connection, template.points).plan(template.points)  # type: ignore[arg-type]
