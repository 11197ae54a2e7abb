"""Chooses a node of the plant and a period, by plain links and one form: what is shown is what the address says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html import escape
from typing import NamedTuple
from urllib.parse import urlencode

from cloud.production.schemas import Granularity, Node
from cloud.web.elements import Words, box, chooser, option_markup
from cloud.web.visit import Visit
from protocols.text import Text

_NODE, _DAY = Text("Where", "范围"), Text("Day", "日期")
_SITE, _LINE, _MACHINE = Text("Site", "工厂"), Text("Line", "产线"), Text("Machine", "设备")


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
    choices = await _choices(visit)
    if not choices:
        return None
    query = visit.request.query_params
    wanted = query.get("node_id", "")
    found = next((one for one in choices if str(one.node.id) == wanted), choices[0])
    today = datetime.now(UTC).astimezone(visit.zone).date()
    key = query.get("period", period)
    chosen = PERIODS.get(key)
    if chosen is not None:
        last = today - timedelta(days=chosen.ended)
        return Chosen(found.node, found.name, last - timedelta(days=chosen.days - 1), last, key, choices, today)
    try:
        day = date.fromisoformat(key)
    except ValueError:
        day = today
    day = min(max(day, date(1970, 1, 3)), today)
    return Chosen(found.node, found.name, day, day, day.isoformat(), choices, today)


async def _choices(visit: Visit) -> list[Choice]:
    found: list[Choice] = []
    sites = await visit.domains.identity.sites(visit.scope)
    machines = [one for one in await visit.domains.fleet.equipment_list(visit.scope) if one.state != "removed"]
    for site in sites:
        found.append(Choice(Node(kind="site", id=site.id), site.name, site.time_zone))
        here = [one for one in machines if one.site_id == site.id]
        lines = {one.line_id: f"{site.name} / {one.line}" for one in here if one.line_id}
        found += [Choice(Node(kind="line", id=line), name, site.time_zone) for line, name in lines.items()]
        found += [Choice(Node(kind="equipment", id=one.id), one.label, site.time_zone) for one in here]
    return found


def show_choice(visit: Visit, chosen: Chosen, path: str, periods: Sequence[str]) -> None:
    """Add the chooser of a page at `path`."""
    with box("line chooser"):
        with box("line", "form", method="get", action=path):
            groups = ""
            for kind, name in (("site", _SITE), ("line", _LINE), ("equipment", _MACHINE)):
                members = {str(one.node.id): one.name for one in chosen.choices if one.node.kind == kind}
                if members:
                    listed = option_markup(members, str(chosen.node.id))
                    groups += f'<optgroup label="{escape(visit.say(name))}">{listed}</optgroup>'
            chooser(groups, "where", name="node_id", aria_label=visit.say(_NODE), onchange="this.form.submit()")
            box("", "input", type="hidden", name="period", value=chosen.period)
        if periods:
            with box("", "form", method="get", action=path):
                box("", "input", type="hidden", name="node_id", value=str(chosen.node.id))
                box(
                    "where", "input", type="date", name="period", value=chosen.last.isoformat(),
                    max=chosen.today.isoformat(), aria_label=visit.say(_DAY), onchange="this.form.submit()",
                )  # fmt: skip
        with box("choices" if periods else "", "nav"):
            for key in periods:
                with box("here" if key == chosen.period else "", "a", href=f"{path}?{chosen.query(period=key)}"):
                    Words(visit.say(PERIODS[key].name))
