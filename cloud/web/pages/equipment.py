"""One equipment: every point with what it means and how far it can be trusted, and the history of a chosen one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from nicegui import ui

from cloud.core.principal import Scope
from cloud.production.schemas import Node
from cloud.quality.schemas import Filter
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.alarm_card import AlarmCard
from cloud.web.alarm_words import SET_ALARM
from cloud.web.elements import MarkView, Words, box, icon
from cloud.web.gallery import Gallery
from cloud.web.history import History
from cloud.web.kpi_strip import show_kpis
from cloud.web.language import NOTHING, number
from cloud.web.layout import frame, page_head
from cloud.web.meaning_card import show_meanings
from cloud.web.pages import overview
from cloud.web.pages.plant_part import id_in
from cloud.web.pages.uploads import ENTER, offer
from cloud.web.plant import Equipment, Point, load_equipment, take
from cloud.web.points import PointTable
from cloud.web.timeline import show_timelines, state_point
from cloud.web.trouble import trouble_of
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

SHOTS = 6
"""How many of a station's latest inspections are shown."""

_NO_POINTS = Text(
    "No values have arrived yet. Check on the gateway: sunmao-edge status",
    "尚无数据。请在网关上检查：sunmao-edge status",
)
_VIA = Text("{protocol} via {agent}", "{protocol}，经由 {agent}")
_FACTS, _CLASS, _PLACE = Text("About it", "设备信息"), Text("Class", "类别"), Text("Stands in", "所在位置")
_NAME, _ASSET = Text("Name at the gateway", "网关中的名称"), Text("Asset number", "资产编号")
_MADE, _INSTALLED = Text("Made", "制造日期"), Text("Installed", "安装日期")
_RATED, _TEMPLATE = Text("Rated power", "额定功率"), Text("Device template", "设备模板")
_POINTS, _UNMAPPED = (
    Text("Points", "数据点"),
    Text("{count}, {unmapped} not mapped", "{count} 个，其中 {unmapped} 个未映射"),
)
_CONFIGURATION = Text("Configuration of its gateway", "所属网关配置")
_SHELL = Text("Asset Administration Shell", "资产管理壳(AAS)")
_TRENDS = Text("In trends", "在趋势中查看")
_INSPECTIONS = Text("Latest inspections", "最新检测")


async def build(visit: Visit) -> None:
    """Build the page; raises NotFound."""
    identity = id_in(visit, "equipment_id")
    equipment = await load_equipment(visit, identity)
    now = datetime.now(UTC)
    known = equipment.known
    with frame(visit, known.label):
        protocol = PROTOCOLS.get(known.protocol, known.protocol) or NOTHING
        protocol = protocol if isinstance(protocol, str) else visit.say(protocol)
        via = visit.say(_VIA, protocol=protocol, agent=known.agent) if known.state != "by_hand" else protocol
        note = f"{visit.say(equipment.class_name)} · {via}"
        crumbs = [("/", visit.say(overview.TITLE)), (f"/sites/{known.site_id}", known.site)]
        if known.line:
            crumbs.append((f"/lines/{known.line_id}", known.line))
        with page_head(known.label, crumbs=crumbs, note=note):
            mark = MarkView(equipment.mark, visit.language)
        notice = _Notice(visit)
        notice.refresh(equipment)
        if known.state == "by_hand":
            offer(visit, ENTER, known.site_id)
        elif not equipment.points:
            Words(visit.say(_NO_POINTS), "card muted", tag="p")
        await AlarmCard(visit, [identity]).fill()
        if state_point(equipment):
            await show_kpis(visit, Node(kind="equipment", id=identity), known.time_zone, now)
            await show_timelines(visit, [equipment], now)
        history = await _history_card(visit, equipment.ranked())

        async def choose(point: Point) -> None:
            if not await visit.may_still(Scope.READ):
                return
            await history.show(point=point)
            table.mark(history.chosen)

        with box("card"):
            table = PointTable(visit, choose)
        table.refresh(equipment.ranked(), history.chosen, now)
        gallery = await _inspected(visit, identity)
        await show_meanings(visit, equipment.ranked())
        _facts(visit, equipment)

    async def refresh(values: Collection[Latest], now: datetime) -> None:
        if not take({identity: equipment}, [value for value in values if value.equipment_id == identity]):
            ui.navigate.reload()
            return
        equipment.known = await visit.domains.fleet.equipment(visit.scope, identity)
        mark.show(equipment.mark)
        notice.refresh(equipment)
        table.refresh(equipment.ranked(), history.chosen, now)
        await history.extend()
        if gallery:
            gallery.refresh((await visit.domains.quality.inspections(visit.scope, Filter(identity), limit=SHOTS)).items)

    live.follow(visit, refresh)


async def _inspected(visit: Visit, identity: UUID) -> Gallery | None:
    """Add the latest inspections, if it is a station that makes any."""
    items = (await visit.domains.quality.inspections(visit.scope, Filter(identity), limit=SHOTS)).items
    if not items:
        return None
    with box("card"):
        Words(visit.say(_INSPECTIONS), tag="h2")
        return Gallery(visit, items)


def _facts(visit: Visit, equipment: Equipment) -> None:
    known, say = equipment.known, visit.say
    points = (
        say(_UNMAPPED, count=known.points, unmapped=known.unmapped) if known.unmapped else str(len(equipment.points))
    )
    rows = (
        (_CLASS, say(equipment.class_name)),
        (_PLACE, known.path.rpartition(" / ")[0]),
        (_NAME, known.name),
        (_ASSET, known.asset_number),
        (_MADE, known.made_on.isoformat() if known.made_on else ""),
        (_INSTALLED, known.installed_on.isoformat() if known.installed_on else ""),
        (_RATED, f"{number(known.rated_power_kw)} kW" if known.rated_power_kw else ""),
        (_TEMPLATE, known.template),
        (_POINTS, points),
    )
    with box("card stack"):
        Words(say(_FACTS), tag="h2")
        with box("facts", "dl"):
            for name, value in rows:
                if value:
                    Words(say(name), tag="dt")
                    Words(value, tag="dd")
        with box("link", "a", href=f"/gateways/{known.agent_id}/configuration"):
            Words(say(_CONFIGURATION))
        with box("line"):
            Words(say(_SHELL), "muted small")
            for kind in ("aasx", "json"):
                with box("button quiet", "a", href=f"/api/v1/equipment/{known.id}/shell?format={kind}", download=""):
                    Words(kind.upper())


async def _history_card(visit: Visit, points: Sequence[Point]) -> History:
    """Add the chart of the first numeric point, and the choice of how far back it looks."""
    first = next((point for point in points if point.numeric), None)
    with box("card"):
        with box("card-head"):
            head = box()
            with box("line"):
                choices = box("choices")
                with box("link", "a") as trends:
                    Words(visit.say(_TRENDS))
                alarm = None
                if visit.may(Scope.ENGINEER):
                    with box("link", "a") as alarm:
                        Words(visit.say(SET_ALARM))
        with head:
            history = History(visit, trends=trends, alarm=alarm)
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
        trouble = trouble_of(equipment)
        say = self._visit.say
        text = f"{say(trouble.what)} {say(trouble.step)}" if trouble else ""
        self._place.set_visibility(bool(text))
        if text != self._shown:
            self._shown = text
            self._place.clear()
            if trouble:
                with self._place, box("notice warn" if trouble.tone == "warn" else "notice bad", role="alert"):
                    icon(trouble.tone)
                    Words(text)
