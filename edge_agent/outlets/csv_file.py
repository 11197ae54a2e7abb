"""CSV as the format of a file outlet (RFC 4180, UTF-8): the open file is the finished one, but for its name."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from edge_agent.outlets.config import CsvConfig
from edge_agent.outlets.rows import HEADS

_BOM = b"\xef\xbb\xbf"
_RUNS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection")."""


class CsvFormat:
    """See `rolling_file.Format`.

    Args:
        config: header, columns, and whether Excel is to read it.
    """

    suffix = ".csv"

    def __init__(self, config: CsvConfig) -> None:
        self._excel = config.excel
        heads = _encoded([[HEADS[column].to(config.language) for column in config.columns]])
        self.head = (_BOM if config.excel else b"") + heads

    def encode(self, rows: Sequence[list[Any]]) -> bytes:
        """Return the lines of `rows`."""
        if self._excel:
            rows = [[_inert(cell) for cell in row] for row in rows]
        return _encoded(rows)

    def whole_lines(self, path: Path) -> Iterator[int]:
        """Yield the length of every line that is whole; a quoted text may hold line ends."""
        with path.open("rb") as file:
            length, quotes = 0, 0
            for part in file:
                if b"\0" in part:  # space the file system had given but not yet filled when the power went
                    return
                length += len(part)
                quotes += part.count(b'"')
                if quotes % 2 == 0 and part.endswith(b"\r\n"):
                    yield length
                    length = 0

    def finish(self, part: Path, final: Path) -> None:
        """Give the file its name."""
        os.replace(part, final)


def _encoded(rows: Sequence[Sequence[Any]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _inert(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_RUNS) else cell
