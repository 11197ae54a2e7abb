"""OEE of a site, a line or a machine: what it is made of, where the time went, how it changed, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode
from uuid import UUID

from nicegui import ui

from cloud.core.principal import Scope
from cloud.production.schemas import KpiReport, KpiRow, KpiValue
from cloud.web.elements import Words, box, icon
from cloud.web.language import NOTHING, number
from cloud.web.layout import frame, page_head, show_message
from cloud.web.node_choice import Chosen, choose, show_choice
from cloud.web.production_charts import trend, waterfall
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("OEE", "OEE 设备综合效率")
PERIODS = ("today", "yesterday", "7", "30", "90")

_NO_SITE = Text("No site to show yet", "暂无可显示的工厂")
_NO_SITE_WHY = Text(
    "Connect a gateway with a machine first; its figures then appear here.", "请先接入网关与设备，指标将显示在此处。"
)
_TO_GATEWAYS = Text("Connect a gateway", "接入网关")
_NO_SHIFTS = Text("No shift was recorded in these days", "所选日期没有班次记录")
_NO_CALENDAR = Text("Say when work is planned", "请先设置班次")
_NO_CALENDAR_WHY = Text(
    "OEE compares what machines do with when they were planned to work. Set the shifts once - it takes a minute - and the"
    " figures of all days with data are made.",
    "OEE 将设备实际运行与计划时间相比较。只需一分钟设置班次，已有数据的所有日期都会计算出指标。",
)
_NO_SHIFTS_WHY = Text(
    "Either nothing was planned - a holiday, days before the calendar begins - or no machine here tells its state or counts.",
    "可能是没有计划生产（假日，或日历生效之前），或者该范围内没有设备提供状态或计数。",
)
_TO_SETTINGS, _ASK_ENGINEER = Text("OEE settings", "OEE 设置"), Text("Ask an engineer to do so.", "请联系工程师设置。")
_WHERE = Text("Where the time went", "时间去哪了")
_TREND = Text("How it changed", "变化趋势")
_MACHINES = Text("Machine by machine", "各设备")
MOST_MACHINES = 100
"""Machines in the table, those with the lowest OEE first."""
_BETTER = Text("{count} more, each with a higher OEE or none; all are in the export.", "另有 {count} 台，OEE 更高或无 OEE；导出文件包含全部设备。")  # fmt: skip
_LOST_FOR = Text("What time was lost for", "时间损失原因")
_ALL_STOPS = Text("Stops and reasons", "停机与原因")
_NOT_IN = Text("Not in the OEE", "未计入 OEE")
_AND_MORE = Text(" and {count} more", " 等，另有 {count} 台")
_NAMED = 6
_MORE_KPIS = Text("More figures (ISO 22400-2)", "更多指标（ISO 22400-2）")
_COMPLETE = Text("{share} % of the time known", "{share} % 的时间状态已知")
_PRODUCED, _GOOD, _SCRAP = Text("Produced", "产量"), Text("Good", "良品"), Text("Scrap", "报废")
_STOPS = Text("{count} stops", "{count} 次")
_EXPORT = Text("Export", "导出")
_MACHINE, _TOP_LOSS = Text("Machine", "设备"), Text("Most lost for", "最大损失")
_HOURS = Text("{hours} h", "{hours} 小时")
_MINUTES = Text("{minutes} min", "{minutes} 分钟")


async def build(visit: Visit) -> None:
    """Build the page of the node and days in its address."""
    chosen = await choose(visit)
    with frame(visit, visit.say(TITLE)):
        if chosen is None:
            show_message(visit.say(_NO_SITE), visit.say(_NO_SITE_WHY), ("/gateways", visit.say(_TO_GATEWAYS)))
            return
        report = await visit.domains.production.kpis(
            visit.scope, chosen.node, chosen.first, chosen.last, chosen.granularity
        )
        with page_head(f"{visit.say(TITLE)} · {chosen.name}"):
            show_choice(visit, chosen, "/oee", PERIODS)
        if report.total is None:
            await _show_empty(visit, chosen)
            return
        _show_factors(visit, report.total)
        with box("columns"):
            with box("card filled"):
                Words(visit.say(_WHERE), tag="h2")
                ui.echart(waterfall(report.total, visit.language)).classes("chart tall")
            _show_losses(visit, chosen, report.total)
        if len(report.rows) > 1:
            with box("card filled"):
                Words(visit.say(_TREND), tag="h2")
                shifts = chosen.granularity == "shift"
                ui.echart(trend(report.rows, visit.language, shifts=shifts)).classes("chart")
        if chosen.node.kind != "equipment":
            _show_machines(visit, chosen, report)
        _show_left_out(visit, report.total)
        _show_more(visit, report.total)
        _show_export(visit, chosen)


async def _show_empty(visit: Visit, chosen: Chosen) -> None:
    calendars = (await visit.domains.production.calendars.all(visit.scope)).versions
    title, why = (_NO_SHIFTS, _NO_SHIFTS_WHY) if calendars else (_NO_CALENDAR, _NO_CALENDAR_WHY)
    if visit.may(Scope.ENGINEER):
        show_message(visit.say(title), visit.say(why), (f"/oee/settings?{chosen.query()}", visit.say(_TO_SETTINGS)))
    else:
        show_message(visit.say(title), f"{visit.say(why)} {visit.say(_ASK_ENGINEER)}")


def percent(value: float | None) -> str:
    """Return a ratio as people read it, without its sign."""
    return NOTHING if value is None else f"{100 * value:.1f}"


def length(visit: Visit, seconds: float) -> str:
    """Return a length of time in hours, or minutes where it is short."""
    if seconds >= 5400:
        return visit.say(_HOURS, hours=f"{seconds / 3600:,.1f}")
    return visit.say(_MINUTES, minutes=f"{seconds / 60:.0f}")


def _show_factors(visit: Visit, row: KpiRow) -> None:
    with box("figures card"):
        for code in ("oee", "availability", "effectiveness", "quality_rate"):
            value = row.kpis[code]
            with box("figure"):
                Words(visit.say(value.name), "label", tag="div")
                with box("big"):
                    Words(percent(value.value))
                    if value.value is not None:
                        Words("%", "unit")
                Words(_note(visit, value), "note is-warn" if value.warning_en else "note", tag="div")


def _note(visit: Visit, value: KpiValue) -> str:
    if value.value is None:
        return visit.say(value.reason)
    if value.warning_en:
        return visit.say(value.warning)
    if value.code == "oee" and value.completeness is not None:
        return visit.say(_COMPLETE, share=percent(value.completeness))
    return value.formula.replace(" x ", " × ")


def _show_losses(visit: Visit, chosen: Chosen, row: KpiRow) -> None:
    shown = [loss for loss in row.losses if loss.element != "unknown"][:8]
    most = max((loss.seconds for loss in shown), default=1.0)
    with box("card stack"):
        with box("card-head"):
            Words(visit.say(_LOST_FOR), tag="h2")
            with box("link", "a", href=f"/oee/stops?{chosen.query()}"):
                Words(visit.say(_ALL_STOPS))
        for loss in shown:
            show_bar(
                visit.say(loss.name),
                length(visit, loss.seconds),
                visit.say(_STOPS, count=loss.stops),
                loss.seconds / most,
            )
        with box("rows above", "dl"):
            for name, amount in ((_PRODUCED, row.produced), (_GOOD, row.good), (_SCRAP, row.scrap)):
                Words(visit.say(name), tag="dt")
                Words(number(amount, whole=True), tag="dd")


def show_bar(name: str, amount: str, note: str, share: float) -> None:
    """Add one bar of a list of losses."""
    with box("loss"):
        with box("line spread"):
            Words(name, "name")
            with box("line"):
                Words(note, "muted small")
                Words(amount, "num strong")
        with box("loss-bar"):
            box("fill").style(f"width: {max(100 * share, 0.5):.1f}%")


def _show_machines(visit: Visit, chosen: Chosen, report: KpiReport) -> None:
    codes = ("oee", "availability", "effectiveness", "quality_rate")
    heads = [*(report.machines[0].kpis[code].name for code in codes), _GOOD]
    rows = sorted(report.machines, key=lambda row: (row.kpis["oee"].value is None, row.kpis["oee"].value or 0))
    with box("card"):
        Words(visit.say(_MACHINES), tag="h2")
        # One piece of markup: an element of its own for each cell of fifty machines takes the server a second.
        ui.html(
            f'<table class="points still figures-table"><thead><tr><th>{escape(visit.say(_MACHINE))}</th>'
            f"{''.join(_cell(visit.say(head), tag='th') for head in heads)}<th>{escape(visit.say(_TOP_LOSS))}</th></tr></thead>"
            f"<tbody>{''.join(_machine(visit, chosen, row, codes) for row in rows[:MOST_MACHINES])}</tbody></table>",
            sanitize=False,
        ).classes("scroll")
        if len(rows) > MOST_MACHINES:
            Words(visit.say(_BETTER, count=len(rows) - MOST_MACHINES), "muted small", tag="p")


def _machine(visit: Visit, chosen: Chosen, row: KpiRow, codes: Sequence[str]) -> str:
    values = [row.kpis[code] for code in codes]
    cells = [_cell(percent(one.value), "" if one.value is not None else visit.say(one.reason)) for one in values]
    loss = next((one for one in row.losses if one.element != "unknown"), None)
    lost = f"{visit.say(loss.name)} · {length(visit, loss.seconds)}" if loss else NOTHING
    return (
        f'<tr><td class="name"><a class="link" href="/oee?{escape(_machine_query(chosen, row.equipment_id))}">'
        f"<span>{escape(row.equipment)}</span></a></td>{''.join(cells)}{_cell(number(row.good, whole=True))}"
        f'<td class="loss-name">{escape(lost)}</td></tr>'
    )


def _cell(text: str, why: str = "", *, tag: str = "td") -> str:
    title = f' title="{escape(why)}"' if why else ""
    return f'<{tag} class="value"{title}>{escape(text)}</{tag}>'


def _machine_query(chosen: Chosen, machine: UUID | None) -> str:
    return urlencode({"node_id": str(machine), "period": chosen.period})


def _show_left_out(visit: Visit, row: KpiRow) -> None:
    left_out = row.kpis["oee"].left_out
    if not left_out:
        return
    with box("notice warn"):
        icon("warn")
        with box("stack"):
            Words(visit.say(_NOT_IN), "strong", tag="div")
            by_reason: dict[Text, list[str]] = {}
            for one in left_out:
                by_reason.setdefault(Text(one.reason_en, one.reason_zh), []).append(one.equipment)
            for reason, names in by_reason.items():
                more = visit.say(_AND_MORE, count=len(names) - _NAMED) if len(names) > _NAMED else ""
                Words(f"{', '.join(names[:_NAMED])}{more}: {visit.say(reason)}", tag="div")
            if visit.may(Scope.ENGINEER):
                with box("link", "a", href="/oee/settings"):
                    Words(visit.say(_TO_SETTINGS))


def _show_more(visit: Visit, row: KpiRow) -> None:
    with box("card"):
        Words(visit.say(_MORE_KPIS), tag="h2")
        with box("kpis"):
            for code, value in row.kpis.items():
                if code in ("oee", "availability", "effectiveness", "quality_rate"):
                    continue
                with box("reading"):
                    Words(visit.say(value.name), "label", tag="div")
                    with box("value"):
                        text, unit = _amount(value)
                        Words(text)
                        Words(unit, "unit")
                    Words(_why_or_formula(visit, value), "muted small", tag="div")


def _amount(value: KpiValue) -> tuple[str, str]:
    if value.value is None:
        return NOTHING, ""
    if value.per:
        return number(value.value), "/h"
    if value.unit == "SEC":
        return number(value.value / 3600), "h"
    return percent(value.value), "%"


def _why_or_formula(visit: Visit, value: KpiValue) -> str:
    return visit.say(value.reason) if value.value is None else value.formula.replace(" x ", " × ")


def _show_export(visit: Visit, chosen: Chosen) -> None:
    query = {
        "node": chosen.node.kind,
        "node_id": str(chosen.node.id),
        "first_day": chosen.first.isoformat(),
        "last_day": chosen.last.isoformat(),
        "granularity": chosen.granularity,
        "language": visit.language,
    }
    with box("line"):
        Words(visit.say(_EXPORT), "muted")
        for kind in ("xlsx", "csv"):
            address = f"/api/v1/production/kpis/file?{urlencode(query | {'format': kind})}"
            with box("button quiet", "a", href=address):
                Words(kind.upper())
