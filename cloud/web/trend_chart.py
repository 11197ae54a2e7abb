"""Several curves in one chart, in the product's look: one axis per unit, two at the most; an earlier span as thin dashes.

Times are shown on the site's clock, not the browser's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cloud.web.charts import GRID, INK, MUTED, TIME_LABELS, TOOLTIP, wall_clock_ms
from cloud.web.trend_curves import Dot

COLOURS = ("#92561f", "#1f6f78", "#3c5aa6", "#8a3b6b", "#4f7d2c", "#c0492f", "#6d5bb0", "#4a5a68")
"""Of the curves, in their order; told apart by readers who see red and green alike as well, by their lightness."""

MOST_AXES = 2
MOST_LINES = 16
"""A chart always has so many series, some of them empty: ECharts keeps its tools only while their number stays the same."""

_BAND = "#e9cfae"


@dataclass(frozen=True)
class Axis:
    """What the curves of one axis have in common: a unit, or the names of coded values."""

    unit: str
    words: Mapping[int, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """Curves of equal keys share the axis."""
        return self.unit, tuple(self.words.values())


@dataclass(frozen=True)
class DrawnCurve:
    """One curve: `colour` is its place among the colours; `earlier` of which span it is, "" for the one shown."""

    name: str
    axis: Axis
    dots: Sequence[Dot]
    colour: int
    steps: bool = False
    banded: bool = False
    earlier: str = ""
    later_by: timedelta = timedelta()
    extremes: tuple[str, str] = ("", "")


def axes_of(axes: Sequence[Axis]) -> list[Axis]:
    """Return the distinct axes, in the order they come up."""
    return list({axis.key: axis for axis in axes}.values())


def options(curves: Sequence[DrawnCurve], *, start: datetime, end: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """Return the ECharts options of `curves` over [start, end)."""
    axes = axes_of([curve.axis for curve in curves])
    keys = [axis.key for axis in axes]
    series = []
    for curve in curves:
        at = keys.index(curve.axis.key)
        if curve.banded:
            series += _band(curve, at, zone)
        series.append(_line(curve, at, zone))
    series += [_series("", [], 0) for _ in range(MOST_LINES - len(series))]
    worded = any(axis.words for axis in axes)
    drawn = [_value_axis(axis, number) | {"alignTicks": number > 0 and not worded} for number, axis in enumerate(axes)]
    drawn += [_value_axis(Axis(""), number, show=False) for number in range(len(drawn), MOST_AXES)]
    return {
        "useUTC": True,
        "animation": False,
        "grid": {"left": 8, "right": 12, "top": 30, "bottom": 8, "containLabel": True},
        "textStyle": {"fontFamily": "inherit", "color": INK},
        "tooltip": dict(TOOLTIP),
        "toolbox": {"show": True, "itemSize": 0, "right": -40, "feature": {"dataZoom": {"yAxisIndex": "none"}}},
        "dataZoom": [
            {
                "type": "inside",
                "filterMode": "none",
                "start": 0,
                "end": 100,
                "zoomOnMouseWheel": "ctrl",
                "moveOnMouseMove": False,
            }
        ],
        "xAxis": {
            "type": "time",
            "min": wall_clock_ms(start, zone),
            "max": wall_clock_ms(end, zone),
            "axisLine": {"lineStyle": {"color": "#c9c2b3"}},
            "axisLabel": {"color": MUTED, "hideOverlap": True, "formatter": dict(TIME_LABELS)},
            "axisPointer": {"label": {"show": False}},
        },
        "yAxis": drawn,
        "series": series,
    }


def instant_of(wall_ms: float, zone: ZoneInfo) -> datetime:
    """Return the instant of a place on the chart's time axis."""
    wall = datetime.fromtimestamp(wall_ms / 1000, UTC).replace(tzinfo=None)
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _value_axis(axis: Axis, number: int, *, show: bool = True) -> dict[str, Any]:
    labels = {"color": MUTED, ":formatter": _said(axis) if axis.words else "value => value.toLocaleString('en-US')"}
    return {
        "type": "value",
        "show": show,
        "scale": True,
        "min": min(axis.words) if axis.words else None,
        "max": max(axis.words) if axis.words else None,
        "interval": 1 if axis.words else None,
        "name": axis.unit,
        "nameTextStyle": {"color": MUTED, "align": "left" if number == 0 else "right"},
        "position": "left" if number == 0 else "right",
        "axisLabel": labels,
        "splitLine": {"show": number == 0, "lineStyle": {"color": GRID}},
    }


def _said(axis: Axis) -> str:
    """Return a JavaScript function that writes a value of the axis."""
    if axis.words:
        words = json.dumps({str(value): name for value, name in axis.words.items()}, ensure_ascii=False)
        return f"value => value == null ? '–' : ({words}[value] ?? '')"
    unit = json.dumps(f" {axis.unit}" if axis.unit else "", ensure_ascii=False)
    return f"value => value == null ? '–' : Number(value.toPrecision(6)).toLocaleString('en-US') + {unit}"


def _series(
    name: str, data: list[Any], axis: int, formatter: str = "", *, colour: str = INK, **more: Any
) -> dict[str, Any]:
    """Return one series with every key that any of ours has: a redraw merges into what was drawn in its place before."""
    return {
        "name": name,
        "type": "line",
        "yAxisIndex": axis,
        "data": data,
        "symbol": "none",
        "step": False,
        "connectNulls": False,
        "lineStyle": {"color": colour, "width": 1.8, "type": "solid", "opacity": 1},
        "itemStyle": {"color": colour},
        "areaStyle": {"color": colour, "opacity": 0},
        "emphasis": {"disabled": True},
        "tooltip": {"show": bool(formatter), ":valueFormatter": formatter or "String"},
        "silent": not formatter,
        "stack": None,
        "stackStrategy": "all",
        "z": 3,
        **more,
    }


def _line(curve: DrawnCurve, axis: int, zone: ZoneInfo) -> dict[str, Any]:
    colour = COLOURS[curve.colour % len(COLOURS)]
    if not curve.earlier:
        return _series(curve.name, _data(curve, zone), axis, _said(curve.axis), colour=colour, step=_step(curve))
    dashed = {"color": colour, "width": 1.2, "type": [5, 4], "opacity": 0.75}
    name = f"{curve.name} · {curve.earlier}"
    return _series(
        name,
        _data(curve, zone),
        axis,
        _said(curve.axis),
        colour=colour,
        step=_step(curve),
        lineStyle=dashed,
        z=2,
    )


def _step(curve: DrawnCurve) -> str | bool:
    return "end" if curve.steps else False


def _data(curve: DrawnCurve, zone: ZoneInfo) -> list[Any]:
    """Return the places of a curve; one with a gap on either side, which no line would show, has a dot of its own."""
    values = [None, *(dot.value for dot in curve.dots), None]
    data: list[Any] = []
    for dot, before, after in zip(curve.dots, values, values[2:], strict=False):
        place = [_place(dot, curve, zone), dot.value]
        alone = dot.value is not None and before is None and after is None
        data.append({"value": place, "symbol": "circle", "symbolSize": 4} if alone else place)
    return data


def _band(curve: DrawnCurve, axis: int, zone: ZoneInfo) -> list[dict[str, Any]]:
    """Return what lies between the extremes as a filled band; two undrawn lines carry the true extremes for the reader."""

    def edge(name: str, heights: Sequence[float | None], formatter: str = "", **more: Any) -> dict[str, Any]:
        places = [[_place(dot, curve, zone), height] for dot, height in zip(curve.dots, heights, strict=True)]
        unseen = {"color": _BAND, "width": 0, "type": "solid", "opacity": 0}
        return _series(name, places, axis, formatter, colour=_BAND, lineStyle=unseen, z=1, **more)

    low, high = [dot.low for dot in curve.dots], [dot.high for dot in curve.dots]
    span = [None if below is None or above is None else above - below for below, above in zip(low, high, strict=True)]
    # ECharts fills between two lines only when they are stacked and the upper one holds the difference.
    return [
        edge("", low, stack="band"),
        edge("", span, stack="band", areaStyle={"color": _BAND, "opacity": 0.5}),
        edge(curve.extremes[0], low, _said(curve.axis)),
        edge(curve.extremes[1], high, _said(curve.axis)),
    ]


def _place(dot: Dot, curve: DrawnCurve, zone: ZoneInfo) -> float:
    return wall_clock_ms(dot.time, zone) + curve.later_by.total_seconds() * 1000
