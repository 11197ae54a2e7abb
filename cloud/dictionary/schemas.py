"""What the dictionary domain takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.dictionary.check import check_property
from protocols.dictionary.entries import Aggregation, DataType, Entry
from protocols.dictionary.units import load_units
from protocols.text import Text


class Term(BaseModel):
    """A text in both languages."""

    en: str
    zh: str


class DictionaryEntry(BaseModel):
    """One property of the dictionary. Bounds say what is plausible, in `unit` (UN/ECE Rec 20)."""

    code: str
    equipment_class: str
    name: Term
    definition: Term
    quantity_kind: str
    unit: str
    unit_symbol: str
    data_type: DataType
    aggregation: Aggregation
    typical_min: float | None
    typical_max: float | None
    values: dict[int, Term] = Field(description="Names of the coded values, by value; empty where there are none.")


OwnCode = Annotated[
    str,
    Field(pattern=r"^own:[a-z][a-z0-9_]{0,59}$", description='"own:", then lower-case letters, digits and _.'),
]
EntryState = Literal["proposed", "returned", "released", "withdrawn"]
OwnAggregation = Literal["avg", "sum", "last", "counter_delta"]
"""Time per state is kept hour by hour as it arrives, so it cannot be said of a point afterwards."""

_FIT_FOR_XML = r"^[^\x00-\x1f\ufffe\uffff]*$"
_Name = Annotated[str, Field(min_length=1, max_length=120, pattern=_FIT_FOR_XML)]
_Definition = Annotated[str, Field(min_length=1, max_length=1000, pattern=_FIT_FOR_XML)]


class EntryRequest(BaseModel):
    """An entry of the company's own. Unit, type and aggregation stay as they are once it has been released."""

    model_config = ConfigDict(extra="forbid")

    code: OwnCode
    equipment_class: str = "generic"
    name_zh: _Name
    name_en: _Name
    definition_zh: _Definition
    definition_en: _Definition
    unit: str = Field("C62", description='UN/ECE Rec 20 code; "C62" for a bare number.')
    data_type: DataType = "REAL_MEASURE"
    aggregation: OwnAggregation = "avg"
    typical_min: float | None = Field(None, allow_inf_nan=False)
    typical_max: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _as_a_released_one(self) -> EntryRequest:
        row = {name: "" if value is None else str(value) for name, value in self.model_dump().items()}
        for fault in check_property(row | {"code": self.code.removeprefix("own:"), "unit_unece": self.unit}):
            raise ValueError(f"{fault.en} / {fault.zh}")
        return self

    def entry(self) -> Entry:
        """Return it as the dictionary's own entries are."""
        return Entry(
            code=self.code,
            equipment_class=self.equipment_class,
            name=Text(self.name_en, self.name_zh),
            definition=Text(self.definition_en, self.definition_zh),
            quantity_kind=load_units()[self.unit].quantity,
            unit=self.unit,
            data_type=self.data_type,
            aggregation=self.aggregation,
            typical_min=self.typical_min,
            typical_max=self.typical_max,
        )


class CompanyEntry(BaseModel):
    """One version of an entry of the company's own. `note` is why it was sent back or withdrawn."""

    code: str
    version: int
    state: EntryState
    entry: EntryRequest
    proposed_by: str
    proposed_at: datetime
    reviewed_by: str | None
    reviewed_at: datetime | None
    note: str


_Note = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f]*$")]


class ReviewRequest(BaseModel):
    """What somebody else than the proposer says of a proposal; sending it back takes a reason."""

    model_config = ConfigDict(extra="forbid")

    approve: bool
    note: _Note = ""

    @model_validator(mode="after")
    def _with_a_reason(self) -> ReviewRequest:
        if not self.approve and not self.note.strip():
            raise ValueError("say why it is sent back / 请说明退回原因")
        return self


class WithdrawalRequest(BaseModel):
    """Why an entry is not to be used for more points."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[_Note, Field(min_length=1)]


class RowFault(BaseModel):
    """What is wrong with one row of a file, the heading being 1, or with one concept description, the first being 1."""

    row: int
    code: str
    message_en: str
    message_zh: str


class ImportReport(BaseModel):
    """What became of a file: all of `proposed` or - where there is any fault - nothing. `known` are released already, as they are there."""

    proposed: list[str]
    known: int
    faults: list[RowFault]
