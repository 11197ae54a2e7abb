"""`sunmao-model fit series` and `evaluate --series`, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.cli import app
from models.errors import InputError
from models.series.table import read_table
from models.signing import create_key

RUN = CliRunner()


def written(path: Path, rows: int, bad_from: int | None = None, delimiter: str = ";") -> Path:
    noise = np.random.default_rng(rows)
    load = np.sin(np.arange(rows) / 9)
    values = np.column_stack([5 + load, 30 + 4 * load]) + 0.1 * noise.normal(size=(rows, 2))
    if bad_from is not None:
        values[bad_from:, 1] += 6
    names = ["time", "pressure", "flow", *(["anomaly"] if bad_from is not None else [])]
    lines = [delimiter.join(names)]
    for row, (pressure, flow) in enumerate(values):
        marks = [] if bad_from is None else [str(int(row >= bad_from))]
        lines.append(delimiter.join([f"2026-01-01 {row}", f"{pressure:.4f}", f"{flow:.4f}", *marks]))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_from_a_file_to_a_judged_bundle(tmp_path: Path) -> None:
    key, out = tmp_path / "key.pem", tmp_path / "bundle"
    trust = create_key(key)
    healthy, labelled = written(tmp_path / "pump.csv", 2000), written(tmp_path / "later.csv", 800, bad_from=400)
    made = RUN.invoke(app, ["fit", "series", str(healthy), "--out", str(out), "--key", str(key), "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.output)["card"]["sensors"] == ["pressure", "flow"]
    assert RUN.invoke(app, ["verify", str(out), "--trust", trust]).exit_code == 0
    judged = RUN.invoke(app, ["evaluate", str(out), "--series", str(labelled), "--trust", trust, "--json"])
    assert judged.exit_code == 0, judged.output
    found = json.loads(judged.output)
    assert found["f1"] > 0.95 > found["always_f1"]
    assert found["false_alarm_rate"] < 0.02
    second = str(tmp_path / "second")
    words = ["fit", "series", str(healthy), "--kind", "pca", "--out", second, "--key", str(key), "--name", "other"]
    assert RUN.invoke(app, words).exit_code == 0
    words = ["evaluate", str(out), "--beside", second, "--series", str(labelled), "--trust", trust]
    shown = RUN.invoke(app, [*words, "--lang", "zh"]).output
    assert all(said in shown for said in ("列以分号分隔", "pump", "other", "两者都报", "任一报", "升高")), shown


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("time;p\n1;2\n1;x\n", "row 3, column 'p': 'x' is no number"),
        ("time;p\n1;2\n1\n", "row 3 has 1 cells, the first line 2"),
        ("load;run\n1,234;2\n1,876;3\n", "row 2, column 'load': '1,234' may be 1234 or 1.234"),
        ("name\na\nb\n", "no column holds numbers"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_by_row_and_column(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=why):
        read_table(path, sensors=["p"] if "p" in content.splitlines()[0] else ())


def test_series_without_labels_cannot_be_judged(tmp_path: Path) -> None:
    key, out = tmp_path / "key.pem", tmp_path / "bundle"
    trust = create_key(key)
    series = written(tmp_path / "pump.csv", 500, delimiter=",")
    RUN.invoke(app, ["fit", "series", str(series), "--out", str(out), "--key", str(key)])
    for language, said in (("en", "no column of labels"), ("zh", "没有标注列")):
        found = RUN.invoke(app, ["evaluate", str(out), "--series", str(series), "--trust", trust, "--lang", language])
        assert (found.exit_code, said in found.output) == (2, True)
