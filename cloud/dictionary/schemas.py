"""What the dictionary domain gives."""

from __future__ import annotations

from pydantic import BaseModel, Field

from protocols.dictionary.entries import Aggregation, DataType


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
