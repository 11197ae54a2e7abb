"""Tests one point on its device, in the agent's configuration or not yet: what was sent, what came, what it could mean.

For Modbus every other type, order and address that fits the registers is shown with its value and with what speaks for
or against it - the dictionary's range, the laws that tie it to the device's other points, that a measurement does not
jump - so that a person chooses by looking. Nothing is written and nothing is kept.
"""

from __future__ import annotations

import asyncio
import struct
from math import inf
from time import monotonic
from typing import Any, Literal

import msgspec

from edge_agent.config import DeviceConfig
from edge_agent.normalise import Normaliser
from edge_agent.point_plausible import Judge, by_law, partners
from protocols.dictionary.entries import load_dictionary
from protocols.dictionary.units import load_units
from protocols.driver import PointConfig
from protocols.errors import SunmaoError, Unreachable
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.frames import explain_frame
from protocols.modbus.trial import LOOK_AGAIN_S, Alternative, try_point
from protocols.reading import BAD_NO_COMMUNICATION, Reading, Value
from protocols.text import Text

ANSWER_S = 2.0
"""How long a test may take, in seconds, before it says that nobody answers."""


class Frame(msgspec.Struct, frozen=True):
    """What went over the wire; `hex` is empty where the protocol is encrypted or too long to show."""

    direction: Literal["sent", "received"]
    hex: str
    words: Text


class Candidate(msgspec.Struct, frozen=True):
    """One way of reading the registers, in the words of the configuration, and why it is plausible or not.

    `value` is in the unit of the point; `configured` marks the way the point is read now; `table` is given where it is
    another than the point's.
    """

    type: str
    order: str
    address: int
    value: Value
    plausible: bool
    why: Text
    configured: bool = False
    bit: int | None = None
    bits: int | None = None
    byte: str | None = None
    table: str | None = None

    def choose(self, fields: dict[str, Any]) -> None:
        """Make `fields`, those of a point's configuration, read the registers in this way."""
        if fields.get("type") != self.type:
            fields.pop("invalid", None)  # raw values of the other type
        for key in ("type", "order", "address", "bit", "bits", "byte"):
            fields.pop(key, None)
            if (value := getattr(self, key)) is not None:
                fields[key] = value
        if self.table is not None:
            fields["table"] = self.table


class PointTest(msgspec.Struct, frozen=True):
    """What testing a point found.

    reached: whether the device answered, be it with a refusal. value, quality: of the point as configured; quality is
    the name of an OPC UA status. unit: UN/ECE code of `value`, "" where none is known. round_trip_ms: from request to
    answer, None without one. registers: as the point's own addresses hold them. found: the result in a sentence.
    """

    device: str
    point: str
    reached: bool
    frames: list[Frame]
    registers: list[int]
    candidates: list[Candidate]
    value: Value
    unit: str
    quality: str
    round_trip_ms: float | None
    found: Text


async def test_point(device: DeviceConfig, point: str) -> PointTest:
    """Test the point named `point` of `device`; raises ConfigError only if there is no such point."""
    known = device.point(point)
    if isinstance(device.connection, ModbusConnection) and isinstance(known, ModbusPoint):
        return await _modbus(device, device.connection, known)
    return await _any_driver(device, known)


test_point.__test__ = False  # type: ignore[attr-defined] # its name is no test's, whatever pytest thinks


async def _modbus(device: DeviceConfig, connection: ModbusConnection, point: ModbusPoint) -> PointTest:
    begun = monotonic()
    trial = await try_point(device.name, connection, point, ANSWER_S)
    serial = connection.framing != "tcp"
    frames = [
        Frame(
            "sent" if seen.sent else "received",
            seen.data.hex(" ").upper(),
            explain_frame(seen.data, serial=serial, sent=seen.sent),
        )
        for seen in trial.frames
    ]
    expected = None
    if trial.error is None and trial.alternatives and monotonic() - begun < 0.5 * ANSWER_S:
        expected = await _expected(device, point, ANSWER_S - (monotonic() - begun))
    judge = Judge(point, expected, LOOK_AGAIN_S)
    candidates = [_candidate(point, other, judge) for other in trial.alternatives]
    candidates.sort(key=lambda candidate: (not candidate.plausible, not candidate.configured))
    registers = [
        trial.registers[place]
        for place in range(point.address, point.address + point.width)
        if place in trial.registers
    ]
    result = _result(device, point, trial.reading, trial.error, trial.round_trip_s)
    found = result.found
    if trial.reading is not None and trial.elsewhere:
        places = ", ".join(f"{table} {address}" for table, address in trial.elsewhere)
        found = Text(
            f"{found.en}; it has nothing at {point.table} {point.address}, so {places} was looked at",
            f"{found.zh}；{point.table} {point.address} 不存在，因此又查看了 {places}",
        )
    if trial.reading is not None and not any(each.configured and each.plausible for each in candidates):
        others = sum(candidate.plausible for candidate in candidates)
        found = Text(
            f"{found.en}; {others} other ways of reading it are plausible" if others else found.en,
            f"{found.zh}；另有 {others} 种读法看起来合理" if others else found.zh,
        )
    return msgspec.structs.replace(result, frames=frames, registers=registers, candidates=candidates, found=found)


async def _any_driver(device: DeviceConfig, point: PointConfig) -> PointTest:
    address = ", ".join(
        f"{key} = {value}"
        for key, value in point.model_dump(exclude_unset=True, mode="json").items()
        if key not in PointConfig.model_fields
    )
    frames = [Frame("sent", "", Text(f"read {address}", f"读取 {address}"))]
    driver = device.driver()
    reading: Reading | None = None
    error: SunmaoError | None = None
    sent = monotonic()
    try:
        async with asyncio.timeout(max(ANSWER_S, device.connection.timeout_s)):
            await driver.open()
            sent = monotonic()
            reading = (await driver.read([point]))[0]
    except SunmaoError as failure:
        error = failure
    except TimeoutError:
        error = Unreachable(
            Text(f"{device.name}: no answer in time", f"{device.name}：未及时应答"),
            Text("check address, power and network", "请检查地址、电源与网络"),
        )
    finally:
        await driver.close()
    round_trip = None if reading is None else monotonic() - sent
    if reading is not None:
        words = f"{reading.value}, {reading.quality.cause}"
        frames.append(Frame("received", "", Text(words, words)))
    return msgspec.structs.replace(_result(device, point, reading, error, round_trip), frames=frames)


def shown_value(value: Value) -> str:
    """Return a value with the digits it was measured with: 231.82, where the device sent it as a 32-bit float."""
    if not isinstance(value, float):
        return str(value)
    # Nine digits tell any two 32-bit floats apart, six are always true of one (IEEE 754).
    shorter = (float(f"{value:.{digits}g}") for digits in range(6, 10))
    return str(next((short for short in shorter if _single(short) == value), float(f"{value:.12g}")))


def _single(value: float) -> float:
    """Return the 32-bit float nearest to `value`."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return inf


def _result(
    device: DeviceConfig,
    point: PointConfig,
    reading: Reading | None,
    error: SunmaoError | None,
    round_trip_s: float | None,
) -> PointTest:
    """Return the result without frames, registers and candidates."""
    entry = load_dictionary()[point.property] if point.property else None
    unit = point.unit or (entry.unit if entry else "")
    quality = BAD_NO_COMMUNICATION
    if reading is None:
        assert error is not None  # noqa: S101 - a trial without a reading has its reason
        found = Text(error.explain("en"), error.explain("zh"))
    else:
        (_, normal), *_ = Normaliser(device, {})([reading])[0]
        quality = normal.quality
        symbol = load_units()[unit].symbol if unit in load_units() else unit
        shown = f"{shown_value(reading.value)} {symbol}".strip()
        if quality.good:
            found = Text(f"reads {shown}", f"读到 {shown}")
        elif reading.value is not None:
            found = Text(
                f"reads {shown}, which is not plausible ({quality.cause})", f"读到 {shown}，但不合理({quality.cause})"
            )
        else:
            found = Text(
                f"the device answers, but not with a value ({quality.cause})", f"设备有应答，但没有值({quality.cause})"
            )
    return PointTest(
        device=device.name,
        point=point.name,
        reached=reading is not None,
        frames=[],
        registers=[],
        candidates=[],
        value=reading.value if reading else None,
        unit=unit,
        quality=quality.cause,
        round_trip_ms=None if round_trip_s is None else round(round_trip_s * 1000, 1),
        found=found,
    )


def _candidate(point: ModbusPoint, other: Alternative, judge: Judge) -> Candidate:
    plausible, why = judge.judge(other.value, other.later)
    same = all(
        getattr(other.point, field) == getattr(point, field)
        for field in ("table", "type", "address", "bit", "bits", "byte")
    )
    return Candidate(
        type=other.point.type,
        order=other.point.order,
        address=other.point.address,
        value=other.value,
        plausible=plausible,
        why=why,
        configured=same and _same_order(point, other.point),
        bit=other.point.bit,
        bits=other.point.bits,
        byte=other.point.byte,
        table=None if other.point.table == point.table else other.point.table,
    )


def _same_order(one: ModbusPoint, other: ModbusPoint) -> bool:
    """Whether both orders read the same; in one register only the order of its two bytes matters."""
    swapped = {"BADC", "DCBA"}
    return one.order == other.order or (one.width == 1 and (one.order in swapped) == (other.order in swapped))


async def _expected(device: DeviceConfig, point: ModbusPoint, within_s: float) -> tuple[float, Text] | None:
    """Return what the device's other points say `point` must be, in its unit, and by which law; None without such.

    P = U × I × cos φ of each phase, and the sum of the phases; the others are taken as configured, only if they read
    well and are plausible themselves.
    """
    needed = partners(point.property or "")
    others = [other for other in device.points if other.property in needed and other.name != point.name]
    if not needed or len({other.property for other in others}) < len(needed):
        return None
    driver = device.driver()
    try:
        async with asyncio.timeout(within_s):
            await driver.open()
            readings = await driver.read(others)
    except (SunmaoError, TimeoutError):
        return None
    finally:
        await driver.close()
    known: dict[str, float] = {}
    for ref, reading in Normaliser(device, {})(readings)[0]:
        if reading.quality.good and isinstance(reading.value, (int, float)):
            known.setdefault(ref.property, float(reading.value))
    if not needed <= known.keys():
        return None
    return by_law(point, known)
