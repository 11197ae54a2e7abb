"""`sunmao-edge library`: the known devices, one device's points, and what is wrong in a template."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge_agent.config import load_config
from edge_agent.onboard.library_cli import app
from protocols.library.folder import own_folder, use_folder
from protocols.library.templates import load_template, template_ids


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_list_names_every_device_and_one_class_of_them() -> None:
    devices = json.loads(run("list", "--json").stdout)
    assert [device["id"] for device in devices] == template_ids()
    drives = json.loads(run("list", "--class", "vfd", "--json").stdout)
    assert {device["equipment_class"] for device in drives} == {"vfd"}
    assert "danfoss-fc51" in [device["id"] for device in drives]
    assert "变频器" in run("list", "--class", "vfd", "--lang", "zh").stdout


def test_an_unknown_class_is_wrong_use() -> None:
    result = run("list", "--class", "drive", "--lang", "en")
    assert result.exit_code == 2
    assert "unknown equipment class 'drive' - choose one of: generic" in result.stderr


def test_show_prints_points_meanings_and_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = run("show", "abb-b21", "--lang", "zh").stdout
    assert "volkszaehler/mbmd" in text
    assert "A相电压" in text
    shown = json.loads(run("show", "abb-b21", "--json").stdout)
    assert shown["device"]["model"] == "B21"
    assert shown["points"][0]["address"] == 0x5B00


def test_show_of_an_unknown_device_names_near_ones() -> None:
    result = run("show", "abb-b22", "--lang", "en")
    assert result.exit_code == 2
    assert "no device 'abb-b22' in the library - did you mean: abb-b2" in result.stderr


def test_lint_says_what_is_wrong_and_ends_with_1(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    head = 'extends = "abb-b21"\n[device]\nid = "mine"\nversion = 1\nmodel = "M"\n'
    file.write_text(head + 'source = ""\n', encoding="utf-8")
    wrong = run("lint", str(file), "abb-b21", "--lang", "zh")
    assert wrong.exit_code == 1
    assert "缺少来源" in wrong.stdout
    assert "abb-b21: 合格" in wrong.stdout
    assert json.loads(run("lint", str(file), "--json", "--lang", "en").stdout)[0]["faults"][0].startswith(
        "device.source"
    )
    file.write_text(head + 'source = "manual"\n', encoding="utf-8")
    assert run("lint", str(file)).exit_code == 0


def test_a_template_is_exported_added_and_compared(tmp_path: Path) -> None:
    file, folder = tmp_path / "handed-on.toml", tmp_path / "library"
    assert run("export", "abb-b23", "--out", str(file)).exit_code == 0
    assert run("export", "abb-b23", "--out", str(file)).exit_code != 0
    assert run("export", "abb-b23").stdout == file.read_text(encoding="utf-8")
    added = run("add", str(file), "--folder", str(folder), "--json")
    assert (added.exit_code, json.loads(added.stdout)["id"]) == (0, "abb-b23")
    use_folder(Path("library"))
    assert run("diff", "abb-b23", str(file)).exit_code == 0
    changed = run("diff", "abb-b21", "abb-b23", "--lang", "zh")
    assert changed.exit_code == 1
    assert "新增" in changed.stdout
    assert json.loads(run("diff", "abb-b21", "abb-b23", "--json").stdout)
    assert "no difference" in run("diff", "abb-b21", "abb-b21", "--lang", "en").stdout


def test_a_configuration_finds_the_templates_beside_it(tmp_path: Path) -> None:
    own = tmp_path / "library"
    own.mkdir()
    head = 'extends = "abb-b21"\n[device]\nid = "mine"\nversion = 1\nmodel = "M"\nsource = "manual"\n'
    (own / "mine.toml").write_text(head, encoding="utf-8")
    before = own_folder()
    config = tmp_path / "agent.toml"
    config.write_text(
        '[agent]\nname = "a"\n[cloud]\nurl = "https://c.example"\n'
        '[[device]]\nname = "m"\ntemplate = "mine"\nconnection = { host = "10.0.0.1" }\n',
        encoding="utf-8",
    )
    try:
        points = load_config(config).devices[0].points
        listed = {device["id"]: device["own"] for device in json.loads(run("list", "--json").stdout)}
        assert listed["mine"]
        assert not listed["abb-b21"]
        assert "mine" in template_ids()
    finally:
        use_folder(before)
    assert [point.name for point in points] == [point.name for point in load_template("abb-b21").points]
    assert "mine" not in template_ids()


def test_controllers_and_their_variables_are_listed() -> None:
    assert "delta-dvp" in run("plc", "--lang", "zh").stdout
    assert "0x1000" in run("plc", "delta-dvp", "--lang", "en").stdout
    found = json.loads(run("plc", "delta-dvp", "D100", "X17", "--json").stdout)
    assert [place["address"] for place in found] == [0x1064, 0x40F]
    assert run("plc", "delta-dvp", "Z1").exit_code == 2
