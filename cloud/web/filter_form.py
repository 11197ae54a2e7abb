"""Narrowing a list: a form whose fields are the page's address, so that what is seen can be sent and Back works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from cloud.fleet.schemas import Equipment, Place
from cloud.web.elements import Words, box, chooser, option_markup
from cloud.web.visit import Visit
from protocols.text import Text

MOST_ASKED = 200
"""Characters that are taken of one field."""
BEFORE = "before"
"""The field of the address that says which page."""

_ALL, _SHOW, _CLEAR = Text("all", "全部"), Text("Show", "查询"), Text("Show all", "清除全部条件")
_FROM, _TO = Text("From", "开始日期"), Text("To", "结束日期")
_NEWEST, _OLDER = Text("Newest", "最新"), Text("Older", "更早")
_NOT_FOUND = Text("Nothing here is like that. Take away a condition:", "没有符合条件的记录，请去掉某个条件：")
_PLACE = Text("Where", "范围")
_CONDITION = Text("{name}: {value}", "{name}：{value}")
_NO_LONGER = Text("one that is not here", "已不存在")

T = TypeVar("T", bound=str)


class Field(NamedTuple):
    """A field of the form: a choice of `names` by value, or what is typed into an input of `kind`; "hidden" is chosen elsewhere."""

    name: str
    label: Text
    kind: str = "text"
    names: Mapping[Any, str] | None = None


def place_field(places: Sequence[Place], machines: Sequence[Equipment] = ()) -> Field:
    """Return the field `place`: sites, their lines and machines, as `site:id`, `line:id`, `equipment:id`."""
    where = {}
    for one in places:
        where[f"site:{one.site_id}"] = one.site
        if one.line_id:
            where[f"line:{one.line_id}"] = f"{one.site} / {one.line}"
    for machine in machines:
        where[f"equipment:{machine.id}"] = " / ".join(filter(None, (machine.site, machine.line, machine.label)))
    return Field("place", _PLACE, names=dict(sorted(where.items(), key=lambda item: item[1])))


FROM, TO = Field("from", _FROM, "date"), Field("to", _TO, "date")


class Filters(NamedTuple):
    """What a list at `path` may be narrowed by; `fixed` is what else its address says, `anchor` where the list is on it.

    filters = Filters(visit, "/things", (Field("state", _STATE, names=states), FROM, TO))
    wanted = Filter(state=filters.one_of("state", STATES), start=filters.day("from"), end=filters.day("to", later=1))
    """

    visit: Visit
    path: str
    fields: Sequence[Field]
    fixed: Mapping[str, str] = MappingProxyType({})
    anchor: str = ""

    @property
    def asked(self) -> dict[str, str]:
        """What the address asks for, without what is empty."""
        query = self.visit.request.query_params
        return {one.name: value for one in self.fields if (value := _typed(query.get(one.name, "")))}

    @property
    def before(self) -> str | None:
        """Which page is asked for; None is the first."""
        return self.visit.request.query_params.get(BEFORE) or None

    def text(self, name: str) -> str:
        """Return what is typed into a field, "" where nothing is."""
        return self.asked.get(name, "")

    def one_of(self, name: str, known: Sequence[T]) -> T | None:
        """Return which of `known` a field says; None for all, and for what is none of them."""
        return next((one for one in known if one == self.asked.get(name)), None)

    def identity(self, name: str, kind: str = "") -> UUID | None:
        """Return the id a field says, of a `kind` where it says `kind:id`; None for all and for what is no id."""
        said, _, identity = self.asked.get(name, "").rpartition(":")
        try:
            return UUID(identity) if said == kind else None
        except ValueError:
            return None

    def day(self, name: str, later: int = 0) -> datetime | None:
        """Return the begin of a field's day, or of one some days `later`, on the site's clock; None where it says none."""
        try:
            day = date.fromisoformat(self.asked.get(name, "")) + timedelta(days=later)
            return datetime.combine(day, time(), self.visit.zone)
        except (ValueError, OverflowError):
            return None

    def show(self) -> None:
        """Add the form."""
        visit, asked = self.visit, self.asked
        with box("filters", "form", method="get", action=f"{self.path}{self._at}"):
            for name, value in self.fixed.items():
                box("", "input", type="hidden", name=name, value=value)
            for one in self.fields:
                if one.kind == "hidden":
                    if one.name in asked:
                        box("", "input", type="hidden", name=one.name, value=asked[one.name])
                    continue
                with box("field", "label"):
                    Words(visit.say(one.label))
                    if one.names is None:
                        value = asked.get(one.name, "")
                        box("", "input", type=one.kind, name=one.name, value=value, maxlength=str(MOST_ASKED))
                    else:
                        names = {"": visit.say(_ALL)} | dict(one.names)
                        chooser(option_markup(names, asked.get(one.name, "")), name=one.name)
            with box("button", "button", type="submit"):
                Words(visit.say(_SHOW))

    def show_none(self, nothing_yet: Text) -> None:
        """Say that the list is empty: with conditions which to take away, else `nothing_yet`."""
        visit, asked = self.visit, self.asked
        if not asked:
            Words(visit.say(nothing_yet), "muted", tag="p")
            return
        with box("stack"):
            Words(visit.say(_NOT_FOUND), "muted", tag="p")
            with box("line", "nav"):
                for one in self.fields:
                    if one.name in asked:
                        rest = {name: value for name, value in asked.items() if name != one.name}
                        with box("button quiet small", "a", href=self.address(rest)):
                            value = asked[one.name]
                            shown = value if one.names is None else one.names.get(value, visit.say(_NO_LONGER))
                            Words(f"× {visit.say(_CONDITION, name=visit.say(one.label), value=shown)}")
                if len(asked) > 1:
                    with box("button quiet small", "a", href=self.address({})):
                        Words(visit.say(_CLEAR))

    def show_turns(self, following: object) -> None:
        """Add the ways to the newest page and to the `following` one, where there are any."""
        with box("line"):
            if self.before:
                self._turn(_NEWEST, self.asked)
            if following is not None:
                self._turn(_OLDER, {**self.asked, BEFORE: str(following)})

    def address(self, asked: Mapping[str, str]) -> str:
        """Return the page's address that asks for something."""
        query = urlencode({**self.fixed, **asked})
        return f"{self.path}{'?' if query else ''}{query}{self._at}"

    @property
    def _at(self) -> str:
        return f"#{self.anchor}" if self.anchor else ""

    def _turn(self, name: Text, asked: Mapping[str, str]) -> None:
        with box("button quiet", "a", href=self.address(asked)):
            Words(self.visit.say(name))


def _typed(text: str) -> str:
    return "".join(each for each in text[:MOST_ASKED] if each.isprintable()).strip()
