"""One equipment on the overview: its state and the values that matter most, kept up to date in place."""

from __future__ import annotations

from datetime import datetime

from nicegui import ui

from cloud.web.elements import MarkView, Words, box, icon
from cloud.web.language import age
from cloud.web.plant import Equipment, Point
from cloud.web.visit import Visit
from cloud.web.words import quality_mark
from protocols.text import Text

LARGE, SMALL = 2, 3
"""How many values a tile shows large, and how many below in rows."""

_POINTS = Text("{count} points", "{count} 个数据点")
_OPEN = Text("Details", "详情")


class Tile:
    """A link to the equipment's page. `refresh` brings it up to date; only what changed is sent to the browser."""

    def __init__(self, visit: Visit, equipment: Equipment, now: datetime, *, small: bool = False) -> None:
        self._visit = visit
        self._count = LARGE if small else LARGE + SMALL
        with box("tile card", "a", href=f"/equipment/{equipment.known.id}") as self._tile:
            with box():
                with box("tile-head"):
                    Words(equipment.known.label, "tile-name", tag="div")
                    self._mark = MarkView(equipment.mark, visit.language)
                with box("tile-class"):
                    icon(equipment.known.equipment_class)
                    Words(visit.say(equipment.class_name))
            self._body = box("stack")
            with box("tile-foot"):
                self._age = Words("")
                with box("link"):
                    Words(visit.say(_OPEN))
        self._tone = ""
        self._values: dict[int, _Value] = {}
        self.refresh(equipment, now)

    def refresh(self, equipment: Equipment, now: datetime) -> None:
        """Show the equipment as it is now."""
        mark = equipment.mark
        self._mark.show(mark)
        if mark.tone != self._tone:
            self._tile.classes(remove=self._tone, add=mark.tone)
            self._tone = mark.tone
        points = equipment.ranked(self._count)
        if [point.id for point in points] != list(self._values):
            self._build(points)
        for point in points:
            self._values[point.id].refresh(point)
        count = self._visit.say(_POINTS, count=len(equipment.points))
        last = equipment.last_value
        fresh = self._visit.say(age((now - last).total_seconds())) if last else ""
        self._age.show(f"{count} · {fresh}" if fresh else count)

    def _build(self, points: list[Point]) -> None:
        self._body.clear()
        self._values = {}
        with self._body:
            with box("lead"):
                for point in points[:LARGE]:
                    with box("reading"):
                        self._values[point.id] = _Value(self._visit, point, large=True)
            if points[LARGE:]:
                with box("rows", "dl"):
                    for point in points[LARGE:]:
                        self._values[point.id] = _Value(self._visit, point, large=False)


class _Value:
    """One value with its name and unit; a doubtful one is coloured and says why when pointed at."""

    def __init__(self, visit: Visit, point: Point, *, large: bool) -> None:
        self._visit = visit
        name, unit = visit.say(point.name), point.series.unit_symbol
        Words(name, "label", tag="div" if large else "dt").props["title"] = name
        self._ground: ui.element
        with box("value", "div" if large else "dd") as self._ground:
            icon("warn").classes("flag")
            self._value = Words("")
            if unit:
                Words(unit, "unit")
        self._tone = ""

    def refresh(self, point: Point) -> None:
        self._value.show(point.shown(self._visit.language))
        mark = quality_mark(point.quality)
        tone = f"is-{mark.tone}"
        if tone != self._tone:
            self._ground.classes(remove=self._tone, add=tone)
            self._ground.props["title"] = "" if point.quality.good else self._visit.say(mark.text)
            self._tone = tone
