"""Registers to values and back: published bit patterns, then every type and order by property."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.codec import converter, decode, encode, own_bits
from protocols.modbus.config import BIT_TABLES, ModbusPoint
from protocols.reading import BAD_DECODING_ERROR, BAD_NO_DATA, BAD_OUT_OF_RANGE, Quality
from tests.protocols.modbus.modbus_strategies import SHAPES, modbus_points


def point(**fields: object) -> ModbusPoint:
    return ModbusPoint.model_validate({"name": "p", "address": 0, **fields})


@pytest.mark.parametrize(
    ("kind", "order", "data", "value"),
    [
        # 229.01 is 0x4365028F in IEEE 754 binary32
        ("float32", "ABCD", "4365 028F", 229.00999450683594),
        ("float32", "CDAB", "028F 4365", 229.00999450683594),
        ("float32", "BADC", "6543 8F02", 229.00999450683594),
        ("float32", "DCBA", "8F02 6543", 229.00999450683594),
        # 0x0123456789ABCDEF = 81985529216486895
        ("uint64", "ABCD", "0123 4567 89AB CDEF", 81985529216486895),
        ("uint64", "CDAB", "CDEF 89AB 4567 0123", 81985529216486895),
        ("uint64", "BADC", "2301 6745 AB89 EFCD", 81985529216486895),
        ("uint64", "DCBA", "EFCD AB89 6745 2301", 81985529216486895),
        ("int64", "ABCD", "FFFF FFFF FFFF FFFE", -2),
        ("int64", "CDAB", "FFFE FFFF FFFF FFFF", -2),
        # pi is 0x400921FB54442D18 in IEEE 754 binary64
        ("float64", "ABCD", "4009 21FB 5444 2D18", math.pi),
        ("float64", "CDAB", "2D18 5444 21FB 4009", math.pi),
        ("float64", "BADC", "0940 FB21 4454 182D", math.pi),
        ("float64", "DCBA", "182D 4454 FB21 0940", math.pi),
        ("uint64", "EFGHABCD", "89AB CDEF 0123 4567", 81985529216486895),
        ("uint64", "CDABGHEF", "4567 0123 CDEF 89AB", 81985529216486895),
        ("uint64", "FEHGBADC", "AB89 EFCD 2301 6745", 81985529216486895),
        ("uint64", "DCBAHGFE", "6745 2301 EFCD AB89", 81985529216486895),
        ("int64", "EFGHABCD", "FFFF FFFE FFFF FFFF", -2),
        ("float64", "CDABGHEF", "21FB 4009 2D18 5444", math.pi),
        # 12.5 is 0x4A40, -2 is 0xC000 in IEEE 754 binary16
        ("float16", "ABCD", "4A40", 12.5),
        ("float16", "BADC", "404A", 12.5),
        ("float16", "CDAB", "C000", -2.0),
        ("bcd16", "ABCD", "1234", 1234),
        ("bcd16", "BADC", "3412", 1234),
        ("bcd16", "ABCD", "0007", 7),
        ("bcd32", "ABCD", "1234 5678", 12345678),
        ("bcd32", "CDAB", "5678 1234", 12345678),
        ("bcd32", "BADC", "3412 7856", 12345678),
        ("bcd32", "DCBA", "7856 3412", 12345678),
        ("uint32", "ABCD", "0001 86A0", 100000),
        ("uint32", "CDAB", "86A0 0001", 100000),
        ("uint32", "BADC", "0100 A086", 100000),
        ("uint32", "DCBA", "A086 0100", 100000),
        ("int32", "ABCD", "FFFE 7960", -100000),
        ("int32", "CDAB", "7960 FFFE", -100000),
        ("int16", "ABCD", "FF85", -123),
        ("int16", "CDAB", "FF85", -123),
        ("int16", "BADC", "85FF", -123),
        ("int16", "DCBA", "85FF", -123),
        ("uint16", "ABCD", "FF85", 65413),
    ],
)
def test_published_patterns(kind: str, order: str, data: str, value: float) -> None:
    addressed = point(type=kind, order=order)
    assert decode(addressed, bytes.fromhex(data)) == value
    assert encode(addressed, value) == bytes.fromhex(data)


@pytest.mark.parametrize(
    ("fields", "data", "value"),
    [
        ({"type": "int16", "scale": 0.1}, "FF85", -12.3),
        ({"type": "uint16", "scale": 0.1, "offset": -40}, "0190", 0.0),
        ({"type": "uint16", "scale": 0.1}, "0003", 0.3),
        ({"type": "uint16", "scale": 0.00390625}, "0001", 0.00390625),
        ({"type": "uint32", "scale": 0.001}, "FFFF FFFF", 4294967.295),
        ({"type": "uint64", "scale": 0.1}, "0000 0000 0000 0003", 0.3),
        ({"type": "float32", "scale": 1000}, "3F80 0000", 1000.0),
        ({"type": "uint8", "byte": "high"}, "FE01", 254),
        ({"type": "uint8", "byte": "low"}, "01FE", 254),
        ({"type": "int8", "byte": "high"}, "FE01", -2),
        ({"type": "int8", "byte": "low", "scale": 0.5}, "01FE", -1.0),
        ({"bit": 4, "bits": 3}, "0150", 5),
        ({"bit": 4, "bits": 3, "order": "BADC"}, "5001", 5),
        ({"bit": 12, "bits": 4, "scale": 0.1}, "F000", 1.5),
        ({"bit": 14, "bits": 4, "type": "uint32"}, "0002 8000", 10),
        ({"bit": 14, "bits": 4, "type": "uint32", "order": "CDAB"}, "8000 0002", 10),
        ({"bit": 0, "bits": 2, "codes": {"2": 7}}, "FF02", 7),
        ({"type": "bcd16", "scale": 0.01}, "1250", 12.5),
        ({"type": "string", "length": 5, "byte": "low"}, "0041 0030 0030 0034 0032", "A0042"),
        ({"type": "string", "length": 6, "byte": "high"}, "4142 3042 3042 3442 3242 0042", "A0042"),
        ({"bit": 0}, "0001", True),
        ({"bit": 15}, "8000", True),
        ({"bit": 14}, "8000", False),
        ({"bit": 8, "order": "BADC"}, "0001", True),
        ({"type": "string", "length": 4}, "4130 3034 3200 FFFF", "A0042"),
        ({"type": "string", "length": 4}, "4130 3034 3220 2020", "A0042"),
        ({"type": "string", "length": 3, "order": "BADC"}, "3041 3430 2032", "A0042"),
        ({"type": "string", "length": 3}, "E6B3 B5E4 B880", "泵一"),
        ({"type": "string", "length": 2}, "0000 4141", ""),
    ],
)
def test_scaled_values_bits_and_text(fields: dict[str, object], data: str, value: object) -> None:
    got = decode(point(**fields), bytes.fromhex(data))
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("fields", "data", "quality"),
    [
        ({"type": "int16", "invalid": ["0x8000"]}, "8000", BAD_NO_DATA),
        ({"type": "int16", "invalid": [-32768]}, "8000", BAD_NO_DATA),
        ({"type": "uint16", "invalid": [65535, 65534], "scale": 0.1}, "FFFE", BAD_NO_DATA),
        ({"type": "int64", "invalid": ["0x8000000000000000"]}, "8000 0000 0000 0000", BAD_NO_DATA),
        ({"type": "float32", "invalid": [3.4028235e38]}, "7F7F FFFF", BAD_NO_DATA),
        ({"type": "float32", "invalid": [-9999]}, "C61C 3C00", BAD_NO_DATA),
        ({"type": "float32"}, "7FC0 0000", BAD_NO_DATA),
        ({"type": "float32"}, "7F80 0000", BAD_NO_DATA),
        ({"type": "float64", "scale": 2}, "FFF8 0000 0000 0001", BAD_NO_DATA),
        ({"type": "float64", "scale": 10}, "7FEF FFFF FFFF FFFF", BAD_OUT_OF_RANGE),
        ({"type": "bcd16"}, "12A4", BAD_DECODING_ERROR),
        ({"type": "bcd32", "scale": 0.1}, "1234 F678", BAD_DECODING_ERROR),
        ({"type": "int8", "byte": "low", "invalid": ["0x80"]}, "0180", BAD_NO_DATA),
        ({"type": "float16"}, "7E00", BAD_NO_DATA),
        ({"bit": 4, "bits": 3, "invalid": [7]}, "0070", BAD_NO_DATA),
        ({"type": "string", "length": 1}, "FFFF", BAD_DECODING_ERROR),
        ({"type": "string", "length": 1}, "0141", BAD_DECODING_ERROR),
    ],
)
def test_no_data_is_bad_quality_never_a_number(fields: dict[str, object], data: str, quality: object) -> None:
    assert decode(point(**fields), bytes.fromhex(data)) is quality


def test_a_neighbour_of_an_invalid_value_is_a_value() -> None:
    assert decode(point(type="int16", invalid=["0x8000"]), bytes.fromhex("8001")) == -32767


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(shape.values()))
@given(data=st.data())
def test_any_pattern_survives_a_round_trip(shape: dict[str, object], data: st.DataObject) -> None:
    addressed = point(**shape)
    pattern = data.draw(st.binary(min_size=2 * addressed.width, max_size=2 * addressed.width))
    value = decode(addressed, pattern)
    if value is BAD_NO_DATA:
        assert addressed.type.startswith("float")
    elif value is BAD_DECODING_ERROR:
        assert addressed.type.startswith("bcd")
    else:
        own = own_bits(addressed) or b"\xff" * len(pattern)
        assert encode(addressed, value) == bytes(a & b for a, b in zip(pattern, own, strict=True))  # type: ignore[arg-type]


@given(modbus_points(), st.data())
def test_what_a_point_shares_a_register_with_is_not_its_own(drawn: ModbusPoint, data: st.DataObject) -> None:
    """A value can be changed in its registers without a bit of anything else, and is then read back."""
    if drawn.table in BIT_TABLES or (own := own_bits(drawn)) is None:
        return
    size = 2 * drawn.width
    others = data.draw(st.binary(min_size=size, max_size=size))
    held = data.draw(st.binary(min_size=size, max_size=size))
    value = decode(drawn, held)
    if isinstance(value, Quality):
        return
    written = encode(drawn, value)
    assert not any(a & ~b for a, b in zip(written, own, strict=True))
    merged = bytes((a & b) | (c & ~b) for a, b, c in zip(written, own, others, strict=True))
    assert decode(drawn, merged) == value


@given(
    raw=st.integers(-(2**31), 2**31 - 1),
    scale=st.sampled_from((0.1, 0.01, 0.5, 2.0, 10.0, -0.1, 0.004, 1 / 3, 1e-9, 27.6)),
    offset=st.sampled_from((0.0, -40.0, 273.15, 0.1)),
)
def test_scaling_agrees_with_the_contract_and_inverts(raw: int, scale: float, offset: float) -> None:
    addressed = point(type="int32", scale=scale, offset=offset)
    data = struct.pack(">i", raw)
    value = decode(addressed, data)
    assert isinstance(value, float)
    assert value == pytest.approx(addressed.engineering(raw), rel=1e-11, abs=1e-12)
    if scale > 1e-6:
        assert encode(addressed, value) == data


@given(st.text(alphabet=st.characters(blacklist_categories=("C", "Z")), max_size=10))
def test_text_survives_a_round_trip(text: str) -> None:
    for order in ("ABCD", "BADC"):
        addressed = point(type="string", length=20, order=order)
        assert decode(addressed, encode(addressed, text)) == text


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"type": "uint16"}, -1),
        ({"type": "uint16"}, 65536),
        ({"type": "int16", "scale": 0.1}, 4000.0),
        ({"type": "float32"}, 1e39),
        ({"type": "float16"}, 65536.0),
        ({"type": "int8", "byte": "low"}, 128),
        ({"type": "bcd16"}, 10000),
        ({"type": "bcd32"}, -1),
        ({"bit": 4, "bits": 3}, 8),
        ({"type": "string", "length": 2, "byte": "low"}, "abc"),
        ({"type": "uint16"}, "text"),
        ({"type": "uint16"}, None),
        ({"type": "string", "length": 1}, "abc"),
    ],
)
def test_what_does_not_fit_is_not_encoded(fields: dict[str, object], value: object) -> None:
    with pytest.raises(ValueError, match=r"point 'p': .* does not fit"):
        encode(point(**fields), value)  # type: ignore[arg-type]


def test_none_is_encoded_as_the_device_says_it() -> None:
    assert encode(point(type="int16", invalid=["0x8000"]), None) == b"\x80\0"
    assert decode(point(type="float32"), encode(point(type="float32"), None)) is BAD_NO_DATA


def test_an_unscaled_number_needs_no_conversion() -> None:
    assert converter(point(type="uint64")) is None


def test_a_devices_own_codes_become_those_of_the_dictionary() -> None:
    state = point(type="uint16", codes={"0": 2, "32768": 1, "5": 2}, invalid=[65535])
    assert [decode(state, bytes.fromhex(data)) for data in ("0000", "8000", "0005")] == [2, 1, 2]
    assert decode(state, bytes.fromhex("0001")) is BAD_OUT_OF_RANGE
    assert decode(state, bytes.fromhex("FFFF")) is BAD_NO_DATA
    assert [encode(state, code) for code in (2, 1)] == [b"\0\0", b"\x80\0"]
    with pytest.raises(ValueError, match="point 'p' has no code for 3"):
        encode(state, 3)
