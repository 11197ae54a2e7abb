"""Chooses a node of the plant and a period, by plain links and one form: what is shown is what the address says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html import escape
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from nicegui import ui

from cloud.production.schemas import Granularity, Node
from cloud.web.elements import Words, box, chooser, option_markup
from cloud.web.search_select import machines_found, search_select
from cloud.web.visit import Visit
from protocols.text import Text

_NODE, _DAY = Text("Where", "范围"), Text("Day", "日期")
_SEARCH = Text("Search a machine", "搜索设备")
_SITE, _LINE, _MACHINE = Text("Site", "工厂"), Text("Line", "产线"), Text("Machine", "设备")

MOST_LISTED = 300
"""With more machines than this, they are searched for instead of listed."""


class Choice(NamedTuple):
    """A node one may choose, and the way down to it."""

    node: Node
    name: str
    zone: str


@dataclass(frozen=True)
class Chosen:
    """What the address says, or what is shown where it says nothing."""

    node: Node
    name: str
    first: date
    last: date
    period: str
    choices: Sequence[Choice]
    today: date
    many: bool

    def query(self, **other: str) -> str:
        """Return the query of this choice, with `other` in its place."""
        return urlencode({"node": self.node.kind, "node_id": str(self.node.id), "period": self.period} | other)

    @property
    def days(self) -> int:
        """How many days are shown."""
        return (self.last - self.first).days + 1

    @property
    def granularity(self) -> Granularity:
        """In which steps a curve is drawn."""
        return "shift" if self.days <= 3 else "day" if self.days <= 45 else "week"


class Period(NamedTuple):
    """A period that ends today or before."""

    name: Text
    days: int
    ended: int = 0


PERIODS = {
    "today": Period(Text("Today", "今天"), 1),
    "yesterday": Period(Text("Yesterday", "昨天"), 1, 1),
    "7": Period(Text("7 days", "近7天"), 7),
    "30": Period(Text("30 days", "近30天"), 30),
    "90": Period(Text("90 days", "近90天"), 90),
}


async def choose(visit: Visit, period: str = "7") -> Chosen | None:
    """Return the node and days the address names, else the first site; None if the reader sees no site."""
    query = visit.request.query_params
    wanted = query.get("node_id", "")
    choices, many = await _choices(visit, _id(wanted))
    if not choices:
        return None
    found = next((one for one in choices if str(one.node.id) == wanted), choices[0])
    today = datetime.now(UTC).astimezone(visit.zone).date()
    key = query.get("period", period)
    chosen = PERIODS.get(key)
    if chosen is not None:
        last = today - timedelta(days=chosen.ended)
        return Chosen(found.node, found.name, last - timedelta(days=chosen.days - 1), last, key, choices, today, many)
    try:
        day = date.fromisoformat(key)
    except ValueError:
        day = today
    day = min(max(day, date(1970, 1, 3)), today)
    return Chosen(found.node, found.name, day, day, day.isoformat(), choices, today, many)


async def _choices(visit: Visit, wanted: UUID | None) -> tuple[list[Choice], bool]:
    """Return what may be chosen, and whether there are other machines: of many only `wanted`, the others are searched for."""
    found: list[Choice] = []
    fleet = visit.domains.fleet
    places = await fleet.places(visit.scope)
    many = sum(place.machines for place in places) > MOST_LISTED
    only = None if not many else [wanted] if wanted else []
    machines = [one for one in await fleet.equipment_list(visit.scope, only=only) if one.state != "removed"]
    for site in await visit.domains.identity.sites(visit.scope):
        found.append(Choice(Node(kind="site", id=site.id), site.name, site.time_zone))
        found += [
            Choice(Node(kind="line", id=one.line_id), f"{one.site} / {one.line}", site.time_zone)
            for one in places
            if one.site_id == site.id and one.line_id
        ]
        found += [
            Choice(Node(kind="equipment", id=one.id), one.label, site.time_zone)
            for one in machines
            if one.site_id == site.id
        ]
    return found, many


def show_choice(
    visit: Visit, chosen: Chosen, path: str, periods: Sequence[str], kept: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Add the chooser of a page at `path`; `kept` stays in its address whatever is chosen."""
    with box("line chooser"):
        with box("line", "form", method="get", action=path):
            groups = ""
            for kind, name in (("site", _SITE), ("line", _LINE), ("equipment", _MACHINE)):
                members = {str(one.node.id): one.name for one in chosen.choices if one.node.kind == kind}
                if members:
                    listed = option_markup(members, str(chosen.node.id))
                    groups += f'<optgroup label="{escape(visit.say(name))}">{listed}</optgroup>'
            chooser(groups, "where", name="node_id", aria_label=visit.say(_NODE), onchange="this.form.submit()")
            _keep({"period": chosen.period, **kept})
        if chosen.many:
            _show_search(visit, chosen, path, kept)
        if periods:
            with box("", "form", method="get", action=path):
                _keep({"node_id": str(chosen.node.id), **kept})
                box(
                    "where", "input", type="date", name="period", value=chosen.last.isoformat(),
                    max=chosen.today.isoformat(), aria_label=visit.say(_DAY), onchange="this.form.submit()",
                )  # fmt: skip
        with box("choices" if periods else "", "nav"):
            for key in periods:
                with box(
                    "here" if key == chosen.period else "", "a", href=f"{path}?{chosen.query(period=key, **kept)}"
                ):
                    Words(visit.say(PERIODS[key].name))


def _keep(fields: Mapping[str, str]) -> None:
    for name, value in fields.items():
        box("", "input", type="hidden", name=name, value=value)


def _show_search(visit: Visit, chosen: Chosen, path: str, kept: Mapping[str, str]) -> None:
    async def find(typed: str) -> Mapping[str, str]:
        return await machines_found(visit, typed)

    field = search_select(visit, visit.say(_SEARCH), {}, None, find)
    field.props("borderless dense").classes("where").mark("machine-search")

    def go() -> None:
        if field.value:
            ui.navigate.to(f"{path}?{chosen.query(node='equipment', node_id=str(field.value), **kept)}")

    field.on_value_change(go)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
