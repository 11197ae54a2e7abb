"""What an alarm rule watches: a point, or all points of a meaning, of a class of machines, at a place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from nicegui import ui

from cloud.alarms.schemas import Rule
from cloud.core.keyset import Window
from cloud.fleet.schemas import Equipment, Place
from cloud.telemetry.schemas import Point
from cloud.web.elements import box
from cloud.web.search_select import MOST_POINTS, machines_found, search_select
from cloud.web.visit import Visit
from cloud.web.words import NO, YES
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.text import Text

_MACHINE, _POINT = Text("Machine", "设备"), Text("One point", "单个数据点")
_ENTRY = Text("or all points of this meaning", "或某一含义的全部数据点")
_CLASS, _WHERE = Text("of this class", "设备类型"), Text("at this place", "所在位置")


class Offered(NamedTuple):
    """What may be watched.

    Attributes:
        points: all of the company, or of the machine of `picked` where they are too many.
        meanings: one point of each meaning.
        machines: all those of `points`, and the one a rule is about.
    """

    points: Sequence[Point]
    many: bool
    picked: Point | None
    meanings: Sequence[Point]
    places: Sequence[Place]
    machines: Sequence[Equipment]


async def offered(visit: Visit, rule: Rule | None) -> Offered:
    """Read what a rule may watch; of a large plant only what the form shows at first."""
    telemetry, fleet, scope = visit.domains.telemetry, visit.domains.fleet, visit.scope
    asked = visit.request.query_params.get("series_id", "")
    series = rule.selection.series_id if rule else int(asked) if asked.isdecimal() and len(asked) < 10 else None
    picked = next(iter(await telemetry.catalogue.of(scope, [] if series is None else [series])), None)
    points = await telemetry.points(scope, window=Window(limit=MOST_POINTS + 1))
    if many := len(points) > MOST_POINTS:
        points = await telemetry.points(scope, picked.equipment_id) if picked else []
    shown = {one.equipment_id for one in points}
    if rule and rule.selection.equipment_id:
        shown.add(rule.selection.equipment_id)
    return Offered(
        points,
        many,
        picked,
        await telemetry.catalogue.each_meaning(scope),
        await fleet.places(scope),
        await fleet.equipment_list(scope, only=shown),
    )


class RuleTarget:
    """The fields that say what is watched; `shown` tells whether those of values are."""

    def __init__(self, visit: Visit, rule: Rule | None, given: Offered) -> None:
        self._visit = visit
        self._rule = rule
        self._given = given
        self._machines = {one.id: one for one in given.machines}
        self._points: dict[int, Point] = {}
        self._meanings = {point.property: point for point in given.meanings}
        self._keep(given.points)
        with box("rule-fields") as self.by_value:
            if given.many:
                self._place_machine()
            self.series = self._select("series_id", _POINT, {}, None)
            self._offer_points()
            self.meaning = self._select("property", _ENTRY, self._entries(), rule.selection.property if rule else None)
        with box("rule-fields"):
            of_class = rule.selection.equipment_class if rule else None
            self.equipment_class = self._select("equipment_class", _CLASS, self._classes(of_class), of_class)
            self.place = self._place_where()

    @property
    def point(self) -> Point | None:
        """The point chosen, or one of the meaning that is."""
        one = self._points.get(self.series.value)
        return one or self._meanings.get(self.meaning.value)

    @property
    def states(self) -> dict[int, str]:
        """Names of the coded values of what is chosen."""
        return {} if self.point is None else self._states(self.point)

    @property
    def picked_has_states(self) -> bool:
        """Whether the point the page was asked for has coded values."""
        return self._given.picked is not None and bool(self._states(self._given.picked))

    @property
    def name(self) -> str:
        """What is chosen, in words."""
        point = self._points.get(self.series.value)
        if point is not None:
            return self._place_of(point)
        of_meaning = self._meanings.get(self.meaning.value)
        return self._name_of(of_meaning) if of_meaning else ""

    def selection(self, *, on_values: bool, of_machines: bool) -> dict[str, Any]:
        """Return the selection of a rule on values of points, or on machines, or on neither."""
        series = self.series.value if on_values else None
        place = str(self.place.value or "")
        kind, _, identity = place.partition(":")
        return {
            "series_id": series,
            "property": self.meaning.value if on_values and series is None else None,
            "equipment_class": self.equipment_class.value or None if series is None and of_machines else None,
            **({kind: identity} if place and series is None else {}),
        }

    def _keep(self, points: Sequence[Point]) -> None:
        self._points = {point.series_id: point for point in points if point.data_type != "STRING"}

    def _place_machine(self) -> None:
        visit, picked = self._visit, self._given.picked
        known = {str(one.id): one.path for one in self._given.machines if picked and one.id == picked.equipment_id}

        async def find(typed: str) -> Mapping[str, str]:
            return await machines_found(visit, typed)

        machine = search_select(visit, visit.say(_MACHINE), known, next(iter(known), None), find)
        machine.props("outlined").classes("field-in").mark("rule-machine")

        async def chosen() -> None:
            found = await visit.domains.fleet.equipment_list(
                visit.scope, only=[UUID(machine.value)] if machine.value else []
            )
            self._machines |= {one.id: one for one in found}
            self._keep(await visit.domains.telemetry.points(visit.scope, [one.id for one in found]))
            self.series.set_options({one: self._place_of(point) for one, point in self._points.items()}, value=None)

        machine.on_value_change(chosen)

    def _offer_points(self) -> None:
        picked = self._given.picked
        options = {series: self._place_of(point) for series, point in self._points.items()}
        self.series.set_options(options, value=picked.series_id if picked and picked.series_id in options else None)

    def _place_where(self) -> ui.select:
        visit, rule = self._visit, self._rule
        sites = {f"site_id:{one.site_id}": one.site for one in self._given.places}
        lines = {f"line_id:{one.line_id}": f"{one.site} / {one.line}" for one in self._given.places if one.line_id}
        places = sites | lines
        value = _place_value(rule)

        async def find(typed: str) -> Mapping[str, str]:
            near = {key: name for key, name in places.items() if typed.casefold() in name.casefold()}
            machines = await machines_found(visit, typed)
            return near | {f"equipment_id:{one}": path for one, path in machines.items()}

        machines = {f"equipment_id:{one.id}": one.path for one in self._machines.values()}
        if self._given.many:
            machines = {key: name for key, name in machines.items() if key == value}
        ordered = dict(sorted((places | machines).items(), key=lambda item: item[1]))
        field = search_select(visit, visit.say(_WHERE), ordered, value if value in ordered else None, find)
        return field.props("outlined").classes("field-in").mark("rule-place")

    def _classes(self, wanted: str | None) -> dict[str, str]:
        present = {code for place in self._given.places for code in place.classes}
        known = {code: self._visit.say(text) for code, text in equipment_classes().items() if code in present}
        return known | ({wanted: wanted} if wanted and wanted not in known else {})

    def _entries(self) -> dict[str, str]:
        usable = {code: point for code, point in self._meanings.items() if point.data_type != "STRING"}
        found = {code: self._name_of(point) for code, point in usable.items()}
        wanted = self._rule.selection.property if self._rule else None
        if wanted and wanted not in found:  # no machine has it yet
            entry = load_dictionary().get(wanted)
            found[wanted] = self._visit.say(entry.name) if entry else wanted
        return found

    def _states(self, point: Point) -> dict[int, str]:
        if point.data_type == "BOOLEAN":
            return {1: self._visit.say(YES), 0: self._visit.say(NO)}
        return {value: names[self._visit.language] for value, names in point.values.items()}

    def _name_of(self, point: Point) -> str:
        unit = f" ({point.unit_symbol})" if point.unit_symbol else ""
        return (point.name_zh if self._visit.language == "zh" else point.name_en) + unit

    def _place_of(self, point: Point) -> str:
        equipment = self._machines.get(point.equipment_id)
        return f"{equipment.label if equipment else ''} · {self._name_of(point)}"

    def _select(self, name: str, label: Text, options: Mapping[Any, str], value: Any) -> ui.select:
        field = ui.select(dict(options), value=value, label=self._visit.say(label), with_input=True, clearable=True)
        return field.props("outlined").classes("field-in").mark(f"rule-{name}")


def _place_value(rule: Rule | None) -> str | None:
    if rule is None:
        return None
    for name in ("equipment_id", "line_id", "site_id"):
        if value := getattr(rule.selection, name):
            return f"{name}:{value}"
    return None
