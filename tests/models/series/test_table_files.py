"""Files as loggers and spreadsheets write them are read as the plain CSV with the same readings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from models.errors import InputError
from models.series.clock import read_clocked
from models.series.health_fit import fit
from models.series.recipe import HealthRecipe
from models.series.table import fingerprint, read_table

LOAD = np.round(20 + 6 * np.sin(np.arange(400) / 9) + np.random.default_rng(3).normal(size=400), 2)
FLOW = np.round(1200 + 300 * np.cos(np.arange(400) / 7) + np.random.default_rng(4).normal(size=400), 1)
TIMES = [datetime.fromisoformat("2026-01-05") + timedelta(minutes=15 * row) for row in range(400)]
ROWS = list(zip(TIMES, LOAD, FLOW, strict=True))


def lines(head: str, shape: Callable[[datetime, float, float], str]) -> str:
    return "\n".join([head, *(shape(*row) for row in ROWS)]) + "\n"


def german(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


PLAIN = lines("time,load,flow", lambda t, a, b: f"{t},{a},{b}")
FORMS = {
    "decimal comma": (
        lines("Zeit;load;flow", lambda t, a, b: f"{t:%d.%m.%Y %H:%M};{german(a)};{german(b)}"),
        "utf-8-sig",
    ),
    "sep line": ("sep=;\n" + lines("Zeit;load;flow", lambda t, a, b: f"{t:%d.%m.%Y %H:%M};{a};{b}"), "utf-8"),
    "quoted thousands": (lines("time,load,flow", lambda t, a, b: f'"{t}","{a}","{b:,.1f}"'), "utf-8"),
    "tab, utf-16": (
        lines("日期\t时刻\tload\tflow", lambda t, a, b: f"{t:%Y/%m/%d}\t{t:%H:%M:%S}\t{a}\t{b}"),
        "utf-16",
    ),
    "spaces": (lines("date clock load flow", lambda t, a, b: f"{t:%Y-%m-%d} {t:%H:%M}   {a}  {b}"), "utf-8"),
    "gb 18030, units, text": (
        lines("时间,load,flow,状态,备注\n,℃,升/分,,", lambda t, a, b: f"{t:%Y年%m月%d日 %H:%M},{a},{b},运行,正常"),
        "gb18030",
    ),
    "latin-1, trailing delimiter": (
        lines("time;load;flow;\n;°C;l/min;", lambda t, a, b: f"{t};{a};{b};"),
        "cp1252",
    ),
    "us": (lines("time,load,flow", lambda t, a, b: f"{t.replace(month=3, day=t.day + 13):%m/%d/%Y %I:%M %p},{a},{b}"), "utf-8"),
    "epoch": (
        lines("no,t,load,flow,on", lambda t, a, b: f"{TIMES.index(t)},{(t - datetime(1970, 1, 1)).total_seconds():.0f},{a},{b},1"),  # noqa: DTZ001
        "utf-8",
    ),
    "epoch in ms": (
        lines("timestamp,load,flow", lambda t, a, b: f"{(t - datetime(1970, 1, 1)).total_seconds() * 1000:.0f},{a},{b}"),  # noqa: DTZ001
        "utf-8",
    ),
    "days of a workbook": (
        lines("Datum;load;flow", lambda t, a, b: f"{german((t - datetime(1899, 12, 30)) / timedelta(days=1) * 1).replace('.', '')};{german(a)};{german(b)}"),  # noqa: DTZ001
        "utf-8",
    ),
}  # fmt: skip


def test_each_form_teaches_the_model_of_the_plain_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_text(PLAIN, encoding="utf-8")
    recipe = HealthRecipe("pump", half_life=10)
    wanted = read_table(plain)
    for form, (text, encoding) in FORMS.items():
        path = tmp_path / "other.csv"
        path.write_text(text, encoding=encoding, newline="\r\n")
        said: list[str] = []
        table = read_table(path, tell=lambda en, zh, said=said: said.append(en))  # type: ignore[misc]
        assert (form, table.sensors, fingerprint(table)) == (form, ("load", "flow"), fingerprint(wanted)), said
        assert sum("between the cells" in each for each in said) == 1
        if form != "days of a workbook":  # whose two decimals are no quarters of an hour
            clocked = read_clocked(path, sensor="load")
            assert (clocked.period, clocked.begin.hour, len(clocked.table.values)) == (900, 0, 400), form
            assert (clocked.table.values[:, 0] == LOAD).all()
    assert fit(table, recipe).onnx == fit(wanted, recipe).onnx


def test_marks_without_a_reading_twice_named_and_empty_columns(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("p,p,q,\n1,2,NA,\n-,3,N/A,\nnull,,#N/A,\n4,5,,\n", encoding="utf-8")
    said: list[tuple[str, str]] = []
    table = read_table(path, tell=lambda en, zh: said.append((en, zh)))
    assert table.sensors == ("p", "p (2)")
    assert np.isnan(table.values).tolist() == [[False, False], [True, False], [True, True], [False, False]]
    assert any("'q' is left out: empty" in en and "为空" in zh for en, zh in said), said


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"PK\x03\x04...", "is a workbook; save its sheet as CSV"),
        (b"a,b\n\x81\xff\xff\n1,2\n", "save it as CSV"),
        (b"a;b\n1,5;2.5\n1.500,5;3.5\n1,5;4\n2;ERROR\n", "row 5, column 'b': 'ERROR' is no number; leave"),
        (b"a;b\n1,234;2\n2,345;3\n", "may be 1234 or 1.234; write it without a comma"),
        (b"a;b\n1,5;2\n2.5;3\n", "row 3, column 'a': '2.5' has another decimal mark"),
    ],
)
def test_what_is_not_certain_is_refused_with_its_mend(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_table(path)
    assert why in refused.value.en


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ("foo", "row 4, column 't': 'foo' is no time"),
        ("05.01.26 00:15", "row 4 is not later than the row before"),
    ],
)
def test_a_time_that_cannot_be_is_told_by_its_row(tmp_path: Path, last: str, why: str) -> None:
    path = tmp_path / "energy.csv"
    path.write_text(f"t;kWh\n05.01.26 00:00;1\n05.01.26 00:15;2\n{last};4\n", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_clocked(path)
    assert why in refused.value.en
