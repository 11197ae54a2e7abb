"""A report's document as a part of a page: the figures, charts and tables that the PDF and the workbook have too."""

from __future__ import annotations

from cloud.reports.schemas import Bars, Document, Figure, Section, Table, change, heading, number, shown
from cloud.web.elements import Words, box
from cloud.web.visit import Visit
from protocols.text import Text

_BEFORE, _MEASURED = Text("before: {value}", "上期：{value}"), Text("{share} % measured", "数据完整率 {share} %")


def show_document(visit: Visit, document: Document) -> None:
    """Show a whole report."""
    with box("stack wide"):
        with box():
            Words(f"{document.title.to(visit.language)} · {document.period.to(visit.language)}", tag="h2")
            Words(document.place, "muted", tag="p")
        for section in document.sections:
            _show_section(visit, section, document)


def _show_section(visit: Visit, section: Section, document: Document) -> None:
    with box("card stack"):
        Words(visit.say(section.title), tag="h2")
        if section.figures:
            with box("figures eight"):
                for figure in section.figures:
                    _show_figure(visit, figure)
        if section.chart and section.chart.bars:
            _show_bars(visit, section.chart)
        elif section.table and section.table.rows:
            _show_table(visit, section.table, document)
        if section.note:
            Words(visit.say(section.note), "muted", tag="p")


def _show_figure(visit: Visit, figure: Figure) -> None:
    notes = []
    if change(figure) is not None:
        notes.append(visit.say(_BEFORE, value=number(figure.before, figure.digits)))
    if figure.completeness is not None and figure.value is not None:
        notes.append(visit.say(_MEASURED, share=f"{100 * figure.completeness:.0f}"))
    if figure.note:
        notes.append(visit.say(figure.note))
    with box("figure"):
        Words(visit.say(figure.name), "label", tag="div")
        with box("big"):
            Words(number(figure.value, figure.digits))
            Words("" if figure.value is None else figure.unit, "unit")
        Words(" · ".join(notes), "note", tag="div")


def _show_bars(visit: Visit, chart: Bars) -> None:
    longest = max((bar.value for bar in chart.bars), default=0) or 1
    with box("report-bars"):
        for bar in chart.bars:
            Words(bar.name.to(visit.language) if isinstance(bar.name, Text) else bar.name)
            with box("report-bar"):
                box(bar.tone, style=f"width:{100 * bar.value / longest:.1f}%")
            Words(f"{number(bar.value, chart.digits)} {chart.unit}", "num")


def _show_table(visit: Visit, table: Table, document: Document) -> None:
    with box("wide-table"), box("ledger", "table"):
        with box("", "thead"), box("", "tr"):
            for column in table.columns:
                Words(heading(column, visit.language), tag="th")
        with box("", "tbody"):
            for row in table.rows:
                with box("", "tr"):
                    for cell, column in zip(row, table.columns, strict=True):
                        name = "" if isinstance(cell, str | Text) else "num"
                        Words(shown(cell, column, document, visit.language), name, tag="td")
