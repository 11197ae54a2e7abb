"""Reads a list of suppliers from CSV or XLSX, and tells of every line what is wrong with it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zipfile import ZipFile

from cloud.core.delimited import DAMAGED_WORKBOOK, delimited_rows, no_table
from cloud.core.errors import Invalid
from cloud.identity.service import verified
from cloud.suppliers.schemas import RowFault
from protocols.errors import ConfigError
from protocols.text import Text

MAX_BYTES = 4 * 1024 * 1024
MAX_ROWS = 5000

_HEADINGS = {
    "credit_code": ("credit_code", "credit code", "unified social credit code", "统一社会信用代码", "信用代码"),
    "name": ("name", "company", "企业名称", "供应商名称", "名称"),
    "contact": ("contact", "phone", "email", "联系方式", "联系人", "手机", "邮箱"),
}
"""What columns may be headed, in any case; the contact may be left out."""
TEMPLATE = Text("credit_code,name,contact", "统一社会信用代码,企业名称,联系方式")
_LONGEST = 200
_MOST_UNPACKED = 64 * 1024 * 1024


class Line(NamedTuple):
    """A supplier of the file; `row` is its number there, the heading being 1."""

    row: int
    credit_code: str
    name: str
    contact: str


def read_suppliers(content: bytes) -> tuple[list[Line], list[RowFault]]:
    """Return the suppliers of a file and what is wrong with it; raises Invalid for what is no table at all."""
    rows = list(_xlsx(content) if content[:2] == b"PK" else delimited_rows(content))
    while rows and not any(rows[-1]):
        rows.pop()
    if len(rows) < 2:
        raise Invalid(
            Text(
                f"The file has no suppliers. Its first line is: {TEMPLATE.en}",
                f"文件中没有供应商。首行应为：{TEMPLATE.zh}",
            )
        )
    if len(rows) - 1 > MAX_ROWS:
        raise Invalid(
            Text(f"More than {MAX_ROWS} suppliers; divide the file.", f"供应商超过 {MAX_ROWS} 家，请拆分文件。")
        )
    places, faults = _columns(rows[0])
    if faults:
        return [], faults
    lines: list[Line] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows[1:], 2):
        if any(row):
            line, wrong = _line(number, row, places, rows[0], seen)
            lines.append(line)
            faults += wrong
    return lines, faults


def _columns(heading: Sequence[str]) -> tuple[dict[str, int], list[RowFault]]:
    places: dict[str, int] = {}
    faults = []
    for place, title in enumerate(heading):
        meant = next((name for name, titles in _HEADINGS.items() if title.strip().casefold() in titles), None)
        if meant is None and title.strip():
            known = ", ".join(titles[0] for titles in _HEADINGS.values())
            faults.append(_fault(1, title, f"unknown column; known are: {known}", f"未知列，可用列：{TEMPLATE.zh}"))
        elif meant in places:
            faults.append(_fault(1, title, "this column stands there twice", "该列重复"))
        elif meant:
            places[meant] = place
    for name in ("credit_code", "name"):
        if name not in places:
            faults.append(_fault(1, name, "this column is missing", f"缺少该列(可写作“{_HEADINGS[name][3]}”)"))
    return places, faults


def _line(
    number: int, row: Sequence[str], places: dict[str, int], heading: Sequence[str], seen: dict[str, int]
) -> tuple[Line, list[RowFault]]:
    def cell(name: str) -> str:
        place = places.get(name)
        return row[place].strip() if place is not None and place < len(row) else ""

    faults = []
    code = cell("credit_code").upper()
    column = heading[places["credit_code"]]
    try:
        verified(code)
    except ConfigError as error:
        mend = error.mend or Text("", "")
        faults.append(_fault(number, column, f"{error.what.en}: {mend.en}", f"{error.what.zh}：{mend.zh}"))
    if code and code in seen:
        faults.append(
            _fault(number, column, f"the same code stands in row {seen[code]}", f"与第 {seen[code]} 行的代码重复")
        )
    seen.setdefault(code, number)
    name = cell("name")
    if not 0 < len(name) <= _LONGEST:
        faults.append(
            _fault(number, heading[places["name"]], "a name has 1 to 200 characters", "名称应为 1 至 200 个字符")
        )
    return Line(number, code, name, cell("contact")[:_LONGEST]), faults


def _fault(row: int, column: str, en: str, zh: str) -> RowFault:
    return RowFault(row=row, column=column, message_en=en, message_zh=zh)


def _xlsx(content: bytes) -> Iterable[list[str]]:
    import openpyxl  # noqa: PLC0415 - takes a third of a second to load

    try:
        with ZipFile(io.BytesIO(content)) as archive:
            if sum(each.file_size for each in archive.infolist()) > _MOST_UNPACKED:
                raise no_table()
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        for number, row in enumerate(sheet.iter_rows(values_only=True, max_col=20)):
            if number > MAX_ROWS + 1:
                return
            yield ["" if cell is None else str(cell) for cell in row]
    except DAMAGED_WORKBOOK as error:
        raise no_table() from error
