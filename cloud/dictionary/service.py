"""The door of the dictionary domain.

entry_of(code) -> Entry | None      unit_symbol(code) -> str, "" for a bare number      entries(equipment_class) -> list
codes_of(aggregation) -> codes of the entries that are aggregated so
await entries_of(connection, codes) -> the released entries and, where `codes` name any, the tenant's own
await withdrawn(connection) -> codes of the tenant's own that no more points may have
CompanyEntries(db)                  app.state.company_entries in a running cloud: what a company proposes, reviews, withdraws
"""

from __future__ import annotations

from cloud.core.errors import NotFound
from cloud.dictionary.company_entries import OWN, CompanyEntries, entries_of, withdrawn
from cloud.dictionary.schemas import DictionaryEntry, Term
from protocols.dictionary.entries import Aggregation, Entry, load_dictionary
from protocols.dictionary.units import load_units
from protocols.text import Text

__all__ = [
    "OWN",
    "CompanyEntries",
    "answer",
    "codes_of",
    "entries",
    "entries_of",
    "entry",
    "entry_of",
    "unit_symbol",
    "withdrawn",
]

_NO_UNIT = "C62"


def entry_of(code: str) -> Entry | None:
    """Return the released entry `code`; None for "" and for codes of a newer dictionary than this cloud's."""
    return load_dictionary().get(code)


def codes_of(aggregation: Aggregation) -> list[str]:
    """Return the codes of the entries whose values are aggregated by `aggregation`."""
    return [code for code, entry in load_dictionary().items() if entry.aggregation == aggregation]


def unit_symbol(code: str) -> str:
    """Return what people read for a UN/ECE Rec 20 code: its symbol, "" for a bare number, the code where unknown."""
    if code == _NO_UNIT:
        return ""
    known = load_units().get(code)
    return known.symbol if known else code


def entries(equipment_class: str | None = None) -> list[DictionaryEntry]:
    """Return the released entries, of one class of equipment or of all."""
    return [answer(entry) for entry in load_dictionary().values() if equipment_class in (None, entry.equipment_class)]


def entry(code: str) -> DictionaryEntry:
    """Return one entry; raises NotFound."""
    found = entry_of(code)
    if found is None:
        raise NotFound
    return answer(found)


def answer(found: Entry) -> DictionaryEntry:
    """Return an entry as the API gives it."""
    return DictionaryEntry(
        code=found.code,
        equipment_class=found.equipment_class,
        name=_term(found.name),
        definition=_term(found.definition),
        quantity_kind=found.quantity_kind,
        unit=found.unit,
        unit_symbol=unit_symbol(found.unit),
        data_type=found.data_type,
        aggregation=found.aggregation,
        typical_min=found.typical_min,
        typical_max=found.typical_max,
        values={value: _term(name) for value, name in found.values.items()},
    )


def _term(text: Text) -> Term:
    return Term(en=text.en, zh=text.zh)
