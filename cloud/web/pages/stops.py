"""Stops: what was lost for which reason, each machine's day as a strip, and every stop a tap away from its reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

from nicegui import ui

from cloud.core.principal import Scope
from cloud.production.schemas import Stop, StopReason
from cloud.production.service import ELEMENTS, StopFilter, StopLoss
from cloud.web import live
from cloud.web.elements import Words, box
from cloud.web.filter_form import Field, Filters
from cloud.web.language import moment
from cloud.web.layout import frame, page_head, show_message
from cloud.web.node_choice import Chosen, choose, show_choice
from cloud.web.pages.oee import length, show_bar
from cloud.web.production_charts import COLOURS
from cloud.web.stop_dialog import StopDialog
from cloud.web.stop_timeline import hours, strip
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Stops", "停机分析")
PERIODS = ("today", "yesterday", "7", "30")
SHOWN = 25
"""Stops of a page of the list."""
MOST_DAYS = 7
"""Days whose stops are looked for at once."""

_NO_SITE = Text("No site to show yet", "暂无可显示的工厂")
_NO_SITE_WHY = Text(
    "Connect a gateway with a machine first; its stops then appear here.", "请先接入网关与设备，停机将显示在此处。"
)
_TO_GATEWAYS = Text("Connect a gateway", "接入网关")
_PARETO = Text("Time lost, by reason", "停机时间（按原因）")
_DAY = Text("The day, machine by machine", "各设备当天时间线")
_LIST = Text("Stops without a micro-stop, newest first", "停机列表（不含短暂停机，最新在前）")
_TAP = Text("Tap a stop to say why.", "点击停机即可填写原因。")
_NO_LOSS = Text("No time was lost in these days, or no shift was planned.", "所选日期没有停机损失，或没有计划班次。")
_NO_STOPS = Text("No stop in planned time.", "计划时间内没有停机。")
_NO_STATES = Text(
    "No machine here tells its state yet. Map a point to “machine state”, or set a threshold in the OEE settings.",
    "该范围内尚无设备提供状态。请将某点映射为“设备运行状态”，或在 OEE 设置中设置阈值。",
)
_SINCE = Text("Shown is from {day} on.", "显示 {day} 起的停机。")
_LOSS, _REASON, _LEAST = (
    Text("Counted as", "损失类型"),
    Text("Reason", "原因"),
    Text("Minutes, at least", "最短时长，分钟"),
)
_NO_REASON, _UNEXPLAINED = Text("none given yet", "尚未填写"), "none"
_GIVE = Text("Give a reason", "填写原因")
_ONGOING = Text("ongoing", "进行中")
_STOPS = Text("{count} stops", "{count} 次")
_BREAK = Text("Not planned", "非计划时间")
MOST_STRIPS = 100
"""Machines whose day is drawn."""
_FIRST = Text("The first {count} machines; choose a line for others.", "仅显示前 {count} 台，可选择产线查看其他设备。")
_OF_DAY = Text("Shown is {day}.", "显示日期：{day}。")


async def build(visit: Visit) -> None:
    """Build the page of the node and days in its address."""
    chosen = await choose(visit, period="today")
    with frame(visit, visit.say(TITLE)):
        if chosen is None:
            show_message(visit.say(_NO_SITE), visit.say(_NO_SITE_WHY), ("/gateways", visit.say(_TO_GATEWAYS)))
            return
        production = visit.domains.production
        report = await production.kpis(visit.scope, chosen.node, chosen.first, chosen.last, machines=False)
        reasons = await production.reasons.all(visit.scope)
        where = {"node": chosen.node.kind, "node_id": str(chosen.node.id), "period": chosen.period}
        filters = Filters(visit, "/oee/stops", _fields(visit, reasons), where, anchor="list")
        with page_head(f"{visit.say(TITLE)} · {chosen.name}"):
            show_choice(visit, chosen, "/oee/stops", PERIODS, filters.asked)
        with box("card stack"):
            Words(visit.say(_PARETO), tag="h2")
            losses = report.total.losses if report.total else []
            most = max((loss.seconds for loss in losses), default=1.0)
            if not losses:
                Words(visit.say(_NO_LOSS), "muted", tag="p")
            for loss in losses[:12]:
                count = visit.say(_STOPS, count=loss.stops)
                show_bar(visit.say(loss.name), length(visit, loss.seconds), count, loss.seconds / most)
        live.fill_in(visit, lambda: _show_day(visit, chosen))  # of a large plant both take seconds
        live.fill_in(visit, lambda: _show_stops(visit, chosen, reasons, filters))


async def _show_day(visit: Visit, chosen: Chosen) -> None:
    start = datetime(chosen.last.year, chosen.last.month, chosen.last.day, tzinfo=visit.zone)
    day = (start, start + timedelta(days=1))
    production = visit.domains.production
    found = await production.timeline(visit.scope, chosen.node, *day, most=MOST_STRIPS)
    shifts = await production.shifts_of_machines(visit.scope, found.keys(), *day)
    listed = await visit.domains.fleet.equipment_list(visit.scope, only=found.keys())
    names = {one.id: one.label for one in listed}
    legend = {**ELEMENTS, "break": _BREAK}
    with box("card stack"):
        with box("card-head"):
            Words(visit.say(_DAY), tag="h2")
            if chosen.days > 1:
                Words(visit.say(_OF_DAY, day=chosen.last.isoformat()), "muted small")
            if len(found) == MOST_STRIPS:
                Words(visit.say(_FIRST, count=MOST_STRIPS), "muted small")
        if not found:
            Words(visit.say(_NO_STATES), "muted", tag="p")
            return
        for machine, spans in found.items():
            with box("strip-row"):
                Words(names.get(machine, ""), "name")
                drawn = strip(spans, shifts.get(machine, []), day, visit.zone, names=ELEMENTS, language=visit.language)
                ui.html(drawn, sanitize=False, tag="div").classes("strip-box")
        with box("strip-row"):
            Words("", "name")
            with box("strip-hours"):
                for place, clock in hours(day, visit.zone):
                    Words(clock, "muted small").style(f"left: {place:.2f}%")
        with box("legend"):
            for element, name in legend.items():
                with box("line"):
                    box("swatch").style(f"background: {COLOURS[element]}")
                    Words(visit.say(name), "small muted")


def _fields(visit: Visit, reasons: Sequence[StopReason]) -> tuple[Field, ...]:
    named = {_UNEXPLAINED: visit.say(_NO_REASON)}
    named |= {identity: visit.say(name) for identity, name in _names(reasons).items()}
    losses = {one: visit.say(ELEMENTS[one]) for one in get_args(StopLoss)}
    return (
        Field("loss", _LOSS, names=losses),
        Field("reason", _REASON, names=named),
        Field("least", _LEAST, "number"),
    )


def _minutes(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1e6)
    except ValueError:
        return 0.0


async def _show_stops(visit: Visit, chosen: Chosen, reasons: Sequence[StopReason], filters: Filters) -> None:
    """Show stops of at most a week at once, as a machine's states of more take long; older ones are a page further."""
    begin, last = (datetime(day.year, day.month, day.day, tzinfo=visit.zone) for day in (chosen.first, chosen.last))
    end = _before(filters.before, begin, last + timedelta(days=1))
    start = max(begin, end - timedelta(days=MOST_DAYS))
    loss: StopLoss | None = filters.one_of("loss", get_args(StopLoss))
    wanted = StopFilter(
        least_s=60 * _minutes(filters.text("least")),
        micro=loss == "micro_stop",
        loss=loss,
        reason_id=filters.identity("reason"),
        unexplained=filters.text("reason") == _UNEXPLAINED,
    )
    page = await visit.domains.production.stops.page(visit.scope, chosen.node, start, end, limit=SHOWN, wanted=wanted)
    may = visit.may(Scope.OPERATE)
    dialog = StopDialog(visit, reasons) if may and page.items else None
    names = _names(reasons)
    with box("card stack", id=filters.anchor):
        with box("card-head"):
            Words(visit.say(_LIST), tag="h2")
            if dialog:
                Words(visit.say(_TAP), "muted small")
        filters.show()
        if not page.items:
            filters.show_none(_NO_STOPS)
        for stop in page.items:
            _show_stop(visit, stop, names, dialog)
        following = page.next or (start if start > begin else None)
        if start > begin:
            Words(visit.say(_SINCE, day=start.astimezone(visit.zone).date()), "muted small", tag="p")
        filters.show_turns(following.isoformat() if following else None)


def _before(text: str | None, begin: datetime, end: datetime) -> datetime:
    """Return the time that a page's address says its stops begin before, if it lies in the days that are shown."""
    try:
        return min(max(datetime.fromisoformat(text or ""), begin + timedelta(microseconds=1)), end)
    except (ValueError, TypeError):
        return end


def _names(reasons: Sequence[StopReason]) -> dict[str, Text]:
    known = {one.id: one for one in reasons}
    found = {}
    for one in reasons:
        parent = known.get(one.parent_id) if one.parent_id else None
        found[str(one.id)] = Text(
            f"{parent.name_en}: {one.name_en}" if parent else one.name_en,
            f"{parent.name_zh}：{one.name_zh}" if parent else one.name_zh,
        )
    return found


def _show_stop(visit: Visit, stop: Stop, names: dict[str, Text], dialog: StopDialog | None) -> None:
    start = moment(stop.start, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
    until = visit.say(_ONGOING) if stop.ongoing else f"{stop.end.astimezone(visit.zone):%H:%M}"
    when = f"{start} – {until}"
    row = box("stop", "button", type="button") if dialog else box("stop")
    if dialog:
        row.on("click", lambda: dialog.open(stop, when))
    with row:
        box("swatch").style(f"background: {COLOURS[stop.element]}")
        with box("stop-text"):
            Words(stop.equipment, "name", tag="div")
            Words(when + (f" · {stop.note}" if stop.note else ""), "muted small", tag="div")
        Words(length(visit, stop.seconds), "num strong")
        if stop.reason_id:
            Words(visit.say(names.get(str(stop.reason_id), ELEMENTS[stop.element])), "reason-name")
        elif dialog:
            Words(f"{visit.say(ELEMENTS[stop.element])} · {visit.say(_GIVE)}", "reason-name link")
        else:
            Words(visit.say(ELEMENTS[stop.element]), "reason-name")
