"""The variables of programmable controllers are found where their manuals say."""

import re
from itertools import pairwise

import pytest

from protocols.errors import ConfigError
from protocols.library.plc import load_plc, place_of, plc_ids
from protocols.library.templates import parse_template
from protocols.modbus.config import ModbusPoint

MACHINE = """
plc = "delta-dvp"
[device]
id = "press"
version = 1
manufacturer = "m"
model = "x"
name = { en = "Press", zh = "压机" }
equipment_class = "generic"
protocol = "modbus"
source = "the program of the press"
[[point]]
name = "count"
property = "part_count_total"
at = "D100"
type = "uint32"
[[point]]
name = "running"
at = "Y10"
[[point]]
name = "alarm"
at = "D102.3"
[[point]]
name = "plain"
address = 7
"""


@pytest.mark.parametrize(
    ("plc", "at", "place"),
    [
        ("delta-dvp", "D0", {"table": "holding", "address": 0x1000}),
        ("delta-dvp", "d100.3", {"table": "holding", "address": 0x1064, "bit": 3}),
        ("delta-dvp", "X17", {"table": "discrete", "address": 0x040F}),
        ("delta-dvp", "M1536", {"table": "coil", "address": 0xB000}),
        ("delta-dvp-mc", "%MW7", {"table": "holding", "address": 7}),
        ("inovance-h3u", "Y7", {"table": "coil", "address": 0xFC07}),
        ("xinje-xc", "D8001", {"table": "holding", "address": 0x4001}),
        ("xinje-xd", "HD10", {"table": "holding", "address": 0xA08A}),
        ("mitsubishi-fx3u", "M8000", {"table": "coil", "address": 0x1E00}),
        ("panasonic-fp", "DT12", {"table": "holding", "address": 12}),
        ("siemens-s7-mb-server", "DB4", {"table": "holding", "address": 2}),
        ("siemens-s7-mb-server", "DB4.1", {"table": "holding", "address": 2, "bit": 9}),
        ("siemens-s7-mb-server", "DB5.1", {"table": "holding", "address": 2, "bit": 1}),
        ("siemens-s7-mb-server", "I1.3", {"table": "discrete", "address": 11}),
    ],
)
def test_a_variable_is_where_the_manual_says(plc: str, at: str, place: dict[str, object]) -> None:
    assert place_of(load_plc(plc), at) == place


@pytest.mark.parametrize(
    ("plc", "at", "english", "chinese"),
    [
        ("delta-dvp", "Q7", "has S, X, Y", "有 S, X, Y"),
        ("delta-dvp", "X18", "X0 to X377 (octal)", "没有变量"),
        ("delta-dvp", "D9999", "D0 to D4095", "范围为"),
        ("delta-dvp", "D0.16", "bits are 0 to 15", "位号"),
        ("delta-dvp", "M3.1", "write M3", "请写作 M3"),
        ("siemens-s7-mb-server", "I3", "write I0.3", "请写作 I0.3"),
        ("siemens-s7-mb-server", "DB3", "even byte", "偶数字节"),
        ("xinje-xd", "bogus", "no variable 'bogus'", "没有变量“bogus”"),
    ],
)
def test_a_wrong_name_is_explained(plc: str, at: str, english: str, chinese: str) -> None:
    with pytest.raises(ConfigError) as caught:
        place_of(load_plc(plc), at)
    assert english in caught.value.explain("en")
    assert chinese in caught.value.explain("zh")


@pytest.mark.parametrize("name", plc_ids())
def test_a_map_has_a_source_and_no_two_areas_in_one_place(name: str) -> None:
    plc = load_plc(name)
    assert plc.id == name
    assert "manual" in plc.source
    assert re.search(r"[\u4e00-\u9fff]", plc.name.zh)
    spans: dict[str, list[tuple[int, int]]] = {}
    for area in plc.area:
        length = area.count * 8 if area.numbering == "byte" and area.table in {"coil", "discrete"} else area.count
        length = area.count // 2 if area.numbering == "byte" and area.table in {"input", "holding"} else length
        spans.setdefault(area.table, []).append((area.address, area.address + length))
    for found in spans.values():
        ordered = sorted(found)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(ordered)), ordered
        assert ordered[-1][1] <= 0x10000


def test_a_template_names_its_points_as_the_program_does() -> None:
    points = [point for point in parse_template(MACHINE, "press.toml").points if isinstance(point, ModbusPoint)]
    assert [(point.table, point.address, point.bit) for point in points] == [
        ("holding", 0x1064, None),
        ("coil", 0x0508, None),
        ("holding", 0x1066, 3),
        ("holding", 7, None),
    ]
    assert (points[0].order, points[2].type) == ("CDAB", "bool")


@pytest.mark.parametrize(
    ("old", "new", "key", "english"),
    [
        ('plc = "delta-dvp"', "", "point[1].at", "needs a controller"),
        ('plc = "delta-dvp"', 'plc = "delta-dvq"', "plc", "choose one of: delta-dvp"),
        ('"D100"', '"E100"', "point[1].at", "no variable 'E100'"),
    ],
)
def test_a_bad_template_of_a_controller_gets_one_clear_line(old: str, new: str, key: str, english: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_template(MACHINE.replace(old, new), "press.toml")
    assert caught.value.key is not None
    assert caught.value.key.endswith(key)
    assert english in caught.value.explain("en")
