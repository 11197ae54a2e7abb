"""Points that the gateway says nothing of: an engineer says which of the company's own entries they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.dictionary.service import OWN, unit_symbol
from cloud.telemetry.service import UNKNOWN_UNIT
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, attempt
from cloud.web.plant import Point
from cloud.web.visit import Visit
from protocols.text import Text

_TITLE = Text("Points without a meaning", "未映射的点")
_NOTE = Text(
    "The gateway says nothing of these. Give one an entry of the company's own, if it is in the entry's unit; what is stored counts, too.",
    "网关未给出这些点的含义。可指定单位一致的企业自有条目，已存数据同样适用。",
)
_UNMAPPED = Text("not mapped", "未映射")


async def show_meanings(visit: Visit, points: Sequence[Point]) -> None:
    """Add the card where there are such points, and entries they may have."""
    loose = [point for point in points if not point.code or point.code.startswith(OWN)]
    usable = await visit.domains.company_entries.usable(visit.scope) if loose else {}
    if not usable or not visit.may(Scope.ENGINEER):
        return
    with box("card stack"):
        Words(visit.say(_TITLE), tag="h2")
        Words(visit.say(_NOTE), "muted small", tag="p")
        answer = box("stack")
        for point in loose:
            fitting = {
                code: " · ".join(filter(None, (visit.say(entry.name), unit_symbol(entry.unit))))
                for code, entry in usable.items()
                if point.series.unit in (entry.unit, UNKNOWN_UNIT) or code == point.code
            }
            kept = {point.code: visit.say(point.name)} if point.code else {}
            options = {"": visit.say(_UNMAPPED), **kept, **fitting}
            with box("form-row"):
                Choice(point.series.name, options, point.code, partial(_choose, visit, answer, point.id)).mark(
                    f"meaning-{point.series.name}"
                )


async def _choose(visit: Visit, answer: ui.element, series: int, code: str) -> None:
    async def act(principal: Principal) -> None:
        await visit.domains.telemetry.meanings.set(principal, series, code)

    if await attempt(visit, answer, Scope.ENGINEER, act):
        ui.navigate.reload()
