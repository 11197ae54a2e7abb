"""All inspections, newest first, narrowed by verdict, place, model, time and part; the address is what is looked for."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import get_args

from cloud.core.errors import Invalid
from cloud.quality.schemas import Filter, Inspection, InspectionPage, Summary, Verdict
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import Words, box, icon
from cloud.web.filter_form import FROM, TO, Field, Filters, place_field
from cloud.web.gallery import Gallery
from cloud.web.layout import frame, page_head
from cloud.web.plant_view import STATION
from cloud.web.visit import Visit
from cloud.web.words import VERDICTS
from protocols.text import Text

TITLE = Text("Inspections", "质检")
PAGE_SIZE = 24

_ALL = Text("All", "全部")
LOT = Text("Lot", "批号")
_LAST_DAY = Text("Counts are of the last 24 hours.", "数量为近 24 小时统计。")
_NONE = Text("No part has been inspected yet.", "暂无检测记录。")
_VERDICT, _MODEL = Text("Verdict", "判定"), Text("Model", "模型")
_PART, _SERIAL = Text("Part begins with", "工件名称开头"), Text("Serial number", "序列号")


async def build(visit: Visit) -> None:
    """Build the list and, on its first page, put new inspections in front as they come."""
    filters = Filters(visit, "/inspections", await _fields(visit))
    verdict: Verdict | None = filters.one_of("verdict", get_args(Verdict))
    wanted = Filter(
        equipment_id=filters.identity("place", "equipment"),
        verdict=verdict,
        start=filters.day("from"),
        end=filters.day("to", later=1),
        part=filters.text("part"),
        lot=filters.text("lot"),
        serial=filters.text("serial"),
        model=filters.text("model"),
        site_id=filters.identity("place", "site"),
        line_id=filters.identity("place", "line"),
    )
    before = filters.before
    page, summary = await _page(visit, wanted, before), await _last_day(visit, datetime.now(UTC))
    counts: dict[str, Words] = {}
    with frame(visit, visit.say(TITLE)):
        with page_head(visit.say(TITLE)), box("choices", "nav"):
            for choice in ("", "reject", "review", "pass"):
                others = {name: value for name, value in filters.asked.items() if name != "verdict"}
                address = filters.address({"verdict": choice, **others} if choice else others)
                with box("here" if choice == (verdict or "") else "", "a", href=address):
                    if choice:
                        icon(VERDICTS[choice].tone)
                    Words(visit.say(VERDICTS[choice].text if choice else _ALL))
                    counts[choice or "all"] = Words("", "num muted")
        with box("card stack"):
            filters.show()
        if page.items:
            gallery = Gallery(visit, page.items)
        else:
            filters.show_none(_NONE)
        with box("line spread"):
            Words(visit.say(_LAST_DAY), "muted small")
            filters.show_turns(page.next)
    _count(counts, summary)
    if before or not page.items:
        return

    async def refresh(_: Collection[Latest], now: datetime) -> None:
        if gallery.refresh((await _page(visit, wanted, None)).items):
            _count(counts, await _last_day(visit, now))

    live.follow(visit, refresh)


async def _fields(visit: Visit) -> tuple[Field, ...]:
    fleet, models = visit.domains.fleet, await visit.domains.quality.models(visit.scope)
    stations = [one for one in await fleet.equipment_list(visit.scope) if one.equipment_class == STATION]
    return (
        Field("verdict", _VERDICT, "hidden", {one: visit.say(VERDICTS[one].text) for one in get_args(Verdict)}),
        place_field(await fleet.places(visit.scope), stations),
        Field("model", _MODEL, names={one: one for one in models}),
        FROM,
        TO,
        Field("part", _PART),
        Field("lot", LOT),
        Field("serial", _SERIAL),
    )


async def _page(visit: Visit, wanted: Filter, before: str | None) -> InspectionPage:
    quality = visit.domains.quality
    try:
        return await quality.inspections(visit.scope, wanted, limit=PAGE_SIZE, before=before)
    except Invalid:
        return await quality.inspections(visit.scope, wanted, limit=PAGE_SIZE)


async def latest(visit: Visit, count: int) -> list[Inspection]:
    """Return the tenant's latest inspections, newest first."""
    return (await visit.domains.quality.inspections(visit.scope, Filter(), limit=count)).items


async def _last_day(visit: Visit, now: datetime) -> Summary:
    return await visit.domains.quality.summary(visit.scope, now - timedelta(days=1), now)


def _count(counts: dict[str, Words], summary: Summary) -> None:
    for name, count in (
        ("all", summary.total),
        ("pass", summary.passed),
        ("review", summary.review),
        ("reject", summary.reject),
    ):
        counts[name].show(f"{count:,}")
