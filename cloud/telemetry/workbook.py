"""An export as an Excel workbook, written row by row into a temporary file: its index comes last, so it cannot be streamed."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import openpyxl

from cloud.telemetry.export import Page, Plan, headings, local_times, widened

SHEET_ROWS = 1_048_576
"""Rows of a sheet, the heading among them; more go on in the next sheet."""

_PIECE = 256 * 1024


class Workbook:
    """Writes `plan`; see `export.Writer`."""

    def __init__(self, plan: Plan, sheet_rows: int = SHEET_ROWS) -> None:
        self._plan = plan
        self._sheet_rows = sheet_rows
        self._folder = tempfile.TemporaryDirectory(prefix="sunmao-export-")
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet()
        self._rows = 0

    def write(self, page: Page) -> Iterator[bytes]:
        """Take a page; nothing of the file is ready before its end."""
        wide = widened(page, self._plan.columns)
        clock = local_times(wide.time, self._plan.zone).tolist()
        utc = wide.time.astype("datetime64[us]").tolist()
        for row in zip(clock, utc, *wide.cells, strict=True):
            self._append(row)
        yield from ()

    def finish(self) -> Iterator[bytes]:
        """Yield the file."""
        if not self._rows:
            self._head()
        path = Path(self._folder.name) / "export.xlsx"
        self._book.save(path)
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def close(self) -> None:
        """Remove the temporary file."""
        self._folder.cleanup()

    def _append(self, row: tuple[object, ...]) -> None:
        if self._rows in (0, self._sheet_rows):
            if self._rows:
                self._sheet = self._book.create_sheet()
            self._head()
        self._sheet.append([_text_cell(cell) for cell in row])
        self._rows += 1

    def _head(self) -> None:
        self._sheet.append([_text_cell(heading) for heading in headings(self._plan)])
        self._rows = 1


def _text_cell(cell: object) -> object:
    """Return `cell` as openpyxl shall take it: a text that begins with "=" is a formula to it."""
    if isinstance(cell, str):
        printable = openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub("�", cell)
        return f"'{printable}" if printable.startswith("=") else printable
    return cell


def table(rows: Iterable[Sequence[object]]) -> bytes:
    """Return a small table, headings first, as a workbook of one sheet."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in rows:
        sheet.append([_text_cell(cell) for cell in row])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()
