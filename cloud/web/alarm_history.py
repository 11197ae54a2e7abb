"""The alarms that are over, page by page, narrowed by time, place, priority and words; the address is what is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode
from uuid import UUID

from cloud.alarms.schemas import PRIORITIES
from cloud.alarms.service import Filter
from cloud.core.errors import Invalid
from cloud.fleet.schemas import Place
from cloud.web import alarm_words
from cloud.web.alarm_list import AlarmList
from cloud.web.elements import Words, box, chooser, option_markup
from cloud.web.visit import Visit
from protocols.text import Text

PAGE_SIZE = 50
FIELDS = ("from", "to", "place", "priority", "text")

_NO_HISTORY = Text("No alarm is over yet.", "暂无已结束的报警。")
_NOT_FOUND = Text("No alarm is like that.", "没有符合条件的报警。")
_NEWEST, _OLDER = Text("Newest", "最新"), Text("Older", "更早")
_FROM, _TO = Text("From", "开始日期"), Text("To", "结束日期")
_PLACE, _ALL = Text("Where", "范围"), Text("all", "全部")
_PRIORITY, _TEXT = Text("Priority", "优先级"), Text("Place or message", "位置或报警内容")
_SHOW = Text("Show", "查询")


async def show_history(visit: Visit) -> None:
    """Show the form and a page."""
    asked = {name: value for name in (*FIELDS, "before") if (value := visit.request.query_params.get(name))}
    before = asked.pop("before", None)
    wanted = _filter(visit, asked)
    alarms = visit.domains.alarms
    try:
        page = await alarms.page(visit.scope, wanted, limit=PAGE_SIZE, before=before)
    except Invalid:
        before, page = None, await alarms.page(visit.scope, wanted, limit=PAGE_SIZE)
    with box("card stack"):
        _show_form(visit, asked, await visit.domains.fleet.places(visit.scope))

    async def nothing() -> None:
        return

    def none() -> None:
        Words(visit.say(_NOT_FOUND if asked else _NO_HISTORY), "muted", tag="p")

    AlarmList(visit, nothing).show(page.items, none)
    with box("line"):
        if before:
            _turn(visit, _NEWEST, asked)
        if page.next:
            _turn(visit, _OLDER, {**asked, "before": page.next})


def _filter(visit: Visit, asked: Mapping[str, str]) -> Filter:
    kind, _, identity = asked.get("place", "").partition(":")
    return Filter(
        is_open=False,
        priority=next((one for one in PRIORITIES if one == asked.get("priority")), None),
        start=_day(visit, asked.get("from", ""), 0),
        end=_day(visit, asked.get("to", ""), 1),
        site_id=_id(identity) if kind == "site" else None,
        line_id=_id(identity) if kind == "line" else None,
        text=asked.get("text", "")[:200].replace("\0", ""),
    )


def _show_form(visit: Visit, asked: Mapping[str, str], places: list[Place]) -> None:
    where = {"": visit.say(_ALL)}
    for one in places:
        where[f"site:{one.site_id}"] = one.site
        if one.line_id:
            where[f"line:{one.line_id}"] = f"{one.site} / {one.line}"
    where = dict(sorted(where.items(), key=lambda item: (item[0] != "", item[1])))
    priorities = {"": visit.say(_ALL)} | {one: visit.say(alarm_words.PRIORITIES[one].text) for one in PRIORITIES}
    with box("filters", "form", method="get", action="/alarms"):
        box("", "input", type="hidden", name="view", value="history")
        for name, label, names in (("place", _PLACE, where), ("priority", _PRIORITY, priorities)):
            with box("field", "label"):
                Words(visit.say(label))
                chooser(option_markup(names, asked.get(name, "")), name=name)
        for name, label, kind in (("from", _FROM, "date"), ("to", _TO, "date"), ("text", _TEXT, "text")):
            with box("field", "label"):
                Words(visit.say(label))
                box("", "input", type=kind, name=name, value=asked.get(name, ""))
        with box("button", "button", type="submit"):
            Words(visit.say(_SHOW))


def _turn(visit: Visit, name: Text, asked: Mapping[str, str]) -> None:
    with box("button quiet", "a", href=f"/alarms?{urlencode({'view': 'history', **asked})}"):
        Words(visit.say(name))


def _day(visit: Visit, text: str, later: int) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text) + timedelta(days=later), time(), visit.zone)
    except (ValueError, OverflowError):
        return None


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
