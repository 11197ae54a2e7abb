"""The wall of a programme: a row a supplier, a figure a column, and of the risk what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nicegui import ui

from cloud.assessment.service import edition_2024, level_name
from cloud.core.principal import Scope
from cloud.sharing.service import KPI, name_of, unit_of
from cloud.suppliers.schemas import Cell, Programme, Risk, WallRow
from cloud.telemetry.service import csv_table
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import button
from cloud.web.language import number
from cloud.web.supplier_words import STAGES
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

_WALL = Text("Supplier wall", "供应商墙")
_NOTE = Text(
    "From what each grant shows and nothing else. The risk of delivery: 0.4 availability, 0.3 quality and 0.3 silence of data, each"
    " against the supplier's own week before; signs that are not shown are left out.",
    "仅依据各授权共享的内容。交付风险：可用率 0.4、质量 0.3、数据中断 0.3，均与该供应商前一周相比；未共享的指标不计入。",
)
_HEADS = {
    "oee": Text("OEE", "效率 OEE"),
    "quality": Text("Quality", "质量"),
    "energy": Text("Energy", "能耗"),
    "maturity": Text("Maturity", "数字化水平"),
    "conformance": Text("Conformance", "数据合规"),
    "risk": Text("Delivery risk", "交付风险"),
}
_EXPORT, _ENTRY_OF = Text("As a spreadsheet", "导出表格"), Text("{column}: entry", "{column}：数据项")
_SUPPLIER = Text("Supplier", "供应商")
_ABSENT: Mapping[str, Text] = {
    "not_asked": Text("not asked for", "未申请"),
    "not_granted": Text("not granted", "未授权"),
    "nothing_yet": Text("nothing yet", "暂无数据"),
    "readings": Text("readings only", "仅有单个读数"),
}
_PER_DAY = Text("{value} kWh a day", "{value} kWh/天")
_CONFORMS = Text("{count} of {all} entries", "{all} 项中 {count} 项")
_RISKS: Mapping[str, Mark] = {
    "low": Mark(Text("low", "低"), "good"),
    "medium": Mark(Text("medium", "中"), "warn"),
    "high": Mark(Text("high", "高"), "bad"),
}
_UNKNOWN = Text("too little is shown", "共享数据不足")
_SIGNS: Mapping[str, Text] = {
    "availability": Text("availability", "可用率"),
    "quality": Text("quality", "质量"),
    "silence": Text("silence", "数据中断"),
}
_NOT_SHOWN = Text("not known", "未知")
_SHOWN = 300


async def show_wall(visit: Visit, programme: Programme) -> None:
    """Add the wall of those who show something; the others stand in the funnel."""
    everyone = await visit.domains.suppliers.wall(visit.acting(Scope.READ), programme.id)
    rows = [row for row in everyone if row.grant_id]
    if not rows:
        return

    async def export() -> None:
        ui.download.content(csv_table(_table(visit, rows)), "wall.csv")

    with box("card stack wide"):
        with box("line spread"):
            Words(visit.say(_WALL), tag="h2")
            button(visit.say(_EXPORT), export, "button quiet")
        Words(visit.say(_NOTE), "muted small", tag="p")
        with box("wall"):
            with box("wall-row head"):
                for words in (_SUPPLIER, *_HEADS.values()):
                    Words(visit.say(words))
            for row in rows[:_SHOWN]:
                _row(visit, row)


def _table(visit: Visit, rows: Sequence[WallRow]) -> list[list[object]]:
    """Return the wall as a table: a figure is a number in the unit of its entry, what is not shown says so in its place."""
    entries = (visit.say(_ENTRY_OF, column=visit.say(_HEADS[name])) for name in ("quality", "energy"))
    table: list[list[object]] = [[visit.say(_SUPPLIER), *(visit.say(head) for head in _HEADS.values()), *entries]]
    for row in rows:
        cells = [
            visit.say(_ABSENT[cell.state]) if cell.state != "shown" else cell.value
            for cell in (row.oee, row.quality, row.energy, row.maturity)
        ]
        risk = visit.say(_UNKNOWN) if row.risk.value is None else row.risk.value
        told = [visit.say(name_of(cell.entry)) if cell.entry else "" for cell in (row.quality, row.energy)]
        table.append([row.name, *cells, f"{row.conforming}/{row.asked}", risk, *told])
    return table


def _row(visit: Visit, row: WallRow) -> None:
    say = visit.say
    with box("wall-row supplier-row"):
        with box():
            with box("strong", "a", href=f"/shares/{row.grant_id}"):
                Words(row.name)
            with box():
                MarkView(STAGES[row.stage], visit.language, plain=True)
        _cell(visit, "oee", lambda: _figure(visit, row.oee))
        _cell(visit, "quality", lambda: _figure(visit, row.quality))
        _cell(visit, "energy", lambda: _figure(visit, row.energy))
        _cell(visit, "maturity", lambda: _level(visit, row.maturity))
        _cell(visit, "conformance", lambda: _said(say(_CONFORMS, count=row.conforming, all=row.asked)))
        _cell(visit, "risk", lambda: _risk(visit, row.risk))


def _cell(visit: Visit, head: str, fill: Callable[[], None]) -> None:
    with box():
        Words(visit.say(_HEADS[head]), "wall-label", tag="div")
        fill()


def _said(words: str) -> None:
    Words(words, "num", tag="div")


def _figure(visit: Visit, cell: Cell) -> None:
    if cell.state != "shown" or cell.entry is None or cell.value is None:
        Words(visit.say(_ABSENT[cell.state]), "muted small", tag="div")
        return
    if cell.entry.startswith(KPI):
        _said(f"{100 * cell.value:.1f} %")
    elif cell.entry == "energy_active_import":
        _said(visit.say(_PER_DAY, value=number(cell.value)))
    else:
        _said(f"{number(cell.value)} {unit_of(cell.entry)}")
    Words(visit.say(name_of(cell.entry)), "muted small", tag="div")


def _level(visit: Visit, cell: Cell) -> None:
    if cell.state != "shown" or cell.value is None:
        Words(visit.say(_ABSENT[cell.state]), "muted small", tag="div")
        return
    _said(visit.say(level_name(edition_2024(), int(cell.value))))


def _risk(visit: Visit, risk: Risk) -> None:
    if risk.level is None:
        Words(visit.say(_UNKNOWN), "muted small", tag="div")
    else:
        MarkView(_RISKS[risk.level], visit.language)
    separator = "：" if visit.language == "zh" else ": "
    signs = [
        f"{visit.say(_SIGNS[each.sign])}{separator}"
        + (visit.say(_NOT_SHOWN) if each.value is None else f"{100 * each.value:.0f} %")
        for each in risk.signs
    ]
    Words(" · ".join(signs), "muted small", tag="div")
