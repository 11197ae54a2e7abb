"""A report as a PDF of A4 pages.

Chinese is set in the standard font STSong-Light, which a reader of PDFs brings along (Adobe-GB1, ISO 32000-1 9.7.5.2),
so that a page of it is a few kilobytes; Latin text and figures in Helvetica.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, Rect
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, KeepTogether, PageTemplate, Paragraph, Spacer
from reportlab.platypus import Table as Grid

from cloud.reports.schemas import Bars, Document, Figure, Section, Table, Tone, change, heading, number, shown
from protocols.text import Language, Text

_CHINESE, _LATIN = "STSong-Light", "Helvetica"
_INK, _MUTED, _LINE, _GROUND = HexColor("#16202c"), HexColor("#5b6876"), HexColor("#d6dde4"), HexColor("#f4f6f8")
_TONES: dict[Tone, Any] = {
    "good": HexColor("#2e8b57"),
    "warn": HexColor("#d08a1d"),
    "bad": HexColor("#c0392b"),
    "idle": HexColor("#8896a5"),
    "plain": HexColor("#2f6fb0"),
}
_MARGIN = 16 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_TILES = 4
_WIDE = re.compile(r"[⺀-鿿豈-﫿＀-￯　-〿—–·…“”‘’]+")

_BEFORE = Text("before: {value}", "上期：{value}")
_MEASURED = Text("{share} % measured", "数据完整率 {share} %")
_MADE = Text("made {time}", "生成于 {time}")
_PAGE = Text("page {number}", "第 {number} 页")

pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE))


def _style(size: float, colour: Any = _INK, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(
        "", fontName=_LATIN, fontSize=size, leading=size * 1.35, textColor=colour, wordWrap="CJK", **more
    )


_TITLE, _HEADING, _TEXT = _style(18), _style(12, spaceBefore=8, spaceAfter=4), _style(8.5)
_SMALL, _RIGHT, _BIG = _style(7.5, _MUTED), _style(8.5, alignment=TA_RIGHT), _style(15)
_HEAD_RIGHT = _style(7.5, _MUTED, alignment=TA_RIGHT)


def pdf(document: Document, language: Language) -> bytes:
    """Return `document` printed in `language`."""
    file = BytesIO()

    def frame(canvas: Canvas, template: BaseDocTemplate) -> None:
        canvas.saveState()
        foot = f"{document.company}  ·  {_MADE.to(language).format(time=_made(document))}"
        _line(canvas, _MARGIN, foot)
        page = _PAGE.to(language).format(number=template.page)
        _line(canvas, A4[0] - _MARGIN - _length(page), page)
        canvas.restoreState()

    template = BaseDocTemplate(
        file,
        pagesize=A4,
        title=document.title.to(language),
        author=document.company,
        lang="zh-CN" if language == "zh" else "en",
        invariant=1,
    )
    body = Frame(_MARGIN, _MARGIN, _WIDTH, A4[1] - 2 * _MARGIN, 0, 4 * mm, 0, 0)
    template.addPageTemplates(PageTemplate(frames=[body], onPage=frame))
    template.build(_story(document, language))
    return file.getvalue()


def _story(document: Document, language: Language) -> list[Flowable]:
    story: list[Flowable] = [
        _words(document.title.to(language), _TITLE),
        _words(f"{document.place}  ·  {document.period.to(language)}", _SMALL),
        Spacer(0, 3 * mm),
    ]
    for section in document.sections:
        story += _section(section, document, language)
    return story


def _section(section: Section, document: Document, language: Language) -> list[Flowable]:
    title = _words(section.title.to(language), _HEADING)
    blocks: list[Flowable] = []
    if section.figures:
        blocks += [_tiles(section.figures, language), Spacer(0, 2 * mm)]
    if section.chart and section.chart.bars:
        blocks += [_bars(section.chart, language), Spacer(0, 2 * mm)]
    if section.table and section.table.rows:
        blocks += [_table(section.table, document, language), Spacer(0, 2 * mm)]
    if section.note:
        blocks.append(_words(section.note.to(language), _SMALL))
    return [KeepTogether([title, *blocks[:1]]), *blocks[1:]]


def _tiles(figures: Any, language: Language) -> Grid:
    tiles = [[_tile(figure, language)] for figure in figures]
    rows = [
        [*tiles[at : at + _TILES], *[""] * (_TILES - len(tiles[at : at + _TILES]))]
        for at in range(0, len(tiles), _TILES)
    ]
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("BOX", (0, 0), (-1, -1), 0.5, _LINE),
        ("INNERGRID", (0, 0), (-1, -1), 0.5, _LINE),
    ]
    return Grid(rows, colWidths=[_WIDTH / _TILES] * _TILES, style=style)


def _tile(figure: Figure, language: Language) -> list[Flowable]:
    value = number(figure.value, figure.digits)
    lines = [
        _words(figure.name.to(language), _SMALL),
        _words(value if figure.value is None else f"{value} {figure.unit}".strip(), _BIG),
    ]
    if change(figure) is not None:
        lines.append(_words(_BEFORE.to(language).format(value=number(figure.before, figure.digits)), _SMALL))
    if figure.completeness is not None and figure.value is not None:
        lines.append(_words(_MEASURED.to(language).format(share=f"{100 * figure.completeness:.0f}"), _SMALL))
    if figure.note:
        lines.append(_words(figure.note.to(language), _SMALL))
    return lines


def _bars(chart: Bars, language: Language) -> Grid:
    longest = max((bar.value for bar in chart.bars), default=0) or 1
    room = _WIDTH * 0.55
    rows = []
    for bar in chart.bars:
        drawing = Drawing(room, 9)
        drawing.add(Rect(0, 1, max(room * bar.value / longest, 0.5), 7, fillColor=_TONES[bar.tone], strokeColor=None))
        name = bar.name.to(language) if isinstance(bar.name, Text) else bar.name
        rows.append(
            [_words(name, _TEXT), drawing, _words(f"{number(bar.value, chart.digits)} {chart.unit}".strip(), _RIGHT)]
        )
    widths = [_WIDTH * 0.27, room, _WIDTH * 0.18]
    return Grid(rows, colWidths=widths, style=[("VALIGN", (0, 0), (-1, -1), "MIDDLE"), *_tight()])


def _table(table: Table, document: Document, language: Language) -> Grid:
    numeric = [all(not isinstance(row[at], str | Text) for row in table.rows) for at in range(len(table.columns))]
    head = [
        _words(heading(column, language), _HEAD_RIGHT if right else _SMALL)
        for column, right in zip(table.columns, numeric, strict=True)
    ]
    rows = [
        [
            _words(shown(cell, column, document, language), _RIGHT if right else _TEXT)
            for cell, column, right in zip(row, table.columns, numeric, strict=True)
        ]
        for row in table.rows
    ]
    shares = [1.0 if right else 1.8 for right in numeric]
    widths = [_WIDTH * share / sum(shares) for share in shares]
    style = [("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE), ("BACKGROUND", (0, 0), (-1, 0), _GROUND), *_tight()]
    return Grid([head, *rows], colWidths=widths, repeatRows=1, style=style)


def _tight() -> list[tuple[Any, ...]]:
    return [(f"{side}PADDING", (0, 0), (-1, -1), 2.5) for side in ("TOP", "BOTTOM")]


def _words(text: str, style: ParagraphStyle) -> Paragraph:
    """Return `text` as a paragraph, each script in its own font."""
    marked, at = [], 0
    for run in _WIDE.finditer(text):
        marked += [escape(text[at : run.start()]), f'<font name="{_CHINESE}">{escape(run.group())}</font>']
        at = run.end()
    return Paragraph("".join(marked) + escape(text[at:]), style)


def _made(document: Document) -> str:
    return document.made.astimezone(document.zone).strftime("%Y-%m-%d %H:%M")


def _line(canvas: Canvas, x: float, text: str) -> None:
    canvas.setFillColor(_MUTED)
    canvas.setFont(_CHINESE, 7.5)
    canvas.drawString(x, _MARGIN / 2, text)


def _length(text: str) -> float:
    return float(pdfmetrics.stringWidth(text, _CHINESE, 7.5))
