"""Series by the clock: one value a period, gaps filled with nothing, and each row's place in the day or week."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from models.errors import InputError
from models.series.cells import Tell
from models.series.table import MOST_ROWS, Columns, Table, column, read_columns, silent, table_of
from models.series.times import by_format, find_times, reader

Season = Literal["day", "week"]
SECONDS: dict[Season, int] = {"day": 86_400, "week": 7 * 86_400}

AHEAD_S = {"hour": 3600, "day": 86_400}
"""How far sums are forecast, by name; a model says how wide their intervals are."""

EVEN = 0.05
"""By how much of a period a time may be off its place."""


class Clocked(NamedTuple):
    """A table with one row a period.

    Attributes:
        table: as read, with rows of NaN where the file has none.
        period: seconds from row to row.
        begin: wall-clock time of the first row.
    """

    table: Table
    period: int
    begin: datetime

    def slots(self, season: Season) -> npt.NDArray[np.int64]:
        """Return each row's place in the season, from 0: Monday 00:00 is the first of a week."""
        first = slot_of(self.begin, season, self.period)
        return (first + np.arange(len(self.table.values))) % (SECONDS[season] // self.period)


def slot_of(time: datetime, season: Season, period: int) -> int:
    """Return the place of a wall-clock time in the season."""
    second = time.hour * 3600 + time.minute * 60 + time.second + (time.weekday() * 86_400 if season == "week" else 0)
    return second // period


def read_clocked(
    path: Path,
    *,
    sensor: str | None = None,
    time: str | None = None,
    time_format: str | None = None,
    rows: int | None = None,
    tell: Tell = silent,
) -> Clocked:
    """Return one sensor of the CSV file `path` by the clock.

    Args:
        path: the file, as `table.read_columns` reads it.
        sensor: its column; without it the file must have a single column of numbers.
        time: column of wall-clock times; without it the first that holds times, with the time of day in another or not.
        time_format: how they are written, as strptime has it; without it as all cells can be read in one way only.
        rows: read only so many rows.
        tell: is told what was decided, and what is left out.

    Raises InputError naming the file and the row: no times, times that do not increase, or uneven steps.
    """
    columns = read_columns(path, tell).without(rows=rows)
    named, clock = _found(columns, time, time_format)
    if named is None:
        raise InputError(
            "times",
            f"{path}: no column surely holds times; name it with --time, and how it is written with --time-format",
            f"{path}：没有可确定的时间列；请用 --time 指定列名，用 --time-format 指定格式",
        )
    times = _times(columns, (named, clock), time_format, str(path), tell)
    table = table_of(columns.without(named, clock), str(path), sensors=_one(sensor), tell=tell)
    if len(table.sensors) != 1:
        raise InputError(
            "sensors",
            f"{path}: name the one column to learn with --sensor: {', '.join(table.sensors)}",
            f"{path}：请用 --sensor 指定要学习的一列：{'、'.join(table.sensors)}",
        )
    return _even(path, table, times, columns.first)


def _one(sensor: str | None) -> Sequence[str]:
    return () if sensor is None else (sensor,)


def _found(columns: Columns, time: str | None, time_format: str | None) -> tuple[str | None, str | None]:
    """Return the column of times, and the one of the time of day where that is apart."""
    if time is not None:
        return time, None
    if time_format is None:
        return find_times(columns) or (None, None)
    read = by_format(time_format)
    return next((name for name, cells in columns.items() if read(cells[0].strip()) is not None), None), None


def _times(
    columns: Columns, where: tuple[str, str | None], time_format: str | None, path: str, tell: Tell
) -> list[datetime]:
    named, clock = where
    cells = column(columns, named, path)
    if clock is not None:
        cells = [f"{day.strip()} {hour.strip()}" for day, hour in zip(cells, columns[clock], strict=True)]
    found = (by_format(time_format), time_format) if time_format else reader(named, cells)
    read, shape = found or (_none, "")
    times = []
    for row, cell in enumerate(cells, columns.first):
        time = read(cell.strip())
        if time is None:
            raise InputError(
                "times",
                f"{path}: row {row}, column '{named}': '{cell[:40]}' is no time; say how it is written with --time-format",
                f"{path}：第 {row} 行、列“{named}”：“{cell[:40]}”不是时间；请用 --time-format 指定格式",
            )
        times.append(time.replace(tzinfo=None))
    both = f"'{named}', '{clock}'" if clock else f"'{named}'"
    tell(f"times: column {both}, as {shape}", f"时间：列 {both}，格式为 {shape}")
    return times


def _none(_cell: str) -> None:
    return None


def _even(path: Path, table: Table, times: Sequence[datetime], first: int) -> Clocked:
    seconds = np.array([(time - times[0]) / timedelta(seconds=1) for time in times])
    steps = np.diff(seconds)
    if (steps <= 0).any():
        row = int(np.flatnonzero(steps <= 0)[0]) + first + 1
        raise InputError(
            "times",
            f"{path}: row {row} is not later than the row before; sort the rows, and leave the repeated hour of autumn out",
            f"{path}：第 {row} 行的时间不晚于上一行；请按时间排序，并去掉夏令时结束时重复的一小时",
        )
    period = round(float(np.median(steps)))
    places = seconds / max(period, 1)
    uneven = np.flatnonzero(np.abs(places - np.round(places)) > EVEN)
    if period < 1 or SECONDS["day"] % period or len(uneven) or places[-1] >= MOST_ROWS:
        row = int(uneven[0]) + first if len(uneven) else first
        raise InputError(
            "times",
            f"{path}: row {row}: the times must lie a whole number of periods apart, and a day hold a whole number of them"
            f" (the usual step is {period} s)",
            f"{path}：第 {row} 行：各时刻须相隔整数个周期，且一天须包含整数个周期(常见间隔为 {period} 秒)",
        )
    at = np.round(places).astype(np.int64)
    values = np.full((at[-1] + 1, 1), np.nan)
    values[at] = table.values
    label = None
    if table.label is not None:
        label = np.zeros(len(values), np.bool_)
        label[at] = table.label
    return Clocked(Table(table.sensors, values, label), period, times[0])
