"""Tells which template of the library a Modbus device is, from what it says and from what its registers hold.

A template fits when its registers exist and their values make sense together: inside the range of the dictionary
entry each one is mapped to, and obeying P = U I cos phi and P = P1 + P2 + P3 where the template has these points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from edge_agent.onboard.evidence import HINT_BITS, LAW_BITS, Survey, sense
from protocols.driver import PointConfig
from protocols.library.templates import Sign, Template, load_template, template_ids
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.driver import ModbusDriver
from protocols.modbus.identification import identification
from protocols.reading import (
    BAD_COMMUNICATION_ERROR,
    BAD_CONFIGURATION_ERROR,
    BAD_DEVICE_FAILURE,
    Value,
)
from protocols.text import Text

SURE = 0.6
"""Score from which a match is an answer; below, it is a guess."""
_BITS = 8.0
_ABSENT = {BAD_CONFIGURATION_ERROR, BAD_COMMUNICATION_ERROR, BAD_DEVICE_FAILURE}


class Match(NamedTuple):
    """How well a template fits: score 0..1, why, and how many bits of evidence there are (`evidence`)."""

    template: str
    name: Text
    score: float
    reasons: tuple[Text, ...]
    bits: float = 0.0


class Identified(NamedTuple):
    """What a device says of itself, and the templates that fit, best first."""

    identity: dict[str, str]
    matches: list[Match]


async def identify(device: str, connection: ModbusConnection, advance: Callable[[], None] = lambda: None) -> Identified:
    """Ask the device who it is and try every Modbus template of the library on it; reads only.

    `advance` is called after the question and after each template. Raises Unreachable or Malformed as soon as the
    device answers nothing or nonsense: the rest of the library is then not tried.
    """
    identity = await identification(device, connection)
    advance()
    templates = modbus_templates()
    answers = await read_all(device, connection, templates, advance)
    return Identified(identity, rank(templates, answers, identity))


def rank(
    templates: Sequence[Template], answers: Mapping[str, Mapping[str, Value]], identity: Mapping[str, str]
) -> list[Match]:
    """Return the templates that fit at all, best first; `answers` as `read_all` gives them."""
    survey = Survey(templates, answers)
    matches = [judge(template, answers[template.device.id], identity, survey) for template in templates]
    found = sorted(
        (match for match in matches if match.score > 0.1), key=lambda match: (-round(match.score, 2), -match.bits)
    )
    places = {template.device.id: _places(template) for template in templates}
    return [_with_twins(match, found, places) for match in found]


def _with_twins(match: Match, found: Sequence[Match], places: Mapping[str, frozenset[str]]) -> Match:
    """Return the match with a word on those that have the same points and fit as well: nothing told them apart."""
    twins = [
        other.template
        for other in found
        if other.template != match.template
        and places[other.template] == places[match.template]
        and (round(other.score, 2), other.bits) == (round(match.score, 2), match.bits)
    ]
    if not twins:
        return match
    listed = ", ".join(twins)
    note = Text(f"has the same map as {listed}: see the label", f"与 {listed} 的点表相同，请核对铭牌")
    return match._replace(reasons=(*match.reasons, note))


def _places(template: Template) -> frozenset[str]:
    return frozenset(_place(point) for point in template.points)


def _place(point: PointConfig) -> str:
    return point.model_dump_json(exclude={"name", "description"})


def modbus_templates() -> list[Template]:
    """Return the library's Modbus templates."""
    templates = [load_template(name) for name in template_ids()]
    return [template for template in templates if template.device.protocol == "modbus"]


async def read_all(
    device: str,
    connection: ModbusConnection,
    templates: Sequence[Template],
    advance: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, Value]]:
    """Return, by template and point, the value of each point and sign the device has; what it does not have is missing.

    A point that is there but shows no valid value has None.
    """
    answers: dict[str, dict[str, Value]] = {}
    asked: dict[tuple[str, ...], list[tuple[bool, Value]]] = {}
    driver = ModbusDriver(device, connection, ())
    await driver.open()
    try:
        for template in templates:
            # Names do not matter to the device: those of one template must only differ from those of the next.
            points = [
                point.model_copy(update={"name": f"{template.device.id} {point.name}"})
                for point in (*template.points, *template.signs)
                if isinstance(point, ModbusPoint)
            ]
            same = tuple(_place(point) for point in points)
            if same not in asked:
                asked[same] = [
                    (reading.quality not in _ABSENT, reading.value if reading.quality.good else None)
                    for reading in await driver.read(points)
                ]
            answers[template.device.id] = {
                point.name: value
                for point, (there, value) in zip((*template.points, *template.signs), asked[same], strict=True)
                if there
            }
            advance()
    finally:
        await driver.close()
    return answers


def judge(
    template: Template, values: Mapping[str, Value], identity: Mapping[str, str], survey: Survey | None = None
) -> Match:
    """Return how well `values`, by point name, and `identity` fit `template`.

    The score is the share of points that exist, times the square of the share of tests of sense passed, times how sure
    the evidence makes: 1 - 2^(-bits / 8). Where the signs of the fingerprint hold, all of them and a rare one
    among them, they take the place of that evidence, with 0.9. One that does not hold takes four fifths of the score away;
    one that the device has no register for says nothing, because older ones may lack it. A device that names this
    type in its identification is at 0.95 at least.
    """
    points = template.points
    there = sum(point.name in values for point in points)
    reasons = [Text(f"{there} of {len(points)} points exist", f"{len(points)} 个点中存在 {there} 个")]
    made = sense(template, values)
    reasons += made.reasons
    bits = made.bits + (survey.bits(template, values) if survey is not None else 0.0)
    score = there / len(points) * made.passed**2 * (1 - 2 ** (-max(bits, 0.0) / _BITS))
    shown = [(sign, values.get(sign.point)) for sign in template.fingerprint.sign]
    told = [(sign, value, sign.holds(value)) for sign, value in shown if value is not None or not sign.at]
    if all(holds for _, _, holds in told) and any(sign.rare for sign, _, _ in told):
        score = max(score, 0.9 * there / len(points) * made.passed**2)
    for sign, value, holds in told:
        score *= 1.0 if holds else 0.2
        bits += holds * (2 * LAW_BITS if sign.rare else HINT_BITS)
        name = _address(template, sign) or sign.point
        reasons.insert(
            0,
            Text(f"{name} = {value}, as this type shows", f"{name} = {value}，符合该型号特征")
            if holds
            else Text(f"{name} = {value}, not what this type shows", f"{name} = {value}，与该型号特征不符"),
        )
    said = named(template, identity)
    if said is not None:
        reasons.insert(0, said)
        score = max(score, 0.95)
        bits += 2 * LAW_BITS
    return Match(template.device.id, template.device.name, round(score, 3), tuple(reasons), bits)


def _address(template: Template, sign: Sign) -> str:
    """Return where a sign is looked up that is no point, "" for a point."""
    found = [point for point in template.signs if point.name == sign.point and isinstance(point, ModbusPoint)]
    return f"{found[0].table} {found[0].address}" if found else ""


def named(template: Template, identity: Mapping[str, str]) -> Text | None:
    """Return the reason where the device names this type: a text of its fingerprint, or its model and manufacturer."""
    said = " ".join(identity.values()).lower()
    device = template.device
    texts = [text for text in template.fingerprint.identification if text.lower() in said]
    model = device.model.lower()
    if not texts and len(model) > 3 and model in said and device.manufacturer.split()[0].lower() in said:
        texts = [device.model]
    if not texts:
        return None
    return Text(f"it says '{texts[0]}' of itself", f"设备自报标识中有“{texts[0]}”")
