"""Turns loads into ECharts options: a load curve in the colours of the tariff, and the course of a mean day."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from cloud.energy.schemas import LoadCurve
from cloud.web.charts import GRID, INK, LINE, MUTED, TOOLTIP, wall_clock_ms
from cloud.web.energy_words import BANDS, UNPRICED
from protocols.text import Language


def load_chart(curve: LoadCurve, language: Language, *, limit: tuple[str, float] | None = None) -> dict[str, Any]:
    """Return the options of a load curve: a bar per step in the colour of its band, and a line at the `limit` (name, load).

    A step that was not measured is empty.
    """
    zone = ZoneInfo(curve.time_zone)
    names = {band: (words.to(language), colour) for band, (words, colour) in BANDS.items()}
    unpriced = (UNPRICED[0].to(language), UNPRICED[1])
    bands = [band for band in [*BANDS, None] if any(point.band == band for point in curve.points)]
    half = curve.step_s * 500
    series: list[dict[str, Any]] = [
        {
            "name": (names[band] if band else unpriced)[0],
            "type": "bar",
            "barWidth": "101%",
            "barGap": "-100%",  # each instant has one bar only; stacks would be by number, not by time
            "large": False,
            "itemStyle": {"color": (names[band] if band else unpriced)[1]},
            "data": [
                [wall_clock_ms(point.start, zone) + half, round(point.load, 3)]
                for point in curve.points
                if point.band == band and point.load is not None
            ],
        }
        for band in bands
    ]
    if limit and series:
        series[0]["markLine"] = {
            "silent": True,
            "symbol": "none",
            "lineStyle": {"color": INK, "type": "dashed"},
            "label": {"formatter": limit[0], "position": "insideEndTop", "color": INK},
            "data": [{"yAxis": limit[1]}],
        }
    begin, end = curve.points[0].start, curve.points[-1].start
    return _frame(curve.rate) | {
        "legend": {
            "bottom": 0,
            "itemWidth": 12,
            "itemHeight": 10,
            "textStyle": {"color": MUTED},
            "selectedMode": False,
        },
        "grid": {"left": 8, "right": 18, "top": 18, "bottom": 34, "containLabel": True},
        "xAxis": {
            "type": "time",
            "min": wall_clock_ms(begin, zone),
            "max": wall_clock_ms(end, zone) + curve.step_s * 1000,
            "axisLine": {"lineStyle": {"color": "#c9c2b3"}},
            "axisLabel": {
                "color": MUTED,
                "hideOverlap": True,
                "formatter": {"month": "{M}/{d}", "day": "{M}/{d}", "hour": "{HH}:{mm}", "minute": "{HH}:{mm}"},
            },
        },
        "series": series,
    }


def course_chart(
    course: Sequence[float | None], rate: str, name: str, base: tuple[str, float] | None
) -> dict[str, Any]:
    """Return the options of the mean day: 96 quarters of an hour, and a line at the base load (name, load)."""
    series: dict[str, Any] = {
        "name": name,
        "type": "line",
        "step": "end",
        "symbol": "none",
        "lineStyle": {"width": 2, "color": LINE},
        "itemStyle": {"color": LINE},
        "areaStyle": {"color": LINE, "opacity": 0.08},
        "data": [None if load is None else round(load, 3) for load in course],
    }
    if base:
        series["markLine"] = {
            "silent": True,
            "symbol": "none",
            "lineStyle": {"color": "#4d9582", "type": "dashed"},
            "label": {"formatter": base[0], "position": "insideEndTop", "color": MUTED},
            "data": [{"yAxis": base[1]}],
        }
    return _frame(rate) | {
        "grid": {"left": 8, "right": 18, "top": 18, "bottom": 8, "containLabel": True},
        "xAxis": {
            "type": "category",
            "data": [f"{index // 4:02}:{index % 4 * 15:02}" for index in range(len(course))],
            "axisLine": {"lineStyle": {"color": "#c9c2b3"}},
            "axisTick": {"show": False},
            "axisLabel": {"color": MUTED, "interval": 15, "hideOverlap": True},
        },
        "series": [series],
    }


def _frame(rate: str) -> dict[str, Any]:
    return {
        "useUTC": True,
        "animation": False,
        "textStyle": {"fontFamily": "inherit", "color": INK},
        "tooltip": {
            **TOOLTIP,
            ":valueFormatter": f"value => value == null ? '–' : Number(value.toPrecision(4)).toLocaleString('en-US') + {json.dumps(' ' + rate)}",
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "name": rate,
            "nameTextStyle": {"color": MUTED, "align": "left"},
            "nameGap": 6,
            "axisLabel": {"color": MUTED},
            "splitLine": {"lineStyle": {"color": GRID}},
        },
    }
