"""A point list becomes a template that can be simulated at once; what is not sure is left to a person, in words."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge_agent.onboard.draft import draft_template
from edge_agent.onboard.library_cli import app
from edge_agent.onboard.point_list import Point, PointList
from protocols.errors import ConfigError
from protocols.library.templates import load_template, parse_template

HEAD = {"id": "m", "manufacturer": "Maker", "model": "M", "equipment_class": "energy_meter", "source": "list"}


def run(file: Path, out: Path, *words: str) -> Result:
    options = ("--class", "energy_meter", "--maker", "Maker", "--model", "M", "--out", str(out), *words)
    return CliRunner().invoke(app, ("import", str(file), *options))


def test_a_chinese_point_list_becomes_a_template(tmp_path: Path) -> None:
    file, out = tmp_path / "点表.csv", tmp_path / "my-meter.toml"
    file.write_text(
        "地址,名称,单位,数据类型,倍率,读写\n0x0061,A相电压 Ua,V,uint16,0.1,R\n0x0077,频率,Hz,uint16,0.01,R\n"
        "101.3,过压报警,,bool,,R\n200,自定义,,word,,R\n300,清零,,word,,W\n",
        encoding="utf-8",
    )
    result = run(file, out, "--json", "--lang", "en")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["notes"] == ["300: write-only, left out"]
    template = load_template(str(out))
    voltage, frequency, alarm, own = (point.model_dump(exclude_defaults=True) for point in template.points)
    assert (voltage["property"], voltage["unit"], voltage["address"], voltage["scale"]) == (
        "voltage_l1_n",
        "VLT",
        97,
        0.1,
    )
    assert (frequency["unit"], frequency["scale"]) == ("HTZ", 0.01)
    assert (alarm["address"], alarm["bit"]) == (101, 3)
    assert "property" not in own
    again = run(file, out, "--lang", "zh")
    assert again.exit_code == 2
    assert "my-meter.toml" in again.stderr


def test_numbers_of_a_manual_are_never_guessed() -> None:
    found = PointList([Point("40001", "U", unit="V"), Point("30011", "I", unit="A")])
    with pytest.raises(ConfigError, match="say which: --numbering plain or --numbering modicon"):
        draft_template(found, HEAD, None)
    places = {
        numbering: [
            (point.model_dump()["table"], point.model_dump()["address"])
            for point in parse_template(draft_template(found, HEAD, numbering)[0], "m").points
        ]
        for numbering in ("plain", "modicon")
    }
    assert places == {"plain": [("holding", 40001), ("holding", 30011)], "modicon": [("holding", 0), ("input", 10)]}


def test_what_can_not_be_known_is_said() -> None:
    found = PointList(
        [
            Point("2100H", "x", datatype="BCD", unit="furlong"),
            Point("coil:5", "y"),
            Point("input:7", "x", datatype="BOOL"),
        ]
    )
    text, notes = draft_template(found, HEAD, None)
    assert [note.en for note in notes] == [
        "2100H: unknown unit 'furlong'",
        "2100H: type 'BCD' taken as uint16",
        "input:7: bit taken as 0",
    ]
    points = [point.model_dump() for point in parse_template(text, "m").points]
    assert [(point["name"], point["table"], point["address"]) for point in points] == [
        ("x", "holding", 0x2100),
        ("y", "coil", 5),
        ("x input:7", "input", 7),
    ]


def test_opcua_nodes_stay_as_they_are() -> None:
    node = "nsu=urn:maker;s=Barrel.Zone1"
    text, _ = draft_template(PointList([Point(node, "料筒一段温度", unit="℃")]), HEAD, None)
    template = parse_template(text, "m")
    assert template.device.protocol == "opcua"
    assert template.points[0].model_dump()["node"] == node


def test_addresses_of_no_known_protocol_are_named() -> None:
    with pytest.raises(ConfigError, match=r"no Modbus or OPC UA address: DB1.0, DB1.4"):
        draft_template(PointList([Point("DB1.0", "a"), Point("DB1.4", "b")]), HEAD, None)
