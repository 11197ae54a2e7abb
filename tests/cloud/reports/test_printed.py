"""One document, printed: the PDF and the workbook say the same figures, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from zoneinfo import ZoneInfo

import openpyxl
import pypdf
import pytest

from cloud.reports.pdf import pdf
from cloud.reports.schemas import Bar, Bars, Column, Document, Figure, Section, Table
from cloud.reports.workbook import workbook
from protocols.text import Language, Text

OEE, GOOD = Text("OEE index", "设备综合效率"), Text("Good parts", "良品数")
MACHINE, WHEN = Text("Machine", "设备"), Text("When", "时间")
NO_SHIFT = Text("no busy time is planned", "没有计划忙碌时间")
ROWS = [("注塑机 1# <A&B>", 71.3, datetime(2026, 11, 25, 1, tzinfo=UTC)), ("=1+1", None, None)]

DOCUMENT = Document(
    title=Text("Daily report", "生产日报"),
    company="宁波精工 & Sons",
    place="Ningbo / 注塑线",
    period=Text("2026-11-25", "2026-11-25"),
    made=datetime(2026, 11, 26, 0, 30, tzinfo=UTC),
    zone=ZoneInfo("Asia/Shanghai"),
    sections=[
        Section(
            Text("Production: all/machines", "生产"),
            figures=[Figure(OEE, 71.3, "%", 1, 69.5, 0.984), Figure(GOOD, None, "", 0, note=NO_SHIFT)],
            chart=Bars("min", 0, [Bar(Text("Failure", "故障"), 90, "bad"), Bar("No material", 0)]),
            table=Table([Column(MACHINE), Column(OEE, "%"), Column(WHEN)], ROWS * 40),
        )
    ],
)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Daily report", "OEE index", "71.3 %", "before: 69.5", "98 % measured", NO_SHIFT.en, "page 3"]),
        ("zh", ["生产日报", "设备综合效率", "71.3 %", "上期：69.5", "数据完整率 98 %", NO_SHIFT.zh, "第 3 页"]),
    ],
)
def test_a_pdf_is_read_as_it_was_meant(language: Language, words: list[str]) -> None:
    printed = pdf(DOCUMENT, language)
    pages = pypdf.PdfReader(BytesIO(printed)).pages
    text = "\n".join(page.extract_text() for page in pages)
    assert len(pages) == 3
    for word in [*words, "注塑机 1# <A&B>", "2026-11-25 09:00", "宁波精工 & Sons", "90 min"]:
        assert word in text
    assert printed == pdf(DOCUMENT, language)
    assert len(printed) < 40_000


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_workbook_keeps_numbers_and_runs_nothing(language: Language) -> None:
    book = openpyxl.load_workbook(BytesIO(workbook(DOCUMENT, language)))
    figures, machines = book.worksheets
    rows = {row[1]: row for row in figures.iter_rows(values_only=True) if row[1]}
    assert rows[OEE.to(language)][2:6] == (71.3, "%", 69.5, 98.4)
    assert rows[GOOD.to(language)][2] is None
    assert rows[GOOD.to(language)][6] == NO_SHIFT.to(language)
    head, first, second, *_ = machines.iter_rows(values_only=True)
    assert head == (MACHINE.to(language), f"{OEE.to(language)} (%)", WHEN.to(language))
    assert first == ("注塑机 1# <A&B>", 71.3, "2026-11-25 09:00")
    assert second[0] == "'=1+1"
    assert {cell.data_type for cell in machines["A"]} == {"s"}
