"""What the uploads domain takes and gives. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from protocols.text import Text

FileFormat = Literal["csv", "xlsx"]


class CellFault(BaseModel):
    """What is wrong with a cell, and how to mend it.

    Attributes:
        row: its row in the file, the heading being 1; `cell` as a spreadsheet names it, e.g. C5.
        column: how the column is headed.
    """

    row: int
    cell: str
    column: str
    message_en: str
    message_zh: str

    @property
    def message(self) -> Text:
        """What is wrong, and how to mend it."""
        return Text(self.message_en, self.message_zh)


class UploadedSeries(BaseModel):
    """The values of one entry at one machine, as the file was understood.

    Attributes:
        unit: the symbol, "" for a bare number.
        low, high: least and greatest value; null of texts.
        last: the value of `latest`, as it would be shown.
    """

    equipment_id: UUID
    machine: str
    entry: str
    unit: str
    values: int
    earliest: datetime
    latest: datetime
    low: float | None
    high: float | None
    last: float | str


class UploadReport(BaseModel):
    """What became of a file: all its values are stored, or - where anything is wrong, or it was only checked - none.

    Attributes:
        rows: rows with values.
        fault_count: how many faults there are, counted to about 5000; `faults` are the first 200.
        series: how the file was understood.
        values: how many values it has; `known` of them are stored already and stay as they are.
        stored: whether all of them are stored now.
        repeated: the same values were uploaded before, so that nothing has changed.
    """

    rows: int
    fault_count: int
    faults: list[CellFault]
    series: list[UploadedSeries]
    values: int
    known: int
    stored: bool
    repeated: bool


class Upload(BaseModel):
    """A file that was taken."""

    id: UUID
    site_id: UUID
    rows: int
    readings: int
    earliest: datetime
    latest: datetime
    uploaded_by: str
    uploaded_at: datetime
