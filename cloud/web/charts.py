"""Turns series into ECharts options in the product's look. Times are shown on the site's clock, not the browser's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

INK, MUTED, GRID, LINE, BAND = "#1f2a2c", "#55615f", "#e8e3d8", "#92561f", "#e9cfae"

TOOLTIP: Mapping[str, Any] = MappingProxyType(
    {"trigger": "axis", "confine": True, "borderColor": GRID, "textStyle": {"color": INK, "fontSize": 12.5}}
)
"""The box with the values under the pointer."""

TIME_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "year": "{yyyy}",
        "month": "{M}/{d}",
        "day": "{M}/{d}",
        "hour": "{HH}:{mm}",
        "minute": "{HH}:{mm}",
        "second": "{HH}:{mm}:{ss}",
    }
)
"""How a time axis is labelled at each of its scales; the same in both languages."""


class Sample(NamedTuple):
    """One point of a chart: an instant, its value, and the extremes of the bucket it stands for."""

    time: datetime
    value: float | None
    low: float | None = None
    high: float | None = None


def line_chart(
    samples: Sequence[Sample],
    *,
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
    name: str,
    unit: str,
    stepped: bool = False,
    extremes: tuple[str, str] = ("", ""),
) -> dict[str, Any]:
    """Return the options of one series over [start, end].

    The axis begins with the first sample, so that a young series fills its chart, and ends at `end`, so that a silence
    of late shows. A missing value leaves a gap, it is never bridged. Where samples carry extremes, a band shows what lies between
    them, and `extremes` names its lower and upper edge for the reader.
    """
    shown = [(wall_clock_ms(sample.time, zone), sample) for sample in samples]
    series: list[dict[str, Any]] = []
    if any(sample.low is not None for sample in samples):
        series += _band(shown, extremes)
    series.append(
        {
            "name": name,
            "type": "line",
            "data": [[x, sample.value] for x, sample in shown],
            "showSymbol": len(shown) <= 2,
            "step": "end" if stepped else False,
            "connectNulls": False,
            "sampling": "lttb",
            "lineStyle": {"width": 2, "color": LINE},
            "itemStyle": {"color": LINE},
            "areaStyle": None if series or stepped else {"color": LINE, "opacity": 0.07},
            "z": 3,
        }
    )
    return {
        "useUTC": True,
        "animation": False,
        "grid": {"left": 8, "right": 18, "top": 14, "bottom": 8, "containLabel": True},
        "textStyle": {"fontFamily": "inherit", "color": INK},
        "tooltip": {
            **TOOLTIP,
            ":valueFormatter": f"value => value == null ? '–' : Number(value.toPrecision(6)).toLocaleString('en-US') + {json.dumps(unit)}",
        },
        "xAxis": {
            "type": "time",
            "min": shown[0][0] if shown else wall_clock_ms(start, zone),
            "max": wall_clock_ms(end, zone),
            "axisLine": {"lineStyle": {"color": "#c9c2b3"}},
            "axisLabel": {
                "color": MUTED,
                "hideOverlap": True,
                "formatter": dict(TIME_LABELS),
            },
        },
        "yAxis": {
            "type": "value",
            "scale": True,
            "axisLabel": {"color": MUTED},
            "splitLine": {"lineStyle": {"color": GRID}},
        },
        "series": series,
    }


def _band(shown: Sequence[tuple[float, Sample]], extremes: tuple[str, str]) -> list[dict[str, Any]]:
    def edge(name: str, heights: list[list[float | None]], **more: Any) -> dict[str, Any]:
        bare = {"type": "line", "symbol": "none", "lineStyle": {"opacity": 0}, "itemStyle": {"color": BAND}, "z": 1}
        return {"name": name, "data": heights, **bare, **more}

    # ECharts fills between two lines only when they are stacked and the upper one holds the difference; the two lines
    # named for the reader carry the true extremes and are not drawn.
    low = [[x, sample.low] for x, sample in shown]
    high = [[x, sample.high] for x, sample in shown]
    span = [[x, None if sample.low is None or sample.high is None else sample.high - sample.low] for x, sample in shown]
    silent = {"tooltip": {"show": False}, "silent": True, "stack": "band", "stackStrategy": "all"}
    return [
        edge("", low, **silent),
        edge("", span, areaStyle={"color": BAND, "opacity": 0.55}, **silent),
        edge(extremes[0], low),
        edge(extremes[1], high),
    ]


def wall_clock_ms(time: datetime, zone: ZoneInfo) -> float:
    """Return the site's wall clock as if it were UTC, in milliseconds: ECharts knows no other zone than the browser's."""
    return time.astimezone(zone).replace(tzinfo=UTC).timestamp() * 1000
