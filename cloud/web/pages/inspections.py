"""All inspections, newest first, by verdict and by how the part's name begins."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from urllib.parse import urlencode

from cloud.core.errors import Invalid
from cloud.quality.schemas import Inspection, InspectionPage, Summary, Verdict
from cloud.quality.service import Filter
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import Words, box, icon
from cloud.web.gallery import Gallery
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from cloud.web.words import VERDICTS
from protocols.text import Text

TITLE = Text("Inspections", "质检")
PAGE_SIZE = 24

_ALL = Text("All", "全部")
LOT = Text("Lot", "批号")
_LAST_DAY = Text("Counts are of the last 24 hours.", "数量为近 24 小时统计。")
_NONE = Text("No inspections to show here.", "暂无符合条件的检测记录。")
_PART = Text("Lot or serial number: how the part's name begins", "批号或序列号：工件名称的开头")
_FIND = Text("Find", "查找")
_NEWEST, _OLDER = Text("Newest", "最新"), Text("Older", "更早")


async def build(visit: Visit) -> None:
    """Build the list and, on its first page, put new inspections in front as they come."""
    query = visit.request.query_params
    verdict: Verdict | None = next((known for known in get_args(Verdict) if known == query.get("verdict")), None)
    before = query.get("before")
    part, lot = (
        "".join(each for each in query.get(name, "").strip()[:200] if each.isprintable()) for name in ("part", "lot")
    )
    wanted = Filter(verdict=verdict, part=part, lot=lot)
    page, summary = await _page(visit, wanted, before), await _last_day(visit, datetime.now(UTC))
    counts: dict[str, Words] = {}
    with frame(visit, visit.say(TITLE)):
        with page_head(visit.say(TITLE)), box("choices", "nav"):
            for choice in (None, "reject", "review", "pass"):
                with box("here" if choice == verdict else "", "a", href=_address(replace(wanted, verdict=choice))):
                    if choice:
                        icon(VERDICTS[choice].tone)
                    Words(visit.say(VERDICTS[choice].text if choice else _ALL))
                    counts[choice or "all"] = Words("", "num muted")
        _search(visit, wanted)
        if page.items:
            gallery = Gallery(visit, page.items)
        else:
            Words(visit.say(_NONE), "muted", tag="p")
        with box("line spread"):
            Words(visit.say(_LAST_DAY), "muted small")
            with box("line"):
                if before:
                    _turn(visit, _NEWEST, wanted, None)
                if page.next:
                    _turn(visit, _OLDER, wanted, page.next)
    _count(counts, summary)
    if before or not page.items:
        return

    async def refresh(_: Collection[Latest], now: datetime) -> None:
        if gallery.refresh((await _page(visit, wanted, None)).items):
            _count(counts, await _last_day(visit, now))

    live.follow(visit, refresh)


def _search(visit: Visit, wanted: Filter) -> None:
    with box("filters", "form", method="get", action="/inspections"):
        if wanted.verdict:
            box("", "input", type="hidden", name="verdict", value=wanted.verdict)
        if wanted.lot:
            with box("field", "label"):
                Words(visit.say(LOT))
                box("", "input", type="search", name="lot", value=wanted.lot, maxlength="200")
        with box("field", "label"):
            Words(visit.say(_PART))
            box("", "input", type="search", name="part", value=wanted.part, maxlength="200")
        with box("button", "button", type="submit"):
            Words(visit.say(_FIND))


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


def _turn(visit: Visit, name: Text, wanted: Filter, before: str | None) -> None:
    with box("button quiet", "a", href=_address(wanted, before)):
        Words(visit.say(name))


def _address(wanted: Filter, before: str | None = None) -> str:
    asked = {"verdict": wanted.verdict, "part": wanted.part, "lot": wanted.lot, "before": before}
    query = urlencode({key: value for key, value in asked.items() if value})
    return f"/inspections?{query}" if query else "/inspections"
