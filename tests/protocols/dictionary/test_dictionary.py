"""The released data files are fit for release, every kind of fault is found, and lookups answer."""

from copy import deepcopy
from typing import Any

import pytest

from protocols.dictionary.check import FILES, check_dictionary, check_tables
from protocols.dictionary.data import data_rows
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.errors import ConfigError

TABLES = {file: data_rows(file) for file in FILES}


def test_what_is_released_may_be_released() -> None:
    assert check_dictionary() == []


@pytest.mark.parametrize(
    ("file", "row", "change", "complaint"),
    [
        ("core.csv", 0, {"code": "Voltage L1"}, "core.csv: Voltage L1: the code is not lower-case"),
        ("core.csv", 1, {"code": "voltage_l1_n"}, "core.csv: voltage_l1_n: code is used 2 times"),
        ("core.csv", 0, {"name_zh": "Voltage"}, "name_zh is missing or not Chinese"),
        ("core.csv", 0, {"name_en": " "}, "name_en is missing or not English"),
        ("core.csv", 0, {"name_en": "电压"}, "name_en is missing or not English"),
        ("core.csv", 0, {"definition_zh": ""}, "definition_zh is missing or not Chinese"),
        ("core.csv", 0, {"definition_en": "Voltage phase L1 to neutral"}, "the definition only repeats the name"),
        ("core.csv", 1, {"name_zh": "A相电压"}, "energy_meter, A相电压: equipment_class + name_zh is used 2 times"),
        ("core.csv", 0, {"equipment_class": "metre"}, "unknown class 'metre'"),
        ("core.csv", 0, {"unit_unece": "V"}, "unknown unit 'V'"),
        ("core.csv", 0, {"unit_unece": ""}, "unknown unit ''"),
        ("core.csv", 0, {"data_type": "FLOAT"}, "data_type 'FLOAT' is not one of"),
        ("core.csv", 0, {"aggregation": "mean"}, "aggregation 'mean' is not one of"),
        ("core.csv", 0, {"data_type": "STRING"}, "a STRING cannot be aggregated by avg"),
        ("core.csv", 0, {"typical_min": "500"}, "typical_min is not below typical_max"),
        ("value_lists.csv", 0, {"property": "voltage_l1_n"}, "voltage_l1_n: is no whole-number property of core.csv"),
        ("value_lists.csv", 0, {"value": "one"}, "value 'one' is no whole number"),
        ("value_lists.csv", 0, {"value": "1"}, "machine_state, 1: property + value is used 2 times"),
        ("value_lists.csv", 0, {"name_zh": ""}, "name_zh is missing or not Chinese"),
        ("equipment_classes.csv", 0, {"name_zh": "generic"}, "generic: name_zh is missing or not Chinese"),
        ("equipment_classes.csv", 1, {"code": "generic"}, "generic: code is used 2 times"),
        ("units.csv", 0, {"code": "metre"}, "metre: is no UN/ECE Rec 20 common code"),
        ("units.csv", 1, {"code": "C62"}, "C62: code is used 2 times"),
        ("units.csv", 0, {"factor": "0"}, "C62: the factor is not above zero"),
        ("units.csv", 0, {"quantity": "count"}, "'count' has no coherent SI unit"),
    ],
)
def test_every_fault_is_named(file: str, row: int, change: dict[str, str], complaint: str) -> None:
    tables: dict[str, list[dict[str, Any]]] = deepcopy(TABLES)
    if file == "units.csv" and "quantity" in change:
        change = {**change, "factor": "2"}
    tables[file][row].update(change)
    faults = check_tables(tables)
    assert any(complaint in fault.en for fault in faults), faults
    assert all(max(fault.zh) >= "\u4e00" for fault in faults)


def test_entries_carry_what_the_files_say() -> None:
    entry = load_dictionary()["discharge_pressure"]
    assert (entry.name.zh, entry.unit, entry.aggregation) == ("排气压力", "BAR", "avg")
    assert (entry.typical_min, entry.typical_max) == (0.0, 60.0)
    assert entry.values == {}
    assert len(load_dictionary()) == 210


def test_codes_have_names() -> None:
    verdicts = load_dictionary()["inspection_verdict"].values
    assert [verdicts[code].zh for code in (0, 1, 2)] == ["合格", "待复核", "不合格"]
    assert load_dictionary()["machine_state"].values[3].en == "Executing"


def test_a_device_unit_becomes_the_entry_unit() -> None:
    dictionary = load_dictionary()
    assert dictionary["discharge_pressure"].conversion_from("KPA") == (0.01, 0.0)
    assert dictionary["ambient_temperature"].conversion_from("KEL") == (1.0, -273.15)
    assert dictionary["superheat_temperature"].conversion_from("CEL") == (1.0, 0.0)
    with pytest.raises(ConfigError, match="cannot convert"):
        dictionary["discharge_pressure"].conversion_from("KWT")


def test_classes_are_named_in_both_languages() -> None:
    assert equipment_classes()["injection_moulding"].zh == "注塑机"
    assert {entry.equipment_class for entry in load_dictionary().values()} == set(equipment_classes())


def test_a_mistyped_code_names_the_near_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load_dictionary().entry("active_power_totl", key="point[1].property")
    assert caught.value.key == "point[1].property"
    assert caught.value.mend is not None
    assert "active_power_total" in caught.value.mend.zh


def test_a_code_like_no_other_still_gets_a_clear_line() -> None:
    with pytest.raises(ConfigError) as caught:
        load_dictionary().entry("¿?")
    assert str(caught.value) == "the dictionary has no entry '¿?'"
