"""One equipment: every point with what it means and how far it can be trusted, and the history of a chosen one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from nicegui import ui

from cloud.core.errors import NotFound
from cloud.core.principal import Scope
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import MarkView, Words, box, icon
from cloud.web.history import History
from cloud.web.language import NOTHING
from cloud.web.layout import frame, page_head
from cloud.web.pages import overview
from cloud.web.plant import Equipment, Point, load_equipment, take
from cloud.web.points import PointTable
from cloud.web.visit import Visit
from cloud.web.words import PROTOCOLS
from protocols.text import Text


class Span(NamedTuple):
    """How far back the chart looks."""

    name: Text
    length: timedelta


SPANS = (
    Span(Text("10 min", "10 分钟"), timedelta(minutes=10)),
    Span(Text("1 h", "1 小时"), timedelta(hours=1)),
    Span(Text("8 h", "8 小时"), timedelta(hours=8)),
    Span(Text("24 h", "24 小时"), timedelta(hours=24)),
    Span(Text("30 d", "30 天"), timedelta(days=30)),
)

_NO_POINTS = Text(
    "No values have arrived yet. Check on the gateway: sunmao-edge status",
    "尚无数据。请在网关上检查：sunmao-edge status",
)
_VIA = Text("{protocol} via {agent}", "{protocol}，经由 {agent}")
_DOWN = Text(
    "This equipment does not answer: {reason}. Check its power and network cable; the gateway keeps trying.",
    "设备无应答：{reason}。请检查设备电源与网线，网关会持续重试。",
)
_REMOVED = Text(
    "The gateway {agent} no longer reads this equipment: it was taken out of its configuration. Its past remains.",
    "网关 {agent} 的配置中已移除该设备，不再采集；历史数据仍保留。",
)
_SILENT = Text(
    "The gateway {agent} has not been heard of. It keeps collecting and will catch up; check its power and network.",
    "网关 {agent} 已离线。网关仍在本地采集，恢复后会自动补传；请检查其电源与网络。",
)


async def build(visit: Visit) -> None:
    """Build the page; raises NotFound."""
    try:
        identity = UUID(visit.request.path_params["equipment_id"])
    except ValueError as error:
        raise NotFound from error
    equipment = await load_equipment(visit, identity)
    with frame(visit, equipment.known.name):
        protocol = PROTOCOLS.get(equipment.known.protocol, equipment.known.protocol) or NOTHING
        via = visit.say(_VIA, protocol=protocol, agent=equipment.known.agent)
        note = f"{visit.say(equipment.class_name)} · {via}"
        with page_head(equipment.known.name, back=("/", visit.say(overview.TITLE)), note=note):
            mark = MarkView(equipment.mark, visit.language)
        notice = _Notice(visit)
        notice.refresh(equipment)
        if not equipment.points:
            Words(visit.say(_NO_POINTS), "card muted", tag="p")
        history = await _history_card(visit, equipment.ranked())

        async def choose(point: Point) -> None:
            if not await visit.may_still(Scope.READ):
                return
            await history.show(point=point)
            table.mark(history.chosen)

        with box("card"):
            table = PointTable(visit, choose)
        table.refresh(equipment.ranked(), history.chosen, datetime.now(UTC))

    async def refresh(values: Collection[Latest], now: datetime) -> None:
        if not take({identity: equipment}, [value for value in values if value.equipment_id == identity]):
            ui.navigate.reload()
            return
        equipment.known = await visit.domains.fleet.equipment(visit.scope, identity)
        mark.show(equipment.mark)
        notice.refresh(equipment)
        table.refresh(equipment.ranked(), history.chosen, now)
        await history.extend()

    live.follow(visit, refresh)


async def _history_card(visit: Visit, points: Sequence[Point]) -> History:
    """Add the chart of the first numeric point, and the choice of how far back it looks."""
    first = next((point for point in points if point.numeric), None)
    with box("card"):
        with box("card-head"):
            head = box()
            choices = box("choices")
        with head:
            history = History(visit)
        history.place()
    buttons: dict[Span, ui.element] = {}

    async def choose(span: Span) -> None:
        if not await visit.may_still(Scope.READ):
            return
        for other, button in buttons.items():
            button.props["aria-pressed"] = str(other == span).lower()
            button.classes(remove="here", add="here" if other == span else "")
        await history.show(length=span.length)

    with choices:
        for span in SPANS:
            pressed = span == SPANS[0]
            with box("here" if pressed else "", "button", type="button", aria_pressed=str(pressed).lower()) as buttons[
                span
            ]:
                Words(visit.say(span.name))
            buttons[span].on("click", lambda _, span=span: choose(span))
    await history.show(point=first, length=SPANS[0].length)
    return history


class _Notice:
    """Says why nothing new arrives, and what to do; empty while all is well."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._shown = ""
        self._place = box()

    def refresh(self, equipment: Equipment) -> None:
        text = ""
        if equipment.known.state == "silent":
            text = self._visit.say(_SILENT, agent=equipment.known.agent)
        elif equipment.known.state == "removed":
            text = self._visit.say(_REMOVED, agent=equipment.known.agent)
        elif equipment.known.state == "down":
            text = self._visit.say(_DOWN, reason=self._visit.say(equipment.reason))
        self._place.set_visibility(bool(text))
        if text != self._shown:
            self._shown = text
            self._place.clear()
            with self._place, box("notice bad", role="alert"):
                icon("bad")
                Words(text)
