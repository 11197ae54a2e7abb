"""Figures as a table for spreadsheets: the very values of the report, a row per period and per machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from cloud.production.figures import ELEMENTS
from cloud.production.kpi import KPIS
from cloud.production.schemas import KpiReport, KpiRow
from cloud.telemetry.service import csv_table, workbook_table
from protocols.text import Language, Text

Format = Literal["csv", "xlsx"]
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

_HEADINGS = (
    Text("From day", "起始日"),
    Text("To day", "截止日"),
    Text("Shift", "班次"),
    Text("Machine", "设备"),
    Text("Shift time (s)", "班次时间 (s)"),
    Text("Breaks (s)", "休息 (s)"),
    Text("Planned busy time (s)", "计划忙碌时间 (s)"),
    *(Text(f"{name.en} (s)", f"{name.zh} (s)") for name in ELEMENTS.values()),
    Text("Produced", "产量"),
    Text("Good", "良品"),
    Text("Scrap", "报废"),
    Text("Counted in breaks", "休息时段计数"),
    Text("Made while the state was unknown", "状态未知时段产量"),
    Text("Completeness", "数据完整度"),
    *(kpi.name if not kpi.per else Text(f"{kpi.name.en} (1/h)", f"{kpi.name.zh} (1/h)") for kpi in KPIS.values()),
    Text("Remarks", "说明"),
)


def kpi_file(report: KpiReport, format: Format, language: Language) -> bytes:
    """Return `report` as a file that spreadsheets open by a double click; ratios are numbers, times are seconds."""
    rows: list[list[object]] = [[heading.to(language) for heading in _HEADINGS], *_rows(report, language)]
    return csv_table(rows) if format == "csv" else workbook_table(rows)


def _rows(report: KpiReport, language: Language) -> Iterator[list[object]]:
    for row in [*report.rows, *report.machines]:
        yield [
            row.first_day.isoformat(),
            row.last_day.isoformat(),
            row.shift.to(language),
            row.equipment,
            *(row.seconds[name] for name in ("shift", "breaks", "planned_busy", *ELEMENTS)),
            *(row.produced, row.good, row.scrap, row.in_breaks, row.in_silence, row.kpis["availability"].completeness),
            *(value.value for value in row.kpis.values()),
            _remarks(row, language),
        ]


def _remarks(row: KpiRow, language: Language) -> str:
    """Return why values are missing or odd, each sentence once."""
    said = dict.fromkeys(
        text.to(language)
        for value in row.kpis.values()
        for text in (value.reason, value.warning, *(Text(one.reason_en, one.reason_zh) for one in value.left_out))
        if text.en
    )
    return "; ".join(said) if language == "en" else "；".join(said)
