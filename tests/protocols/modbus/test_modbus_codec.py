"""Registers to values and back: published bit patterns, then every type and order by property."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.codec import converter, decode, encode, own_bits
from protocols.modbus.config import BIT_TABLES, ModbusPoint
from protocols.reading import BAD_DECODING_ERROR, BAD_NO_DATA, BAD_OUT_OF_RANGE, Quality
from tests.protocols.modbus.modbus_strategies import SHAPES, modbus_points
from tests.protocols.modbus.modbus_vectors import CONVERTED, PUBLISHED, point


@pytest.mark.parametrize(("fields", "data", "value"), PUBLISHED)
def test_published_patterns(fields: dict[str, object], data: str, value: float) -> None:
    addressed = point(**fields)
    assert decode(addressed, bytes.fromhex(data)) == value
    assert encode(addressed, value) == bytes.fromhex(data)


@pytest.mark.parametrize(("fields", "data", "value"), CONVERTED)
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
