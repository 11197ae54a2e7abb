"""Choosing points: by where they stand - site, line, machine - or by typing what they are called, in any of their names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from uuid import UUID

from nicegui import events, ui

from cloud.core.keyset import Window
from cloud.fleet.schemas import Equipment as FleetEquipment
from cloud.fleet.schemas import Place, Where
from cloud.telemetry.service import PointIndex
from cloud.web.elements import Words, box, icon
from cloud.web.highlights import SUPPORTING
from cloud.web.plant import Equipment, Point, load_equipment, load_points
from cloud.web.visit import Visit
from protocols.text import Text

MOST_FOUND = 60
FOLDED = 60
"""With more machines than this, a line's are read once somebody opens the line."""
LISTED = Window(limit=300)
"""Machines shown of one line; the others are searched for."""

_SEARCH = Text("Search: name, pinyin, machine", "搜索：名称、拼音、设备")
_NOT_FOUND = Text(
    "Nothing is called so. Try another word, or part of it.", "没有匹配的数据点，请换个词或只输入一部分。"
)
_MORE = Text("and {count} more: search for them", "另有 {count} 台，请搜索")

Toggle = Callable[[Equipment, Point], Awaitable[None]]
"""Called with the point that was clicked, and its machine."""


class PointPicker:
    """A tree of machines with their points, and a field that searches all of them; `mark` ticks those chosen.

    A machine's points are read when it is unfolded; where there are many machines, a line's are when the line is.
    """

    def __init__(self, visit: Visit, places: Sequence[Place], toggle: Toggle) -> None:
        self._visit = visit
        self._toggle = toggle
        self._chosen: Collection[int] = ()
        self._rows: dict[int, list[ui.element]] = {}
        self._index: PointIndex | None = None
        self._typed = ""
        with box("search", "label"):
            icon("search")
            typed = box("", "input", type="search", placeholder=visit.say(_SEARCH), aria_label=visit.say(_SEARCH))
        typed.on(
            "input",
            self._search,
            js_handler="event => emit(event.target.value)",
            throttle=0.2,
            leading_events=False,
        )
        self._found = box("found")
        self._tree = box("picker-tree")
        with self._tree:
            self._folds = [(place, self._fold(place)) for place in places]

    async def grow(self) -> None:
        """Show the machines at once where they are few."""
        if sum(place.machines for place, _ in self._folds) <= FOLDED:
            for place, (fold, inside) in self._folds:
                fold.props["open"] = ""
                await self._open_line(place, inside)

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

    def _fold(self, place: Place) -> tuple[ui.element, ui.element]:
        name = f"{place.site} › {place.line}" if place.line else place.site
        with box("picker-machine", "details") as details:
            Words(f"{name} ({place.machines})", "picker-branch", tag="summary")
            inside = box()
        details.on("toggle", partial(self._open_line, place, inside), args=[])
        return details, inside

    async def _open_line(self, place: Place, inside: ui.element) -> None:
        if inside.default_slot.children:
            return
        where = Where(place.site_id, place.line_id, place.line_id is None)
        listed = await self._visit.domains.fleet.equipment_list(self._visit.scope, LISTED, where=where)
        if inside.default_slot.children or inside.is_deleted:
            return
        with inside:
            for known in sorted(listed, key=lambda one: (one.equipment_class in SUPPORTING, one.label)):
                self._branch(known)
            if len(listed) < place.machines:
                Words(self._visit.say(_MORE, count=place.machines - len(listed)), "muted small", tag="p")

    def _branch(self, known: FleetEquipment) -> None:
        with box("picker-machine", "details") as details:
            with box("", "summary"):
                icon(known.equipment_class)
                Words(known.label)
            inside = box()
        details.on("toggle", partial(self._unfold, known.id, inside), args=[])

    async def _unfold(self, machine: UUID, inside: ui.element) -> None:
        if inside.default_slot.children:
            return
        equipment = await load_equipment(self._visit, machine)
        if inside.default_slot.children or inside.is_deleted:  # unfolded twice meanwhile, or left
            return
        with inside:
            for point in equipment.ranked():
                if point.numeric:
                    self._row(equipment, point)

    def _row(self, equipment: Equipment, point: Point, machine: str = "") -> None:
        say = self._visit.say
        with box("pick", "button", type="button", title=say(point.definition)) as row:
            box("tick")
            with box("stack"):
                Words(say(point.name))
                if machine:
                    Words(machine, "muted small")
            if point.series.unit_symbol:
                Words(point.series.unit_symbol, "muted small")
        row.on("click", lambda _: self._toggle(equipment, point))
        self._rows.setdefault(point.id, []).append(row)
        self._tick(row, point.id)

    async def _search(self, event: events.GenericEventArguments) -> None:
        typed = self._typed = str(event.args or "").strip()
        self._tree.set_visibility(not typed)
        telemetry, scope = self._visit.domains.telemetry, self._visit.scope
        found = []
        if typed:
            self._index = self._index or await telemetry.catalogue.index(scope)
            series = await telemetry.catalogue.of(scope, self._index.find(typed, MOST_FOUND))
            found = [one for one in await load_points(self._visit, series) if one[1].numeric]
        if typed != self._typed or self._found.is_deleted:  # more was typed meanwhile, or the page was left
            return
        for row in self._found.descendants():
            for rows in self._rows.values():
                if row in rows:
                    rows.remove(row)
        self._found.clear()
        with self._found:
            for equipment, point in found:
                self._row(equipment, point, equipment.known.label)
            if typed and not found:
                Words(self._visit.say(_NOT_FOUND), "muted small", tag="p")
