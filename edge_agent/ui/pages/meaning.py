"""Which entry of the dictionary a point is: confirm the proposal, take a near one, search for another, or none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edge_agent.ui.draft_device import needs_codes, unit_suits
from edge_agent.ui.drafts import DraftPoint, Machine
from edge_agent.ui.elements import Field, Words, box, button
from edge_agent.ui.live_values import LiveValues
from edge_agent.ui.visit import Visit
from edge_agent.ui.words import entry_name, unit_symbol
from protocols.dictionary.entries import Entry, equipment_classes, load_dictionary
from protocols.dictionary.units import load_units
from protocols.text import Text

MOST_SHOWN = 12

_WHAT = Text("What is it?", "这是什么？")
_PROPOSED = Text("Proposed: {name}", "建议条目：{name}")
_IS = Text("It is: {name}", "已确定：{name}")
_NO_ENTRY = Text("No entry yet: it is collected under its own name.", "尚无条目：按自身名称采集。")
_CONFIRM, _NONE = Text("Yes, confirm", "正确，确认"), Text("None of the entries", "没有合适的条目")
_NEAR = Text("Or is it:", "或者是：")
_SEARCH = Text("Search the dictionary", "搜索字典")
_SEARCH_HINT = Text("in English or Chinese, e.g. discharge pressure", "中文或英文，例如：排气压力")
_NOTHING = Text("No entry says that.", "没有匹配的条目。")
_MISFIT = Text("its unit is {unit}, this one is {other}", "该点单位为 {unit}，条目单位为 {other}")
_CODES = Text(
    "The machine sends numbers for its states. What does it show now, at {value}?",
    "设备用数字表示状态。当前值为 {value}，设备显示的是？",
)
_CODES_SAME = Text("The numbers are the dictionary's own", "数字与字典一致")
_CODES_KNOWN = Text("Known so far: {codes}", "已说明：{codes}")
_UNIT = Text("Unit the machine delivers", "设备使用的单位")


class Meaning:
    """The card; `changed` is told after every decision, `live` gives the value that a code is named for."""

    def __init__(
        self, visit: Visit, machine: Machine, point: DraftPoint, live: LiveValues, changed: Callable[[], None]
    ) -> None:
        self._visit, self._machine, self._point = visit, machine, point
        self._live, self._changed = live, changed
        with box("card stack"):
            Words(visit.say(_WHAT), tag="h2")
            self._place = box("stack")
            self._search = Field(visit.say(_SEARCH), hint=visit.say(_SEARCH_HINT), type="search")
            self._search.element.on("input", self._show_results, throttle=0.3)
            self._results = box("stack tight")
        self._draw()

    def refresh(self) -> None:
        """Ask anew what a state means once the machine shows another one."""
        if self._coded() and self._live.raw(self._point) != self._drawn_raw:
            self._draw()

    def _coded(self) -> bool:
        return self._point.code is not None and bool(load_dictionary()[self._point.code].values)

    def _draw(self) -> None:
        visit, point = self._visit, self._point
        self._drawn_raw = self._live.raw(point)
        self._place.clear()
        with self._place:
            if point.code is None:
                Words(visit.say(_NO_ENTRY), tag="p")
            else:
                name = entry_name(point.code, visit.language)
                Words(visit.say(_IS if point.confirmed else _PROPOSED, name=name), "entry", tag="div")
                Words(load_dictionary()[point.code].definition.to(visit.language), "muted small", tag="div")
            Words(visit.say(point.reason), "muted small", tag="div")
            if point.code is not None and not point.confirmed and not needs_codes(point, point.code):
                button(visit.say(_CONFIRM), lambda: self._choose(point.code), sign="good").mark("confirm")
            if point.code is not None and self._coded():
                self._draw_codes(point.code)
            if point.code is not None:
                self._draw_units(point.code)
            near = [code for code in point.nearest if code != point.code]
            if near:
                Words(visit.say(_NEAR), "muted small")
                for code in near:
                    self._choice(load_dictionary()[code])
            if point.code is not None:
                button(visit.say(_NONE), lambda: self._choose(None), "button quiet small")

    def _choice(self, entry: Entry) -> None:
        visit, point = self._visit, self._point
        fits = unit_suits(point, entry.code)
        with button(
            "", lambda: self._choose(entry.code) if fits else None, "choice" if fits else "choice unlikely"
        ) as choice:
            choice.clear()
            with box():
                Words(entry.name.to(visit.language), "what", tag="div")
                about = equipment_classes()[entry.equipment_class].to(visit.language)
                if not fits:
                    about = visit.say(_MISFIT, unit=unit_symbol(point.unit), other=unit_symbol(entry.unit) or "1")
                Words(about, "about", tag="div")
            Words(unit_symbol(entry.unit), "muted")

    def _draw_codes(self, code: str) -> None:
        visit, point = self._visit, self._point
        values = load_dictionary()[code].values
        known: dict[str, int] = point.fields.get("codes") or {}
        if known:
            listed = ", ".join(f"{raw} = {values[meaning].to(visit.language)}" for raw, meaning in known.items())
            Words(visit.say(_CODES_KNOWN, codes=listed), "small", tag="div")
        reading = self._live.raw(point)
        if reading is None:
            return
        Words(visit.say(_CODES, value=reading), tag="div")
        with box("line"):
            for meaning, name in values.items():
                button(name.to(visit.language), partial(self._name_code, reading, meaning), "chip")
            button(visit.say(_CODES_SAME), lambda: self._take_codes({str(value): value for value in values}), "chip")

    def _name_code(self, raw: int, meaning: int) -> None:
        self._take_codes((self._point.fields.get("codes") or {}) | {str(raw): meaning})

    def _take_codes(self, codes: dict[str, int]) -> None:
        self._point.fields["codes"] = codes
        self._choose(self._point.code)

    def _draw_units(self, code: str) -> None:
        entry = load_dictionary()[code]
        if entry.unit == "C62" or entry.values:
            return
        units = load_units()
        alike = [unit for unit in units.values() if unit.quantity == units[entry.unit].quantity]
        Words(self._visit.say(_UNIT), "muted small")
        with box("line"):
            for unit in alike[:8]:
                here = unit.code == (self._point.unit or entry.unit)
                chosen = button(unit.symbol, partial(self._take_unit, unit.code), "chip here" if here else "chip")
                chosen.props["aria-pressed"] = str(here).lower()

    def _take_unit(self, code: str) -> None:
        self._point.unit = code
        self._choose(self._point.code)

    def _show_results(self) -> None:
        self._results.clear()
        wanted = self._search.value
        if not wanted.strip():
            return
        with self._results:
            found = search_dictionary(wanted, self._machine.kind)
            for entry in found:
                self._choice(entry)
            if not found:
                Words(self._visit.say(_NOTHING), "muted")

    def _choose(self, code: str | None) -> None:
        point = self._point
        point.code = code
        point.confirmed = code is None or not needs_codes(point, code)
        point.confidence = 1.0 if code is not None and point.confirmed else 0.0
        if code is not None and point.unit is None and load_dictionary()[code].unit != "C62":
            point.unit = load_dictionary()[code].unit
        self._results.clear()
        self._changed()
        self._draw()


def search_dictionary(wanted: str, kind: str = "", most: int = MOST_SHOWN) -> list[Entry]:
    """Return the entries whose name, code or definition holds every word of `wanted`, in either language.

    Those whose name says it come first, then those of the machine's own kind.
    """
    words = wanted.casefold().split()
    ranked: list[tuple[int, Entry]] = []
    for entry in load_dictionary().values():
        name = f"{entry.name.en} {entry.name.zh} {entry.code.replace('_', ' ')}".casefold()
        text = f"{name} {entry.definition.en} {entry.definition.zh}".casefold()
        if all(word in name for word in words):
            ranked.append((0 if entry.equipment_class == kind else 1, entry))
        elif all(word in text for word in words):
            ranked.append((2, entry))
    return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])][:most]
