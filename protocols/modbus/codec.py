"""Between the bytes of a Modbus answer and engineering values, both ways; no network, no clock.

The four orders need two steps only. Swapping the two bytes of every register turns BADC into ABCD and CDAB into DCBA,
for 64 bits as for 32; what remains is plain big-endian (ABCD) or little-endian (DCBA), which `struct` reads by itself.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from protocols.modbus.config import NUMBER_FORMATS, ModbusPoint, raw_pattern
from protocols.reading import BAD_DECODING_ERROR, BAD_NO_DATA, BAD_OUT_OF_RANGE, Quality, Value
from protocols.text import Text

Convert = Callable[[Any], "Value | Quality"]
"""Turns a raw value into an engineering value, or into the quality that says why there is none."""


class Field(NamedTuple):
    """How `struct` takes one value from an answer's data.

    swapped: the bytes of each register have to be swapped first; endian: ">" or "<"; form: format characters.
    """

    swapped: bool
    endian: str
    form: str


def register_field(point: ModbusPoint) -> Field:
    """Return how the registers of `point` are laid out; a bool is read as the register that holds it."""
    if point.type == "string":
        return Field(point.order == "BADC", ">", f"{2 * point.width}s")
    return Field(
        point.order in {"BADC", "CDAB"},
        "<" if point.order in {"DCBA", "CDAB"} else ">",
        NUMBER_FORMATS.get(point.type, "H"),
    )


def swap_bytes(data: bytes) -> bytes:
    """Return `data`, an even number of bytes, with the two bytes of each register swapped."""
    registers = array("H", data)
    registers.byteswap()
    return registers.tobytes()


def converter(point: ModbusPoint) -> Convert | None:
    """Return what makes an engineering value of a raw one, or None where the raw value is the engineering value.

    Rules: a listed `invalid` and a float that is not finite are BadNoData; text that is not printable UTF-8 is
    BadDecodingError; an overflow in scaling and a code that `codes` does not list are BadOutOfRange.
    """
    if point.type == "string":
        return _text
    if point.type == "bool":
        return _bit(point.bit)
    invalid = frozenset(raw_pattern(point.type, value) for value in point.invalid)
    is_float = point.type.startswith("float")
    codes = point.codes
    if codes is not None:
        return lambda raw: BAD_NO_DATA if raw in invalid else codes.get(raw, BAD_OUT_OF_RANGE)
    scaled = point.scale != 1.0 or point.offset != 0.0
    if not (scaled or is_float or invalid):
        return None
    if scaled and not is_float and (exact := _exact_scaling(point)):
        factor, offset, divisor = exact
        return lambda raw: BAD_NO_DATA if raw in invalid else (raw * factor + offset) / divisor
    isfinite, engineering = math.isfinite, point.engineering

    def convert(raw: float) -> Value | Quality:
        if raw in invalid or (is_float and not isfinite(raw)):
            return BAD_NO_DATA
        if not scaled:
            return raw
        value = engineering(raw)
        return value if isfinite(value) else BAD_OUT_OF_RANGE  # type: ignore[arg-type]

    return convert


def _bit(bit: int | None) -> Convert:
    if bit is None:
        return bool
    mask = 1 << bit
    return lambda raw: raw & mask != 0


def _exact_scaling(point: ModbusPoint) -> tuple[int, int, int] | None:
    """Return (factor, offset, divisor) with engineering value = (raw x factor + offset) / divisor, for whole raw values.

    One division of whole numbers gives the float nearest to the decimal result, as `PointConfig.engineering` does by
    rounding to twelve digits, at a tenth of the cost. None where the numerator may have more than twelve digits.
    """
    scale, offset = Fraction(repr(point.scale)), Fraction(repr(point.offset))
    divisor = math.lcm(scale.denominator, offset.denominator)
    factor, added = int(scale * divisor), int(offset * divisor)
    most = (1 << 16 * point.width) * abs(factor) + abs(added)
    return (factor, added, divisor) if most < 10**12 and divisor < 10**15 else None


def decode(point: ModbusPoint, data: bytes) -> Value | Quality:
    """Return the value of `point` in `data`, the bytes of exactly its registers as they came over the wire."""
    field = register_field(point)
    raw = struct.unpack(field.endian + field.form, swap_bytes(data) if field.swapped else data)[0]
    convert = converter(point)
    return raw if convert is None else convert(raw)


def encode(point: ModbusPoint, value: Value) -> bytes:
    """Return the bytes of the registers that hold the engineering value `value` of `point`; `decode` reads it back.

    None becomes the first `invalid` value, or NaN in a float. A bool becomes the register with only its bit set.
    Raises ValueError(Text) for what the registers can not hold.
    """
    field = register_field(point)
    data = struct.pack(field.endian + field.form, _raw(point, value))
    return swap_bytes(data) if field.swapped else data


def _raw(point: ModbusPoint, value: Value) -> int | float | bytes:
    is_float = point.type.startswith("float")
    if value is None:
        if point.invalid:
            return raw_pattern(point.type, point.invalid[0])
        if is_float:
            return math.nan
        raise _unfit(point, "'no data'", "“无数据”")
    if point.type == "string":
        text = str(value).encode()
        if len(text) > 2 * point.width:
            raise _unfit(point, f"'{value}'", f"“{value}”")
        return text
    if isinstance(value, str):
        raise _unfit(point, f"'{value}'", f"“{value}”")
    if point.type == "bool":
        return bool(value) << (point.bit or 0)
    try:
        raw = point.raw(value)
        if not is_float:
            raw = round(raw)
        struct.pack(f">{NUMBER_FORMATS[point.type]}", raw)
    except (struct.error, OverflowError) as error:
        raise _unfit(point, str(value), str(value)) from error
    return raw


def _unfit(point: ModbusPoint, en: str, zh: str) -> ValueError:
    size = f" of {2 * point.width} bytes" if point.type == "string" else ""
    return ValueError(
        Text(
            f"point '{point.name}': {en} does not fit a {point.type}{size}",
            f"点“{point.name}”：{point.type} 无法表示 {zh}",
        )
    )


def _text(raw: bytes) -> Value | Quality:
    """Return the text up to the first NUL, without the blanks that fill it up."""
    try:
        text = raw.partition(b"\0")[0].decode().rstrip(" ")
    except UnicodeDecodeError:
        return BAD_DECODING_ERROR
    return text if text.isprintable() else BAD_DECODING_ERROR
