"""The file that people fill in: a column for every entry that is asked for, a row to begin with for every machine."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.core.errors import Invalid
from cloud.dictionary.service import entries, entry_of, unit_symbol
from cloud.fleet.schemas import Equipment
from cloud.sharing.schemas import Grant, ShareRequest
from cloud.sharing.service import KPI, Item
from cloud.telemetry.service import csv_table
from cloud.uploads.schemas import FileFormat
from cloud.uploads.sheet import EXAMPLE, MACHINE, TIME, both
from protocols.dictionary.entries import Entry
from protocols.text import Language, Text

MEDIA: dict[FileFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_OF_KPIS = ("machine_state", "part_count_total", "part_count_good")
"""What the KPIs of production are made of; see docs/oee.md."""
_EXAMPLE_TIME = "2026-01-31 08:00"
_YES, _NO = Text("yes", "是"), Text("no", "否")
_SAMPLE_TEXT = Text("as on the label", "按标签填写")

_DATA_SHEET, _HELP_SHEET = "数据 Data", "说明 Help"
_HELP = (
    Text("How to fill in this file", "填写说明"),
    Text(
        "One row for each machine and time; a cell stays empty where there is no value. Rows of the example are not read.",
        "每台设备、每个时间一行；没有数据的单元格留空。示例行不会被读取。",
    ),
    Text(
        "Times are those of the site: {zone}. Write the year first, as 2026-01-31 08:00; Excel's own dates are read, too.",
        "时间为站点所在时区：{zone}。请先写年份，如 2026-01-31 08:00 或 2026年1月31日8时；也支持 Excel 日期。",
    ),
    Text(
        "Values are in the unit of the heading. The file is taken wholly or not at all; what is wrong is told cell by cell.",
        "数值单位以列名为准。文件要么全部入库，要么完全不入库；错误会逐格列出。",
    ),
    Text(
        "What is stored is never changed: the same value again changes nothing, another value for the same time is refused.",
        "已入库的数据不可更改：重复上传相同数值不会产生变化，同一时间的不同数值会被拒绝。",
    ),
    Text(
        "A mean that others see is of three values at least: of one figure an hour, enter three an hour.",
        "向他人共享的均值至少需要三个数值：如按小时共享，每小时至少填写三个数值。",
    ),
)
_HELP_HEADINGS = (
    Text("Column", "列"),
    Text("Unit", "单位"),
    Text("Range", "范围"),
    Text("Choices", "可选值"),
    Text("Meaning", "含义"),
    Text("Asked for by", "申请方"),
)
_NO_MACHINES = Text("Name a machine first; values belong to one.", "请先登记设备，数据须归属于某台设备。")
_WIDTH = 24
_LONGEST_LIST = 255  # as Excel has it
_LAST_ROW = 1_048_576


class TemplateOrder(BaseModel):
    """Which template is wanted.

    Attributes:
        equipment_id: machines that are entered by hand; none: all of the site.
        of_class: a column for every entry of the machines' classes, not only for what is asked for.
    """

    model_config = ConfigDict(extra="forbid")

    site_id: UUID
    format: FileFormat = "xlsx"
    equipment_id: list[UUID] = Field([], max_length=200)
    of_class: bool = False


class Asks(NamedTuple):
    """What others ask for: by entry, who does and how finely."""

    items: dict[str, list[tuple[str, Item]]]

    def entries(self, machines: Sequence[Equipment]) -> list[str]:
        """Return the entries that are asked for of any of `machines`."""
        kinds = {one.equipment_class for one in machines}
        return [
            code
            for code, asking in self.items.items()
            if any(item.covers(kind) for _, item in asking for kind in kinds)
        ]


def asks_of(requests: Iterable[ShareRequest], grants: Iterable[Grant]) -> Asks:
    """Return what requests that wait for our answer, and live grants of ours, ask for; of KPIs what they are made of."""
    waiting = [(one.leader, one.terms.items) for one in requests if one.side == "supplier" and one.answer is None]
    live = [(one.leader, one.terms.items) for one in grants if one.side == "supplier" and one.live]
    found: dict[str, list[tuple[str, Item]]] = {}
    for leader, items in live + waiting:
        for item in items:
            for code in _OF_KPIS if item.entry.startswith(KPI) else (item.entry,):
                known = entry_of(code)
                if known and not known.computed:
                    found.setdefault(code, []).append((leader, item))
    return Asks(found)


@dataclass
class Template:
    """A file for `machines` of a site whose clocks show the time of `zone`, explained in `language`; see `file`."""

    asks: Asks
    machines: Sequence[Equipment]
    zone: str
    language: Language
    of_class: bool = False

    def __post_init__(self) -> None:
        if not self.machines:
            raise Invalid(_NO_MACHINES)
        codes = [] if self.of_class else self.asks.entries(self.machines)
        self.entries = list(_known(codes or _of_classes(self.machines)))

    def file(self, kind: FileFormat) -> bytes:
        """Return the file."""
        return csv_table(self._rows()) if kind == "csv" else self._workbook()

    def _rows(self) -> Iterator[list[str]]:
        yield [both(MACHINE), f"{both(TIME)} ({self.zone})", *(_heading(each) for each in self.entries)]
        yield [both(EXAMPLE), _EXAMPLE_TIME, *(_sample(each, self.language) for each in self.entries)]
        for machine in self.machines:
            yield [machine.label]

    def _workbook(self) -> bytes:
        import openpyxl  # noqa: PLC0415 - takes a third of a second to load
        from openpyxl.styles import Font  # noqa: PLC0415
        from openpyxl.utils import get_column_letter  # noqa: PLC0415
        from openpyxl.worksheet.datavalidation import DataValidation  # noqa: PLC0415

        book = openpyxl.Workbook()
        data, told = book.active, book.create_sheet(_HELP_SHEET)
        assert data is not None  # noqa: S101 - a new book has a sheet
        data.title, data.freeze_panes = _DATA_SHEET, "C2"
        for sheet, rows in ((data, self._rows()), (told, self._help())):
            for number, row in enumerate(rows, 1):
                for column, said in enumerate(row, 1):
                    cell = sheet.cell(number, column, said)
                    cell.data_type = "s"  # a text that begins with "=" is none of ours to reckon
            widest = max(len(row) for row in sheet.iter_rows(values_only=True))
            for column in range(1, widest + 1):
                sheet.column_dimensions[get_column_letter(column)].width = _WIDTH
        for column, choices in self._choices():
            letter, listed = get_column_letter(column), ",".join(choices)
            if len(listed) <= _LONGEST_LIST and listed.count(",") < len(choices) and '"' not in listed:
                rule = DataValidation("list", formula1=f'"{listed}"', allow_blank=True)
                rule.add(f"{letter}3:{letter}{_LAST_ROW}")
                data.add_data_validation(rule)
        for cell in data[1]:
            cell.font = Font(bold=True)
        for cell in data[2]:
            cell.font = Font(italic=True, color="808080")
        file = io.BytesIO()
        book.save(file)
        return file.getvalue()

    def _choices(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the columns, counted from 1, of what is chosen from a list, each with what a workbook is to offer."""
        yield 1, [machine.label for machine in self.machines]
        for column, entry in enumerate(self.entries, 3):
            if entry.values:
                yield column, [name.to(self.language) for name in entry.values.values()]
            elif entry.data_type == "BOOLEAN":
                yield column, [_YES.to(self.language), _NO.to(self.language)]

    def _help(self) -> Iterator[list[str]]:
        for words in _HELP:
            yield [words.to(self.language).format(zone=self.zone)]
        yield []
        yield [words.to(self.language) for words in _HELP_HEADINGS]
        comma = "、" if self.language == "zh" else ", "
        for entry in self.entries:
            choices = [name.to(self.language) for name in entry.values.values()]
            yield [
                _heading(entry),
                unit_symbol(entry.unit),
                _range(entry),
                comma.join(choices),
                entry.definition.to(self.language),
                comma.join(dict.fromkeys(leader for leader, _ in self.asks.items.get(entry.code, []))),
            ]


def _known(codes: Iterable[str]) -> Iterator[Entry]:
    for code in codes:
        found = entry_of(code)
        if found and not found.computed:
            yield found


def _of_classes(machines: Sequence[Equipment]) -> list[str]:
    """Return all that machines of these classes may have; of a class without entries of its own, what any machine may."""
    found: dict[str, None] = {}
    for one in dict.fromkeys(machine.equipment_class for machine in machines):
        for each in entries(one) or entries("generic"):
            found[each.code] = None
    return list(found)


def _heading(entry: Entry) -> str:
    stated = "; ".join(filter(None, (unit_symbol(entry.unit), _range(entry))))
    return both(entry.name) + (f" [{stated}]" if stated else "")


def _range(entry: Entry) -> str:
    if (
        entry.values
        or entry.data_type in ("BOOLEAN", "STRING")
        or (entry.typical_min, entry.typical_max) == (None, None)
    ):
        return ""
    low, high = ("" if one is None else f"{one:g}" for one in (entry.typical_min, entry.typical_max))
    return f"{low}～{high}"


def _sample(entry: Entry, language: Language) -> str:
    """Return what a cell of the entry may say."""
    if entry.values:
        return list(entry.values.values())[-1].to(language)
    if entry.data_type == "BOOLEAN":
        return _YES.to(language)
    if entry.data_type == "STRING":
        return _SAMPLE_TEXT.to(language)
    low, high = entry.typical_min or 0.0, entry.typical_max
    return f"{low + (high - low) / 4:.4g}" if high is not None else f"{low:g}"
