"""The rows of a CSV or XLSX file, one after the other and never more than is stated here."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import NamedTuple
from zipfile import ZipFile

from cloud.core.delimited import DAMAGED_WORKBOOK, delimited_rows, no_table
from cloud.core.errors import Invalid
from cloud.uploads.cell import EXCEL_EPOCH, Cell, is_empty
from protocols.text import Text

MAX_BYTES = 20 * 1024 * 1024
MAX_CELLS = 1_000_000
_MAX_ROWS = 1_048_576  # of a workbook's sheet
_MAX_COLUMNS = 300
_MAX_UNPACKED = 128 * 1024 * 1024
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"

_TOO_MANY = Text(
    f"The file has more than {MAX_CELLS:,} cells; divide it.", f"文件超过 {MAX_CELLS:,} 个单元格，请拆分后上传。"
)
_TOO_LONG = Text(f"The file has more than {_MAX_ROWS:,} rows; divide it.", f"文件超过 {_MAX_ROWS:,} 行，请拆分后上传。")
_TOO_WIDE = Text(
    f"The file has more than {_MAX_COLUMNS} columns; use the template.", f"文件超过 {_MAX_COLUMNS} 列，请使用模板。"
)
_UNPACKED = Text(
    "The workbook becomes larger than 128 MB when it is unpacked; divide it, or save it as CSV.",
    "该工作簿解压后超过 128 MB，请拆分或另存为 CSV。",
)
_OLD = Text(
    "This is a workbook of old Excel, or one with a password; save it as .xlsx without one, or as CSV.",
    "这是旧版 Excel 或带密码的工作簿，请另存为无密码的 .xlsx 或 CSV。",
)


class Row(NamedTuple):
    """A row that is not empty; `number` is as the spreadsheet counts, the heading being 1."""

    number: int
    cells: Sequence[Cell]


class Table(NamedTuple):
    """The rows of a file, and which day is 0 where a number stands for a time."""

    rows: Iterator[Row]
    epoch: datetime


def read_table(content: bytes) -> Table:
    """Return the table in a file; raises Invalid, also while rows are taken, for what is none or too large."""
    if content.startswith(_OLD_EXCEL):
        raise Invalid(_OLD)
    if content.startswith(b"PK"):
        return _workbook(content)
    return Table(_bounded(delimited_rows(content)), EXCEL_EPOCH)


def _bounded(rows: Iterator[Sequence[Cell]]) -> Iterator[Row]:
    cells = 0
    for number, row in enumerate(rows, 1):
        if number > _MAX_ROWS:
            raise Invalid(_TOO_LONG)
        filled = len(row)
        while filled and is_empty(row[filled - 1]):
            filled -= 1
        cells += filled
        if cells > MAX_CELLS:
            raise Invalid(_TOO_MANY)
        if filled > _MAX_COLUMNS:
            raise Invalid(_TOO_WIDE)
        if filled:
            yield Row(number, row[:filled])


def _workbook(content: bytes) -> Table:
    import openpyxl  # noqa: PLC0415 - takes a third of a second to load

    try:
        with ZipFile(io.BytesIO(content)) as archive:
            if sum(each.file_size for each in archive.infolist()) > _MAX_UNPACKED:
                raise Invalid(_UNPACKED)
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()
        rows = sheet.iter_rows(values_only=True)  # of a row that is left out nothing, however far away the next one is
    except DAMAGED_WORKBOOK as error:
        raise no_table() from error
    return Table(_bounded(_whole(rows)), book.epoch)


def _whole(rows: Iterator[tuple[object, ...]]) -> Iterator[Sequence[Cell]]:
    """Yield a workbook's rows; raises Invalid where it turns out to be damaged."""
    while True:
        try:
            row = next(rows, None)
        except DAMAGED_WORKBOOK as error:
            raise no_table() from error
        if row is None:
            return
        yield [cell if isinstance(cell, _TYPES) else str(cell) for cell in row]


_TYPES = (str, int, float, bool, date, type(None))
