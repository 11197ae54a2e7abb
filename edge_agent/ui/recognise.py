"""Turns what a search found into machines: one for each Modbus unit and each OPC UA server, and what it seems to be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge_agent.onboard.discover import Found
from edge_agent.onboard.discover_serial import FoundOnLine
from edge_agent.onboard.identify import Match, identify, judge, modbus_templates
from edge_agent.ui.adopt import place_of
from edge_agent.ui.drafts import Likeness, Machine
from edge_agent.ui.jobs import Job
from protocols.catalogue import driver_class
from protocols.driver import Driver, PointConfig
from protocols.errors import Refused, SunmaoError
from protocols.library.templates import Template, load_template, template_ids
from protocols.modbus.config import ModbusConnection
from protocols.reading import Value
from protocols.text import Text
from protocols.validation import validate

_POLICIES = {  # name in the endpoint's URI -> value of `security`, the strongest first
    "Aes256_Sha256_RsaPss": "aes256sha256rsapss",
    "Basic256Sha256": "basic256sha256",
    "Aes128_Sha256_RsaOaep": "aes128sha256rsaoaep",
}
_SAID = ("application", "model_name", "product_name", "product_code", "product", "vendor_name", "manufacturer")
"""What a machine says of itself, the most telling name first."""


async def machines_of(found: Found, folder: Path, job: Job) -> AsyncIterator[Machine]:
    """Yield the machines at a place where something listens, each compared with the library.

    `folder` is where the configuration lies. A machine that stops answering meanwhile is yielded with a note.
    """
    if found.protocol == "unknown":
        yield Machine("", str(found.place), "unknown", str(found.place), note=found.note)
    elif found.protocol == "opcua":
        yield await _opcua_machine(found, folder, job)
    else:
        for unit in found.units:
            connection: dict[str, Any] = {"host": found.place.host, "port": found.place.port, "unit_id": unit}
            if found.protocol == "modbus-rtu-over-tcp":
                connection["framing"] = "rtu-over-tcp"
            yield await _modbus_machine(connection, found.identity, found.note, job)


async def machine_on_line(told: FoundOnLine, job: Job) -> Machine:
    """Return the machine that a unit on a serial line is; a line on which something is strange is none."""
    if told.unit == 0:
        return Machine("", told.path, "unknown", told.path.rpartition("/")[2], note=told.note)
    connection = {"serial": told.path, "framing": "rtu", "unit_id": told.unit, **told.setting._asdict()}
    return await _modbus_machine(connection, told.identity, told.note, job)


async def _modbus_machine(
    connection: dict[str, Any], identity: Mapping[str, str], note: Text | None, job: Job
) -> Machine:
    place = place_of(connection)
    machine = Machine("", place, "modbus", place, connection, dict(identity), note=note)
    machine.name = _own_name(machine)
    job.begin(Text(f"comparing {place} with the library", f"正在与设备库比对 {place}"), 1 + len(modbus_templates()))
    try:
        identified = await identify(place, validate(ModbusConnection, connection, place), job.advance)
    except SunmaoError as error:
        machine.note = error.what
        return machine
    machine.identity |= identified.identity
    _take(machine, identified.matches)
    return machine


async def _opcua_machine(found: Found, folder: Path, job: Job) -> Machine:
    security, url = _way_in(found.details.get("endpoints", ()))
    connection = {"endpoint": f"opc.tcp://{found.place}{urlsplit(url).path.rstrip('/')}", "security": security}
    machine = Machine(
        "", str(found.place), "opcua", "", connection, dict(found.identity), dict(found.details), note=found.note
    )
    machine.name = _own_name(machine)
    try:
        _take(machine, await opcua_matches(machine, folder, job))
    except Refused:
        pass  # it lets in whom it trusts; the machine's own page asks for that
    except SunmaoError as error:
        machine.note = error.what
    return machine


def _way_in(endpoints: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return (security, URL) of the most secure endpoint offered; "none" only where nothing else is."""
    for policy, security in _POLICIES.items():
        for endpoint in endpoints:
            if endpoint["policy"] == policy and endpoint["mode"] == "SignAndEncrypt":
                return security, endpoint["url"]
    return "none", next((endpoint["url"] for endpoint in endpoints if endpoint["policy"] == "None"), "")


async def opcua_matches(machine: Machine, folder: Path, job: Job) -> list[Match]:
    """Return the library's OPC UA templates that fit a server, best first; raises as its driver does."""
    job.begin(
        Text(f"comparing {machine.place} with the library", f"正在与设备库比对 {machine.place}"),
        len(opcua_templates()),
    )
    matches = []
    for template in opcua_templates():
        kind = driver_class("opcua")
        connection = validate(kind.Connection, template.defaults | machine.connection, machine.place, folder)
        values = await _values(kind(machine.place, connection, template.points), template.points)
        match = judge(template, values, machine.identity)
        if match.score > 0.1:
            matches.append(match)
        job.advance()
    return sorted(matches, key=lambda match: -match.score)


async def _values(driver: Driver, points: Sequence[PointConfig]) -> dict[str, Value]:
    try:
        await driver.open()
        readings = await driver.read(points)
    finally:
        await driver.close()
    return {reading.point: reading.value for reading in readings if reading.quality.good}


@lru_cache(maxsize=1)
def opcua_templates() -> tuple[Template, ...]:
    """Return the library's OPC UA templates; read once per process."""
    templates = map(load_template, template_ids())
    return tuple(template for template in templates if template.device.protocol == "opcua")


def _take(machine: Machine, matches: Sequence[Match]) -> None:
    machine.matches = tuple(
        Likeness(match.template, _model_name(match.template), match.score, match.reasons, match.bits)
        for match in matches[:5]
    )
    known = machine.known
    if known is not None:
        template = load_template(known.template)
        machine.kind, machine.name = template.device.equipment_class, template.device.model
        return
    machine.name = _own_name(machine)


def _own_name(machine: Machine) -> str:
    said = (machine.identity.get(key, "").strip() for key in _SAID)
    return next(filter(None, said), machine.place).strip("/").replace("/", "-")


def _model_name(template: str) -> Text:
    device = load_template(template).device
    model = f"{device.manufacturer} {device.model}"
    return Text(f"{model}, {device.name.en}", f"{model} {device.name.zh}")
