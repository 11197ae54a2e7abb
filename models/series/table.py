"""Reads sensor series from a file: one row a time, one column a sensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import numpy.typing as npt

from models.errors import InputError
from models.series.cells import Tell, decoded, missing, named, split, told_as, with_points
from models.series.times import is_clock

Doubles = npt.NDArray[np.float64]


class Columns(dict[str, Sequence[str]]):
    """Cells by the name of their column, in the order of the file; `first` is the number of their first row there."""

    first = 2

    def without(self, *names: str | None, rows: int | None = None) -> Columns:
        """Return the other columns, of the first so many rows."""
        rest = Columns({name: cells[:rows] for name, cells in self.items() if name not in names})
        rest.first = self.first
        return rest


def silent(_en: str, _zh: str) -> None:
    """Tell nobody."""


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


def read_table(path: Path, *, sensors: Sequence[str] = (), label: str | None = None, tell: Tell = silent) -> Table:
    """Return the series in the CSV file `path`, as `read_columns` reads it.

    Args:
        path: the file.
        sensors: columns to read, in this order; without them all whose numbers change, but times, counters and labels.
        label: column that is above 0 where the row is anomalous; without it one called anomaly, label or target, if any.
        tell: is told what was decided, and what is left out.

    Raises InputError naming the file, and row and column of what is wrong.
    """
    return table_of(read_columns(path, tell), str(path), sensors=sensors, label=label, tell=tell)


def read_columns(path: Path, tell: Tell = silent) -> Columns:
    """Return the cells of the text file `path` by column, as `cells` reads them (the first line names the columns).

    Raises InputError naming the file, and row and column of what is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError("series", f"{path}: cannot be read: {error}", f"{path}：无法读取：{error}") from error
    text, encoding = decoded(content, str(path))
    return _columns(text, encoding, str(path), tell)


def columns_of(file: TextIO, path: str) -> Columns:
    """Return the cells of an open file, called `path` in errors; else as `read_columns`."""
    return _columns(file.read(), "", path, silent)


def _columns(text: str, encoding: str, path: str, tell: Tell) -> Columns:
    found, delimiter = split(text, MOST_ROWS + 2, path)
    if not 3 <= len(found) <= MOST_ROWS + 1:
        raise InputError(
            "series",
            f"{path}: a first line of column names and 2 to {MOST_ROWS:,} rows are needed",
            f"{path}：需要首行为列名，且有 2 至 {MOST_ROWS:,} 行数据",
        )
    names, rows, first = named(found, path, tell)
    cells, comma = with_points(dict(zip(names, zip(*rows, strict=True), strict=True)), first, path)
    tell(*told_as(encoding, delimiter, comma))
    columns = Columns(cells)
    columns.first = first
    return columns


def table_of(
    columns: Columns, path: str, *, sensors: Sequence[str] = (), label: str | None = None, tell: Tell = silent
) -> Table:
    """Return the series in `columns`; else as `read_table`."""
    marks = label or next((name for name in columns if name.lower() in _LABELS), None)
    read = {name: numbers(columns, name, path) for name in sensors}
    for name, cells in () if sensors else columns.items():
        if name == marks or name.lower() in _LABELS:
            continue
        values = numbers(columns, name, path) if _is_numeric(cells) else None
        if why := _left_out(name, values):
            tell(f"column '{name}' is left out: {why[0]}", f"不使用列“{name}”：{why[1]}")
        elif values is not None:
            read[name] = values
    if not read:
        raise InputError("series", f"{path}: no column holds numbers that change", f"{path}：没有数值变化的列")
    anomalous = numbers(columns, marks, path) > 0 if marks else None
    return Table(tuple(read), np.column_stack(list(read.values())), anomalous)


def _is_numeric(cells: Sequence[str]) -> bool:
    """Return whether most of the first cells are numbers: then one that is none is a mistake to be told."""
    said = [cell for cell in cells[:100] if not missing(cell)]
    return 2 * sum(_number(cell) is not None for cell in said) >= len(said)


def _left_out(name: str, values: Doubles | None) -> tuple[str, str] | None:
    """Return why a column is no sensor, None where it is one."""
    if values is None:
        return "no numbers", "不是数值"
    known = values[~np.isnan(values)]
    if not len(known):
        return "empty", "为空"
    if (known == known[0]).all():
        return "always the same value", "数值始终不变"
    if is_clock(name, values):
        return "a time or a counter of rows", "时间或行号"
    return None


def column(columns: Columns, name: str, path: str) -> Sequence[str]:
    """Return the cells of the column `name`; raises InputError if there is none."""
    if name not in columns:
        raise InputError("series", f"{path}: has no column '{name}'", f"{path}：没有列“{name}”")
    return columns[name]


def numbers(columns: Columns, name: str, path: str) -> Doubles:
    """Return the column `name` as numbers, NaN for cells without a reading; raises InputError naming the cell that is no number."""
    return np.array(list(_numbers(path, name, column(columns, name, path), columns.first)), np.float64)


def fingerprint(table: Table) -> str:
    """Return the SHA-256 over names and values."""
    digest = sha256("\n".join(table.sensors).encode())
    digest.update(np.ascontiguousarray(table.values, "<f8").tobytes())
    return digest.hexdigest()


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return float("nan") if missing(cell) else None


def _numbers(path: str, name: str, cells: Sequence[str], first: int) -> Iterator[float]:
    for row, cell in enumerate(cells, first):
        number = _number(cell)
        if number is None or np.isinf(number):
            shown = cell[:40]
            raise InputError(
                "series",
                f"{path}: row {row}, column '{name}': '{shown}' is no number; leave the cell empty where there is none",
                f"{path}：第 {row} 行、列“{name}”：“{shown}”不是数字；没有数据时请留空",
            )
        yield number
