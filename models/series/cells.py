"""The cells of a text file as loggers and spreadsheets write it: its encoding, what stands between cells, its decimal mark.

Only what is certain is undone; all else is refused with how to mend it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from models.errors import InputError

Tell = Callable[[str, str], None]
"""Is told what was decided about a file, in English and in Chinese."""

Rows = list[list[str]]

MISSING = frozenset({"", "-", "--", "---", "–", "na", "n/a", "#n/a", "nan", "null", "none", "nil"})
"""Cells without a reading, in lower case."""

_SEEN = 100
"""So many rows decide what stands between the cells, and whether a column holds numbers."""

_NAMES = {
    ";": ("semicolon", "分号"),
    ",": ("comma", "逗号"),
    "\t": ("tab", "制表符"),
    "|": ("|", "|"),
    " ": ("space", "空格"),
}
_THOUSANDS = re.compile(r"(?<=\d)[ '’\u00a0\u202f](?=\d{3}(?!\d))")
_LOOSE = re.compile(r"[-+]?[\d.,]*\d[.,]?(e[-+]?\d+)?", re.IGNORECASE)
_COMMA = re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d*),\d+(e[-+]?\d+)?", re.IGNORECASE)
_POINT = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d*)(\.\d*)?(e[-+]?\d+)?", re.IGNORECASE)
_EITHER = re.compile(r"[-+]?[1-9]\d{0,2}[,.]\d{3}")
_SEVERAL = re.compile(r"[-+]?[1-9]\d{0,2}([,.])\d{3}(\1\d{3})+")


def decoded(content: bytes, path: str) -> tuple[str, str]:
    """Return a file's text and the name of its encoding; raises InputError where it is no text."""
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError(
            "series",
            f"{path}: is a workbook; save its sheet as CSV (UTF-8)",
            f"{path}：是 Excel 工作簿；请将工作表另存为 CSV(UTF-8)",
        )
    encodings = ["utf-8-sig", "gb18030"]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif re.search(rb"[\x80-\xff]{2}", content) is None:
        # Bytes beyond ASCII that stand alone are Western letters and signs, as the ° of °C; GB 18030 would pair them with
        # the letter that follows.
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, encoding.removesuffix("-sig")
    raise InputError(
        "series",
        f"{path}: cannot be read as UTF-8, UTF-16 or GB 18030 text; save it as CSV (UTF-8)",
        f"{path}：不是 UTF-8、UTF-16 或 GB 18030 文本；请另存为 CSV(UTF-8)",
    )


def split(text: str, most: int, path: str) -> tuple[Rows, str]:
    """Return at most `most` rows that are not blank, the first the names, and what stands between their cells."""
    if told := re.match(r"sep=(.)\r?\n", text):  # the line by which a spreadsheet is told
        text = text[told.end() :]
    delimiter = told[1] if told else _delimiter(text)
    try:
        rows = list(islice((row for row in _parsed(text, delimiter) if row), most))
    except csv.Error as error:
        raise InputError("series", f"{path}: cannot be read: {error}", f"{path}：无法读取：{error}") from error
    while rows and not any(cell.strip() for cell in rows[-1]):  # what a spreadsheet leaves below its table
        rows.pop()
    return rows, delimiter


def _parsed(text: str, delimiter: str) -> Iterator[list[str]]:
    if delimiter == " ":
        return (line.split() for line in text.splitlines())
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _delimiter(text: str) -> str:
    """Return what stands between the cells: in the first line, and equally often in each of the next."""
    lines = "\n".join(islice(text.splitlines(), _SEEN))
    first = lines.partition("\n")[0]
    for delimiter in sorted(";\t|,", key=first.count, reverse=True):
        widths = {len(row) for row in _parsed(lines, delimiter) if row}
        if len(widths) == 1 and widths != {1}:
            return delimiter
    usual = max(";,\t|", key=first.count)
    widths = {len(line.split()) for line in lines.splitlines() if line.strip()}
    return " " if usual not in first and len(widths) == 1 and widths != {1} else usual


def named(rows: Rows, path: str, tell: Tell) -> tuple[list[str], Rows, int]:
    """Return the names of the columns, the rows below them, and the number of the first of these in the file.

    Columns without a name and a cell are left out, equal names are numbered, a row of units is skipped; all is told.
    Raises InputError naming a row that is too long or too short.
    """
    names, rows = [name.strip() for name in rows[0]], rows[1:]
    if all(len(row) == len(names) + 1 and not row[-1].strip() for row in rows):
        rows = [row[:-1] for row in rows]
    elif not names[-1] and all(len(row) == len(names) - 1 for row in rows):
        names = names[:-1]
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise InputError(
                "series",
                f"{path}: row {number} has {len(row)} cells, the first line {len(names)}; it has to name the columns, with nothing above",
                f"{path}：第 {number} 行有 {len(row)} 列，首行为 {len(names)} 列；首行须为列名，上方不能有其他内容",
            )
    empty = {at for at, name in enumerate(names) if not name and all(missing(row[at]) for row in rows)}
    if empty:
        rows = [[cell for at, cell in enumerate(row) if at not in empty] for row in rows]
        names = [name for at, name in enumerate(names) if at not in empty]
    for at, name in enumerate(names):
        called, number = name or f"column {at + 1}", 2
        while called in names[:at] or (number > 2 and called in names):
            called, number = f"{name} ({number})", number + 1
        if called != name:
            names[at] = called
            tell(f"column {at + 1} ('{name}') is called '{called}'", f"第 {at + 1} 列(“{name}”)称为“{called}”")
    if _units(rows):
        units = [cell.strip() for cell in rows[0] if not missing(cell)]
        tell(f"row 2 holds units and is skipped: {', '.join(units)}", f"第 2 行为单位，已跳过：{'、'.join(units)}")
        return names, rows[1:], 3
    return names, rows, 2


def missing(cell: str) -> bool:
    """Return whether the cell stands for no reading."""
    return cell.strip().lower() in MISSING


def _units(rows: Rows) -> bool:
    """Return whether the first row names units: no number nor time in it, a text above a column of numbers."""
    if len(rows) < 3 or any(any(sign.isdigit() for sign in cell) and len(cell) > 6 for cell in rows[0]):
        return False
    found = False
    for cell, *below in zip(*rows[: _SEEN + 1], strict=True):
        said = [each for each in below if not missing(each)]
        if said and all(_LOOSE.fullmatch(_THOUSANDS.sub("", each.strip())) for each in said):
            if _LOOSE.fullmatch(cell.strip()):
                return False
            found |= not missing(cell)
    return found


def with_points(columns: dict[str, Sequence[str]], first: int, path: str) -> tuple[dict[str, Sequence[str]], bool]:
    """Return the cells with numbers as programs write them, and whether the file's decimal mark is the comma.

    Args:
        columns: cells by the name of their column.
        first: number of their first row in the file.
        path: of the file, for errors.

    Raises InputError naming column and row where 1,234 may be either, and where one column holds both marks.
    """
    marks = {name: _mark(cells, name, first, path) for name, cells in columns.items() if _has_commas(cells)}
    comma = "," in marks.values() and "." not in marks.values()
    point = not comma and any(_certain_point(cells) for cells in columns.values())
    result = {}
    for name, cells in columns.items():
        mark = marks.get(name, "")
        if mark == "?":
            at = next(row for row, cell in enumerate(cells) if _EITHER.fullmatch(cell.strip()))
            if not comma and not point:
                said = cells[at].strip()
                raise InputError(
                    "series",
                    f"{path}: row {first + at}, column '{name}': '{said}' may be {said.replace(',', '')} or"
                    f" {said.replace(',', '.')}; write it without a comma",
                    f"{path}：第 {first + at} 行、列“{name}”：“{said}”可能是 {said.replace(',', '')} 或"
                    f" {said.replace(',', '.')}；请不要使用逗号",
                )
            mark = "," if comma else "."
        if not mark and comma and any(_EITHER.fullmatch(cell.strip()) for cell in cells[:_SEEN]):
            mark = _of_points(cells, name, first, path)
        result[name] = [_plain(cell, mark) for cell in cells] if mark or _has_spaces(cells) else cells
    return result, comma


def _has_commas(cells: Sequence[str]) -> bool:
    """Return whether a column holds numbers with commas, or with thousands between points."""
    return any(
        ("," in cell and _LOOSE.fullmatch(_THOUSANDS.sub("", cell.strip())))
        or (cell.count(".") > 1 and _SEVERAL.fullmatch(cell.strip()))
        for cell in cells
    )


def _certain_point(cells: Sequence[str]) -> bool:
    said = [cell.strip() for cell in cells[:_SEEN]]
    return any("." in cell and _POINT.fullmatch(cell) and not _EITHER.fullmatch(cell) for cell in said)


def _has_spaces(cells: Sequence[str]) -> bool:
    if not _THOUSANDS.search("\n".join(cells)):  # most columns, at once
        return False
    return any(_THOUSANDS.search(cell.strip()) and _LOOSE.fullmatch(_THOUSANDS.sub("", cell.strip())) for cell in cells)


def _mark(cells: Sequence[str], name: str, first: int, path: str) -> str:
    """Return the decimal mark of a column with commas; "?" where it may be either, none where none is a number."""
    marks: dict[str, int] = {}
    for row, cell in enumerate(cells):
        said = _THOUSANDS.sub("", cell.strip())
        if _EITHER.fullmatch(said) or ("," not in said and "." not in said) or not _LOOSE.fullmatch(said):
            continue
        if several := _SEVERAL.fullmatch(said):
            marks.setdefault("." if several[1] == "," else ",", row)
        elif _COMMA.fullmatch(said):
            marks.setdefault(",", row)
        elif _POINT.fullmatch(said):
            marks.setdefault(".", row)
    if len(marks) == 2:
        raise _both(cells, name, first + max(marks.values()), max(marks.values()), path)
    return next(iter(marks), "?" if any(_EITHER.fullmatch(cell.strip()) for cell in cells) else "")


def _of_points(cells: Sequence[str], name: str, first: int, path: str) -> str:
    """Return the mark of a column with 1.234 in a file of decimal commas: thousands, unless others are decimal points."""
    others = [cell for cell in cells if "." in cell and not _EITHER.fullmatch(cell.strip())]
    if others and all(_POINT.fullmatch(cell.strip()) for cell in others):
        return ""
    at = next(row for row, cell in enumerate(cells) if _EITHER.fullmatch(cell.strip()))
    raise _both(cells, name, first + at, at, path)


def _both(cells: Sequence[str], name: str, row: int, at: int, path: str) -> InputError:
    said = cells[at].strip()
    return InputError(
        "series",
        f"{path}: row {row}, column '{name}': '{said}' has another decimal mark than the others; save it with one",
        f"{path}：第 {row} 行、列“{name}”：“{said}”的小数点与其他数值不一致；请统一后保存",
    )


def _plain(cell: str, mark: str) -> str:
    said = _THOUSANDS.sub("", cell.strip())
    if not _LOOSE.fullmatch(said):
        return cell
    if mark == ",":
        return said.replace(".", "").replace(",", ".")
    return said.replace(",", "") if mark == "." else said


def told_as(encoding: str, delimiter: str, comma: bool) -> tuple[str, str]:
    """Return how the file was read, in English and in Chinese."""
    en, zh = _NAMES.get(delimiter, (delimiter, delimiter))
    return (
        f"read as {encoding}, {en} between the cells, decimal {'comma' if comma else 'point'}",
        f"按 {encoding} 读取，列以{zh}分隔，小数点为{'逗号' if comma else '句点'}",
    )
