"""Charts of alarms: how many an hour, and when a tried rule would have been raised."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cloud.alarms.schemas import BackTestResult, Statistics
from cloud.web.charts import GRID, INK, LINE, MUTED, Sample, line_chart, wall_clock_ms

_ALARM = "#ab2419"


def bars(figures: Statistics, zone: ZoneInfo, name: str) -> dict[str, Any]:
    """Return a bar per hour of the span."""
    counted = {hour.hour: hour.raised for hour in figures.hours}
    first = figures.start.replace(minute=0, second=0, microsecond=0)
    hours = [first + timedelta(hours=n) for n in range(int((figures.end - first) / timedelta(hours=1)) + 1)]
    return {
        "useUTC": True,
        "animation": False,
        "grid": {"left": 8, "right": 18, "top": 14, "bottom": 8, "containLabel": True},
        "textStyle": {"fontFamily": "inherit", "color": INK},
        "tooltip": {"trigger": "axis", "confine": True, "borderColor": GRID},
        "xAxis": {
            "type": "time",
            "axisLabel": {
                "color": MUTED,
                "hideOverlap": True,
                "formatter": {"year": "{yyyy}", "month": "{M}/{d}", "day": "{M}/{d}", "hour": "{HH}:{mm}"},
            },
        },
        "yAxis": {
            "type": "value",
            "minInterval": 1,
            "axisLabel": {"color": MUTED},
            "splitLine": {"lineStyle": {"color": GRID}},
        },
        "series": [
            {
                "name": name,
                "type": "bar",
                "barMaxWidth": 14,
                "itemStyle": {"color": LINE},
                "data": [[wall_clock_ms(hour, zone), counted.get(hour, 0)] for hour in hours],
            }
        ],
    }


def tried(
    result: BackTestResult, samples: Sequence[Sample], limits: Sequence[float], *, zone: ZoneInfo, name: str, unit: str
) -> dict[str, Any]:
    """Return the curve of a tried rule's first source, its limits, and when it would have been raised."""
    options = line_chart(samples, start=result.start, end=result.end, zone=zone, name=name, unit=unit)
    series = options["series"][-1]
    first = result.occurrences[0].source if result.occurrences else None
    series["markArea"] = {
        "silent": True,
        "itemStyle": {"color": _ALARM, "opacity": 0.18},
        "data": [
            [{"xAxis": wall_clock_ms(one.start, zone)}, {"xAxis": wall_clock_ms(one.end or result.end, zone)}]
            for one in result.occurrences
            if one.source == first
        ],
    }
    series["markLine"] = {
        "silent": True,
        "symbol": "none",
        "lineStyle": {"color": _ALARM, "type": "dashed"},
        "label": {"color": _ALARM, "position": "insideEndTop"},
        "data": [{"yAxis": limit} for limit in limits],
    }
    options["yAxis"]["axisLabel"] = {
        **options["yAxis"].get("axisLabel", {}),
        "showMinLabel": False,
        "showMaxLabel": False,
    }
    if limits:  # a limit that is off the chart says nothing
        options["yAxis"]["min"] = f"value => Math.min(value.min, {min(limits)})"
        options["yAxis"]["max"] = f"value => Math.max(value.max, {max(limits)})"
        options["yAxis"][":min"], options["yAxis"][":max"] = options["yAxis"].pop("min"), options["yAxis"].pop("max")
    return options
