"""Usage as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from cloud.energy.schemas import Figure, Usage, UsageRow
from cloud.telemetry.service import csv_table, workbook_table
from protocols.text import Language, Text

SheetFormat = Literal["csv", "xlsx"]
MEDIA: dict[SheetFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

_TOTAL = Text("Total", "合计")
_HEADINGS = (
    Text("Begin ({zone})", "开始 ({zone})"),
    Text("End ({zone})", "结束 ({zone})"),
    Text("Shift", "班次"),
    Text("Consumption ({energy})", "用能量 ({energy})"),
    Text("Cost ({cost})", "费用 ({cost})"),
    Text("CO₂ ({co2})", "二氧化碳 ({co2})"),
    Text("Good parts", "良品数"),
    Text("Per good part ({specific})", "单位良品能耗 ({specific})"),
    Text("Measured (%)", "计量完整率 (%)"),
    Text("Remark", "备注"),
)


def usage_sheet(usage: Usage, kind: SheetFormat, language: Language) -> bytes:
    """Return the rows of `usage` and their total as a file; what has no value is empty, and the remark says why."""
    zone, total = ZoneInfo(usage.time_zone), usage.total
    units = {name: getattr(total, name).unit for name in ("energy", "cost", "co2", "specific")}
    headings = [words.to(language).format(zone=zone.key, **units) for words in _HEADINGS]
    rows = [_cells(row, zone, language) for row in usage.rows]
    table: list[Sequence[object]] = [headings, *rows, [_TOTAL.to(language), *_cells(total, zone, language)[1:]]]
    return csv_table(table) if kind == "csv" else workbook_table(table)


def _cells(row: UsageRow, zone: ZoneInfo, language: Language) -> list[object]:
    figures = (row.energy, row.cost, row.co2, row.specific)
    return [
        _wall(row.start, zone),
        _wall(row.end, zone),
        row.name_zh if language == "zh" else row.name_en,
        *(figure.value for figure in figures[:3]),
        row.good,
        row.specific.value,
        round(100 * row.energy.completeness, 1),
        _remark(figures, language),
    ]


def _wall(time: datetime, zone: ZoneInfo) -> datetime:
    return time.astimezone(zone).replace(tzinfo=None)


def _remark(figures: Sequence[Figure], language: Language) -> str:
    reasons = [figure.why_zh if language == "zh" else figure.why_en for figure in figures if figure.value is None]
    return "; ".join(dict.fromkeys(reasons))
