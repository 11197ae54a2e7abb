"""An export as CSV that spreadsheets open by a double click: UTF-8 with a byte order mark, quoted as RFC 4180 has it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from cloud.telemetry.export import Page, Plan, headings, local_times, widened

_BOM = "\ufeff"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class CsvFile:
    """Writes `plan`; see `export.Writer`."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._begun = False

    def write(self, page: Page) -> Iterator[bytes]:
        """Take a page; yield its lines."""
        lines = io.StringIO()
        writer = csv.writer(lines)
        if not self._begun:
            lines.write(_BOM)
            writer.writerow([harmless(heading) for heading in headings(self._plan)])
            self._begun = True
        wide = widened(page, self._plan.columns)
        if len(wide.time):
            clock = np.char.replace(np.datetime_as_string(local_times(wide.time, self._plan.zone)), "T", " ").tolist()
            utc = np.datetime_as_string(wide.time.astype("datetime64[us]"), timezone="UTC").tolist()
            cells = (
                [[harmless(cell) if isinstance(cell, str) else cell for cell in column] for column in wide.cells]
                if page.texts
                else wide.cells
            )
            writer.writerows(zip(clock, utc, *cells, strict=True))
        yield lines.getvalue().encode()

    def finish(self) -> Iterator[bytes]:
        """Yield nothing: all has been written."""
        yield from ()

    def close(self) -> None:
        """Nothing is held."""


def harmless(text: str) -> str:
    """Return `text` so that a spreadsheet takes it for text: what a device says must not run as a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def csv_table(rows: Iterable[Sequence[object]]) -> bytes:
    """Return a small table, headings first, as such a file."""
    lines = io.StringIO()
    lines.write(_BOM)
    csv.writer(lines).writerows([harmless(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return lines.getvalue().encode()
