"""Choosing points: by where they stand - site, line, machine - or by typing what they are called, in any of their names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from itertools import groupby
from uuid import UUID

from nicegui import events, ui

from cloud.web.elements import Words, box, icon
from cloud.web.plant import Equipment, Point
from cloud.web.point_search import PointSearch
from cloud.web.visit import Visit
from protocols.text import Text

MOST_FOUND = 60
FOLDED = 60
"""With more machines than this, a line's are drawn once somebody opens the line."""

_SEARCH = Text("Search: name, pinyin, machine", "搜索：名称、拼音、设备")
_NOT_FOUND = Text(
    "Nothing is called so. Try another word, or part of it.", "没有匹配的数据点，请换个词或只输入一部分。"
)

Toggle = Callable[[Point], Awaitable[None]]
"""Called with the point that was clicked."""


class PointPicker:
    """A tree of machines with their points, and a field that searches all of them; `mark` ticks those chosen."""

    def __init__(self, visit: Visit, plant: Mapping[UUID, Equipment], toggle: Toggle) -> None:
        self._visit = visit
        self._plant = plant
        self._toggle = toggle
        self._chosen: Collection[int] = ()
        self._rows: dict[int, list[ui.element]] = {}
        self._search = PointSearch(
            (point.id, (*point.name, equipment.known.label, point.series.name, point.code, *equipment.where))
            for equipment in plant.values()
            for point in equipment.points.values()
            if point.numeric
        )
        self._machines = {point: equipment for equipment in plant.values() for point in equipment.points}
        with box("search", "label"):
            icon("search")
            typed = box("", "input", type="search", placeholder=visit.say(_SEARCH), aria_label=visit.say(_SEARCH))
        typed.on("input", self._typed, js_handler="event => emit(event.target.value)")
        self._found = box("found")
        self._tree = box("picker-tree")
        with self._tree:
            self._grow()

    def mark(self, chosen: Collection[int]) -> None:
        """Show which points are chosen."""
        self._chosen = chosen
        for point, rows in self._rows.items():
            for row in rows:
                self._tick(row, point)

    def _tick(self, row: ui.element, point: int) -> None:
        on = point in self._chosen
        row.props["aria-pressed"] = str(on).lower()
        row.classes(remove="here", add="here" if on else "")

    def _grow(self) -> None:
        ordered = sorted(self._plant.values(), key=lambda each: (each.where, each.place))
        for (site, line), members in groupby(ordered, key=lambda each: each.where):
            name, machines = f"{site} › {line}" if line else site, list(members)
            if len(ordered) > FOLDED:
                with box("picker-machine", "details") as details:
                    Words(f"{name} ({len(machines)})", "picker-branch", tag="summary")
                    inside = box()
                details.on("toggle", partial(self._open_line, machines, inside), args=[])
            else:
                Words(name, "picker-branch", tag="div")
                for equipment in machines:
                    self._branch(equipment)

    def _open_line(self, machines: Collection[Equipment], inside: ui.element) -> None:
        if not inside.default_slot.children:
            with inside:
                for equipment in machines:
                    self._branch(equipment)

    def _branch(self, equipment: Equipment) -> None:
        with box("picker-machine", "details") as details:
            with box("", "summary"):
                icon(equipment.known.equipment_class)
                Words(equipment.known.label)
            inside = box()
        details.on("toggle", lambda _: self._unfold(equipment, inside), args=[])

    def _unfold(self, equipment: Equipment, inside: ui.element) -> None:
        if inside.default_slot.children:
            return
        with inside:
            for point in equipment.ranked():
                if point.numeric:
                    self._row(point)

    def _row(self, point: Point, machine: str = "") -> None:
        say = self._visit.say
        with box("pick", "button", type="button", title=say(point.definition)) as row:
            box("tick")
            with box("stack"):
                Words(say(point.name))
                if machine:
                    Words(machine, "muted small")
            if point.series.unit_symbol:
                Words(point.series.unit_symbol, "muted small")
        row.on("click", lambda _: self._toggle(point))
        self._rows.setdefault(point.id, []).append(row)
        self._tick(row, point.id)

    def _typed(self, event: events.GenericEventArguments) -> None:
        typed = str(event.args or "")[:100]
        self._tree.set_visibility(not typed.strip())
        for row in self._found.descendants():
            for rows in self._rows.values():
                if row in rows:
                    rows.remove(row)
        self._found.clear()
        found = self._search.find(typed, MOST_FOUND)
        with self._found:
            for point in found:
                machine = self._machines[point]
                self._row(machine.points[point], machine.known.label)
            if typed.strip() and not found:
                Words(self._visit.say(_NOT_FOUND), "muted small", tag="p")
