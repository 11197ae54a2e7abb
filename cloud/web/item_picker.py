"""Chooses what shall be shown: entries of the dictionary and KPIs, each with how finely."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from cloud.core.errors import Invalid
from cloud.core.principal import Principal, Scope
from cloud.dictionary.service import entries
from cloud.production.service import KPIS
from cloud.sharing.service import KPI, Item, granularities, name_of
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.share_words import GRANULARITIES, what
from cloud.web.visit import Visit
from protocols.dictionary.entries import equipment_classes
from protocols.text import Text

PURPOSE = Text("What the data is for", "数据用途")
HISTORY, FOR_DAYS = Text("Days before the acceptance", "追溯天数"), Text("For how many days", "有效天数")
NOTHING_SHOWN = Text("Add at least one thing to be shown.", "请至少添加一个数据项。")

_ENTRY, _HOW = Text("What", "数据项"), Text("How finely", "粒度")
_KIND, _ANY = Text("Of which machines", "设备类别"), Text("all", "全部设备")
_LOW, _HIGH = Text("From", "下限"), Text("To", "上限")
_ADD, _REMOVE = Text("Add", "添加"), Text("Remove", "移除")
_NO_NUMBER = Text("'{text}' is no number.", "“{text}”不是数字。")


class ItemPicker:
    """A list of what is chosen, and fields to add to it."""

    def __init__(self, visit: Visit) -> None:
        self._visit, say = visit, visit.say
        self._items: list[Item] = []
        self._low: Field | None = None
        self._high: Field | None = None
        kpis = [KPI + code for code in KPIS]
        names = {entry: say(name_of(entry)) for entry in (*kpis, *(each.code for each in entries()))}
        with box("form-row"):
            self._entry = Choice(say(_ENTRY), names, kpis[0], self._show_granularities)
            kinds = {code: say(name) for code, name in equipment_classes().items()}
            self._kind = Choice(say(_KIND), {"": say(_ANY)} | kinds, "")
            self._fine = box("form-row contents")
        self._possible: Sequence[str] = ()
        self._fill(kpis[0])
        self._answer = box("stack")
        self._list = box("stack")
        with box("line"):
            button(say(_ADD), self._add, "button quiet")

    def chosen(self, *, needed: bool = True) -> list[dict[str, Any]]:
        """Return what is chosen; raises Invalid if that is nothing and something is needed."""
        if needed and not self._items:
            raise Invalid(NOTHING_SHOWN)
        return [item.model_dump() for item in self._items]

    async def _show_granularities(self, entry: str) -> None:
        self._fill(entry)

    def _fill(self, entry: str) -> None:
        say, possible = self._visit.say, granularities(entry)
        if possible == self._possible:
            return  # what is chosen there already stays
        self._possible = possible
        usual = "hour" if "hour" in possible else possible[0]
        self._fine.clear()
        with self._fine:
            self._how = Choice(say(_HOW), {each: say(GRANULARITIES[each]) for each in possible}, usual, self._limited)
            self._limits = box("form-row contents")
        self._low = self._high = None

    async def _limited(self, granularity: str) -> None:
        self._limits.clear()
        self._low = self._high = None
        if granularity == "pass_fail":
            with self._limits:
                self._low = Field(self._visit.say(_LOW), inputmode="decimal")
                self._high = Field(self._visit.say(_HIGH), inputmode="decimal")

    async def _add(self) -> None:
        async def act(_: Principal) -> None:
            item = Item.model_validate(
                {
                    "entry": self._entry.value,
                    "granularity": self._how.value,
                    "low": _limit(self._low),
                    "high": _limit(self._high),
                    "classes": [self._kind.value] if self._kind.value else [],
                }
            )
            self._items = [one for one in self._items if one.entry != item.entry] + [_joined(item, self._items)]
            self._show_items()

        await attempt(self._visit, self._answer, Scope.ADMIN, act)

    def _show_items(self) -> None:
        self._list.clear()
        with self._list:
            for item in self._items:
                with box("line spread lot"):
                    Words(what(item, self._visit.language))
                    button(self._visit.say(_REMOVE), self._without(item), "button quiet small")

    def _without(self, item: Item) -> Callable[[], Awaitable[None]]:
        async def remove() -> None:
            self._items.remove(item)
            self._show_items()

        return remove


def _joined(item: Item, there: Sequence[Item]) -> Item:
    """Return an item that is added to those that are `there`: of one more kind of machines, if it is there otherwise the same."""
    for one in there:
        if one.classes and item.classes and one.model_copy(update={"classes": item.classes}) == item:
            return item.model_copy(update={"classes": tuple(sorted({*one.classes, *item.classes}))})
    return item


def _limit(field: Field | None) -> float | None:
    if field is None or not field.value.strip():
        return None
    return figure_of(field.value)


def figure_of(text: str) -> float:
    """Return what stands in a field; raises Invalid for what is no number."""
    try:
        return float(text.strip())
    except ValueError as error:
        raise Invalid(Text(_NO_NUMBER.en.format(text=text[:40]), _NO_NUMBER.zh.format(text=text[:40]))) from error
