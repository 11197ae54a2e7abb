"""What spreadsheets do to lists, and how much of it can be undone."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from openpyxl import Workbook

from edge_agent.onboard.list_file import number
from edge_agent.onboard.point_address import parse_address
from edge_agent.onboard.point_import import plan_import
from edge_agent.onboard.point_list import read_point_list, read_rows
from protocols.errors import ConfigError

NODES = 'address;name;unit\nnsu=urn:p;s=A;a;°C\n"nsu=urn:p;s=""DB1"".""t""";b;\n="007";c;\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "cp1252"])
def test_the_encodings_that_spreadsheets_save(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "p.txt"
    path.write_bytes("address\tname\tunit\n1\tÖl °C\t°C\n".encode(encoding))
    (point,) = read_point_list(path).points
    assert (point.name, point.unit) == ("Öl °C", "°C")


def test_semicolons_within_node_ids_part_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("address,name\n" + "".join(f"nsu=urn:p;s=A{n};x;y,n{n}\n" for n in range(9)), "utf-8")
    assert read_point_list(path).points[8].address == "nsu=urn:p;s=A8;x;y"
    path.write_text(NODES.replace("nsu=urn:p;s=A", '"nsu=urn:p;s=A"'), "utf-8")
    found = read_point_list(path).points
    assert [point.address for point in found] == ["nsu=urn:p;s=A", 'nsu=urn:p;s="DB1"."t"', "007"]


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(b"address,name\n1,\xff\xff\x80")
    with pytest.raises(ConfigError, match="neither UTF-8 nor GB 18030"):
        read_point_list(path)


def test_a_head_of_two_rows_with_merged_cells(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["某设备点表"], ["序号", "名称", "寄存器", None], [None, None, "地址", "类型"], [1, "甲", 256, "word"]):
        sheet.append(row)
    sheet.merge_cells("B2:B3")
    sheet.merge_cells("C2:D2")
    book.save(tmp_path / "p.xlsx")
    (point,) = read_point_list(tmp_path / "p.xlsx").points
    assert (point.address, point.name, point.datatype) == ("256", "甲", "word")


def test_what_a_spreadsheet_spoilt_is_told_by_row(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["address", "name", "seen"], [date(2026, 1, 2), "a", date(2026, 1, 2)], [7, "b", ""]):
        sheet.append(row)
    book.save(tmp_path / "p.xlsx")
    (tmp_path / "p.csv").write_text("address,name,scale\n7,b,#REF!\n8,c,", "utf-8")
    text = '[agent]\nname = "a"\n[cloud]\nurl = "http://127.0.0.1:1"\n'
    said = {}
    for name in ("p.xlsx", "p.csv"):
        listed = read_rows(tmp_path / name)
        found = plan_import(listed, text, tmp_path / "agent.toml", "d", connection={"host": "127.0.0.1"})
        (said[name],) = found.faults
        assert found.text == ""
    assert "date 2026-01-02" in said["p.xlsx"].what.en
    assert "formula failed here: #REF!" in said["p.csv"].what.en


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("１２３", 123), ("0,5", 0.5), ("1,234,567", 1234567), ("1,234.5", 1234.5), ("1.234,5", 1234.5), ("1 000", 1000),
        ("0x1E", 30), ("1EH", 30), ("-0.001", -0.001), ("1e-3", 0.001), ("0,001", 0.001), ("００７", 7), ("－2", -2),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(written: str, meant: float) -> None:
    assert number(written) == meant


@pytest.mark.parametrize("written", ["1,234", "-12,345", "x", "", "1.2.3", "12-3", "nan", "inf", "1,2,3"])
def test_what_is_no_number_or_may_be_two_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        number(written)


@pytest.mark.parametrize(
    ("protocol", "written", "fields"),
    [
        ("modbus", "ｈolding:１００", {"table": "holding", "address": 100}),
        ("modbus", "00100", {"table": "holding", "address": 100}),
        ("modbus", "4,126", {"table": "holding", "address": 4126}),
        ("modbus", "input:0x1E.3", {"table": "input", "address": 30, "bit": 3}),
        ("opcua", '"nsu=urn:p;s=A"', {"node": "nsu=urn:p;s=A"}),
        ("opcua", 'nsu=urn:p;s="DB"."t"', {"node": 'nsu=urn:p;s="DB"."t"'}),
        ("opcua", "Machines/*/State", {"path": "Machines/*/State"}),
        ("mqtt", "plant/m1", {"topic": "plant/m1"}),
        ("mqtt", "plant/m1#/zones/0", {"topic": "plant/m1", "value": "/zones/0"}),
        ("mqtt", "sparkplug:g/n/d#Temp/1", {"sparkplug": "g/n/d", "metric": "Temp/1"}),
    ],
)
def test_one_column_for_the_addresses_of_every_protocol(protocol: str, written: str, fields: dict[str, object]) -> None:
    assert parse_address(protocol, written) == fields
