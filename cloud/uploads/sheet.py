"""A filled-in template, cell by cell: what it says of which machine, and all that is wrong with it."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from cloud.core.errors import Invalid
from cloud.dictionary.service import unit_symbol
from cloud.fleet.schemas import Equipment
from cloud.uploads.cell import Cell, WrongCell, is_empty, plain, text_of, time_in, value_in
from cloud.uploads.schemas import CellFault
from cloud.uploads.table import Row, read_table
from protocols.dictionary.entries import Entry, load_dictionary
from protocols.text import Text

MACHINE, TIME = Text("Machine", "设备"), Text("Time", "时间")
EXAMPLE = Text("Example", "示例")
"""What stands for a machine in a row that is not read."""
MOST_FAULTS = 200
MOST_COUNTED = 5000
"""A file with more faults is not read to its end."""

_EMPTY = Text(
    "The file has no values. Download the template, fill it in and upload it.",
    "文件中没有数据。请下载模板，填写后上传。",
)
_UNKNOWN = Text(
    "unknown column; take the template's headings, which are names of the data dictionary",
    "未知列，请使用模板中的列名(数据字典名称)",
)
_NO_MACHINES = Text("Name a machine first; values belong to one.", "请先登记设备，数据须归属于某台设备。")


@dataclass
class Series:
    """What a file says of one entry at one machine; `values` has the numbers, or `texts` what is text."""

    machine: Equipment
    entry: Entry
    column: int
    times: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    texts: list[str] = field(default_factory=list)
    rows: array[int] = field(default_factory=lambda: array("I"))

    def add(self, row: int, time: int, value: float | str) -> None:
        """Add a value at `time` (microseconds UTC), of a row of the file."""
        self.rows.append(row)
        self.times.append(time)
        if isinstance(value, str):
            self.texts.append(value)
        else:
            self.values.append(value)


@dataclass
class Sheet:
    """What a file says: its series by machine and entry, and what is wrong; the first faults, and how many there are."""

    headings: list[str] = field(default_factory=list)
    series: dict[tuple[UUID, str], Series] = field(default_factory=dict)
    rows: int = 0
    faults: list[CellFault] = field(default_factory=list)
    fault_count: int = 0

    def fault(self, row: int, column: int, words: Text) -> None:
        """Note what is wrong with a cell; `column` is counted from 0."""
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            heading = self.headings[column] if column < len(self.headings) else ""
            cell = f"{_letters(column)}{row}"
            self.faults.append(CellFault(row=row, cell=cell, column=heading, message_en=words.en, message_zh=words.zh))


def read_sheet(content: bytes, machines: Sequence[Equipment], zone: ZoneInfo, now: datetime) -> Sheet:
    """Return what a file says of `machines`, whose clocks show the time of `zone`.

    Raises Invalid for what is no table, is too large, or says nothing at all.
    """
    if not machines:
        raise Invalid(_NO_MACHINES)
    table = read_table(content)
    sheet = Sheet()
    heading = next(table.rows, None)
    if heading is None:
        raise Invalid(_EMPTY)
    columns = _columns(sheet, heading, zone)
    if columns is not None:
        reader = _RowReader(sheet, columns, machines, (zone, now, table.epoch))
        for row in table.rows:
            reader.read(row)
            if sheet.fault_count >= MOST_COUNTED:
                break
        if not sheet.rows and not sheet.fault_count:
            raise Invalid(_EMPTY)
    return sheet


@dataclass(frozen=True)
class _Columns:
    machine: int
    time: int
    entries: dict[int, Entry]


def _columns(sheet: Sheet, heading: Row, zone: ZoneInfo) -> _Columns | None:
    """Return what the columns are; None where a fault says that this is not known."""
    sheet.headings = [text_of(cell) for cell in heading.cells]
    places: dict[str, int] = {}
    entries: dict[int, Entry] = {}
    for place, title in enumerate(sheet.headings):
        name, _, bracket = (part.strip() for part in plain(title).partition("["))
        stated_zone = ""
        if name.startswith(_TIME_NAMES):
            name, _, stated_zone = (part.strip(" )") for part in name.partition("("))
        key = "machine" if name in _MACHINE_NAMES else "time" if name in _TIME_NAMES else name
        entry = _entries_by_name().get(name)
        amiss: Text | None = None
        if key and key in places:
            amiss = Text("this column stands there twice", "该列重复")
        elif key == "time" and stated_zone not in ("", plain(zone.key)):
            amiss = _other_zone(zone)
        elif entry:
            key, amiss = entry.code, _other_unit(entry, bracket)
            entries[place] = entry
        elif key not in ("", "machine", "time"):
            amiss = _UNKNOWN
        if amiss:
            sheet.fault(heading.number, place, amiss)
        places[key] = place
    for key, words in (("machine", MACHINE), ("time", TIME)):
        if key not in places:
            sheet.fault(heading.number, 0, Text(f"the column {words.en} is missing", f"缺少“{words.zh}”列"))
    if not entries:
        sheet.fault(heading.number, 0, Text("there is no column with values", "没有数据列"))
    return None if sheet.fault_count else _Columns(places["machine"], places["time"], entries)


def _other_unit(entry: Entry, bracket: str) -> Text | None:
    """Return what is wrong where another unit than the entry's stands in a heading's brackets; a range may, too."""
    stated = [part.strip() for part in bracket.rstrip("] ").split(";")]
    units = [part for part in stated if part and not re.fullmatch(r"[-+\d.e]*\s?~\s?[-+\d.e]*", part)]
    unit = unit_symbol(entry.unit)
    if units in ([], [plain(unit)]):
        return None
    return Text(
        f"the unit is {unit or 'none'}, not {units[0]}; convert the values and correct the heading",
        f"单位应为 {unit or '无'}，而不是 {units[0]}，请换算数值并更正列名",
    )


def _other_zone(zone: ZoneInfo) -> Text:
    return Text(
        f"times are those of the site, {zone.key}; convert them and correct the heading",
        f"时间应为站点所在时区 {zone.key}，请换算并更正列名",
    )


class _RowReader:
    """Reads rows below the heading into a sheet."""

    def __init__(
        self,
        sheet: Sheet,
        columns: _Columns,
        machines: Sequence[Equipment],
        clock: tuple[ZoneInfo, datetime, datetime],
    ) -> None:
        self._sheet, self._columns = sheet, columns
        self._zone, self._now, self._epoch = clock
        self._machines: dict[str, list[Equipment]] = {}
        for one in machines:
            for name in {plain(one.label), plain(one.name)}:
                self._machines.setdefault(name, []).append(one)
        self._keys = (columns.machine, columns.time)
        self._rows_of: dict[tuple[UUID, int], int] = {}

    def read(self, row: Row) -> None:
        """Read a row; what is wrong with it is noted, and then nothing of it is taken."""
        sheet, columns = self._sheet, self._columns
        before = sheet.fault_count

        def cell(place: int) -> Cell:
            return row.cells[place] if place < len(row.cells) else None

        filled = any(not is_empty(row.cells[place]) for place in range(len(row.cells)) if place not in self._keys)
        named = plain(text_of(cell(columns.machine)))
        if not filled or (named in _EXAMPLES and named not in self._machines):
            return
        for place in range(len(sheet.headings), len(row.cells)):
            if not is_empty(row.cells[place]):
                sheet.fault(row.number, place, Text("this column has no heading", "该列没有列名"))
        machine = self._machine(row.number, cell(columns.machine))
        time = self._time(row.number, cell(columns.time))
        if (
            machine
            and time is not None
            and (first := self._rows_of.setdefault((machine.id, time), row.number)) != row.number
        ):
            words = Text(
                f"row {first} is of the same machine and time; keep one of them",
                f"与第 {first} 行的设备和时间相同，请保留一行",
            )
            sheet.fault(row.number, columns.time, words)
        found = list(self._values(row.number, cell))
        if sheet.fault_count > before or machine is None or time is None:
            return
        sheet.rows += 1
        for place, entry, value in found:
            key = (machine.id, entry.code)
            if key not in sheet.series:
                sheet.series[key] = Series(machine, entry, place)
            sheet.series[key].add(row.number, time, value)

    def _values(self, row: int, cell: Callable[[int], Cell]) -> Iterator[tuple[int, Entry, float | str]]:
        for place, entry in self._columns.entries.items():
            said = cell(place)
            if is_empty(said):
                continue
            try:
                yield place, entry, value_in(said, entry)
            except WrongCell as fault:
                self._sheet.fault(row, place, fault.words)

    def _machine(self, row: int, cell: Cell) -> Equipment | None:
        found = self._machines.get(plain(text_of(cell)).removeprefix("'"), [])  # as CSV keeps "=" from being a formula
        if len(found) == 1:
            return found[0]
        said = text_of(cell)[:40]
        known = ", ".join(sorted({one[0].label for one in self._machines.values()})[:10])
        if found:
            words = Text(f"several machines are called '{said}'; rename one", f"有多台设备名为“{said}”，请先改名")
        else:
            words = Text(f"there is no machine '{said}'; there are: {known}", f"没有设备“{said}”，可填：{known}")
        self._sheet.fault(row, self._columns.machine, words)
        return None

    def _time(self, row: int, cell: Cell) -> int | None:
        try:
            return time_in(cell, self._zone, self._now, self._epoch)
        except WrongCell as fault:
            self._sheet.fault(row, self._columns.time, fault.words)
            return None


def both(name: Text) -> str:
    """Return a name as headings of the template have it, in both languages."""
    return f"{name.zh} {name.en}"


def _names(name: Text) -> tuple[str, str, str]:
    return plain(name.en), plain(name.zh), plain(both(name))


_MACHINE_NAMES, _TIME_NAMES = _names(MACHINE), _names(TIME)
_EXAMPLES = frozenset(_names(EXAMPLE))


@lru_cache(maxsize=1)
def _entries_by_name() -> dict[str, Entry]:
    """Return what devices may have by every way a column may be headed."""
    dictionary = load_dictionary()
    known = (dictionary[code] for code in dictionary.collected)
    return {name: entry for entry in known for name in (plain(entry.code), *_names(entry.name))}


def _letters(column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
