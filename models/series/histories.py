"""Reads runs to failure: several units of one kind of machine, each row a cycle, each unit's last row its end."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.errors import InputError
from models.series.cells import Tell
from models.series.table import column, numbers, read_columns, silent, table_of

Doubles = npt.NDArray[np.float64]

LEFT = "rul"
"""Column of the cycles that are left, where a history ends before the failure."""


class Histories(NamedTuple):
    """Rows of several units, each unit's together and in order.

    Attributes:
        sensors: names of the columns of `values` (rows x sensors).
        unit: number of the unit of each row, from 0.
        age: cycles since the unit's first row; `remaining`: cycles until its end.
        last: rows that are judged alone: each unit's last one where `remaining` was told, else all.
    """

    sensors: tuple[str, ...]
    values: Doubles
    unit: npt.NDArray[np.int64]
    age: Doubles
    remaining: Doubles
    last: npt.NDArray[np.int64]

    @property
    def units(self) -> int:
        """How many there are."""
        return int(self.unit[-1]) + 1


def read_histories(path: Path, unit: str, cycle: str, sensors: tuple[str, ...] = (), tell: Tell = silent) -> Histories:
    """Return the histories in the CSV file `path`, whose columns `unit` and `cycle` say which machine and when.

    With a column "rul" it is the cycles that are left; without one each unit's last row is its failure.
    Raises InputError naming the file, and row and column of what is wrong.
    """
    columns, where = read_columns(path, tell), str(path)
    names, first = np.unique(np.array(column(columns, unit, where)), return_index=True)
    names = names[np.argsort(first)]
    number = {name: place for place, name in enumerate(names)}
    units = np.array([number[name] for name in columns[unit]])
    cycles = numbers(columns, cycle, where)
    steps, same = np.diff(cycles), np.diff(units) == 0
    for row in np.flatnonzero((np.diff(units) < 0) | same & ~(steps > 0)):
        raise InputError(
            "series",
            f"{path}: row {row + columns.first + 1}: the rows of a unit must stand together, '{cycle}' increasing",
            f"{path}：第 {row + columns.first + 1} 行：同一台设备的行须连续，且“{cycle}”递增",
        )
    last = np.append(np.flatnonzero(~same), len(units) - 1)
    told = LEFT in columns
    remaining = numbers(columns, LEFT, where) if told else cycles[last][units] - cycles
    table = table_of(columns.without(unit, cycle, LEFT), where, sensors=sensors, tell=tell)
    begin = np.append(0, last[:-1] + 1)
    return Histories(
        table.sensors,
        table.values,
        units,
        cycles - cycles[begin][units],
        remaining,
        last if told else np.arange(len(units)),
    )
