"""Fetches a machine's points with what each one is: from the library, from its own browsing, or from its registers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.onboard.browse_list import browse_points, unit_text
from edge_agent.onboard.decode import FEWEST, Snapshots, decode
from edge_agent.onboard.decode_sample import DEFAULT_RANGES, RegisterSampler
from edge_agent.onboard.point_list import Point, PointList
from edge_agent.onboard.propose import SURE, Proposal, propose
from edge_agent.onboard.propose_lexicon import load_lexicon
from edge_agent.onboard.propose_memory import Memory
from edge_agent.ui.decoded_points import decoded_points
from edge_agent.ui.draft_device import device_config, draft_points, needs_codes, unit_suits
from edge_agent.ui.drafts import DraftPoint, Drafts, Machine
from edge_agent.ui.jobs import Job
from protocols.catalogue import driver_class
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.errors import ConfigError, Refused
from protocols.library.templates import load_template
from protocols.modbus.config import ModbusConnection, Table
from protocols.text import Language, Text
from protocols.validation import validate

SAMPLING_S = 120.0
"""How long an unknown machine is watched unless a person says that it is enough."""

PERIOD_S = 1.0
LEAST_SHOTS = FEWEST + 2
"""Samples before which "enough" is not offered: with fewer nothing can be told."""

MANY = 300
"""A server that offers more points than this has those left out, at first, of which nobody knows what they are."""

LONGEST_NAME = 120
"""As the model of a point allows."""


async def learn_from_library(machine: Machine, template: str, folder: Path) -> None:
    """Lay out the points of a template and leave out those the machine does not have; raises as its driver does."""
    known = load_template(template)
    score = next((match.score for match in machine.matches if match.template == template), 0.0)
    machine.template, machine.kind = template, known.device.equipment_class
    points = draft_points(known, score)
    device = device_config(machine, folder, points)
    driver = device.driver()
    try:
        await driver.open()
        readings = await driver.read(device.points)
    finally:
        await driver.close()
    for point, reading in zip(points, readings, strict=True):
        if reading.quality.cause in {"BadConfigurationError", "BadNodeIdUnknown"}:
            point.included = False
            point.reason = Text("this machine does not have it", "本设备没有该点")
    machine.points = points


async def learn_by_browsing(machine: Machine, folder: Path, memory: Memory, job: Job) -> None:
    """Ask an OPC UA server for all it offers and propose an entry for each; raises as its driver does."""
    machine.template = ""
    kind = driver_class(machine.protocol)
    connection = validate(kind.Connection, machine.connection, machine.place, folder)
    job.begin(Text("asking the machine what it offers", "正在读取设备提供的点"), 0)
    found = await browse_points(kind(machine.place, connection, []), advance=job.advance)
    if not found.points:
        raise Refused(
            Text(f"{machine.place} offers no values", f"{machine.place} 没有可读取的值"),
            Text("log in with a user who may see them", "请使用有权限的用户登录"),
        )
    machine.points = await asyncio.to_thread(_browsed_points, machine, found, memory)


def _browsed_points(machine: Machine, found: PointList, memory: Memory) -> list[DraftPoint]:
    vendor, model = _maker(machine)
    meanings = propose(msgspec.structs.replace(found, vendor=vendor, model=model, kind=machine.kind), memory)
    points = []
    for browsed, name in zip(found.points, _short_names([point.name for point in found.points]), strict=True):
        fields: dict[str, Any] = {"node": browsed.address}
        if browsed.description:
            fields["description"] = browsed.description
        if browsed.low is not None and browsed.high is not None:
            fields |= {"low": browsed.low, "high": browsed.high}
        unit = load_lexicon().unit_code(browsed.unit) if browsed.unit else None
        point = DraftPoint(name=name, fields=fields, unit=unit, said=browsed.name)
        take_meaning(point, meanings[browsed.address])
        points.append(point)
    if len(points) > MANY:
        for point in points:
            point.included = point.code is not None
    return points


def _short_names(paths: Sequence[str]) -> list[str]:
    """Return the shortest end of each browse path that names one point alone, as people say it."""
    parts = [[part.strip() for part in path.split("/") if part.strip()] or ["point"] for path in paths]
    ends = Counter(".".join(part[-length:]) for part in parts for length in range(1, len(part) + 1))
    names = []
    for number, part in enumerate(parts, 1):
        fits = (name for length in range(1, len(part) + 1) if ends[name := ".".join(part[-length:])] == 1)
        name = next(fits, f"{'.'.join(part)} {number}")
        names.append(name if len(name) <= LONGEST_NAME else f"{number} {name[-LONGEST_NAME + 10 :]}")
    return names


def point_list(machine: Machine, points: Sequence[DraftPoint]) -> PointList:
    """Return `points` as the list that what was confirmed is remembered for, as it was when they were proposed."""
    vendor, model = _maker(machine)
    return PointList(
        [
            Point(
                point.name,
                name=point.said or point.name,
                description=str(point.fields.get("description", "")) if machine.protocol == "opcua" else "",
                unit=unit_text(point.unit),
            )
            for point in points
        ],
        vendor=vendor,
        model=model,
        kind=machine.kind,
    )


def _maker(machine: Machine) -> tuple[str, str]:
    said = machine.identity
    vendor = said.get("vendor_name") or said.get("manufacturer") or ""
    return vendor, said.get("product_name") or said.get("model_name") or said.get("product") or ""


def take_meaning(point: DraftPoint, meaning: Proposal) -> None:
    """Take over a proposal; one that the unit contradicts is none, one whose codes nobody has named is not sure."""
    code, confidence, reason = meaning.property, meaning.confidence, meaning.reason
    if code is not None and not unit_suits(point, code):
        code, reason = None, Text(f"its unit does not suit '{code}'", f"单位与条目“{code}”不符")
    elif code is not None and needs_codes(point, code):
        confidence = min(confidence, SURE - 0.01)
        reason = Text(
            f"{reason.en}; say what the machine's own codes mean", f"{reason.zh}；请说明设备代码的含义"
        )  # fmt: skip
    point.code, point.reason = code, reason
    point.confidence = confidence if code else 0.0
    point.nearest = meaning.nearest


async def learn_by_watching(machine: Machine, memory: Memory, job: Job, rate: float) -> None:
    """Find the registers of an unknown Modbus machine, watch them and infer what they hold.

    Watches for `SAMPLING_S` or until `job.enough`. `rate` is the most requests per second. Raises Unreachable,
    Refused, Malformed; Refused too where it has no registers in the usual places.
    """
    machine.template = ""
    connection = validate(ModbusConnection, machine.connection, machine.place)
    sampler = RegisterSampler(machine.place, connection, rate)
    await sampler.open()
    try:
        places: dict[Table, list[int]] = {}
        total = sum(part.last + 1 - part.first for part in DEFAULT_RANGES)
        job.begin(Text("looking for its registers", "正在查找寄存器"), total)
        for part in DEFAULT_RANGES:
            if found := await sampler.explore(part, job.advance):
                places[part.table] = found
        if not places:
            raise Refused(
                Text(f"{machine.place} has no registers at 0-199", f"{machine.place} 在 0-199 范围内没有寄存器"),
                Text(
                    "look into its manual for the register addresses, then use `sunmao-edge decode --range`",
                    "请查阅说明书中的寄存器地址，再使用 `sunmao-edge decode --range`",
                ),
            )
        job.begin(Text("watching its values change", "正在观察数值变化"), round(SAMPLING_S / PERIOD_S))
        shots = await sampler.sample(places, SAMPLING_S, PERIOD_S, job.advance, lambda: job.enough)
    finally:
        await sampler.close()
    job.begin(Text("working out what they are", "正在分析"), 0)
    machine.points = await asyncio.to_thread(_decoded, shots, machine.kind, memory)
    if not machine.points:
        raise ConfigError(
            Text("too few samples to tell anything", "样本太少，无法分析"), Text("watch longer", "请延长观察时间")
        )


def name_by_kind(machine: Machine, language: Language, drafts: Drafts) -> None:
    """Give a machine that is known by its address alone the name of its kind, if most of its sure points are of one."""
    classes = Counter(
        load_dictionary()[point.code].equipment_class for point in machine.points if point.sure and point.code
    )
    for name in ("generic", "sensor"):
        classes.pop(name, None)
    if machine.name != machine.place or not classes:
        return
    kind, _ = classes.most_common(1)[0]
    machine.name = drafts.free_name(equipment_classes()[kind].to(language))


def _decoded(shots: Mapping[Table, Snapshots], kind: str, memory: Memory) -> list[DraftPoint]:
    return decoded_points(decode(shots), kind, memory)
