"""From an edited list into the configuration: what changes, what is refused, and that a round trip changes nothing."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.config import load_config, parse_config
from edge_agent.config_edit import put_device
from edge_agent.onboard.point_import import Plan, plan_import
from edge_agent.onboard.point_list import Listed, read_rows
from edge_agent.onboard.point_sheet import configured_sheet, write_sheet
from protocols.dictionary.units import load_units
from protocols.errors import ConfigError

HEAD = """# the box at line 1
[agent]
name = "a"
[cloud]
url = "http://127.0.0.1:1"
"""
OPCUA = (
    HEAD
    + """
[[device]]
name = "moulder"  # behind the door
protocol = "opcua"
connection = { endpoint = "opc.tcp://127.0.0.1:4840", security = "none" }
[[device.point]]
name = "oil"
node = "nsu=urn:p;s=Oil"
unit = "CEL"
low = 0
high = 90
[[device.point]]
name = "state"
node = "nsu=urn:p;s=State"
[[device.point]]
name = "spare"  # keep me
node = "nsu=urn:p;s=Spare"
"""
)
TEMPLATED = (
    HEAD
    + """
[[device]]
name = "meter"
template = "demo-energy-meter"
connection = { host = "127.0.0.1" }
"""
)


def sheet(path: Path, *lines: str) -> Listed:
    path.write_text("\n".join(lines), "utf-8")
    return read_rows(path)


def plan(listed: Listed, text: str = OPCUA, device: str = "moulder", **options: Any) -> Plan:
    return plan_import(listed, text, Path("agent.toml"), device, **options)


def exported(text: str, path: Path, language: Any = "zh") -> Listed:
    device = parse_config(text, Path("agent.toml")).devices[0]
    write_sheet(configured_sheet(device.protocol, device.points), path, language)
    return read_rows(path)


def kinds(found: Plan) -> dict[str, str]:
    return {change.name: change.kind for change in found.changes}


def test_every_kind_of_change_is_told_and_only_that_is_written(tmp_path: Path) -> None:
    listed = sheet(
        tmp_path / "p.csv",
        "address,name,unit,high,property",
        "nsu=urn:p;s=Oil,oil,℃,95,oil_temperature",
        "nsu=urn:p;s=State,state,,,-",
        "nsu=urn:p;s=Pressure,pressure,bar,250,",
    )
    found = plan(listed)
    assert found.faults == []
    assert kinds(found) == {"oil": "changed", "state": "unchanged", "spare": "kept", "pressure": "added"}
    oil = found.changes[0]
    assert {f.field: (f.before, f.after) for f in oil.fields} == {
        "high": ("90", "95"),
        "property": ("-", "oil_temperature"),
    }
    before, after = tomllib.loads(OPCUA)["device"][0], tomllib.loads(found.text)["device"][0]
    assert after["connection"] == before["connection"]
    assert after["point"][1:3] == before["point"][1:]
    assert after["point"][0] == before["point"][0] | {"high": 95.0, "property": "oil_temperature"}
    assert "# behind the door" in found.text
    assert "# keep me" in found.text
    assert kinds(plan(listed, mode="replace"))["spare"] == "removed"
    assert kinds(plan(listed, mode="skip")) == {
        "oil": "kept", "state": "kept", "spare": "kept", "pressure": "added",
    }  # fmt: skip


def test_all_that_is_wrong_is_told_by_row_and_nothing_is_written(tmp_path: Path) -> None:
    listed = sheet(
        tmp_path / "p.csv",
        "address,name,unit,scale,low,high,property",
        "nsu=urn:p;s=A,a,furlong,x,,,",
        "ns=3;s=B,b,,,,,",
        "nsu=urn:p;s=C,,,,,,",
        "nsu=urn:p;s=D,d,kW,,,,oil_temperature",
        "nsu=urn:p;s=E,e,,,9,1,oil_temprature",
        "nsu=urn:p;s=F,f,,,9,1,",
        "nsu=urn:p;s=G,d,,,,,",
        'nsu=urn:p;s=H,h,,"1,000",,,',
    )
    found = plan(listed)
    said = {}
    for fault in found.faults:
        said.setdefault(fault.row, []).append(fault.what.en)
    assert sorted(said) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert len(said[2]) == 2
    assert "NamespaceArray" in said[3][0]
    assert "contradict" in said[5][0]
    assert "no entry" in said[6][0]
    assert "9 is not below" in said[7][0]
    assert "stands in 5" in said[8][0]
    assert "without a comma" in said[9][0]
    assert found.text == ""


def test_only_sure_meanings_are_filled_in_and_marked(tmp_path: Path) -> None:
    listed = sheet(
        tmp_path / "p.csv",
        "address,name,unit,property",
        "nsu=urn:p;s=1,A相电压,V,",
        "nsu=urn:p;s=2,B相电压,V,-",
        "nsu=urn:p;s=3,foo bar,,",
        "nsu=urn:p;s=4,机器状态,,",
        "nsu=urn:p;s=5,C相电压,V,C相电压",
    )
    found = plan(listed)
    points = {point["name"]: point.get("property") for point in tomllib.loads(found.text)["device"][0]["point"]}
    assert points == {"oil": None, "state": None, "spare": None} | {
        "A相电压": "voltage_l1_n", "B相电压": None, "foo bar": None, "机器状态": None, "C相电压": "voltage_l3_n",
    }  # fmt: skip
    notes = {change.name: [note.en for note in change.notes] for change in found.changes}
    assert notes["A相电压"][0].startswith("proposed voltage_l1_n")
    assert notes["B相电压"] == []


def test_a_range_wider_than_usual_is_shown(tmp_path: Path) -> None:
    listed = sheet(tmp_path / "p.csv", "address,name,unit,low,high,property", "nsu=urn:p;s=1,u,kV,0,12,voltage_l1_n")
    (change,) = [change for change in plan(listed).changes if change.kind == "added"]
    assert "0..12000 VLT is wider than usual" in change.notes[-1].en


def test_a_new_device_needs_a_connection(tmp_path: Path) -> None:
    listed = sheet(
        tmp_path / "p.csv", "address,name,datatype", "holding:100,flow,float", "coil:3,run,bool", "input:7.2,x,"
    )
    with pytest.raises(ConfigError, match="say how to reach it"):
        plan(listed, device="pump")
    found = plan(listed, device="pump", connection={"host": "127.0.0.1"})
    _, pump = parse_config(found.text, Path("agent.toml")).devices
    assert [(p.table, p.address, p.type, p.bit) for p in pump.points] == [  # type: ignore[attr-defined]
        ("holding", 100, "float32", None), ("coil", 3, "bool", None), ("input", 7, "bool", 2),
    ]  # fmt: skip


def test_numbers_of_manuals_are_asked_about(tmp_path: Path) -> None:
    listed = sheet(tmp_path / "p.csv", "地址,名称", "40001,甲", "30011,乙")
    with pytest.raises(ConfigError, match="--numbering"):
        plan(listed, device="pump", connection={"host": "127.0.0.1"})
    found = plan(listed, device="pump", connection={"host": "127.0.0.1"}, numbering="modicon")
    points = parse_config(found.text, Path("agent.toml")).devices[1].points
    assert [(p.table, p.address) for p in points] == [("holding", 0), ("input", 10)]  # type: ignore[attr-defined]


def test_a_templated_device_keeps_what_the_template_gives(tmp_path: Path) -> None:
    listed = exported(TEMPLATED, tmp_path / "p.csv")
    assert set(kinds(plan(listed, TEMPLATED, "meter", mode="replace")).values()) == {"unchanged"}
    first = listed.rows[0]
    edited = Listed(
        [type(first)(first.number, {**first.cells, "name": "anders", "scale": "2", "unit": ""})],
        listed.columns,
        listed.counted,
    )
    found = plan(edited, TEMPLATED, "meter")
    name = first.cells["name"]
    if found.faults:
        assert found.faults[0].what.en.startswith("unit: the template gives it")
    edited.rows[0].cells["unit"] = first.cells["unit"]  # type: ignore[index]
    found = plan(edited, TEMPLATED, "meter", mode="replace")
    assert tomllib.loads(found.text)["device"][0]["point"] == [{"name": name, "scale": 2.0}]
    assert kinds(found)[name] == "changed"
    assert list(kinds(found).values()).count("kept") == len(listed.rows) - 1


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    listed = sheet(tmp_path / "p.csv", "address,name,access,colour", "nsu=urn:p;s=1,a,w,red", "nsu=urn:p;s=2,b,rw,blue")
    found = plan(listed)
    assert (found.unused, [left.row for left in found.left_out]) == (["colour"], [2])


EDGE = Callable[..., tuple[int, str, str]]


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> EDGE:
    from edge_agent.cli import app

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            app([*arguments, "--lang", "en"])
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return run


def test_the_commands_from_export_to_import(edge: EDGE, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(OPCUA, "utf-8")
    assert edge("export", "--device", "moulder", "--out", "p.csv")[0] == 0
    again = ("import", "--points", "p.csv", "--device", "moulder")
    assert "as the list says already" in edge(*again)[1]
    content = (tmp_path / "p.csv").read_text("utf-8-sig")
    (tmp_path / "p.csv").write_text(content.replace("90", "85"), "utf-8")
    code, out, _ = edge(*again, "--dry-run")
    assert (code, "high 90 → 85" in out, (tmp_path / "agent.toml").read_text("utf-8")) == (0, True, OPCUA)
    found = json.loads(edge(*again, "--json")[1])
    assert (found["saved"], found["counts"]["changed"]) == (True, 1)
    assert load_config(tmp_path / "agent.toml").devices[0].points[0].high == 85
    (tmp_path / "p.csv").write_text(content.replace("90", "viel"), "utf-8")
    code, out, _ = edge(*again)
    assert (code, "'viel' is no number" in out) == (2, True)
    assert load_config(tmp_path / "agent.toml").devices[0].points[0].high == 85


texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co")) | st.sampled_from("=+-@'\"#;,，（）０１℃ \n"),
    max_size=12,
)
names = texts.filter(lambda text: text.strip() != "" and not text[0].isspace() and text[0] != "/" and "\n" not in text)
numbers = st.none() | st.integers(-1000, 1000) | st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def opcua_point(draw: st.DrawFn) -> dict[str, Any]:
    point: dict[str, Any] = {
        "node": f"nsu=urn:p;s={draw(texts.filter(lambda text: text.strip() != '' and text == text.strip()))}",
        "description": draw(texts),
        "unit": draw(st.none() | st.sampled_from(sorted(load_units()))),
        "scale": draw(numbers.filter(lambda number: number != 0)),
        "offset": draw(numbers),
        "low": draw(numbers),
        "period_s": draw(st.none() | st.floats(0.01, 1000)),
        "write": draw(st.sampled_from([None, {"min": 0.0, "max": 1.5}, {"values": [1.0, 2.0]}])),
    }
    return {key: value for key, value in point.items() if value is not None}


@st.composite
def modbus_point(draw: st.DrawFn) -> dict[str, Any]:
    point: dict[str, Any] = {
        "table": draw(st.sampled_from(["holding", "input"])),
        "address": draw(st.integers(0, 65000)),
    }
    kind = draw(st.sampled_from(["bit", "uint16", "int32", "float32", "string", "codes", "coil"]))
    match kind:
        case "bit":
            return point | {"bit": draw(st.integers(0, 15))}
        case "string":
            return point | {"type": "string", "length": draw(st.integers(1, 20))}
        case "codes":
            return point | {"codes": {str(code): code + 1 for code in draw(st.sets(st.integers(0, 9), min_size=1))}}
        case "coil":
            return {"table": "coil", "address": point["address"]}
    return point | {
        "type": kind,
        "order": draw(st.sampled_from(["ABCD", "DCBA"])),
        "invalid": [draw(st.integers(0, 9))],
    }


segments = texts.map(lambda text: "".join(text.split()).replace("#", "").replace("+", "")).filter(
    lambda text: text != ""
)


@st.composite
def mqtt_point(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"sparkplug": f"g/{draw(st.sampled_from(['n', 'n/d']))}", "metric": draw(segments)}
    point: dict[str, Any] = {
        "topic": f"plant/{draw(segments)}",
        "value": draw(st.sampled_from(["", "/zones/0", "a.b"])),
    }
    if draw(st.booleans()):
        point |= {"quality": "q", "good": draw(st.sampled_from([[192], [True, "ok"]]))}
    return point | {"numeric_text": draw(st.booleans())}


CONNECTIONS = {
    "opcua": {"endpoint": "opc.tcp://127.0.0.1:4840", "security": "none"},
    "modbus": {"host": "127.0.0.1"},
    "mqtt": {"host": "127.0.0.1", "security": "none"},
}
KINDS = {"opcua": opcua_point(), "modbus": modbus_point(), "mqtt": mqtt_point()}


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_a_round_trip_changes_nothing(data: st.DataObject, tmp_path: Path) -> None:
    protocol = data.draw(st.sampled_from(sorted(CONNECTIONS)))
    kind = KINDS[protocol]
    called = data.draw(st.lists(names, min_size=1, max_size=4, unique_by=lambda name: name.strip()))
    points = [{"name": name} | data.draw(kind) for name in called]
    table = {"name": "d", "protocol": protocol, "connection": CONNECTIONS[protocol], "point": points}
    text = put_device(HEAD, table)
    path = tmp_path / f"p{data.draw(st.sampled_from(['.csv', '.xlsx', '.json']))}"
    path.unlink(missing_ok=True)
    listed = exported(text, path, data.draw(st.sampled_from(["en", "zh"])))
    found = plan_import(listed, text, Path("agent.toml"), "d", mode="replace")
    assert (found.faults, set(kinds(found).values())) == ([], {"unchanged"})
    assert found.text == text
    # The same list as a new device gives the same points.
    if all(clean == clean.strip() for point in points for clean in (point["name"], point.get("description", ""))):
        other = plan_import(listed, HEAD, Path("agent.toml"), "d", protocol=protocol, connection=CONNECTIONS[protocol])
        assert other.faults == []
        ours, theirs = (parse_config(each, Path("agent.toml")).devices[0].points for each in (text, other.text))
        assert [p.model_dump() for p in theirs] == [p.model_dump() for p in ours]
