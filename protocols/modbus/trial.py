"""Tries one point on its device and shows all there is to see: frames, registers, and what else they could mean.

Only reads: the point as configured first, then its neighbourhood, so that every type that could begin at its address,
or one before it (where a manual counts from 1), can be looked at. Where the device has nothing at the address, it is looked
for where manuals mean it to be: 40001 is the first holding register, 30001 the first input register, and input registers are
often called holding registers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any, NamedTuple

from pydantic import ValidationError

from protocols.errors import SunmaoError
from protocols.modbus.codec import decode
from protocols.modbus.config import BIT_TABLES, HALVES_SWAPPED, ModbusConnection, ModbusPoint
from protocols.modbus.driver import exception_quality
from protocols.modbus.link import ModbusLink
from protocols.modbus.plan import FUNCTION_CODES, Block
from protocols.reading import Quality, Reading, Value, now_us
from protocols.scan import Scan

WIDEST = 4
"""Registers of the longest number."""

_TWO, _FOUR = ("ABCD", "BADC"), ("ABCD", "CDAB", "BADC", "DCBA")
_SHAPES: Mapping[str, tuple[str, ...] | None] = {
    "uint16": _TWO,
    "int16": _TWO,
    "uint32": _FOUR,
    "int32": _FOUR,
    "float32": _FOUR,
    "uint64": (*_FOUR, *HALVES_SWAPPED),
    "int64": (*_FOUR, *HALVES_SWAPPED),
    "float64": (*_FOUR, *HALVES_SWAPPED),
    "uint8": None,
    "int8": None,
    "float16": _TWO,
    "bcd16": _TWO,
    "bcd32": _FOUR,
}
"""Type of a number -> the orders that differ for it, usual types first; None where it is one byte of a register."""

_OTHER = {"holding": "input", "input": "holding", "coil": "discrete", "discrete": "coil"}
"""The table a manual may have meant."""

LOOK_AGAIN_S = 0.3
"""After this the neighbourhood is read a second time: what is a measurement hardly moves in between."""


class SeenFrame(NamedTuple):
    """What went over the wire at once; `time` is of `time.monotonic`."""

    time: float
    sent: bool
    data: bytes


class Alternative(NamedTuple):
    """Another way of reading the registers: the point that would read so, and its values in engineering units.

    `later` is the value `LOOK_AGAIN_S` after `value`; None where it was not read, or not readable.
    """

    point: ModbusPoint
    value: Value
    later: Value


class Trial(NamedTuple):
    """What came of trying a point.

    reading: of the point as configured, None where the device did not answer; error: why not, or what ended the look
    around. registers: address -> register, or bit, as read around the point. round_trip_s: of the first answer.
    elsewhere: where else the point was looked for, as (table, address), because the device has nothing at its own.
    """

    frames: list[SeenFrame]
    registers: dict[int, int]
    alternatives: list[Alternative]
    reading: Reading | None
    round_trip_s: float | None
    error: SunmaoError | None
    elsewhere: tuple[tuple[str, int], ...] = ()


async def try_point(device: str, connection: ModbusConnection, point: ModbusPoint, within_s: float) -> Trial:
    """Read `point` and its neighbourhood; what goes wrong is part of the result.

    The answer may take `within_s` seconds, on a serial line that is busy ten times as long.
    """
    begun = monotonic()
    frames: list[SeenFrame] = []

    def see(sent: bool, data: bytes) -> None:
        last = frames[-1] if frames else None
        if last is not None and not sent and not last.sent and data.startswith(last.data):
            frames.pop()  # the same answer, more complete
        frames.append(SeenFrame(monotonic(), sent, data))

    patient = connection.model_copy(update={"timeout_s": min(connection.timeout_s, 0.6 * within_s)})
    link = ModbusLink(device, patient, see)
    reading: Reading | None = None
    place = point
    elsewhere: list[tuple[str, int]] = []
    shots: list[dict[int, int]] = [{}, {}]
    error: SunmaoError | None = None
    try:
        await link.open()
        reading = await _read(link, point)
        if monotonic() - begun < 0.3 * within_s:
            shots[0] = await _neighbourhood(link, point)
        for other in () if shots[0] else _elsewhere(point):
            if monotonic() - begun < 0.3 * within_s and not shots[0]:
                elsewhere.append((other.table, other.address))
                place, shots[0] = other, await _neighbourhood(link, other)
        if monotonic() - begun < 0.5 * within_s and shots[0]:
            await asyncio.sleep(LOOK_AGAIN_S)
            shots[1] = await _neighbourhood(link, place)
    except SunmaoError as failure:
        error = failure
    finally:
        await link.close()
    sent = next((frame.time for frame in frames if frame.sent), None)
    heard = next((frame.time for frame in frames if not frame.sent), None)
    round_trip = None if sent is None or heard is None else heard - sent
    own = shots[0] if place is point else {}
    return Trial(frames, own, list(_alternatives(place, *shots)), reading, round_trip, error, tuple(elsewhere))


def _elsewhere(point: ModbusPoint) -> Iterator[ModbusPoint]:
    """Yield the point where its address may be meant to be, likeliest first."""
    for first, table in ((40001, "holding"), (30001, "input")):
        if first <= point.address < first + 9999:
            yield point.model_copy(update={"table": table, "address": point.address - first})
    yield point.model_copy(update={"table": _OTHER[point.table]})


async def _read(link: ModbusLink, point: ModbusPoint) -> Reading:
    block = Block([(0, point)])
    answer = await link.exchange(block.function_code, block.address, block.count, block.size)
    time = now_us()
    scan = Scan.begun((point.name,), time)
    if isinstance(answer, int):
        block.fail(exception_quality(answer), time, scan)
    else:
        block.decode(answer, time, scan)
    return scan[0]


async def _neighbourhood(link: ModbusLink, point: ModbusPoint) -> dict[int, int]:
    """Return the registers around `point` that the device lets read, in as few requests as it allows."""
    first, last = max(point.address - 1, 0), min(point.address + max(point.width, WIDEST), 0x10000) - 1
    for parts in ([(first, last)], [(first, first), (point.address, last)], [(point.address, _end(point))]):
        found: dict[int, int] = {}
        for start, end in parts:
            found |= await _range(link, point, start, end)
        if point.address in found:
            if parts[0][0] == point.address and first < point.address:
                found |= await _range(link, point, first, first)
            return found
    return {}


def _end(point: ModbusPoint) -> int:
    return point.address + point.width - 1


async def _range(link: ModbusLink, point: ModbusPoint, first: int, last: int) -> dict[int, int]:
    """Return what `first` to `last` of the point's table hold; empty where the device refuses."""
    count = last - first + 1
    in_bits = point.table in BIT_TABLES
    answer = await link.exchange(FUNCTION_CODES[point.table], first, count, (count + 7) // 8 if in_bits else 2 * count)
    if isinstance(answer, int):
        return {}
    if in_bits:
        return {first + n: answer[n // 8] >> n % 8 & 1 for n in range(count)}
    return {first + n: int.from_bytes(answer[2 * n : 2 * n + 2], "big") for n in range(count)}


def _alternatives(point: ModbusPoint, registers: dict[int, int], later: dict[int, int]) -> Iterator[Alternative]:
    """Yield every way of reading `registers`, the point's own address before the one before it, short types first."""
    for address in (point.address, point.address - 1):
        for change in _readings_of(point):
            fields = point.model_dump(exclude_unset=True) | {"address": address, "invalid": ()} | change
            try:
                other = ModbusPoint.model_validate(fields)
            except ValidationError:
                continue
            value = _value(other, registers)
            if value is not None:
                yield Alternative(other, value, _value(other, later))


def _readings_of(point: ModbusPoint) -> Iterator[dict[str, Any]]:
    """Yield the types and orders in which the registers of `point` could be meant."""
    if point.table in BIT_TABLES:
        yield {}
    elif point.type == "bool":
        yield from ({"bit": bit} for bit in range(16))
    elif point.type == "string":
        yield from ({"order": order} for order in ("ABCD", "BADC"))
    else:
        for kind, orders in _SHAPES.items():
            whole = {"type": kind, "bit": None, "bits": None, "byte": None, "order": "ABCD"}
            if orders is None:
                yield from (whole | {"byte": byte} for byte in ("high", "low"))
            else:
                yield from (whole | {"order": order} for order in orders)
        if point.bits is not None:
            yield {}


def _value(point: ModbusPoint, registers: dict[int, int]) -> Value:
    """Return the engineering value of `point` in `registers`; None where one is missing or there is no value."""
    places = range(point.address, point.address + point.width)
    if any(place not in registers for place in places):
        return None
    if point.table in BIT_TABLES:
        return registers[point.address] == 1
    value = decode(point, b"".join(registers[place].to_bytes(2, "big") for place in places))
    return None if isinstance(value, Quality) else value
