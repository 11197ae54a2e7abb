"""Reads sensor series from a file: one row a time, one column a sensor."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import numpy.typing as npt

from models.errors import InputError

Doubles = npt.NDArray[np.float64]

Columns = Mapping[str, Sequence[str]]
"""Cells by the name of their column, in the order of the file."""

MOST_ROWS = 5_000_000
_LABELS = frozenset({"anomaly", "changepoint", "label", "target"})


class Table(NamedTuple):
    """Series of equal length.

    Attributes:
        sensors: names of the columns of `values`.
        values: rows x sensors; NaN where a reading is missing.
        label: per row whether it is marked as anomalous; None without a column of labels.
    """

    sensors: tuple[str, ...]
    values: Doubles
    label: npt.NDArray[np.bool_] | None

    def rows(self, first: int, last: int | None) -> Table:
        """Return the rows [first, last)."""
        label = None if self.label is None else self.label[first:last]
        return Table(self.sensors, self.values[first:last], label)


def read_table(path: Path, *, sensors: Sequence[str] = (), label: str | None = None) -> Table:
    """Return the series in the CSV file `path`, as `read_columns` reads it.

    Args:
        path: the file.
        sensors: columns to read, in this order; without them all that hold numbers but times and labels.
        label: column that is above 0 where the row is anomalous; without it one called anomaly, label or target, if any.

    Raises InputError naming the file, and row and column of what is wrong.
    """
    return table_of(read_columns(path), str(path), sensors=sensors, label=label)


def read_columns(path: Path) -> Columns:
    """Return the cells of the CSV file `path` by column (comma, semicolon or tab; the first line names the columns).

    Raises InputError naming the file, and the row that is too long or too short.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return columns_of(file, str(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError("series", f"{path}: cannot be read: {error}", f"{path}：无法读取：{error}") from error


def columns_of(file: TextIO, path: str) -> Columns:
    """Return the cells of an open file, called `path` in errors; else as `read_columns`."""
    first = file.readline()
    delimiter = max(";,\t", key=first.count)
    names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    rows = list(islice(csv.reader(file, delimiter=delimiter), MOST_ROWS + 1))
    rows = [row for row in rows if row]
    if len(rows) > MOST_ROWS or len(rows) < 2 or len(set(names)) != len(names):
        raise InputError(
            "series",
            f"{path}: a first line of unlike column names and 2 to {MOST_ROWS:,} rows are needed",
            f"{path}：需要首行列名互不相同，且有 2 至 {MOST_ROWS:,} 行数据",
        )
    _equally_long(path, rows, len(names))
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def table_of(columns: Columns, path: str, *, sensors: Sequence[str] = (), label: str | None = None) -> Table:
    """Return the series in `columns`; else as `read_table`."""
    wanted = list(sensors) or [name for name in columns if _is_sensor(name, columns[name])]
    marks = label or next((name for name in columns if name.lower() in _LABELS), None)
    if not wanted:
        raise InputError("series", f"{path}: no column holds numbers", f"{path}：没有数值列")
    values = np.column_stack([numbers(columns, name, path) for name in wanted])
    anomalous = numbers(columns, marks, path) > 0 if marks else None
    return Table(tuple(wanted), values, anomalous)


def column(columns: Columns, name: str, path: str) -> Sequence[str]:
    """Return the cells of the column `name`; raises InputError if there is none."""
    if name not in columns:
        raise InputError("series", f"{path}: has no column '{name}'", f"{path}：没有列“{name}”")
    return columns[name]


def numbers(columns: Columns, name: str, path: str) -> Doubles:
    """Return the column `name` as numbers, NaN for empty cells; raises InputError naming the cell that is no number."""
    return np.array(list(_numbers(path, name, column(columns, name, path))), np.float64)


def fingerprint(table: Table) -> str:
    """Return the SHA-256 over names and values."""
    digest = sha256("\n".join(table.sensors).encode())
    digest.update(np.ascontiguousarray(table.values, "<f8").tobytes())
    return digest.hexdigest()


def _equally_long(path: str, rows: Sequence[Sequence[str]], width: int) -> None:
    for number, row in enumerate(rows, 2):
        if len(row) != width:
            raise InputError(
                "series",
                f"{path}: row {number} has {len(row)} cells, the first line {width}",
                f"{path}：第 {number} 行有 {len(row)} 列，首行为 {width} 列",
            )


def _is_sensor(name: str, cells: Sequence[str]) -> bool:
    return name.lower() not in _LABELS and all(_number(cell) is not None for cell in cells[:100])


def _number(cell: str) -> float | None:
    if not cell.strip():
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        return None


def _numbers(path: str, name: str, cells: Sequence[str]) -> Iterator[float]:
    for row, cell in enumerate(cells, 2):
        number = _number(cell)
        if number is None or np.isinf(number):
            shown = cell[:40]
            raise InputError(
                "series",
                f"{path}: row {row}, column '{name}': '{shown}' is no number",
                f"{path}：第 {row} 行、列“{name}”：“{shown}”不是数字",
            )
        yield number
