"""A report as an Excel workbook: one sheet for the figures, one for every table; numbers stay numbers."""

from __future__ import annotations

import re
from io import BytesIO

from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell, MergedCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from cloud.reports.schemas import Cell as Content
from cloud.reports.schemas import Column, Document, Figure, Section, heading, shown
from protocols.text import Language, Text

_BOLD = Font(bold=True)
_FIGURES = Text("Figures", "指标")
_COLUMNS = (
    Column(Text("Section", "部分")),
    Column(Text("Figure", "指标")),
    Column(Text("Value", "数值")),
    Column(Text("Unit", "单位")),
    Column(Text("Period before", "上期")),
    Column(Text("Measured", "数据完整率"), "%", 0),
    Column(Text("Note", "说明")),
)
_NO_TITLE = re.compile(r"[\[\]:*?/\\]")
_WIDEST = 42


def workbook(document: Document, language: Language) -> bytes:
    """Return `document` in `language`."""
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)  # noqa: S101 - a new workbook has one
    sheet.title = _FIGURES.to(language)
    for line in (document.title.to(language), f"{document.company} · {document.place}", document.period.to(language)):
        sheet.append([_plain(line)])
    sheet["A1"].font = Font(bold=True, size=14)
    sheet.append([])
    _head(sheet, [heading(column, language) for column in _COLUMNS])
    for section in document.sections:
        for figure in section.figures:
            _figure(sheet, section, figure, language)
    _fit(sheet)
    for section in document.sections:
        if section.table and section.table.rows:
            _table(book, section, document, language)
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def _figure(sheet: Worksheet, section: Section, figure: Figure, language: Language) -> None:
    measured = None if figure.completeness is None else 100 * figure.completeness
    note = figure.note.to(language) if figure.note else None
    sheet.append(
        [
            _plain(section.title.to(language)),
            _plain(figure.name.to(language)),
            figure.value,
            figure.unit,
            figure.before,
            measured,
            _plain(note),
        ]
    )
    row = sheet[sheet.max_row]
    for at, digits in ((2, figure.digits), (4, figure.digits), (5, 0)):
        row[at].number_format = _format(digits)


def _table(book: Workbook, section: Section, document: Document, language: Language) -> None:
    table = section.table
    assert table is not None  # noqa: S101 - the caller looked
    title = _NO_TITLE.sub(" ", section.title.to(language))[:31]
    sheet = book.create_sheet(title)
    _head(sheet, [heading(column, language) for column in table.columns])
    for row in table.rows:
        sheet.append(
            [_content(cell, column, document, language) for cell, column in zip(row, table.columns, strict=True)]
        )
        for cell, column in zip(sheet[sheet.max_row], table.columns, strict=True):
            if isinstance(cell.value, int | float):
                cell.number_format = _format(column.digits)
    sheet.freeze_panes = "A2"
    _fit(sheet)


def _content(cell: Content, column: Column, document: Document, language: Language) -> object:
    if cell is None or isinstance(cell, int | float):
        return cell
    return _plain(shown(cell, column, document, language))


def _head(sheet: Worksheet, names: list[str]) -> None:
    sheet.append(names)
    for cell in sheet[sheet.max_row]:
        cell.font = _BOLD


def _fit(sheet: Worksheet) -> None:
    for at, column in enumerate(sheet.iter_cols(min_row=2), 1):
        sheet.column_dimensions[get_column_letter(at)].width = min(max(map(_width, column), default=8) + 2, _WIDEST)


def _width(cell: Cell | MergedCell) -> int:
    text = "" if cell.value is None else str(cell.value)
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in text)


def _format(digits: int) -> str:
    return f"#,##0.{'0' * digits}" if digits else "#,##0"


def _plain(text: str | None) -> str | None:
    """Return a text that Excel takes for one: what begins as a formula does is not run."""
    if text is None:
        return None
    clean = ILLEGAL_CHARACTERS_RE.sub("�", text)
    return f"'{clean}" if clean.startswith(("=", "+", "-", "@")) else clean
