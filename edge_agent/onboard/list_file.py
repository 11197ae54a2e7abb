"""Reads the cells of a point list as spreadsheets really write them, and writes lists that survive being opened in one.

What goes wrong between a spreadsheet and a program is undone here: byte order marks, UTF-16 and GB 18030 files, commas,
semicolons or tabs between the cells, numbers shown as 4126.0, quotes and ="..." around texts. What cannot be undone - an
address that became a date, a formula that failed - stays recognisable as such (`Spoilt`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from unicodedata import normalize

from protocols.errors import ConfigError
from protocols.text import Text

Rows = list[list[str]]

MAX_BYTES = 32 << 20

_GUARDED = ("=", "+", "-", "@", "'", "\t", "\r")
"""A spreadsheet runs a cell that begins so; it is written with ' before it (CWE-1236), which is taken off again."""

_FAILED = frozenset({"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!"})
"""What a failed formula leaves in a CSV. (Of workbooks calamine gives such a cell as an empty one.)"""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UNSEEN = re.compile("[\u200b\u200c\u200d\u2060\ufeff\ufffe\uffff\x00-\x08\x0b\x0c\x0e-\x1f]")


class Spoilt(str):
    """A cell whose text a spreadsheet replaced: `why` says by what."""

    __slots__ = ("why",)
    why: Text


def read_cells(path: Path, is_list: Callable[[Rows], int]) -> Rows:
    """Return the rows of `path` (.csv, .tsv, .txt or a workbook) as texts, those of a workbook's sheet that is the list.

    `is_list` says how much rows look like a point list, 0 = not at all; it decides on the delimiter and on the sheet.
    Raises ConfigError where the file is no table, OSError where it cannot be read.
    """
    if path.suffix.lower() in {".csv", ".tsv", ".txt"}:
        return _csv_rows(path, is_list)
    return _sheet_rows(path, is_list)


def clean(text: str) -> str:
    """Return `text` as it is after a journey through a spreadsheet: nothing unseen, no blanks at its ends."""
    return _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def number(text: str) -> float | int:
    """Return the number a person wrote: full-width digits, 1 234.5, 1,234.5, 1.234,5, 0,5, 0x1E and 1EH are understood.

    Raises ValueError(Text) for what is no number, and for 1,234, which is a thousand in one country and one in another.
    """
    written = re.sub(r"[\s']", "", clean(normalize("NFKC", text)))
    said = Text(f"'{text}' is no number", f"“{text}”不是数字")
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9][0-9a-fA-F]*[hH]", written):
        return int(written.rstrip("hH"), 16)
    if re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", written):
        raise ValueError(
            Text(
                f"'{text}' is {written.replace(',', '')} to some and {written.replace(',', '.')} to others;"
                " write it without a comma",
                f"“{text}”既可理解为 {written.replace(',', '')} 也可理解为 {written.replace(',', '.')}；请勿使用逗号",
            )
        )
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", written) and not written.lstrip("+-").startswith("0"):
        written = written.replace(",", "")
    elif re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+,\d+", written):
        written = written.replace(".", "").replace(",", ".")
    elif written.count(",") == 1:
        written = written.replace(",", ".")
    if not _NUMBER.fullmatch(written):
        raise ValueError(said)
    return int(written) if re.fullmatch(r"[+-]?\d+", written) else float(written)


def csv_bytes(rows: Sequence[Sequence[str]]) -> bytes:
    """Return `rows` as CSV that a double click opens with its Chinese whole (UTF-8 with a byte order mark)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    for row in rows:
        writer.writerow([_guarded(clean(cell)) for cell in row])
    return out.getvalue().encode("utf-8-sig")


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_GUARDED) and cell != "-" and not _NUMBER.fullmatch(cell) else cell


def _csv_rows(path: Path, is_list: Callable[[Rows], int]) -> Rows:
    text = _text(path)
    start = text[:65536]
    delimiter = max(",;\t|", key=lambda sign: (is_list(_parsed(start, sign, path)), start.count(sign)))
    return [[_unquoted(cell) for cell in row] for row in _parsed(text, delimiter, path)]


def _parsed(text: str, delimiter: str, path: Path) -> Rows:
    try:
        return list(csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise ConfigError(
            Text(f"is no CSV: {error}", f"不是有效的 CSV：{error}"),
            Text("save it as UTF-8 CSV again", "请重新另存为 UTF-8 编码的 CSV"),
            key=str(path),
        ) from error


def _text(path: Path) -> str:
    raw = path.read_bytes()
    encodings = ["utf-8-sig", "gb18030"]
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]  # "Unicode text" of a spreadsheet
    elif re.search(rb"[\x80-\xff]{2}", raw) is None:
        # Bytes beyond ASCII that stand alone are Western letters and signs, as the ° of °C; GB 18030 would pair them with
        # the letter that follows. What a spreadsheet saves as "CSV" on a Chinese Windows has them in pairs.
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ConfigError(
        Text("is neither UTF-8 nor GB 18030 text", "既不是 UTF-8 也不是 GB 18030 文本"),
        Text("save it as UTF-8 CSV or as .xlsx", "请另存为 UTF-8 编码的 CSV 或 .xlsx"),
        key=str(path),
    )


def _unquoted(cell: str) -> str:
    """Take off what was put around a text to keep a spreadsheet from changing it."""
    text = cell.strip()
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        return clean(text[2:-1])
    if text.startswith("'") and len(text) > 1 and text[1] in "".join(_GUARDED):
        text = text[1:]
    return (
        _spoilt(text, Text(f"a formula failed here: {text}", f"此处公式出错：{text}"))
        if text in _FAILED
        else clean(text)
    )


def _spoilt(cell: object, why: Text) -> Spoilt:
    spoilt = Spoilt(cell)
    spoilt.why = why
    return spoilt


def _sheet_rows(path: Path, is_list: Callable[[Rows], int]) -> Rows:
    from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415 - only workbooks need it

    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            sheets = [
                [[_cell(cell) for cell in row] for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)]
                for name in book.sheet_names
            ]
    except (CalamineError, ValueError) as error:
        raise ConfigError(
            Text(f"is no workbook: {error}", f"不是有效的工作簿：{error}"),
            Text("save it as .xlsx again", "请重新另存为 .xlsx"),
            key=str(path),
        ) from error
    return max(sheets, key=is_list, default=[])


def _cell(cell: object) -> str:
    """Return a cell as a person sees it: the spreadsheet's 4126.0 is the address 4126."""
    if isinstance(cell, (date, datetime, time, timedelta)):
        return _spoilt(
            cell,
            Text(
                f"a spreadsheet turned this into the date {cell}; format the column as text and type it again",
                f"电子表格已将此内容变为日期 {cell}；请把该列设为文本格式后重新填写",
            ),
        )
    return clean(str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell))
