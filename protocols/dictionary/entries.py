"""Loads the dictionary's released entries and answers for them.

Data files beside this module, read once per process: `core.csv` (properties that devices have), `computed.csv` (those this
platform computes from them),
`value_lists.csv` (what the codes of a coded property mean), `equipment_classes.csv` (what kind of equipment a property
belongs to) and `units.csv` (see `units`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal

import msgspec

from protocols.dictionary.data import data_rows
from protocols.dictionary.units import conversion
from protocols.errors import ConfigError
from protocols.text import Text

DataType = Literal["BOOLEAN", "INTEGER_COUNT", "REAL_MEASURE", "STRING"]
"""The data types of IEC 61360 (as in AAS part 3a) that the released entries use."""

Aggregation = Literal["avg", "sum", "last", "counter_delta", "duration_by_state"]
"""What may be made of many values: their mean, their sum, the latest, the increase of a counter, time per state."""


class Entry(msgspec.Struct, frozen=True):
    """One property of the dictionary (a subset of IEC 61360).

    `unit` is a UN/ECE Rec 20 code ("C62" = one, no unit); `typical_min` and `typical_max` are in that unit and bound
    what is plausible, not what is allowed. `values` names the codes of a coded property and is empty for all others.
    """

    code: str
    equipment_class: str
    name: Text
    definition: Text
    quantity_kind: str
    unit: str
    data_type: DataType
    aggregation: Aggregation
    typical_min: float | None
    typical_max: float | None
    values: Mapping[int, Text] = {}
    computed: bool = False
    """No device has it: the platform makes it."""

    def conversion_from(self, unit: str) -> tuple[float, float]:
        """Return (factor, offset) that turn a value in `unit` into one in this entry's unit; errors as `conversion`."""
        return conversion(unit, self.unit, difference=self.quantity_kind == "temperature_difference")


class Dictionary(Mapping[str, Entry]):
    """All released entries by code, in the order of the data file."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries

    def __getitem__(self, code: str) -> Entry:
        return self._entries[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def collected(self) -> tuple[str, ...]:
        """Codes of what devices may have."""
        return tuple(code for code, entry in self._entries.items() if not entry.computed)

    def entry(self, code: str, *, key: str | None = None) -> Entry:
        """Return the entry `code`; raises ConfigError naming `key` and the most similar codes if there is none."""
        if code in self._entries:
            return self._entries[code]
        near = ", ".join(get_close_matches(code, self._entries, 3, 0.4))
        raise ConfigError(
            Text(f"the dictionary has no entry '{code}'", f"数据字典中没有条目“{code}”"),
            Text(f"did you mean: {near}", f"是否指：{near}") if near else None,
            key=key,
        )


@lru_cache(maxsize=1)
def load_dictionary() -> Dictionary:
    """Return the released entries; read once per process."""
    values: dict[str, dict[int, Text]] = {}
    for row in data_rows("value_lists.csv"):
        values.setdefault(row["property"], {})[int(row["value"])] = Text(row["name_en"], row["name_zh"])
    files = (("core.csv", False), ("computed.csv", True))
    return Dictionary(
        {
            row["code"]: _entry(row, values.get(row["code"], {}), computed)
            for file, computed in files
            for row in data_rows(file)
        }
    )


@lru_cache(maxsize=1)
def equipment_classes() -> Mapping[str, Text]:
    """Return the name of every equipment class by its code; read once per process."""
    return {row["code"]: Text(row["name_en"], row["name_zh"]) for row in data_rows("equipment_classes.csv")}


def _entry(row: dict[str, str], values: Mapping[int, Text], computed: bool) -> Entry:
    return Entry(
        code=row["code"],
        equipment_class=row["equipment_class"],
        name=Text(row["name_en"], row["name_zh"]),
        definition=Text(row["definition_en"], row["definition_zh"]),
        quantity_kind=row["quantity_kind"],
        unit=row["unit_unece"],
        data_type=row["data_type"],  # type: ignore[arg-type]
        aggregation=row["aggregation"],  # type: ignore[arg-type]
        typical_min=float(row["typical_min"]) if row["typical_min"] else None,
        typical_max=float(row["typical_max"]) if row["typical_max"] else None,
        values=values,
        computed=computed,
    )
