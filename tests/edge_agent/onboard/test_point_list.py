"""Point lists as people really send them, and what is said about wrong rows."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from edge_agent.onboard.point_list import Point, read_point_list
from protocols.errors import ConfigError

ROWS = [
    ["空压站点表", "", "", "", "", "", ""],
    ["地址", "名称", "描述", "单位", "数据类型", "倍率", "读写"],
    ["4126", "排气压力", "出口", "MPa", "uint16", "0.01", "只读"],
    ["", "", "", "", "", "", ""],
    ["4127", "启停", "", "", "bool", "", "读写"],
]
FOUND = [
    Point("4126", "排气压力", "出口", "MPa", "uint16", 0.01, "r"),
    Point("4127", "启停", "", "", "bool", None, "rw"),
]


def written(path: Path, rows: list[list[str]], separator: str = ",", encoding: str = "utf-8") -> Path:
    path.write_bytes("\n".join(separator.join(row) for row in rows).encode(encoding))
    return path


def workbook(path: Path, rows: list[list[str]]) -> Path:
    """Write a workbook as spreadsheets do: a note on the first sheet, the list on the second, numbers as numbers."""

    def cell(text: str) -> str:
        if text.replace(".", "", 1).isdigit():
            return f"<c><v>{text}</v></c>"
        return f'<c t="inlineStr"><is><t>{escape(text)}</t></is></c>'

    def sheet(lines: list[list[str]]) -> str:
        body = "".join("<row>" + "".join(map(cell, line)) + "</row>" for line in lines)
        return f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{body}</sheetData></worksheet>'

    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r0" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="{relations}"><sheets><sheet name="说明" sheetId="1" r:id="r1"/><sheet name="点表" sheetId="2" r:id="r2"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{relations}/worksheet" Target="worksheets/sheet2.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet([["请先阅读"]]),
        "xl/worksheets/sheet2.xml": sheet(rows),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize(
    ("separator", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-8"), (",", "gb18030")]
)
def test_csv_in_the_forms_spreadsheets_write(tmp_path: Path, separator: str, encoding: str) -> None:
    assert list(read_point_list(written(tmp_path / "p.csv", ROWS, separator, encoding)).points) == FOUND


def test_a_workbook_is_read_from_the_sheet_that_has_the_list(tmp_path: Path) -> None:
    assert list(read_point_list(workbook(tmp_path / "p.xlsx", ROWS)).points) == FOUND


def test_english_heads_in_any_case(tmp_path: Path) -> None:
    rows = [["Register", "Parameter Name", "R/W", "Factor"], ["0x10", "Output current", "RO", "x0.1"]]
    assert read_point_list(written(tmp_path / "p.csv", rows)).points[0] == Point(
        "0x10", "Output current", "", "", "", 0.1, "r"
    )


def test_json_without_reading_its_answers(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"vendor": "V", "kind": "ups", "points": [{"address": 5, "name": "n", "gold": "oee"}]}')
    found = read_point_list(path)
    assert (found.vendor, found.kind, list(found.points)) == ("V", "ups", [Point("5", "n")])
    path.write_text('[{"address": "5", "name": "n"}]')
    assert read_point_list(path).points[0] == Point("5", "n")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [["地址", "名称", "倍率"], ["", "电流", "1"], ["7", "", "1"], ["8", "电压", "一半"]],
            "第 2 行：缺少地址；第 3 行：缺少名称；第 4 行：倍率“一半”不是数字",
        ),
        ([["甲", "乙"], ["1", "2"]], "没有包含“地址”和“名称”的表头行"),
        ([["地址", "名称"]], "点表中没有任何点"),
        ([["地址", "名称"], ["7", "电流"], ["7", "电压"]], "地址重复：7"),
    ],
)
def test_mistakes_are_told_by_row(tmp_path: Path, rows: list[list[str]], said: str) -> None:
    path = written(tmp_path / "p.csv", rows)
    with pytest.raises(ConfigError) as refused:
        read_point_list(path)
    line = refused.value.explain("zh")
    assert said in line
    assert line.startswith(str(path))
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "content"),
    [("p.json", b"{"), ("p.json", b'{"points": [{"name": 1}]}'), ("p.xlsx", b"PK"), ("p.pdf", b"%PDF")],
)
def test_what_is_no_list_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read_point_list(tmp_path / name)
    assert refused.value.mend is not None
    assert "\n" not in refused.value.explain("en")
