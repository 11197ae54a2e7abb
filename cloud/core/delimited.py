"""Tables as people save them: CSV in UTF-8 or GB 18030, with commas, semicolons or tabs; what is no table is refused in one way."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator
from zipfile import BadZipFile

from cloud.core.errors import Invalid
from protocols.text import Text

DAMAGED_WORKBOOK = (
    # The errors of both XML readers that openpyxl may have below it are a SyntaxError.
    *(BadZipFile, zlib.error, SyntaxError, EOFError, OSError, RuntimeError),
    *(KeyError, IndexError, ValueError, TypeError, AttributeError),
)
"""What openpyxl raises while it reads a damaged or forged workbook."""


def delimited_rows(content: bytes) -> Iterator[list[str]]:
    """Yield the rows of a file; raises Invalid for what is no such file."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            break
    else:
        raise no_table()
    first = text[: text.find("\n") + 1] or text
    delimiter = max(",;\t", key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error as error:
        raise no_table() from error


def no_table() -> Invalid:
    """Return the refusal of what is no table at all."""
    return Invalid(Text("The file is neither CSV nor XLSX.", "文件既不是 CSV 也不是 XLSX。"))
