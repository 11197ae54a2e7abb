"""Writes point lists for people: as CSV, as a workbook with the dictionary to choose from, as JSON.

`point_list` reads what is written here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.onboard.list_file import clean, csv_bytes
from edge_agent.onboard.point_cells import cells_of, unit_of
from edge_agent.onboard.point_list import COLUMNS, PointList
from edge_agent.onboard.point_meaning import fill_in
from edge_agent.onboard.propose import Proposal
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.dictionary.units import load_units
from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.text import Language, Text

Sheet = Sequence[Mapping[str, str]]
"""The rows of a list: cells by column."""

_HEADS: Mapping[str, str] = {
    "address": "地址",
    "name": "名称",
    "description": "描述",
    "unit": "单位",
    "datatype": "数据类型",
    "scale": "倍率",
    "low": "下限",
    "high": "上限",
    "property": "字典条目",
    "value": "当前值",
    "why": "依据",
}
"""What columns are called in Chinese; all others keep the name of their configuration key."""

ALWAYS = frozenset({"address", "name", "description", "unit", "scale", "low", "high", "property"})
"""Columns that a list has even where they are empty: what a person most often fills in."""

_WIDTHS = {"address": 46, "name": 40, "description": 36, "property": 30, "why": 46}


def browsed_sheet(
    found: PointList,
    proposals: Mapping[str, Proposal],
    language: Language,
    protocol: str = "",
    configured: Sequence[PointConfig] = (),
) -> Sheet:
    """Return a browsed list with the entry filled in where the proposal is sure, and why or what else it may be.

    Points that the device has `configured` already stand there as configured, with what was seen of them.
    """
    known = {cells["address"]: cells for cells in (cells_of(protocol, point) for point in configured)}
    rows = []
    for point in found.points:
        proposal = proposals[point.address]
        filled, _ = fill_in(proposal, unit_of(point.unit))
        said = [f"{proposal.confidence:.0%} {proposal.property or '-'}: {proposal.reason.to(language)}"]
        if filled is None and proposal.nearest:
            said.append(Text("nearest: ", "相近：").to(language) + ", ".join(proposal.nearest[:3]))
        row = {
            "address": point.address,
            "name": point.name,
            "description": point.description,
            "unit": point.unit,
            "datatype": point.datatype,
            "low": "" if point.low is None else f"{point.low:g}",
            "high": "" if point.high is None else f"{point.high:g}",
            "property": filled or "",
            "value": point.value,
            "why": "; ".join(said),
        }
        cells = known.get(point.address, {})
        rows.append(row | {column: cell for column, cell in cells.items() if cell or column in ALWAYS})
    return rows


def configured_sheet(protocol: str, points: Sequence[PointConfig]) -> Sheet:
    """Return a device's points as configured; columns that none of them uses are left out."""
    rows = [cells_of(protocol, point) for point in points]
    used = {column for row in rows for column, cell in row.items() if cell}
    kept = [column for column in rows[0] if column in used or column in ALWAYS] if rows else []
    return [{column: row[column] for column in kept} for row in rows]


def write_sheet(rows: Sheet, path: Path, language: Language) -> None:
    """Write `rows` to `path`, whose ending decides on the form (.csv, .xlsx or .json); an existing file is left alone.

    Raises ConfigError for another ending or an existing file, OSError where the file cannot be written.
    """
    forms = {".csv": _csv, ".xlsx": _workbook, ".json": _json}
    form = forms.get(path.suffix.lower())
    if form is None:
        raise ConfigError(
            Text("is no form a list is written in", "不是可写出的点表格式"),
            Text("name a file that ends in .csv, .xlsx or .json", "请使用 .csv、.xlsx 或 .json 文件名"),
            key=str(path),
        )
    try:
        file = path.open("xb")
    except FileExistsError as error:
        raise ConfigError(
            Text("exists already and is left as it is", "文件已存在，未作改动"),
            Text("name another file", "请指定其他文件名"),
            key=str(path),
        ) from error
    with file:
        file.write(form(rows, language))


def _columns(rows: Sheet) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _head(column: str, language: Language) -> str:
    label = _HEADS.get(column, column) if language == "zh" else column
    if column in COLUMNS and label != column and label not in COLUMNS[column]:
        raise ValueError(label)
    return label


def _csv(rows: Sheet, language: Language) -> bytes:
    columns = _columns(rows)
    heads = [_head(column, language) for column in columns]
    return csv_bytes([heads, *([row.get(column, "") for column in columns] for row in rows)])


def _json(rows: Sheet, _: Language) -> bytes:
    return msgspec.json.format(msgspec.json.encode({"points": rows})) + b"\n"


def _workbook(rows: Sheet, language: Language) -> bytes:
    """Return a workbook: the list, all of its cells text so that nothing becomes a date, and the dictionary beside it."""
    from openpyxl import Workbook  # noqa: PLC0415 - only workbooks need it
    from openpyxl.styles import Font  # noqa: PLC0415
    from openpyxl.worksheet.datavalidation import DataValidation  # noqa: PLC0415

    book = Workbook(write_only=True)
    sheet = book.create_sheet(Text("points", "点表").to(language))
    sheet.freeze_panes = "A2"
    columns = _columns(rows)
    for place, column in enumerate(columns):
        letter = chr(ord("A") + place) if place < 26 else "A" + chr(ord("A") + place - 26)
        sheet.column_dimensions[letter].width = _WIDTHS.get(column, 12)
        if column == "property":
            # A list of its own would be cut at 255 characters; it refers to the second sheet.
            choice = DataValidation(
                type="list",
                formula1=f"'{_dictionary_title(language)}'!$A$2:$A${len(load_dictionary()) + 1}",
                allow_blank=True,
                showErrorMessage=False,  # "-" says that no entry fits
            )
            choice.add(f"{letter}2:{letter}{len(rows) + 1000}")
            sheet.data_validations.append(choice)
    sheet.append([_text_cell(sheet, _head(column, language), Font(bold=True)) for column in columns])
    for row in rows:
        sheet.append([_text_cell(sheet, row.get(column, "")) for column in columns])
    _dictionary(book, language)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _text_cell(sheet: Any, text: str, font: Any = None) -> Any:
    """Return a cell that stays the text it is: no formula, no number, no date, also when a person edits it."""
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415

    cell = WriteOnlyCell(sheet, clean(text))
    cell.data_type, cell.number_format = "s", "@"
    if font is not None:
        cell.font = font
    return cell


def _dictionary_title(language: Language) -> str:
    return Text("dictionary", "数据字典").to(language)


def _dictionary(book: Any, language: Language) -> None:
    sheet = book.create_sheet(_dictionary_title(language))
    heads = (Text("code", "代码"), Text("meaning", "含义"), Text("unit", "计量单位"), Text("equipment", "设备类别"))
    sheet.append([head.to(language) for head in heads])
    units, classes = load_units(), equipment_classes()
    for entry in load_dictionary().values():
        kind = classes.get(entry.equipment_class)
        sheet.append(
            [
                entry.code,
                entry.name.to(language),
                "" if entry.unit == "C62" else units[entry.unit].symbol,
                kind.to(language) if kind else entry.equipment_class,
            ]
        )
