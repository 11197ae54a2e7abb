"""One page that says what a model is and how good it is: for the customer, the auditor and the folder on the shelf.

The page is put together once and written as HTML that needs nothing else (`as_html`), or as PDF (`report_pdf`).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from models.errors import InputError, Language
from models.vision.detector import Finding, heatmap_png
from models.vision.pictures import Grey

Rows = Sequence[Sequence[str]]
SHOTS = 4
"""Pictures of each kind."""
BINS = 30
_SIDE = 160

_STYLE = """
body{font:14px/1.5 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;color:#1f2a2c;max-width:820px;margin:32px auto;padding:0 16px}
h1{font-size:22px;margin:0}h2{font-size:15px;margin:24px 0 6px}p{margin:2px 0;color:#55615f}
table{border-collapse:collapse;width:100%}td{padding:4px 8px 4px 0;border-bottom:1px solid #e8e3d8;vertical-align:top}td:first-child{color:#55615f;width:38%}
.shots{display:flex;flex-wrap:wrap;gap:10px}figure{margin:0;width:160px}figure img{width:160px;display:block}figcaption{font-size:12px;color:#55615f}
@media print{body{margin:0}}
"""


class Histogram(NamedTuple):
    """How scores lie: counts of good and defective pictures between `edges`, and the limits."""

    edges: Sequence[float]
    good: Sequence[int]
    bad: Sequence[int]
    review: float
    reject: float
    title: str
    names: tuple[str, str]


class Shot(NamedTuple):
    """A picture (PNG) with where it looked unusual (PNG), and what is said of it."""

    picture: bytes
    heatmap: bytes
    caption: str


class Page(NamedTuple):
    """The page: tables and pictures under headings, in the order they stand."""

    language: Language
    title: str
    subtitle: str
    tables: Sequence[tuple[str, Rows]]
    histogram: Histogram | None
    shots: Sequence[tuple[str, Sequence[Shot]]]


class Judged(NamedTuple):
    """Pictures of one kind with their names and what the model says of them."""

    names: Sequence[str]
    greys: Sequence[Grey]
    findings: Sequence[Finding]


def page(title: str, learnt: Rows, figures: Rows, judged: tuple[Judged, Judged], language: Language) -> Page:
    """Return the page of a model judged on good and defective pictures; `learnt`, `figures` are the commands' own rows."""
    good, bad = judged
    zh = language == "zh"
    counted = (len(good.greys), len(bad.greys))
    return Page(
        language,
        title,
        f"用模型未见过的 {counted[0]} 张良品与 {counted[1]} 张缺陷品图片评估"
        if zh
        else f"judged on {counted[0]} pictures of good and {counted[1]} of defective parts it never saw",
        [("评估结果" if zh else "How good it is", figures), ("模型" if zh else "What it is", learnt)],
        _histogram(good.findings, bad.findings, zh),
        [
            ("分值最高的良品" if zh else "Good parts it finds most unusual", _shots(good, zh, highest=True)),
            ("分值最低的缺陷品" if zh else "Defective parts it is least sure of", _shots(bad, zh, highest=False)),
        ],
    )


def write_report(path: Path, page: Page) -> None:
    """Write the page to `path`, a .html or .pdf file; raises InputError."""
    kinds = {".html": as_html, ".pdf": _as_pdf}
    if path.suffix.lower() not in kinds:
        raise InputError(
            "report", f"{path}: a report is a .html or a .pdf file", f"{path}：报告须为 .html 或 .pdf 文件"
        )
    content = kinds[path.suffix.lower()](page)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(
            "report", f"{path}: cannot be written: {error.strerror}", f"{path}：无法写入：{error.strerror}"
        ) from error


def as_html(page: Page) -> bytes:
    """Return the page as one HTML file."""
    parts = [f"<h1>{escape(page.title)}</h1><p>{escape(page.subtitle)}</p>"]
    for heading, rows in page.tables[:1]:
        parts.append(_table(heading, rows))
    if page.histogram:
        parts.append(f"<h2>{escape(page.histogram.title)}</h2>{_svg(page.histogram)}")
    for heading, shots in page.shots:
        if shots:
            figures = "".join(
                f'<figure><img alt="" src="{_inline(shot.picture)}"><img alt="" src="{_inline(shot.heatmap)}">'
                f"<figcaption>{escape(shot.caption)}</figcaption></figure>"
                for shot in shots
            )
            parts.append(f'<h2>{escape(heading)}</h2><div class="shots">{figures}</div>')
    parts += [_table(heading, rows) for heading, rows in page.tables[1:]]
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="{page.language}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(page.title)}</title>'
        f"<style>{_STYLE}</style><body>{body}</body></html>\n"
    ).encode()


def _as_pdf(page: Page) -> bytes:
    try:
        from models.vision.report_pdf import as_pdf  # noqa: PLC0415 - only where a PDF is wanted
    except ModuleNotFoundError as error:
        raise InputError(
            "report",
            f"a PDF needs the package '{error.name}': install sunmao-iiot[cloud], or ask for .html",
            f"生成 PDF 需要软件包“{error.name}”：请安装 sunmao-iiot[cloud]，或改用 .html",
        ) from error
    return as_pdf(page)


def _histogram(good: Sequence[Finding], bad: Sequence[Finding], zh: bool) -> Histogram:
    scores = [np.array([finding.score for finding in findings]) for findings in (good, bad)]
    review, reject = good[0].review, good[0].reject
    # Above twice the reject limit one defect is as plain as the other.
    edges = np.linspace(min(float(each.min()) for each in scores), max(2 * reject, reject + 1), BINS + 1)
    of_good, of_bad = (np.histogram(np.clip(each, edges[0], edges[-1]), edges)[0].tolist() for each in scores)
    title = "分值分布(超出部分计入最右)" if zh else "Scores; those beyond stand at the right end"
    return Histogram(
        edges.tolist(), of_good, of_bad, review, reject, title, ("良品", "缺陷品") if zh else ("good", "defective")
    )


def _shots(judged: Judged, zh: bool, *, highest: bool) -> list[Shot]:
    order = sorted(range(len(judged.findings)), key=lambda at: judged.findings[at].score, reverse=highest)
    words = {"pass": "合格", "review": "待复核", "reject": "不合格"}
    shots = []
    for at in order[:SHOTS]:
        finding, file = judged.findings[at], BytesIO()
        Image.fromarray(judged.greys[at]).resize((_SIDE, _SIDE)).save(file, "PNG")
        verdict = words[finding.verdict] if zh else finding.verdict
        caption = f"{judged.names[at]} · {finding.score:.2f} · {verdict}"
        shots.append(Shot(file.getvalue(), heatmap_png(finding, (_SIDE, _SIDE)), caption))
    return shots


def _table(heading: str, rows: Rows) -> str:
    cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h2>{escape(heading)}</h2><table>{cells}</table>"


def _svg(shown: Histogram) -> str:
    """Return the histogram: good ones upward, defective ones beside them, the limits as lines."""
    width, height, most = 760, 170, max([*shown.good, *shown.bad, 1])
    span = shown.edges[-1] - shown.edges[0]
    step = width / len(shown.good)
    bars = []
    for colour, counts, offset in (("#5b9279", shown.good, 0.0), ("#b3382c", shown.bad, step / 2)):
        for at, count in enumerate(counts):
            tall = 140 * count / most
            bars.append(
                f'<rect x="{at * step + offset:.1f}" y="{150 - tall:.1f}" width="{step / 2 - 1:.1f}" height="{tall:.1f}" fill="{colour}"/>'
            )
    for limit, dash in ((shown.review, "4 3"), (shown.reject, "none")):
        x = width * (limit - shown.edges[0]) / span
        bars.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="150" stroke="#16202c" stroke-dasharray="{dash}"/>'
            f'<text x="{x + 3:.1f}" y="10" font-size="11">{limit:.2f}</text>'
        )
    legend = f'<text x="0" y="166" font-size="11" fill="#5b9279">■ {escape(shown.names[0])}</text><text x="90" y="166" font-size="11" fill="#b3382c">■ {escape(shown.names[1])}</text>'
    return f'<svg viewBox="0 0 {width} {height}" width="100%" role="img">{"".join(bars)}{legend}</svg>'


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
