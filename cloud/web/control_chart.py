"""Control charts as ECharts options: the values, their centre line and limits, and the points that signal in another colour."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cloud.web.charts import GRID, INK, LINE, MUTED, TIME_LABELS, TOOLTIP, wall_clock_ms

_SIGNAL, _LIMIT = "#b3382c", "#8a938f"


def control_chart(
    times: Sequence[datetime],
    values: Sequence[float | None],
    limits: tuple[Sequence[float], Sequence[float], Sequence[float]],
    signals: Collection[int],
    *,
    zone: ZoneInfo,
    names: tuple[str, str, str, str],
) -> dict[str, Any]:
    """Return the options of one chart.

    Args:
        times, values: of the points, both of one length; a missing value leaves a gap.
        limits: lower limits, centre line and upper limits; each a single number, or one for each point.
        signals: the points, counted from 0, that say something has changed.
        zone: the clock that times are shown on.
        names: what the values, the lower limit, the centre line and the upper limit are called.
    """
    at = [wall_clock_ms(time, zone) for time in times]
    lower, centre, upper = limits

    def line(name: str, heights: Sequence[float], **style: Any) -> dict[str, Any]:
        each = list(heights) * (len(at) if len(heights) == 1 else 1)
        drawn = {"width": 1.2, "color": _LIMIT, **style}
        data = [list(pair) for pair in zip(at, each, strict=True)]
        return {"name": name, "type": "line", "data": data, "symbol": "none", "step": "middle", "lineStyle": drawn,
                "itemStyle": {"color": _LIMIT}}  # fmt: skip

    points = [
        {"value": [x, value], "itemStyle": {"color": _SIGNAL}, "symbolSize": 9} if index in signals else [x, value]
        for index, (x, value) in enumerate(zip(at, values, strict=True))
    ]
    return {
        "useUTC": True,
        "animation": False,
        "grid": {"left": 8, "right": 18, "top": 14, "bottom": 8, "containLabel": True},
        "textStyle": {"fontFamily": "inherit", "color": INK},
        "tooltip": {
            **TOOLTIP,
            ":valueFormatter": "value => value == null ? '–' : String(Number(value.toPrecision(5)))",
        },
        "xAxis": {"type": "time", "axisLabel": {"color": MUTED, "hideOverlap": True, "formatter": dict(TIME_LABELS)}},
        "yAxis": {
            "type": "value",
            "scale": True,
            "axisLabel": {"color": MUTED},
            "splitLine": {"lineStyle": {"color": GRID}},
        },
        "series": [
            line(names[1], lower, type="dashed"),
            line(names[2], centre),
            line(names[3], upper, type="dashed"),
            {
                "name": names[0],
                "type": "line",
                "data": points,
                "symbolSize": 4 if len(at) < 200 else 2,
                "connectNulls": False,
                "lineStyle": {"width": 1.4, "color": LINE},
                "itemStyle": {"color": LINE},
                "z": 3,
            },
        ],
    }
