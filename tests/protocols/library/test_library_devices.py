"""Every device of the library is well made, is served over its real protocol, and reads back as it should."""

import re
from importlib.resources import files

import pytest

from protocols.catalogue import driver_class, simulator_class
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.driver import PointConfig
from protocols.library.lint import lint_template
from protocols.library.physics import behaviour
from protocols.library.templates import Template, load_template, template_ids
from protocols.reading import GOOD, Reading, Value

START = 1_700_000_000_000_000
NOON = START + 4 * 3600 * 10**6
DEVICES = [name for name in template_ids() if not name.startswith("demo-")]


def test_the_library_holds_ninety_real_devices_of_many_makers() -> None:
    assert len(DEVICES) >= 90
    assert len({load_template(name).device.manufacturer for name in DEVICES}) >= 30


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_is_fit_for_the_library(name: str) -> None:
    template = load_template(name)
    assert template.device.id == name
    assert re.search(r"public repositor|manual|data sheet|OPC", template.device.source)
    assert [fault.en for fault in lint_template(template)] == []
    assert sum(point.property is not None for point in template.points) >= 2


async def served(template: Template) -> list[Reading]:
    """Return what the real driver reads from the device's simulator, once."""
    values = behaviour(template, 7, START)
    simulator = simulator_class(template.device.protocol)(template.points, lambda: values(NOON))
    address = await simulator.start()
    try:
        host, _, port = address.rpartition(":")
        driver_type = driver_class(template.device.protocol)
        connection = driver_type.Connection.model_validate({**template.defaults, "host": host, "port": int(port)})
        driver = driver_type("device", connection, template.points)
        try:
            await driver.open()
            return await driver.read(template.points)
        finally:
            await driver.close()
    finally:
        await simulator.stop()


def implausible(template: Template, readings: list[Reading]) -> list[str]:
    """Return the points that are not good, or not where the dictionary says such values are."""
    found = []
    for point, reading in zip(template.points, readings, strict=True):
        if reading.quality != GOOD or reading.value is None:
            found.append(f"{point.name}: {reading.quality.cause}")
            continue
        if point.property is None or isinstance(reading.value, (bool, str)):
            continue
        entry = load_dictionary()[point.property]
        factor, offset = entry.conversion_from(point.unit or entry.unit)
        value = reading.value * factor + offset
        low = float("-inf") if entry.typical_min is None else entry.typical_min
        high = float("inf") if entry.typical_max is None else entry.typical_max
        if not low <= value <= high or (entry.values and value not in entry.values):
            found.append(f"{point.name}: {value} {entry.unit}")
    return found


async def test_every_modbus_device_is_served_and_read_back() -> None:
    templates = [load_template(name) for name in template_ids()]
    templates = [template for template in templates if template.device.protocol == "modbus"]
    faults = {template.device.id: implausible(template, await served(template)) for template in templates}
    assert {name: found for name, found in faults.items() if found} == {}


async def test_every_opcua_machine_is_served_and_read_back() -> None:
    templates = [load_template(name) for name in template_ids()]
    templates = [template for template in templates if template.device.protocol == "opcua"]
    values: dict[str, Value] = {}
    points: dict[str, PointConfig] = {}
    for template in templates:  # all on one server, whose start is what takes time
        present = behaviour(template, 7, START)(NOON)
        for point in template.points:
            place = str(point.model_dump(include={"node", "path"}))
            name = f"{template.device.id} {point.name}"
            points.setdefault(place, point.model_copy(update={"name": name}))
            values[name] = present[point.name]
    simulator = simulator_class("opcua")(list(points.values()), lambda: values)
    endpoint = await simulator.start()
    faults = {}
    try:
        for template in templates:
            driver_type = driver_class("opcua")
            connection = driver_type.Connection.model_validate(
                {**template.defaults, "endpoint": endpoint, "security": "none"}
            )
            driver = driver_type("machine", connection, template.points)
            try:
                await driver.open()
                faults[template.device.id] = implausible(template, await driver.read(template.points))
            finally:
                await driver.close()
    finally:
        await simulator.stop()
    assert {name: found for name, found in faults.items() if found} == {}


def test_the_readme_lists_every_device_by_its_class() -> None:
    text = files("protocols.library").joinpath("README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| .+ \| (.+) \|$", text, re.MULTILINE))
    listed: dict[str, list[str]] = {}
    for name in template_ids():
        listed.setdefault(load_template(name).device.equipment_class, []).append(f"`{name}`")
    assert {name: row.split(", ") for name, row in rows.items() if name in equipment_classes()} == listed
