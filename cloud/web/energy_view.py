"""The parts of the energy page: figures, the tariff's bands, the tree from the grid to the machines, tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from cloud.energy.schemas import Bill, Figure, Summary, TreeNode
from cloud.web.elements import Words, box
from cloud.web.energy_words import BANDS, amount, money, note, why
from cloud.web.language import NOTHING, number
from cloud.web.visit import Visit
from protocols.text import Text

_ENERGY, _COST, _CO2 = (
    Text("Consumption", "用能量"),
    Text("Cost of energy", "电度费用"),
    Text("CO₂ emitted", "二氧化碳排放"),
)
_PEAK, _IDLE = Text("Maximum demand", "最大需量"), Text("Drawn while idle", "待机能耗费用")
_VALLEY, _BASE = Text("Most to gain by shifting", "移峰填谷空间"), Text("Base load", "基荷")
_NIGHT = Text("At night (22–6 h)", "夜间用能 (22–6 时)")
_COAL = Text("{value} {unit} standard coal", "折标准煤 {value} {unit}")
_MEAN = Text("load factor {share} %", "负荷率 {share}%")
_IDLE_NOTE = Text("{energy} {unit} while nothing was made", "未生产时用能 {energy} {unit}")
_VALLEY_NOTE = Text("if all were drawn at the day's lowest price", "若全部移至当日最低价时段")
_WEEKEND = Text("weekends: {share} %", "周末：{share}%")
_BY_BAND, _NO_TARIFF = (
    Text("By band of the tariff", "分时电量与费用"),
    Text("What does a kilowatt-hour cost?", "每度电多少钱？"),
)
_NO_TARIFF_WHY = Text(
    "Enter the tariff of your contract once; a sample to start from is there. Costs, savings and the bill follow.",
    "录入一次供电合同电价（可从示例开始），即可得到费用、节约空间与电费账单。",
)
_ENTER = Text("Enter the tariff", "录入电价")
_SURCHARGE_NOTE = Text(
    "with funds and surcharges, without charges of the month", "含基金及附加，不含基本电费等月度费用"
)
_REST, _ASSUMED, _INTEGRATED, _COMPUTED = (
    Text("Not sub-metered", "其余（未分项计量）"), Text("place assumed", "位置待确认"), Text("from power", "按功率积分"),
    Text("computed", "计算得出"),
)  # fmt: skip
_OVER = Text(
    "The meters behind measure more than the one above: check which stands where.",
    "下级计量之和大于上级，请核对计量层级。",
)
_MACHINES = Text("Machines", "设备用能排名")
_NONE = Text("No machine has a meter of its own yet.", "尚无设备单独计量。")
_HEAD = (
    Text("Machine", "设备"), Text("Consumption", "用能"), Text("Cost", "费用"), Text("Idle", "待机用能"),
    Text("Idle cost", "待机费用"), Text("Standby load", "待机功率"), Text("Per good part", "单位良品能耗"),
)  # fmt: skip
_WHEN = Text("{day}, {begin}–{end}", "{day} {begin}–{end}")
_OF_CONTRACT = Text("{share} % of the contract of {load} {rate}", "为合同需量 {load} {rate} 的 {share}%")
_WHO = Text("Who drew how much at that time", "当时各设备负荷")
_NO_PEAK = Text("No quarter of an hour was measured throughout.", "没有完整计量的 15 分钟时段。")
_FACTOR = Text("CO₂ by location: {value} {unit} — {source}", "二氧化碳按地域核算：{value} {unit}，来源：{source}")
_BILL = Text("Electricity bill, {month}", "电费账单，{month}")
_SO_FAR = Text("so far · tariff: {tariff}", "截至目前 · 电价：{tariff}")
_WHOLE = Text("tariff: {tariff}", "电价：{tariff}")
_BILL_HEAD = (Text("Item", "项目"), Text("Quantity", "数量"), Text("Price", "单价"), Text("Amount", "金额"))
_TOTAL = Text("Total", "合计")

MOST_BRANCHES, MOST_MACHINES = 20, 100
"""Meters shown behind one, and machines in the table: the largest. A browser takes seconds for thousands."""
_OTHERS = Text("{count} others", "其余 {count} 个")
_MORE_MACHINES = Text("{count} more, each with less", "另有 {count} 台，用量更少")


def show_figures(visit: Visit, summary: Summary) -> None:
    """Show the eight numbers a manager asks for first."""
    with box("card figures eight"):
        coal = amount(summary.coal)
        coal_note = visit.say(_COAL, value=coal[0], unit=coal[1]) if summary.coal.value is not None else ""
        _figure(visit, _ENERGY, summary.energy, coal_note)
        _figure(visit, _COST, summary.cost, visit.say(_SURCHARGE_NOTE))
        _figure(visit, _CO2, summary.co2, "")
        factor = summary.load_factor.value
        _figure(visit, _PEAK, summary.maximum_demand, visit.say(_MEAN, share=f"{factor:.0f}") if factor else "")
        idle = amount(summary.idle)
        known = summary.idle.value is not None
        _figure(visit, _IDLE, summary.idle_cost, visit.say(_IDLE_NOTE, energy=idle[0], unit=idle[1]) if known else "")
        _figure(visit, _VALLEY, summary.valley_saving, visit.say(_VALLEY_NOTE))
        _figure(visit, _BASE, summary.base_load, "")
        weekend = summary.weekend.value
        _figure(
            visit, _NIGHT, summary.night, visit.say(_WEEKEND, share=f"{weekend:.0f}") if weekend is not None else ""
        )
    if summary.co2_factor:
        factor_in_use = summary.co2_factor
        words = visit.say(
            _FACTOR,
            value=f"{factor_in_use.value:g}",
            unit=factor_in_use.unit,
            source=visit.say(Text(factor_in_use.source_en or factor_in_use.source, factor_in_use.source)),
        )
        Words(words, "muted small source", tag="p")


def _figure(visit: Visit, name: Text, figure: Figure, remark: str) -> None:
    value, unit = amount(figure)
    with box("figure"):
        Words(visit.say(name), "label", tag="div")
        with box("big"):
            Words(value)
            Words(unit, "unit")
        lacking = note(visit, figure)
        Words(lacking if figure.value is None else " · ".join(filter(None, (remark, lacking))), "note", tag="div")


def show_bands(visit: Visit, summary: Summary) -> None:
    """Show energy and cost by band, or that there is no tariff and where to enter one."""
    with box("card stack"):
        if not summary.bands:
            Words(visit.say(_NO_TARIFF), tag="h2")
            Words(visit.say(_NO_TARIFF_WHY), "muted", tag="p")
            with box("button", "a", href=f"/energy/settings?site={summary.site_id}#tariff"):
                Words(visit.say(_ENTER))
            return
        Words(visit.say(_BY_BAND), tag="h2")
        whole = sum(band.energy for band in summary.bands) or 1.0
        with box("band-bar"):
            for band in summary.bands:
                box("", style=f"flex-grow:{max(band.energy / whole, 0):.4f};background:{BANDS[band.band][1]}")
        with box("rows bands", "dl"):
            for band in summary.bands:
                words, colour = BANDS[band.band]
                with box("line", "dt"):
                    box("swatch", "span", style=f"background:{colour}")
                    Words(f"{visit.say(words)} {100 * band.energy / whole:.0f}%")
                with box("", "dd"):
                    Words(f"{number(band.energy)} {summary.unit}", "muted")
                    Words(money(band.cost, summary.currency), "cost")
        Words(visit.say(_SURCHARGE_NOTE), "muted small", tag="p")


def show_tree(visit: Visit, summary: Summary) -> None:
    """Show the tree from the grid to the machines, with what no meter behind accounts for."""
    with box("tree"):
        _branches(visit, summary.tree, 0)


def _branch(visit: Visit, node: TreeNode, depth: int) -> None:
    value, unit = amount(node.energy)
    share = max(min(node.share or 0.0, 1.0), 0.0)
    with box(f"branch {node.kind}", style=f"--depth:{depth}"):
        with box("branch-name"):
            Words(visit.say(_REST) if node.kind == "rest" else node.name, "name")
            marks = [
                (not node.confirmed, _ASSUMED), (node.basis == "power", _INTEGRATED), (node.basis == "virtual", _COMPUTED),
            ]  # fmt: skip
            for holds, words in marks:
                if holds:
                    Words(visit.say(words), "token")
        with box("branch-bar"):
            box("", style=f"width:{100 * share:.2f}%")
        Words(f"{value} {unit}".strip(), "branch-value")
        Words(f"{100 * node.share:.1f}%" if node.share is not None else NOTHING, "branch-share muted")
    if node.kind == "rest" and (node.energy.value or 0.0) < -0.005 * abs(node.energy.value or 1.0) - 1e-6:
        Words(visit.say(_OVER), "notice warn small", tag="p")
    _branches(visit, node.children, depth + 1)


def _branches(visit: Visit, nodes: Sequence[TreeNode], depth: int) -> None:
    """Show meters that stand side by side - of very many the largest, and what the others used - and the rest last."""
    metered = [node for node in nodes if node.kind != "rest"]
    if len(metered) > MOST_BRANCHES:
        metered.sort(key=lambda node: -(node.energy.value or 0.0))
    for node in metered[:MOST_BRANCHES]:
        _branch(visit, node, depth)
    if others := metered[MOST_BRANCHES:]:
        used = [node.energy.value for node in others if node.energy.value is not None]
        value, unit = amount(others[0].energy.model_copy(update={"value": sum(used) if used else None}))
        with box("branch", style=f"--depth:{depth}"):
            Words(visit.say(_OTHERS, count=len(others)), "branch-name muted")
            box("branch-bar")
            Words(f"{value} {unit}".strip(), "branch-value")
    for node in nodes:
        if node.kind == "rest":
            _branch(visit, node, depth)


def show_peak(visit: Visit, summary: Summary, zone: ZoneInfo) -> None:
    """Show when the demand was largest, and who drew how much then."""
    with box("card stack"):
        Words(visit.say(_PEAK), tag="h2")
        peak = summary.peak
        if peak is None:
            Words(visit.say(_NO_PEAK), "muted", tag="p")
            return
        with box("line"):
            Words(f"{number(peak.load)} {summary.rate}", "headline")
            Words(_when(visit, peak.start, peak.end, zone), "muted")
        if peak.contract:
            share = f"{100 * peak.load / peak.contract:.0f}"
            Words(visit.say(_OF_CONTRACT, share=share, load=number(peak.contract), rate=summary.rate), "small", tag="p")
        if peak.contributors:
            Words(visit.say(_WHO), "muted small", tag="p")
        with box("tree"):
            for one in peak.contributors[:6]:
                with box("branch equipment", style="--depth:0"):
                    Words(one.name, "branch-name")
                    with box("branch-bar"):
                        box("", style=f"width:{100 * max(min(one.load / peak.load, 1), 0):.2f}%")
                    Words(f"{number(one.load)} {summary.rate}", "branch-value")
                    Words(f"{100 * one.load / peak.load:.0f}%", "branch-share muted")


def show_machines(visit: Visit, summary: Summary) -> None:
    """Show what each machine used, the largest first, and what of it while it made nothing."""
    with box("card stack"):
        Words(visit.say(_MACHINES), tag="h2")
        if not summary.machines:
            Words(visit.say(_NONE), "muted", tag="p")
            return
        rows = []
        for machine in summary.machines[:MOST_MACHINES]:
            figures = [machine.energy, machine.cost, machine.idle, machine.idle_cost, machine.standby, machine.specific]
            rows.append((f"/equipment/{machine.equipment_id}", machine.name, machine.line or "", figures))
        with box("wide-table"), box("ledger", "table"):
            with box("", "thead"), box("", "tr"):
                for name in _HEAD:
                    Words(visit.say(name), tag="th")
            with box("", "tbody"):
                for address, label, line, figures in rows:
                    with box("", "tr"):
                        with box("name", "td"):
                            with box("link", "a", href=address):
                                Words(label)
                            Words(line, "muted small", tag="div")
                        for figure in figures:
                            _cell(visit, figure)
        if len(summary.machines) > MOST_MACHINES:
            Words(visit.say(_MORE_MACHINES, count=len(summary.machines) - MOST_MACHINES), "muted small", tag="p")


def _cell(visit: Visit, figure: Figure) -> None:
    value, unit = amount(figure)
    cell = box("value", "td", title=why(figure, visit.language))
    with cell:
        Words(value)
        Words(unit, "unit")


def show_bill(visit: Visit, bill: Bill, zone: ZoneInfo) -> None:
    """Show the bill of the month, line by line."""
    if not bill.lines:
        return
    first = bill.start.astimezone(zone)
    month = f"{first.year}年{first.month}月" if visit.language == "zh" else f"{first:%B %Y}"
    over = bill.end.astimezone(zone).month != first.month
    with box("card stack"):
        Words(visit.say(_BILL, month=month), tag="h2")
        Words(visit.say(_WHOLE if over else _SO_FAR, tariff=bill.tariff or ""), "muted small", tag="p")
        with box("wide-table"), box("ledger", "table"):
            with box("", "thead"), box("", "tr"):
                for name in _BILL_HEAD:
                    Words(visit.say(name), tag="th")
            with box("", "tbody"):
                for line in bill.lines:
                    words = Text(line.name_en, line.name_zh)
                    remark = Text(line.note_en, line.note_zh).to(visit.language)
                    quantity = f"{number(line.quantity)} {line.unit}" if line.quantity is not None else NOTHING
                    price = f"{line.price:.4g}" if line.price is not None else NOTHING
                    cells = [quantity, price, money(line.amount, bill.currency) if line.amount is not None else NOTHING]
                    _bill_row(visit.say(words), remark, cells)
                _bill_row(visit.say(_TOTAL), "", ["", "", money(bill.total or 0.0, bill.currency)], "total")


def _bill_row(name: str, remark: str, cells: Sequence[str], classes: str = "") -> None:
    with box(classes, "tr"):
        with box("name", "td"):
            Words(name)
            Words(remark, "muted small", tag="div")
        for cell in cells:
            Words(cell, "value", tag="td")


def _when(visit: Visit, begin: datetime, end: datetime, zone: ZoneInfo) -> str:
    local = begin.astimezone(zone)
    day = f"{local.month}月{local.day}日" if visit.language == "zh" else f"{local.day} {local:%b}"
    return visit.say(_WHEN, day=day, begin=f"{local:%H:%M}", end=f"{end.astimezone(zone):%H:%M}")
