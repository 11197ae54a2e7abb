"""Times as people's files have them: which column holds them, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

Read = Callable[[str], datetime | None]

_NAMED = re.compile(
    r"(date|time|datetime|timestamp|ts|epoch|unix|datum|zeit|uhrzeit|zeitstempel|elapsed|时间|日期|时刻|时间戳|采集时间|记录时间)"
    r"([ _\-/]?(date|time|utc|local|stamp|ms|s|unix|epoch))*(\s*[\[(（].*[\])）])?",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(\s*[AaPp][Mm])?")
_DAYS = ("%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d.%m.%y", "%d-%m-%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y年%m月%d日")
_HOURS = (" %H:%M:%S", " %H:%M", " %H:%M:%S.%f", " %I:%M:%S %p", " %I:%M %p", "")
_SECONDS = (9.4e8, 4.1e9)  # 2000 to 2100, since 1970
_EXCEL = (36_526.0, 73_051.0)  # the same in days of a workbook
_EVEN = 0.9
_LOOK = 1000
"""So many cells at either end of a column are looked at."""


def is_clock(name: str, values: npt.NDArray[np.float64]) -> bool:
    """Return whether numbers are times or the number of the row, which no machine makes."""
    steps = np.diff(values)
    if np.isnan(steps).any() or not len(steps):
        return False
    if _NAMED.fullmatch(name.strip()) and (steps >= 0).all():
        return True
    if (steps == 1).all() and (values == np.round(values)).all():
        return True
    return _epoch_unit(name, values) is not None


def _epoch_unit(name: str, values: npt.NDArray[np.float64]) -> float | None:
    """Return how many of the numbers make a second since 1970: their column is named so, or their steps are even."""
    steps = np.diff(values)
    if not len(steps) or not (steps > 0).all():
        return None
    even = np.mean(np.abs(steps - np.median(steps)) <= 0.05 * np.median(steps)) >= _EVEN
    for unit in (1.0, 1e3):
        if _SECONDS[0] * unit <= values[0] and values[-1] < _SECONDS[1] * unit:
            return unit if even or _NAMED.fullmatch(name.strip()) else None
    return None


def find_times(columns: Mapping[str, Sequence[str]]) -> tuple[str, str | None] | None:
    """Return the column of times, and the one of the time of day where that is apart; None where no column is sure."""
    for name, cells in columns.items():
        if reader(name, cells) is None:
            continue
        if not any(":" in cell for cell in cells[:_LOOK]):
            for other, clock in columns.items():
                if other != name and all(_CLOCK.fullmatch(cell.strip()) for cell in clock[:_LOOK]):
                    return name, other
        return name, None
    return None


def reader(name: str, cells: Sequence[str]) -> tuple[Read, str] | None:
    """Return what reads the column's cells, and how they are written; None where it is not sure that they are times.

    Where days and months may be either, the way that reads most cells is taken, and of two such the one that increases.
    """
    seen = [cell.strip() for cell in (*cells[:_LOOK], *cells[_LOOK:][-_LOOK:]) if cell.strip()]
    if not seen or _CLOCK.fullmatch(seen[0]):
        return None
    if numeric := _numeric(name, seen):
        return numeric
    if _iso(seen[0]) is not None:
        return _iso, "ISO 8601"
    fitting: list[tuple[int, bool, Read, str]] = []
    for shape in (day + hour for day in _DAYS for hour in _HOURS):
        read = by_format(shape)
        if read(seen[0]) is None:
            continue
        known = [time for cell in seen if (time := read(cell)) is not None]
        if 2 * len(known) > len(seen):
            fitting.append((len(known), known == sorted(known), read, shape))
    most = max(((count, rising) for count, rising, _, _ in fitting), default=None)
    best = [(read, shape) for count, rising, read, shape in fitting if (count, rising) == most]
    return best[0] if len(best) == 1 else None


def _numeric(name: str, seen: Sequence[str]) -> tuple[Read, str] | None:
    try:
        values = np.array(seen, np.float64)
    except ValueError:
        return None
    if unit := _epoch_unit(name, values):
        shown = "seconds" if unit == 1 else "milliseconds"
        return lambda cell: _since(datetime(1970, 1, 1), cell, unit), f"{shown} since 1970, UTC"  # noqa: DTZ001 - a wall clock's
    days = _EXCEL[0] <= values[0] and values[-1] < _EXCEL[1] and (np.diff(values) >= 0).all()
    if days and _NAMED.fullmatch(name.strip()):
        return lambda cell: _since(datetime(1899, 12, 30), cell, 1 / 86_400), "days of a workbook"  # noqa: DTZ001 - a wall clock's
    return None


def _since(begin: datetime, cell: str, unit: float) -> datetime | None:
    try:
        return begin + timedelta(milliseconds=round(float(cell) / unit * 1000))
    except (ValueError, OverflowError):
        return None


def _iso(cell: str) -> datetime | None:
    if re.fullmatch(r"\d{5,7}|\d+\.\d+", cell):
        return None
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return None


def by_format(shape: str) -> Read:
    """Return what reads times written as strptime has it."""

    def read(cell: str) -> datetime | None:
        try:
            return datetime.strptime(cell, shape)  # noqa: DTZ007 - a wall clock's
        except ValueError:
            return None

    return read
