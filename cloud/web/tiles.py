"""One equipment on the overview: its state and the values that matter most, kept up to date in place.

A plant has many tiles, and each element of a page costs the server time and the browser bytes. So all of a tile but its age
is one piece of markup, sent anew when it is another.
"""

from __future__ import annotations

from datetime import datetime
from html import escape

from nicegui import ui

from cloud.web.elements import Words, box
from cloud.web.icons import svg
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
            self._main = ui.html("", sanitize=False).classes("tile-main")
            self._age = Words("", "tile-foot")
            self._age.props["data-open"] = visit.say(_OPEN)
        self._tone = ""
        self.refresh(equipment, now)

    def refresh(self, equipment: Equipment, now: datetime) -> None:
        """Show the equipment as it is now."""
        tone = equipment.mark.tone
        if tone != self._tone:
            self._tile.classes(remove=self._tone, add=tone)
            self._tone = tone
        markup = self._markup(equipment)
        if markup != self._main.content:
            self._main.set_content(markup)
        count = self._visit.say(_POINTS, count=len(equipment.points))
        last = equipment.last_value
        fresh = self._visit.say(age((now - last).total_seconds())) if last else ""
        self._age.show(f"{count} · {fresh}" if fresh else count)

    def _markup(self, equipment: Equipment) -> str:
        visit, mark = self._visit, equipment.mark
        points = equipment.ranked(self._count)
        lead = "".join(f'<div class="reading">{self._value(point, "div")}</div>' for point in points[:LARGE])
        rows = "".join(self._value(point, "dd") for point in points[LARGE:])
        rows = f'<dl class="rows">{rows}</dl>' if rows else ""
        return (
            f'<div><div class="tile-head"><div class="tile-name">{escape(equipment.known.label)}</div>'
            f'<span class="mark {mark.tone}"><span>{svg(mark.tone)}</span>'
            f"<span>{escape(visit.say(mark.text))}</span></span></div>"
            f'<div class="tile-class"><span>{svg(equipment.known.equipment_class)}</span>'
            f"<span>{escape(visit.say(equipment.class_name))}</span></div></div>"
            f'<div class="stack"><div class="lead">{lead}</div>{rows}</div>'
        )

    def _value(self, point: Point, tag: str) -> str:
        """Return one value with its name and unit; a doubtful one is coloured and says why when pointed at."""
        name, unit = escape(self._visit.say(point.name)), escape(point.series.unit_symbol)
        mark = quality_mark(point.quality)
        unit = f'<span class="unit">{unit}</span>' if unit else ""
        why = "" if point.quality.good else escape(self._visit.say(mark.text))
        flag = "" if point.quality.good else f'<span class="flag">{svg("warn")}</span>'
        label = "div" if tag == "div" else "dt"
        return (
            f'<{label} class="label" title="{name}">{name}</{label}>'
            f'<{tag} class="value is-{mark.tone}" title="{why}">{flag}'
            f"<span>{escape(point.shown(self._visit.language))}</span>{unit}</{tag}>"
        )
