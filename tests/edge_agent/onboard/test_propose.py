"""Proposals of dictionary entries: small cases by hand, properties that always hold, figures on whole devices."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.onboard.point_list import Point, PointList, read_point_list
from edge_agent.onboard.propose import NONE_MOST, SURE, propose
from edge_agent.onboard.propose_concepts import IMPLIED
from edge_agent.onboard.propose_lexicon import CLASSES, atoms, load_lexicon
from edge_agent.onboard.propose_match import load_readings
from edge_agent.onboard.propose_memory import Memory, load_memory, save_memory
from protocols.dictionary.entries import load_dictionary
from protocols.errors import ConfigError
from tests.benchmarks.mapping import Figures, figures
from tests.benchmarks.mapping_lists import Labelled, dictionary_names, labelled_lists
from tests.edge_agent.onboard.unseen_devices import unseen_devices

HERE = Path(__file__).parent


def one(
    name: str, unit: str = "", *, kind: str = "", datatype: str = "", description: str = "", access: str = "r"
) -> str | None:
    point = Point("1", name, description, unit, datatype, None, access)
    return propose(PointList([point], kind=kind))["1"].property


@pytest.mark.parametrize(
    ("name", "unit", "kind", "datatype", "entry"),
    [
        ("A相电压", "V", "电表", "float", "voltage_l1_n"),
        ("Ubc", "V", "energy meter", "float", "voltage_l2_l3"),
        ("Phase 3 current", "A", "energy meter", "float", "current_l3"),
        ("正向有功总电能", "kWh", "电表", "uint32", "energy_active_import"),
        ("outputFreq", "Hz", "vfd", "uint16", "output_frequency"),
        ("给定频率", "Hz", "变频器", "uint16", "frequency_setpoint"),
        ("DC-Link Voltage", "V", "drive", "uint16", "dc_bus_voltage"),
        ("shuchudianliu", "A", "", "real", "output_current"),
        ("spindle_load", "%", "cnc", "float", "spindle_load"),
        ("快速进给倍率", "%", "数控机床", "int", "rapid_override"),
        ("保压时间", "s", "注塑机", "real", "holding_time"),
        ("Clamping force", "kN", "injection moulding", "real", "clamp_force"),
        ("排气压力", "MPa", "空压机", "uint16", "discharge_pressure"),
        ("Condenser water inlet temp", "°C", "chiller", "int16", "cooling_water_inlet_temperature"),
        ("Tempreture setpoint", "℃", "oven", "int16", "temperature_setpoint"),
        ("故障代码", "", "变频器", "uint16", "fault_code"),
        ("急停", "", "", "bool", "emergency_stop_active"),
        ("SOC", "%", "bms", "uint16", "battery_state_of_charge"),
    ],
)
def test_an_entry_is_found_by_its_words(name: str, unit: str, kind: str, datatype: str, entry: str) -> None:
    assert one(name, unit, kind=kind, datatype=datatype) == entry


@pytest.mark.parametrize(
    ("name", "unit", "kind", "datatype"),
    [
        ("最大输出频率", "Hz", "变频器", "uint16"),
        ("Motor rated current", "A", "vfd", "uint16"),
        ("输出电流百分比", "%", "变频器", "uint16"),
        ("A相无功功率", "kvar", "电表", "float"),
        ("B相正向有功电能", "kWh", "电表", "float"),
        ("当月最大需量", "kW", "电表", "float"),
        ("High discharge pressure alarm", "", "compressor", "bool"),
        ("油温传感器故障", "", "空压机", "bool"),
        ("保压压力设定", "bar", "注塑机", "real"),
        ("Baud rate", "", "vfd", "uint16"),
        ("加速时间", "s", "变频器", "uint16"),
        ("Reserved 3", "", "vfd", "uint16"),
        ("", "", "", ""),
    ],
)
def test_a_near_miss_is_nothing(name: str, unit: str, kind: str, datatype: str) -> None:
    assert one(name, unit, kind=kind, datatype=datatype) is None


def test_a_unit_of_another_quantity_forbids_an_entry() -> None:
    assert one("Output frequency", "Hz", kind="vfd") == "output_frequency"
    assert one("Output frequency", "V", kind="vfd") is None


def test_the_browse_path_says_what_the_name_leaves_out() -> None:
    path = "Objects/Machine/BarrelZones/Zone_3/Temperature"
    device = PointList(
        [Point(f"{path}/Actual", "Actual"), Point(f"{path}/SetValue", "SetValue")], kind="injection moulding"
    )
    found = propose(device)
    assert [proposal.property for proposal in found.values()] == ["barrel_zone_temperature", "temperature_setpoint"]


def test_neighbours_tell_what_a_total_is() -> None:
    total = Point("1", "Total energy", "", "kWh")
    alone = propose(PointList([total], kind="energy meter"))["1"]
    beside = propose(PointList([total, Point("2", "Import energy", "", "kWh")], kind="energy meter"))
    assert alone.property == "energy_active_import"
    assert [found.property for found in beside.values()] == ["energy_active_total", "energy_active_import"]


@pytest.mark.parametrize(
    ("rows", "kind", "entries"),
    [
        # Words cut short or without their vowels, behind the name of the line.
        (
            [
                ("Line1_MtrSpd", "rpm"),
                ("Line1_Rdy", ""),
                ("Line1_Flt", ""),
                ("Line1_OutCrnt", "A"),
                ("Line1_OutFrq", "Hz"),
            ],
            "vfd",
            ["motor_speed", "machine_ready", "fault_active", "output_current", "output_frequency"],
        ),
        # Initials of pinyin, read by the unit: 水泵电流, 液位, 瞬时流量, 水泵运行.
        (
            [("SB1_DL", "A"), ("YW", "m"), ("SSLL", "m3/h"), ("SB1_YX", "")],
            "水处理",
            ["motor_current", "liquid_level", "flow_rate_volume", "pump_running"],
        ),
        # Pinyin written out, glued or not: 水箱液位, 累计流量, 远程; a German compound by its head.
        (
            [("shuixiang_yewei", "m"), ("lei ji liu liang", "m3"), ("ShuShuiYaLi", "MPa"), ("Nebenkreisdruck", "bar")],
            "水处理",
            ["liquid_level", "flow_total_volume", "gauge_pressure", "gauge_pressure"],
        ),
        # Three in a row are the phases.
        ([(f"_G_ULN[{n}]", "V") for n in range(3)], "energy meter", [f"voltage_l{n}_n" for n in (1, 2, 3)]),
        # Instrument tags, formula signs, "in" and "out" of a stream and of a signal.
        ([("PI_15", "kPa"), ("dP_filter", "")], "boiler", ["gauge_pressure", "differential_pressure"]),
        ([("/Ac/Out/L1/V", "V"), ("/Ac/Out/L1/I", "A")], "inverter", ["output_voltage", "output_current"]),
        # A place nobody knows, a machine's name by its ending, full-width letters.
        (
            [("热烟混合间压力", "Pa"), ("球磨机电流", "A"), ("Ａ相电压", "Ｖ")],
            "",
            ["gauge_pressure", "motor_current", "voltage_l1_n"],
        ),
        # A unit in brackets behind the name is a unit and no phase A.
        ([("C相电流（A）", ""), ("电网频率 [Hz]", "")], "电表", ["current_l3", "frequency_grid"]),
        # A set-point of the same thing says what is controlled.
        ([("锌锅温度", "℃"), ("锌锅温度设定", "℃")], "产线", ["process_temperature", "temperature_setpoint"]),
        # Other machines beside this one, units that the dictionary has no entry for, single alarms.
        ([("Robot ready", ""), ("Actual power", "kWh/m3"), ("Alarm 7", "")], "moulding machine", [None, None, None]),
        # Two states are a yes or no; what was delivered depends on what was received.
        (
            [("Delivered energy", "kWh"), ("Received energy", "kWh")],
            "meter",
            ["energy_active_import", "energy_active_export"],
        ),
    ],
)
def test_vendors_write_as_they_like(rows: list[tuple[str, str]], kind: str, entries: list[str | None]) -> None:
    booleans = {"Rdy", "Flt", "YX", "ready", "7"}
    points = [
        Point(
            str(n),
            name,
            "",
            unit,
            "bool" if name[-2:] in booleans or re.split(r"[_ ]", name)[-1] in booleans else "float",
        )
        for n, (name, unit) in enumerate(rows)
    ]
    assert [found.property for found in propose(PointList(points, kind=kind)).values()] == entries


def test_points_that_say_nothing_are_nothing() -> None:
    silent = [Point("holding:1"), Point("2", "----"), Point("3", "0x12"), Point("ns=3;i=1004"), Point("5", "\x00")]
    same = [Point(f"same {n}", "Temperature", "", "°C") for n in range(4)]
    assert all(found.property is None for found in propose(PointList([*silent, *same])).values())
    assert propose(PointList([Point("1", "", "排气压力", "MPa")]))["1"].property == "discharge_pressure"
    assert propose(PointList([])) == {}


def test_the_reason_is_said_in_both_languages() -> None:
    points = [Point("1", "输出电流", "", "A"), Point("2", "xyzzy"), Point("3", "最大输出频率", "", "Hz")]
    found = propose(PointList(points, kind="变频器"))
    assert found["1"].reason.zh == "含“电流”“输出”；单位 A 相符；变频器常见参数"
    assert found["1"].reason.en == "says current, output; unit A agrees; usual on: variable-frequency drive"
    assert "没有可识别的含义" in found["2"].reason.zh
    assert found["3"].reason.en == "close to Output frequency, but maximum makes another thing of it"
    assert found["3"].reason.zh == "接近“输出频率”，但“最大”说明它是另一个量"
    assert "未说明对象" in propose(PointList([Point("1", "温度", "", "℃")]))["1"].reason.zh
    written = PointList([Point("1", "电流", "", "A", "", None, "rw"), Point("2", "输出电压", "", "V")], kind="变频器")
    assert "而测量值应为只读" in propose(written)["1"].reason.zh


WORDS = st.sampled_from(
    ["电流", "A相", "temp", "Set", "_", " ", "1", "(Hz)", "功率", "alarm", "(0:", "）", "/", ".", "L1-L2"]
)
TEXTS = st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=8).map("".join))
POINTS = st.builds(
    Point,
    address=st.text(min_size=1, max_size=12),
    name=TEXTS,
    description=TEXTS,
    unit=st.one_of(TEXTS, st.sampled_from(["V", "kWh", "%", "℃"])),
    datatype=st.one_of(TEXTS, st.sampled_from(["bool", "float", "string"])),
    scale=st.one_of(st.none(), st.floats(allow_nan=False)),
    access=st.sampled_from(["", "r", "rw", "w"]),
)


@settings(max_examples=120, deadline=None)
@given(points=st.lists(POINTS, max_size=6, unique_by=lambda point: point.address), kind=TEXTS)
def test_any_text_gives_the_same_answer_in_any_order(points: list[Point], kind: str) -> None:
    found = propose(PointList(points, kind=kind))
    assert found == propose(PointList(points[::-1], kind=kind))
    assert list(found) == [point.address for point in points]
    for proposal in found.values():
        assert 0 <= proposal.confidence <= (1 if proposal.property else NONE_MOST)
        assert proposal.property is None or proposal.property in load_dictionary()
        assert proposal.reason.en
        assert proposal.reason.zh


def test_what_a_technician_confirmed_comes_first(tmp_path: Path) -> None:
    device = PointList([Point("1", "Zone 1 foo", "", "℃"), Point("2", "Output current", "", "A")], "Acme", "X", "vfd")
    memory = Memory()
    memory.confirm(device, {"1": "process_temperature", "2": None})
    save_memory(memory, tmp_path / "memory.json")
    again = PointList([Point("9", "zone 7 FOO", "", "℃"), Point("8", "Output current", "", "A")], "Acme", "X", "vfd")
    found = propose(again, load_memory(tmp_path / "memory.json"))
    assert (found["9"].property, found["8"].property) == ("process_temperature", None)
    assert found["9"].confidence >= SURE
    other = PointList(again.points, "Other", "Y", "vfd")
    assert propose(other, memory)["8"].property == "output_current"
    nameless = PointList(device.points)
    memory.confirm(nameless, {"2": None})
    assert propose(nameless, memory)["2"].property is None
    assert propose(PointList(device.points[1:]), memory)["2"].property == "output_current"


@pytest.mark.parametrize("answers", [{"7": "oee"}, {"1": "no_such_entry"}])
def test_a_wrong_confirmation_changes_nothing(answers: dict[str, str | None]) -> None:
    memory = Memory()
    with pytest.raises(ConfigError):
        memory.confirm(PointList([Point("1", "a")]), answers)
    assert memory == Memory()


def test_a_spoilt_memory_is_named(tmp_path: Path) -> None:
    (tmp_path / "memory.json").write_text("{")
    with pytest.raises(ConfigError, match=r"memory\.json"):
        load_memory(tmp_path / "memory.json")


def test_the_data_files_agree_with_each_other() -> None:
    lexicon, dictionary = load_lexicon(), load_dictionary()
    readings = load_readings()
    assert {reading.code for reading in readings} == set(dictionary.collected)
    used = {concept for reading in readings for some in reading.required for concept in some}
    used |= {concept for reading in readings for concept in reading.optional | reading.forbidden}
    assert used <= lexicon.class_of.keys()
    assert {concept for concepts in IMPLIED.values() for concept in concepts} <= lexicon.class_of.keys()


def test_no_spelling_means_two_things() -> None:
    tables = tomllib.loads(files("edge_agent.onboard").joinpath("propose_lexicon.toml").read_text(encoding="utf-8"))
    seen: dict[tuple[str, ...], str] = {}
    for concept, spellings in ((c, w) for name in CLASSES for c, w in tables[name].items()):
        for spelling in spellings.split(","):
            assert seen.setdefault(atoms(spelling), concept) == concept, spelling
    assert not {spelling for spelling in tables["compound"] if atoms(spelling) in seen}


def test_every_chinese_spelling_can_be_read_aloud() -> None:
    tables = tomllib.loads(files("edge_agent.onboard").joinpath("propose_lexicon.toml").read_text(encoding="utf-8"))
    spellings = [*tables["compound"], *(w for name in CLASSES for ws in tables[name].values() for w in ws.split(","))]
    readings = tomllib.loads(files("edge_agent.onboard").joinpath("propose_pinyin.toml").read_text(encoding="utf-8"))
    han = {c for spelling in spellings if len(spelling.strip()) > 1 for c in re.findall(r"[\u4e00-\u9fff]", spelling)}
    assert not han - set("".join(readings.values())), "add their readings to propose_pinyin.toml"


def judged(labelled: list[Labelled]) -> Figures:
    answers = [(one, {a: (p.property, p.confidence) for a, p in propose(one.points).items()}) for one in labelled]
    return figures(answers)


def test_devices_of_other_vendors() -> None:
    found = judged([Labelled(name, points, gold) for name, points, gold in unseen_devices()])
    assert found.top1 >= 0.95
    assert found.sure_right >= 0.97
    assert found.false_mapping <= 0.09


@pytest.mark.parametrize("name", ["meter_zh", "drive_en", "moulder_zh"])
def test_point_lists_as_integrators_write_them(name: str) -> None:
    path = HERE / f"{name}.csv"
    rows = [row for row in csv.reader(path.read_text(encoding="utf-8").splitlines()) if len(row) > 3]
    place = next(i for i, head in enumerate(rows[0]) if head in {"地址", "寄存器地址", "Register"})
    found = judged([Labelled(name, read_point_list(path), {row[place]: row[-1] for row in rows[1:]})])
    assert found.top1 >= 0.85
    assert found.false_mapping <= 0.2  # one point of five or eight


@pytest.mark.parametrize("name", ["development", "recalled"])
def test_lists_the_lexicon_was_enlarged_with(name: str) -> None:
    found = judged(labelled_lists(name))
    assert found.top1 >= 0.9
    assert found.sure_right >= 0.96
    assert found.false_mapping <= 0.09


def test_numbers_that_tell_meanings_apart_are_kept() -> None:
    phases = PointList([Point(str(n), name=f"Voltage L{n}") for n in (1, 2, 3)], vendor="Acme", model="M1")
    inputs = PointList([Point(str(n), name=f"Input {n}") for n in (1, 2, 3)], vendor="Acme", model="M1")
    memory = Memory()
    memory.confirm(phases, {"1": "voltage_l1_n", "2": "voltage_l2_n"})
    memory.confirm(inputs, {"1": "discharge_pressure", "2": "oil_temperature"})
    assert memory.recall(phases) == [(True, "voltage_l1_n"), (True, "voltage_l2_n"), (False, None)]
    assert memory.recall(inputs) == [(True, "discharge_pressure"), (True, "oil_temperature"), (False, None)]


def test_a_later_answer_does_not_speak_for_what_was_confirmed_before() -> None:
    zones = PointList([Point(str(n), name=f"Zone {n}") for n in (1, 2, 3)], vendor="Acme", model="M1")
    memory = Memory()
    memory.confirm(zones, {"1": "process_temperature"})
    memory.confirm(zones, {"2": "oil_temperature"})
    assert memory.recall(zones) == [
        (True, "process_temperature"),
        (True, "oil_temperature"),
        (True, "process_temperature"),
    ]


@pytest.mark.parametrize("written", [str.lower, str.upper, str.title], ids=["lower", "UPPER", "Title"])
def test_how_a_name_is_set_makes_little_difference(written: Callable[[str], str]) -> None:
    found = []
    for one_list in labelled_lists("recalled"):
        if any(not point.name.isascii() for point in one_list.points.points):
            continue
        points = [
            msgspec.structs.replace(point, name="_".join(re.findall(r"[A-Za-z0-9%/.+-]+", written(point.name))))
            for point in one_list.points.points
        ]
        found.append(msgspec.structs.replace(one_list, points=msgspec.structs.replace(one_list.points, points=points)))
    assert len(found) > 20
    assert judged(found).top1 >= 0.88


def test_entries_are_found_by_their_own_names() -> None:
    missed = [
        one.points.points[0].name for one in dictionary_names() if propose(one.points)["1"].property != one.gold["1"]
    ]
    assert len(missed) <= 4
