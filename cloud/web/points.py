"""The table of an equipment's points: name, value, unit, quality in words with its cause, age."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from cloud.web.elements import MarkView, Words, box
from cloud.web.language import NOTHING, age
from cloud.web.plant import Point
from cloud.web.visit import Visit
from cloud.web.words import quality_mark
from protocols.text import Text

_POINT, _VALUE, _UNIT = Text("Point", "数据点"), Text("Value", "数值"), Text("Unit", "单位")
_QUALITY, _AGE = Text("Quality", "质量"), Text("Updated", "更新")
_UNMAPPED = Text("not mapped to the dictionary", "未映射到数据字典")

Choose = Callable[[Point], Awaitable[None]]
"""Called with the point whose row was clicked."""


class PointTable:
    """A row per point. Rows, once there, only have their words changed; a click chooses the point."""

    def __init__(self, visit: Visit, choose: Choose) -> None:
        self._visit = visit
        self._choose = choose
        self._rows: dict[int, _Row] = {}
        with box("points", "table"):
            with box("", "thead"), box("", "tr"):
                for name in (_POINT, _VALUE, _UNIT, _QUALITY, _AGE):
                    Words(visit.say(name), "value" if name == _VALUE else "", tag="th")
            self._body = box("", "tbody")

    def refresh(self, points: Sequence[Point], chosen: int | None, now: datetime) -> None:
        """Show `points` in their order; `chosen` is the series the chart shows."""
        if [point.id for point in points] != list(self._rows):
            self._body.clear()
            with self._body:
                self._rows = {point.id: _Row(self._visit, point, self._choose) for point in points}
        for point in points:
            self._rows[point.id].refresh(point, now)
        self.mark(chosen)

    def mark(self, chosen: int | None) -> None:
        """Mark the row of the series `chosen`."""
        for series, row in self._rows.items():
            row.ground.classes(remove="here", add="here" if series == chosen else "")


class _Row:
    def __init__(self, visit: Visit, point: Point, choose: Choose) -> None:
        self._visit = visit
        self._point = point
        with box("", "tr", tabindex="0") as self.ground:
            with box("name", "td"):
                Words(visit.say(point.name), tag="div").props["title"] = visit.say(point.definition)
                Words(point.series.name if point.code else visit.say(_UNMAPPED), "own-name", tag="div")
            self._value = Words("", "value", tag="td")
            Words(point.series.unit_symbol, "unit", tag="td")
            with box("quality", "td"):
                self._quality = MarkView(quality_mark(point.quality), visit.language, plain=True)
            self._age = Words("", "age muted num nowrap", tag="td")
        for event in ("click", "keydown.enter"):
            self.ground.on(event, lambda _: choose(self._point))

    def refresh(self, point: Point, now: datetime) -> None:
        self._point = point
        shown = point.shown(self._visit.language)
        if isinstance(point.value, str):
            self._value.props["title"] = shown  # a text may be longer than its cell
        self._value.show(shown)
        self._quality.show(quality_mark(point.quality))
        since = age((now - point.latest.time).total_seconds()) if point.latest else None
        self._age.show(self._visit.say(since) if since else NOTHING)
