"""The charts of production: where planned time went, and how OEE and its factors changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cloud.production.schemas import KpiRow
from cloud.web.charts import GRID, INK, MUTED, TOOLTIP
from protocols.text import Language, Text

HOUR_S = 3600.0

COLOURS = {
    "producing": "#2c8a66",
    "setup": "#5f7d95",
    "failure": "#c9382b",
    "micro_stop": "#dba24a",
    "delay": "#e3c184",
    "no_order": "#b9a88c",
    "maintenance": "#8c6d9e",
    "planned_stop": "#aab4b1",
    "unknown": "#dcd7cc",
    "break": "#efece4",
}
"""One colour per time element, in the bars of time as in the timeline."""

_GOOD, _TOTAL, _LOST = "#2c8a66", "#17312f", "#d98d74"


class Step(NamedTuple):
    """A bar of the waterfall: a level that is reached, or what is lost on the way to the next one."""

    name: Text
    seconds: float
    level: bool


_LOSSES = (
    ("breaks", Text("Breaks", "休息")),
    ("planned_stop", Text("Planned stops", "计划停机")),
    ("unknown", Text("State unknown", "状态未知")),
    ("no_order", Text("No order", "无订单")),
    ("maintenance", Text("Maintenance", "维护")),
    ("failure", Text("Failures", "故障")),
    ("setup", Text("Setup", "调试换型")),
    ("delay", Text("Idle", "待机")),
    ("micro_stop", Text("Micro-stops", "短暂停机")),
)


def steps(row: KpiRow) -> list[Step]:
    """Return where the shift time of `row` went, down to the time in which good parts were made at the planned speed."""
    found = [Step(Text("Shift time", "班次时间"), row.seconds["shift"], True)]
    for name, words in _LOSSES:
        if name == "unknown":
            found.append(Step(Text("Planned busy time", "计划忙碌时间"), row.seconds["planned_busy"], True))
        if row.seconds[name]:
            found.append(Step(words, row.seconds[name], False))
    found.append(Step(Text("Production", "生产时间"), row.seconds["producing"], True))
    ideal = {one.symbol: one.value for value in row.kpis.values() for one in value.inputs}
    complete = row.kpis["oee"].value is not None and not row.kpis["oee"].left_out
    made, good = ideal.get("PRI x PQ"), ideal.get("PRI x GQ")
    if complete and made is not None and good is not None and made <= row.seconds["producing"]:
        found.append(Step(Text("Slow running", "速度损失"), row.seconds["producing"] - made, False))
        found.append(Step(Text("Rejects", "不良损失"), made - good, False))
        found.append(Step(Text("Good at planned speed", "有效产出时间"), good, True))
    return found


def waterfall(row: KpiRow, language: Language) -> dict[str, Any]:
    """Return the options of the waterfall, in hours, top down."""
    shown = steps(row)
    base, bars, at = [], [], 0.0
    for step in shown:
        hours = step.seconds / HOUR_S
        if step.level:
            at = hours
            base.append(0.0)
            colour = _GOOD if step is shown[-1] else _TOTAL
        else:
            at -= hours
            base.append(max(at, 0.0))
            colour = _LOST
        label = f"{hours:,.1f} h"
        bars.append({"value": round(hours, 4), "itemStyle": {"color": colour, "borderRadius": 3},
                     "label": {"formatter": label}})  # fmt: skip
    return {
        "animation": False,
        "grid": {"left": 4, "right": 64, "top": 4, "bottom": 4, "containLabel": True},
        "textStyle": {"fontFamily": "inherit", "color": INK},
        "xAxis": {"type": "value", "show": False, "max": max(row.seconds["shift"] / HOUR_S, 0.01)},
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": [step.name.to(language) for step in shown],
            "axisLine": {"show": False},
            "axisTick": {"show": False},
            "axisLabel": {"color": MUTED, "interval": 0},
        },
        "series": [
            {"type": "bar", "stack": "time", "silent": True, "data": base, "itemStyle": {"color": "transparent"}},
            {
                "type": "bar",
                "stack": "time",
                "data": bars,
                "barMaxWidth": 20,
                "silent": True,
                "label": {"show": True, "position": "right", "color": INK, "fontSize": 12},
            },
        ],
    }


_LINES = (("availability", "#5f7d95"), ("effectiveness", "#c38a2e"), ("quality_rate", "#8c6d9e"))


def trend(rows: Sequence[KpiRow], language: Language, *, shifts: bool) -> dict[str, Any]:
    """Return the options of OEE as bars and its factors as lines, in percent; a period without a value has none."""
    return {
        "animation": False,
        "grid": {"left": 4, "right": 8, "top": 34, "bottom": 4, "containLabel": True},
        "textStyle": {"fontFamily": "inherit", "color": INK},
        "legend": {
            "type": "scroll",
            "top": 0,
            "left": 0,
            "itemWidth": 14,
            "itemHeight": 8,
            "textStyle": {"color": MUTED},
        },
        "tooltip": {
            **TOOLTIP,
            ":valueFormatter": "value => value == null ? '–' : value.toFixed(1) + ' %'",
        },
        "xAxis": {
            "type": "category",
            "data": [label(row, language, shifts=shifts) for row in rows],
            "axisLine": {"lineStyle": {"color": "#c9c2b3"}},
            "axisLabel": {"color": MUTED, "hideOverlap": True},
        },
        "yAxis": {
            "type": "value",
            "axisLabel": {"color": MUTED, "formatter": "{value} %"},
            "splitLine": {"lineStyle": {"color": GRID}},
        },
        "series": [
            {
                "name": "OEE",
                "type": "bar",
                "barMaxWidth": 34,
                "itemStyle": {"color": "#92561f", "borderRadius": [3, 3, 0, 0]},
                "data": [_percent(row, "oee") for row in rows],
            },
            *(
                {
                    "name": rows[0].kpis[code].name.to(language),
                    "type": "line",
                    "symbolSize": 5,
                    "lineStyle": {"width": 1.6},
                    "itemStyle": {"color": colour},
                    "data": [_percent(row, code) for row in rows],
                }
                for code, colour in _LINES
            ),
        ],
    }


def label(row: KpiRow, language: Language, *, shifts: bool) -> str:
    """Return what a period is called on an axis."""
    day = f"{row.first_day.month}/{row.first_day.day}"
    if shifts:
        return f"{day} {row.shift.to(language)}"
    return day if row.first_day == row.last_day else f"{day}–{row.last_day.month}/{row.last_day.day}"


def _percent(row: KpiRow, code: str) -> float | None:
    value = row.kpis[code].value
    return None if value is None else round(100 * value, 2)
