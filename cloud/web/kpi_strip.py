"""OEE and its factors of a site, a line or a machine over its present production day, as production computes them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from cloud.production.schemas import KpiValue, Node
from cloud.web.elements import Words, box
from cloud.web.language import NOTHING
from cloud.web.places import open_to
from cloud.web.visit import Visit
from protocols.text import Text

SHOWN = ("oee", "availability", "effectiveness", "quality_rate")
PAGE = "/oee"

_TITLE = Text("OEE today", "今日 OEE")
_MORE = Text("Losses and history", "损失与历史")
_NO_SHIFT = Text(
    "No shift is recorded today. Once a shift calendar says when work is planned, OEE and its factors stand here.",
    "今日没有班次记录。设置班次日历后，此处显示 OEE 及其各项因素。",
)
_COMPLETE = Text("{share} % of the planned time known", "计划时间内 {share}% 有状态数据")


async def show_kpis(visit: Visit, node: Node, zone: str, now: datetime) -> None:
    """Add the strip; a figure without a value says why."""
    today = now.astimezone(ZoneInfo(zone)).date()
    report = await visit.domains.production.kpis(visit.scope, node, today, today, machines=False)
    with box("card"):
        with box("card-head"):
            Words(visit.say(_TITLE), tag="h2")
            if PAGE in {place.path for place in open_to(visit.principal.scopes)}:
                with box("link", "a", href=f"{PAGE}?node_id={node.id}"):
                    Words(visit.say(_MORE))
        if report.total is None:
            Words(visit.say(_NO_SHIFT), "muted", tag="p")
            return
        with box("kpis"):
            for code in SHOWN:
                _figure(visit, report.total.kpis[code])


def _figure(visit: Visit, kpi: KpiValue) -> None:
    with box("kpi"):
        Words(visit.say(kpi.name), "label", tag="div")
        with box("big"):
            Words(NOTHING if kpi.value is None else f"{100 * kpi.value:.1f}")
            if kpi.value is not None:
                Words("%", "unit")
        note = visit.say(kpi.reason) if kpi.value is None else ""
        if not note and kpi.completeness is not None:
            note = visit.say(_COMPLETE, share=f"{100 * kpi.completeness:.0f}")
        Words(note, "note", tag="div")
