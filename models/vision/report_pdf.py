"""A model's page as PDF, A4. Chinese is set in STSong-Light, which every reader of PDFs brings along."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, Image, Paragraph, SimpleDocTemplate, Table

from models.vision.report import Histogram, Page, Rows, Shot

_FONT = "STSong-Light"
_INK, _MUTED, _LINE = HexColor("#16202c"), HexColor("#5b6876"), HexColor("#d6dde4")
_GOOD, _BAD = HexColor("#5b9279"), HexColor("#b3382c")
_MARGIN = 16 * mm
_WIDTH = A4[0] - 2 * _MARGIN

pdfmetrics.registerFont(UnicodeCIDFont(_FONT))


def _style(size: float, colour: HexColor = _INK, **more: float) -> ParagraphStyle:
    return ParagraphStyle(
        "", fontName=_FONT, fontSize=size, leading=size * 1.35, textColor=colour, wordWrap="CJK", **more
    )


_TITLE, _HEADING, _TEXT = _style(18), _style(11, spaceBefore=8, spaceAfter=3), _style(8.5)
_SMALL = _style(7.5, _MUTED)


def as_pdf(page: Page) -> bytes:
    """Return the page as PDF."""
    story: list[Flowable] = [_words(page.title, _TITLE), _words(page.subtitle, _SMALL)]
    story += _table(*page.tables[0])
    if page.histogram:
        story += [_words(page.histogram.title, _HEADING), _bars(page.histogram)]
    for heading, shots in page.shots:
        if shots:
            story += [_words(heading, _HEADING), _pictures(shots)]
    for table in page.tables[1:]:
        story += _table(*table)
    file = BytesIO()
    template = SimpleDocTemplate(
        file,
        pagesize=A4,
        title=page.title,
        lang="zh-CN" if page.language == "zh" else "en",
        invariant=1,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
    )
    template.build(story)
    return file.getvalue()


def _words(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(text), style)


def _table(heading: str, rows: Rows) -> list[Flowable]:
    cells = [[_words(cell, _SMALL if at == 0 else _TEXT) for at, cell in enumerate(row)] for row in rows]
    grid = Table(cells, colWidths=[0.36 * _WIDTH, 0.64 * _WIDTH])
    grid.setStyle([("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE), ("VALIGN", (0, 0), (-1, -1), "TOP"),
                   ("TOPPADDING", (0, 0), (-1, -1), 2), ("BOTTOMPADDING", (0, 0), (-1, -1), 2)])  # fmt: skip
    return [_words(heading, _HEADING), grid]


def _pictures(shots: Sequence[Shot]) -> Table:
    side = _WIDTH / 8 - 3
    row: list[list[Flowable]] = []
    for shot in shots:
        pair = Table([[Image(BytesIO(part), side, side) for part in (shot.picture, shot.heatmap)]])
        row.append([pair, _words(shot.caption, _SMALL)])
    grid = Table([row], colWidths=[_WIDTH / 4] * len(row), hAlign="LEFT")
    grid.setStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
    return grid


def _bars(shown: Histogram) -> Drawing:
    height, most = 90.0, max([*shown.good, *shown.bad, 1])
    drawing = Drawing(_WIDTH, height + 16)
    step = _WIDTH / len(shown.good)
    for colour, counts, offset in ((_GOOD, shown.good, 0.0), (_BAD, shown.bad, step / 2)):
        for at, count in enumerate(counts):
            tall = (height - 12) * count / most
            drawing.add(Rect(at * step + offset, 14, step / 2 - 0.5, tall, fillColor=colour, strokeColor=None))
    for limit in (shown.review, shown.reject):
        x = _WIDTH * (limit - shown.edges[0]) / (shown.edges[-1] - shown.edges[0])
        drawing.add(Line(x, 14, x, height + 6, strokeColor=_INK, strokeWidth=0.6))
        drawing.add(String(x + 2, height, f"{limit:.2f}", fontName=_FONT, fontSize=7, fillColor=_INK))
    for at, (name, colour) in enumerate(zip(shown.names, (_GOOD, _BAD), strict=True)):
        drawing.add(String(at * 70, 2, f"■ {name}", fontName=_FONT, fontSize=7.5, fillColor=colour))
    return drawing
