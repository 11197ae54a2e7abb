"""Conversions by UN/ECE code: known results, properties, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dictionary.units import (
    code_of_opcua_unit_id,
    conversion,
    convert,
    load_units,
    opcua_unit_id,
    unit,
)
from protocols.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (32, "FAH", "CEL", 0.0),
        (212, "FAH", "CEL", 100.0),
        (-40, "CEL", "FAH", -40.0),
        (0, "CEL", "KEL", 273.15),
        (830, "KPA", "BAR", 8.3),
        (0.7, "MPA", "BAR", 7.0),
        (100, "PS", "BAR", 6.89475729317),
        (1, "E42", "BAR", 0.980665),
        (10132.5, "A97", "MPA", 1.01325),
        (1013.25, "MBR", "KPA", 101.325),
        (1500, "WTT", "KWT", 1.5),
        (2.5, "MAW", "KWT", 2500.0),
        (3600, "KJO", "KWH", 1.0),
        (1, "GV", "KWH", 277.777777778),
        (123456, "WHR", "KWH", 123.456),
        (1.2, "MWH", "KWH", 1200.0),
        (90, "MIN", "HUR", 1.5),
        (2500, "C26", "SEC", 2.5),
        (1, "DAY", "HUR", 24.0),
        (1500, "RPM", "RPS", 25.0),
        (60, "RPM", "2A", 6.28318530718),
        (180, "DD", "C81", 3.14159265359),
        (3, "2X", "C16", 50.0),
        (36, "KMH", "MTS", 10.0),
        (1, "K40", "MSK", 9.80665),
        (120, "B47", "NEW", 120000.0),
        (1, "M92", "NU", 1.35581794833),
        (60, "L2", "MQH", 3.6),
        (1, "G53", "MQH", 60.0),
        (1, "2L", "L2", 28.316846592),
        (1, "E18", "E93", 1000.0),
        (85, "P1", "C62", 0.85),
        (5, "NX", "P1", 0.5),
        (20, "4K", "AMP", 0.02),
        (0.4, "KVT", "VLT", 400.0),
        (1, "MAH", "K3", 1000.0),
        (860, "E14", "KWH", 1.00018),
    ],
)
def test_known_conversions(value: float, source: str, target: str, expected: float) -> None:
    assert convert(value, source, target) == expected


def test_whole_multiples_are_exact() -> None:
    assert conversion("HUR", "SEC") == (3600.0, 0.0)
    assert conversion("KWH", "WHR") == (1000.0, 0.0)
    assert conversion("MTQ", "K6") == (1.0, 0.0)


def test_a_temperature_difference_has_no_offset() -> None:
    assert conversion("CEL", "KEL") == (1.0, 273.15)
    assert conversion("CEL", "KEL", difference=True) == (1.0, 0.0)
    assert conversion("FAH", "KEL", difference=True) == (5 / 9, 0.0)


QUANTITIES: dict[str, list[str]] = {}
for _code, _unit in load_units().items():
    QUANTITIES.setdefault(_unit.quantity, []).append(_code)
PAIRS = [(a, b) for codes in QUANTITIES.values() for a in codes for b in codes]


@given(pair=st.sampled_from(PAIRS), value=st.floats(-1e6, 1e6))
def test_there_and_back_again(pair: tuple[str, str], value: float) -> None:
    there_factor, there_offset = conversion(*pair)
    back_factor, back_offset = conversion(pair[1], pair[0])
    back = (value * there_factor + there_offset) * back_factor + back_offset
    assert math.isclose(back, value, rel_tol=1e-9, abs_tol=1e-9 * max(1.0, abs(back_offset)))


@given(pair=st.sampled_from(PAIRS), low=st.floats(-1e6, 1e6), rise=st.floats(1e-3, 1e6))
def test_order_is_kept(pair: tuple[str, str], low: float, rise: float) -> None:
    assert convert(low, *pair) <= convert(low + rise, *pair)


def test_kinds_of_power_do_not_mix() -> None:
    with pytest.raises(ConfigError) as caught:
        conversion("KWT", "KVR")
    assert str(caught.value) == (
        "cannot convert KWT (power) to KVR (reactive_power) - units of reactive_power: D44, KVR, MAR"
    )
    assert "千瓦" in caught.value.explain("zh")


@pytest.mark.parametrize(
    ("wrong", "meant"), [("kWh", "KWH"), ("m3", "MTQ"), ("℃", "CEL"), ("Nm", "NU"), ("PA", "PAL"), ("CELL", "CEL")]
)
def test_an_unknown_code_names_what_was_meant(wrong: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        unit(wrong, key="point[3].unit")
    assert caught.value.key == "point[3].unit"
    assert caught.value.mend is not None
    assert f"{meant} (" in caught.value.mend.en


@pytest.mark.parametrize(("code", "unit_id"), [("KWH", 4937544), ("CEL", 4408652), ("MTR", 5067858), ("P1", 20529)])
def test_opcua_unit_ids_are_the_published_ones(code: str, unit_id: int) -> None:
    assert opcua_unit_id(code) == unit_id
    assert code_of_opcua_unit_id(unit_id) == code


def test_every_opcua_unit_id_leads_back() -> None:
    assert [code_of_opcua_unit_id(opcua_unit_id(code)) for code in load_units()] == list(load_units())


@given(st.integers(-(2**40), 2**40))
def test_a_number_is_a_code_or_none(unit_id: int) -> None:
    code = code_of_opcua_unit_id(unit_id)
    assert code is None or opcua_unit_id(code) == unit_id


@pytest.mark.parametrize("unit_id", [-1, 0, 0x20, 0xC2B0, 0x43454C4C])
def test_what_is_no_code_is_none(unit_id: int) -> None:
    assert code_of_opcua_unit_id(unit_id) is None
