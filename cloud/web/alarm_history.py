"""The alarms that are over, page by page, narrowed by time, place, priority and words; the address is what is looked for."""

from __future__ import annotations

from cloud.alarms.schemas import PRIORITIES
from cloud.alarms.service import Filter
from cloud.core.errors import Invalid
from cloud.web import alarm_words
from cloud.web.alarm_list import AlarmList
from cloud.web.elements import box
from cloud.web.filter_form import FROM, TO, Field, Filters, place_field
from cloud.web.visit import Visit
from protocols.text import Text

PAGE_SIZE = 50

_NO_HISTORY = Text("No alarm is over yet.", "暂无已结束的报警。")
_PRIORITY, _TEXT = Text("Priority", "优先级"), Text("Place or message", "位置或报警内容")


async def show_history(visit: Visit) -> None:
    """Show the form and a page."""
    places = await visit.domains.fleet.places(visit.scope)
    priorities = {one: visit.say(alarm_words.PRIORITIES[one].text) for one in PRIORITIES}
    fields = (place_field(places), Field("priority", _PRIORITY, names=priorities), FROM, TO, Field("text", _TEXT))
    filters = Filters(visit, "/alarms", fields, {"view": "history"})
    wanted = Filter(
        is_open=False,
        priority=filters.one_of("priority", PRIORITIES),
        start=filters.day("from"),
        end=filters.day("to", later=1),
        site_id=filters.identity("place", "site"),
        line_id=filters.identity("place", "line"),
        text=filters.text("text"),
    )
    alarms = visit.domains.alarms
    try:
        page = await alarms.page(visit.scope, wanted, limit=PAGE_SIZE, before=filters.before)
    except Invalid:
        page = await alarms.page(visit.scope, wanted, limit=PAGE_SIZE)
    with box("card stack"):
        filters.show()

    async def nothing() -> None:
        return

    AlarmList(visit, nothing).show(page.items, lambda: filters.show_none(_NO_HISTORY))
    filters.show_turns(page.next)
