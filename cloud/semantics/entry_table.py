"""The dictionary as a table: a row per entry, both languages side by side, opened by a double click."""

from __future__ import annotations

from collections.abc import Iterable

from cloud.dictionary.schemas import DictionaryEntry
from cloud.telemetry.service import csv_table

COLUMNS = (
    "code",
    "equipment_class",
    "name_zh",
    "name_en",
    "definition_zh",
    "definition_en",
    "quantity_kind",
    "unit",
    "unit_symbol",
    "data_type",
    "aggregation",
    "typical_min",
    "typical_max",
    "values",
)


def entry_table(entries: Iterable[DictionaryEntry]) -> bytes:
    """Return the table; `unit` is a UN/ECE Rec 20 code, `values` lists what the codes of a coded entry mean."""
    return csv_table([COLUMNS, *map(_row, entries)])


def _row(entry: DictionaryEntry) -> list[object]:
    values = "; ".join(f"{value} = {name.zh} / {name.en}" for value, name in entry.values.items())
    return [
        entry.code,
        entry.equipment_class,
        entry.name.zh,
        entry.name.en,
        entry.definition.zh,
        entry.definition.en,
        entry.quantity_kind,
        entry.unit,
        entry.unit_symbol,
        entry.data_type,
        entry.aggregation,
        entry.typical_min,
        entry.typical_max,
        values,
    ]
