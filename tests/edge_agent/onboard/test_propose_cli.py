"""`sunmao-edge propose` as others script against it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent.cli import app

HERE = Path(__file__).parent
LIST = "地址,名称,单位\n40001,输出电流,A\n40002,最大输出频率,Hz\n40003,某某某,\n"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        app(["propose", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def points(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    path.write_text(LIST, encoding="utf-8")
    return path


def test_json_by_address(points: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert run("--points", str(points), "--kind", "变频器", "--json", str(out), "--lang", "en") == 0
    answers = json.loads(out.read_text(encoding="utf-8"))
    assert {address: answer["property"] for address, answer in answers.items()} == {
        "40001": "output_current",
        "40002": None,
        "40003": None,
    }
    assert answers["40001"]["confidence"] >= 0.8
    assert answers["40001"]["reason"].startswith("says current, output; unit A agrees")
    assert capsys.readouterr().out == ""


def test_a_table_for_people(points: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--points", str(points), "--kind", "变频器", "--lang", "zh") == 0
    shown = capsys.readouterr().out
    assert "输出电流" in shown
    assert "共 3 个点：1 个有把握，0 个需确认，2 个没有对应条目" in shown


def test_answers_are_remembered(points: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    memory, answers, out = tmp_path / "memory.json", tmp_path / "answers.json", tmp_path / "out.json"
    answers.write_text('{"40003": "oee", "40001": {"property": null}}', encoding="utf-8")
    assert run("--points", str(points), "--memory", str(memory), "--learn", str(answers), "--json", str(out)) == 0
    out.unlink()
    assert run("--points", str(points), "--memory", str(memory), "--json", str(out)) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert (found["40003"]["property"], found["40001"]["property"]) == ("oee", None)


@pytest.mark.parametrize("arguments", [["--points", "absent.csv"], ["--points", "points.csv", "--learn", "a.json"]])
def test_wrong_use_is_one_line(
    points: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(points.parent)
    assert run(*arguments, "--lang", "zh") == 2
    found = capsys.readouterr()
    assert found.err.count("\n") == 1
    assert found.out == ""
