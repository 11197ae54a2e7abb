"""Between the bytes of a Modbus answer and engineering values, both ways; no network, no clock.

The four orders need two steps only. Swapping the two bytes of every register turns BADC into ABCD and CDAB into DCBA,
for 64 bits as for 32; what remains is plain big-endian (ABCD) or little-endian (DCBA), which `struct` reads by itself.
The four orders of 64 bits that swap the two halves as well take one step more.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from protocols.modbus.config import BCD_LIMITS, HALVES_SWAPPED, NUMBER_FORMATS, ModbusPoint, raw_pattern
from protocols.reading import BAD_DECODING_ERROR, BAD_NO_DATA, BAD_OUT_OF_RANGE, Quality, Value
from protocols.text import Text

Convert = Callable[[Any], "Value | Quality"]
"""Turns a raw value into an engineering value, or into the quality that says why there is none."""

ConvertAll = Callable[[Sequence[Any]], "tuple[Sequence[Value], dict[int, Quality]]"]
"""Does the same for many raw values; the second result says by place which have no value, and why."""


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
    if point.byte is not None:
        form = NUMBER_FORMATS[point.type]
        return Field(False, ">", f"{form}x" if point.byte == "high" else f"x{form}")
    order = HALVES_SWAPPED.get(point.order, point.order)
    return Field(
        order in {"BADC", "CDAB"},
        "<" if order in {"DCBA", "CDAB"} else ">",
        "8s" if point.order in HALVES_SWAPPED else NUMBER_FORMATS.get(point.type, "H"),
    )


def swap_bytes(data: bytes) -> bytes:
    """Return `data`, an even number of bytes, with the two bytes of each register swapped."""
    registers = array("H", data)
    registers.byteswap()
    return registers.tobytes()


def converter(point: ModbusPoint) -> Convert | None:
    """Return what makes an engineering value of what `struct` took, or None where that is the engineering value.

    Rules: a listed `invalid` and a float that is not finite are BadNoData; text that is not printable UTF-8, and a digit
    above 9 in binary-coded decimals, are BadDecodingError; an overflow in scaling and a code that `codes` does not list
    are BadOutOfRange.
    """
    if point.type == "string":
        return _text(point.byte)
    if point.type == "bool":
        return _bit(point.bit)
    number, value = _number(point), _value(point)
    if number is None or value is None:
        return number or value

    def convert(taken: Any) -> Value | Quality:
        raw = number(taken)
        return raw if isinstance(raw, Quality) else value(raw)

    return convert


def conversion(point: ModbusPoint) -> Hashable:
    """Return what decides how `point` is converted: points that have it in common can share a converter."""
    codes = None if point.codes is None else tuple(point.codes.items())
    placed = point.byte, point.bit, point.bits, point.order if point.order in HALVES_SWAPPED else ""
    return point.type, placed, point.scale, point.offset, codes, point.invalid


def column_converter(point: ModbusPoint) -> ConvertAll:
    """Return what does the work of `converter` for the raw values of many points that share a `conversion`.

    Where nothing is out of the ordinary a whole column costs a few passes in C; else each value is looked at.
    """
    convert = converter(point)
    if convert is None:
        return lambda raws: (raws, {})
    plain = _plain_column(point)

    def convert_all(raws: Sequence[Any]) -> tuple[Sequence[Value], dict[int, Quality]]:
        if plain is not None and (values := plain(raws)) is not None:
            return values, {}
        found = [convert(raw) for raw in raws]
        flaws = {place: value for place, value in enumerate(found) if value.__class__ is Quality}
        return [None if value.__class__ is Quality else value for value in found], flaws

    return convert_all


def _plain_column(point: ModbusPoint) -> Callable[[Sequence[Any]], Sequence[Value] | None] | None:
    """Return what converts a column, or returns None where one of its values needs a closer look; None without such."""
    if point.codes is not None or point.type in {"bool", "string"} or _number(point) is not None:
        return None
    invalid = _invalid(point)
    usual = invalid.isdisjoint if invalid else lambda raws: True
    scaled = point.scale != 1.0 or point.offset != 0.0
    if point.type.startswith("float"):
        # A sum is finite only where all are.
        return None if scaled else lambda raws: raws if math.isfinite(sum(raws)) and usual(raws) else None
    exact = _exact_scaling(point) if scaled else None
    if exact is None:
        return None if scaled else lambda raws: raws if usual(raws) else None
    factor, offset, divisor = exact
    if (factor, offset) == (1, 0):
        return lambda raws: [raw / divisor for raw in raws] if usual(raws) else None
    return lambda raws: [(raw * factor + offset) / divisor for raw in raws] if usual(raws) else None


def _number(point: ModbusPoint) -> Convert | None:
    """Return what makes a number of what `struct` took, or None where it is one."""
    if point.order in HALVES_SWAPPED:
        form = struct.Struct(register_field(point).endian + NUMBER_FORMATS[point.type])
        return lambda taken: form.unpack(taken[4:] + taken[:4])[0]
    if point.bits is not None and point.bit is not None:
        bit, mask = point.bit, (1 << point.bits) - 1
        return lambda taken: taken >> bit & mask
    if point.type in BCD_LIMITS:
        return _from_bcd
    return None


def _from_bcd(taken: int) -> int | Quality:
    digits = f"{taken:x}"
    return int(digits) if digits.isdecimal() else BAD_DECODING_ERROR


def _value(point: ModbusPoint) -> Convert | None:
    """Return what makes an engineering value of a raw number, or None where it is one."""
    invalid = _invalid(point)
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


def _invalid(point: ModbusPoint) -> frozenset[float]:
    return frozenset(raw_pattern(point.type, value) for value in point.invalid)


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

    None becomes the first `invalid` value, or NaN in a float. Bits of the registers that are not the point's are 0; see
    `own_bits`. Raises ValueError(Text) for what the registers can not hold.
    """
    return _pack(point, _raw(point, value))


def own_bits(point: ModbusPoint) -> bytes | None:
    """Return the registers of `point` with its own bits set, where others share them; None where all are its own."""
    if point.type == "string":
        return None if point.byte is None else (b"\xff\0" if point.byte == "high" else b"\0\xff") * point.width
    if point.byte is not None:
        return _pack(point, -1 if point.type == "int8" else 0xFF)
    if point.bit is not None:
        return _pack(point, (1 << (point.bits or 1)) - 1)
    return None


def _pack(point: ModbusPoint, raw: float | bytes) -> bytes:
    """Return the registers that hold the raw value `raw`."""
    field = register_field(point)
    if point.bit is not None:
        raw = int(raw) << point.bit
    elif point.order in HALVES_SWAPPED:
        whole = struct.pack(field.endian + NUMBER_FORMATS[point.type], raw)
        raw = whole[4:] + whole[:4]
    elif point.type in BCD_LIMITS:
        raw = int(str(raw), 16)
    elif isinstance(raw, bytes) and point.byte is not None:
        raw = b"".join(bytes([byte, 0] if point.byte == "high" else [0, byte]) for byte in raw)
    data = struct.pack(field.endian + field.form, raw)
    return swap_bytes(data) if field.swapped else data


def _raw(point: ModbusPoint, value: Value) -> float | bytes:
    """Return the raw value of the engineering value `value`: a number, or the bytes of a text."""
    is_float = point.type.startswith("float")
    if value is None:
        if point.invalid:
            return raw_pattern(point.type, point.invalid[0])
        if is_float:
            return math.nan
        raise _unfit(point, "'no data'", "“无数据”")
    if point.type == "string":
        text = str(value).encode()
        if len(text) > (point.width if point.byte else 2 * point.width):
            raise _unfit(point, f"'{value}'", f"“{value}”")
        return text
    if isinstance(value, str):
        raise _unfit(point, f"'{value}'", f"“{value}”")
    if point.type == "bool":
        return bool(value)
    try:
        raw = point.raw(value)
        if not is_float:
            raw = round(raw)
        struct.pack(f">{NUMBER_FORMATS[point.type]}", raw)
    except (struct.error, OverflowError) as error:
        raise _unfit(point, str(value), str(value)) from error
    limits = point.raw_limits()
    if limits is not None and not limits[0] <= raw <= limits[1]:
        raise _unfit(point, str(value), str(value))
    return raw


def _unfit(point: ModbusPoint, en: str, zh: str) -> ValueError:
    size = f" of {point.width if point.byte else 2 * point.width} bytes" if point.type == "string" else ""
    if point.bits is not None:
        size = f" in {point.bits} bits"
    return ValueError(
        Text(
            f"point '{point.name}': {en} does not fit a {point.type}{size}",
            f"点“{point.name}”：{point.type} 无法表示 {zh}",
        )
    )


def _text(byte: str | None) -> Convert:
    """Return what makes text of bytes, up to the first NUL and without the blanks that fill it up."""
    half = slice(None) if byte is None else slice(0 if byte == "high" else 1, None, 2)

    def convert(raw: bytes) -> Value | Quality:
        try:
            text = raw[half].partition(b"\0")[0].decode().rstrip(" ")
        except UnicodeDecodeError:
            return BAD_DECODING_ERROR
        return text if text.isprintable() else BAD_DECODING_ERROR

    return convert
