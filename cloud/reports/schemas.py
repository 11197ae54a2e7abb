"""What the reports domain takes and gives. Times are UTC.

A report is a `Document`: what the page shows, the PDF prints and the workbook keeps is this one. Every figure in it says how
completely its inputs were measured, or why it has no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from cloud.production.schemas import Node
from protocols.text import Language, Text

Kind = Literal["shift", "day", "week", "month"]
Format = Literal["pdf", "xlsx"]
MEDIA_TYPES: dict[Format, str] = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class Period(NamedTuple):
    """What a report is about: [start, end), which production days that touches, and what people call it."""

    kind: Kind
    start: datetime
    end: datetime
    first: date
    last: date
    name: Text


class ReportFile(NamedTuple):
    """A report ready to be handed over."""

    name: str
    media_type: str
    content: bytes


class ScheduleRequest(BaseModel):
    """A report to be sent on a channel whenever its period is over."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    node: Node
    language: Language = "zh"
    format: Format = "pdf"
    channel_id: UUID = Field(description="An e-mail channel; other kinds of channels carry no file.")
    wait_min: Annotated[int, Field(ge=0, le=1440)] = Field(
        30, description="Minutes after the period's end, for readings that arrive late."
    )


class Schedule(ScheduleRequest):
    """A stored schedule.

    Attributes:
        told_until: end of the last period that was sent, or the time the schedule was made.
        reason_en, reason_zh: why the last report could not be made; empty if it could.
    """

    id: UUID
    told_until: datetime
    reason_en: str
    reason_zh: str
    created_by: str
    created_at: datetime


NOTHING = "–"
"""Stands where there is no value."""

Tone = Literal["good", "warn", "bad", "idle", "plain"]
Cell = Text | str | float | int | datetime | None


class Figure(NamedTuple):
    """One figure of the period.

    Attributes:
        value: in `unit`; None where there is none, and `note` says why.
        digits: decimals people read.
        before: the same figure of the period before.
        completeness: share of its inputs that was measured, 0..1.
        note: why there is no value, or what to know about it.
    """

    name: Text
    value: float | None
    unit: str
    digits: int = 1
    before: float | None = None
    completeness: float | None = None
    note: Text | None = None


class Column(NamedTuple):
    """A column of a table; its cells are texts, or numbers in `unit` with `digits` decimals."""

    name: Text
    unit: str = ""
    digits: int = 1


class Table(NamedTuple):
    """Rows of as many cells as there are columns."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


class Bar(NamedTuple):
    """One bar of a chart, with a length of 0 or more in the chart's unit."""

    name: Text | str
    value: float
    tone: Tone = "plain"


class Bars(NamedTuple):
    """A chart of horizontal bars, longest scale first to last as given."""

    unit: str
    digits: int
    bars: Sequence[Bar]


class Section(NamedTuple):
    """A heading and what stands under it, in the order of the fields; what is empty is left out."""

    title: Text
    figures: Sequence[Figure] = ()
    chart: Bars | None = None
    table: Table | None = None
    note: Text | None = None


class Document(NamedTuple):
    """A whole report. Times are shown in `zone`."""

    title: Text
    company: str
    place: str
    period: Text
    made: datetime
    zone: ZoneInfo
    sections: Sequence[Section]


def number(value: float | None, digits: int) -> str:
    """Return `value` with thousands apart, as both languages write it."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def heading(column: Column, language: Language) -> str:
    """Return the name of `column` with its unit."""
    name = column.name.to(language)
    return f"{name} ({column.unit})" if column.unit else name


def shown(cell: Cell, column: Column, document: Document, language: Language) -> str:
    """Return a cell as people read it."""
    match cell:
        case None:
            return NOTHING
        case Text():
            return cell.to(language)
        case datetime():
            return cell.astimezone(document.zone).strftime("%Y-%m-%d %H:%M")
        case str():
            return cell
        case _:
            return number(cell, column.digits)


def change(figure: Figure) -> float | None:
    """Return by how much a figure differs from the period before, in its unit; None where one of them is missing."""
    return None if figure.value is None or figure.before is None else figure.value - figure.before
