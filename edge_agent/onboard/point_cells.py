"""A configured point as the cells of a list, and the cells of a row as a point's configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, get_args
from unicodedata import normalize

import msgspec
from pydantic.fields import FieldInfo

from edge_agent.onboard.browse_list import unit_text
from edge_agent.onboard.draft import type_named
from edge_agent.onboard.list_file import Spoilt, clean, number
from edge_agent.onboard.point_address import ADDRESS_FIELDS, BIT_TABLES, Numbering, parse_address, point_address
from edge_agent.onboard.point_list import EMPTY, number_in
from edge_agent.onboard.propose_lexicon import load_lexicon
from protocols.dictionary.entries import load_dictionary
from protocols.dictionary.units import load_units
from protocols.driver import PointConfig
from protocols.errors import ConfigError
from protocols.text import Text

NO_ENTRY = "-"
"""In the column of the dictionary entry: a person decided that none fits. An empty cell asks for a proposal."""

INFORMATIVE = frozenset({"value", "why", "access"})
"""Columns that tell a person something and change no point."""

_CORE = ("address", "name", "description", "unit", "scale", "low", "high", "property")


class Cells(msgspec.Struct):
    """What the cells of a row mean: `fields` of the point, None where a cell says "not any more"; faults and remarks."""

    fields: dict[str, Any] = {}
    faults: list[Text] = []
    notes: list[Text] = []


def cells_of(protocol: str, point: PointConfig) -> dict[str, str]:
    """Return a configured point as the cells of a row, by column; `read_cells` of them gives the point again."""
    cells = {
        "address": point_address(protocol, point),
        "name": point.name,
        "description": point.description,
        "unit": unit_text(point.unit),
    }
    if protocol == "modbus":
        cells["datatype"] = str(getattr(point, "type"))  # noqa: B009 - of the protocol's own model
    cells |= {name: _text(getattr(point, name)) for name in ("scale", "low", "high")}
    cells["property"] = point.property or NO_ENTRY
    whole = point.model_dump(mode="json", exclude_defaults=True)
    for name in type(point).model_fields:
        if name not in (*_CORE, "type", *ADDRESS_FIELDS.get(protocol, ())):
            cells[name] = _text(whole.get(name))
    return {column: clean(cell) for column, cell in cells.items()}


def used_columns(protocol: str, model: type[PointConfig]) -> set[str]:
    """Return the columns that say something about points of a protocol, or are known to say nothing to a program."""
    fields = set(model.model_fields) - set(ADDRESS_FIELDS.get(protocol, ())) - {"type"}
    return {"address", "datatype", *INFORMATIVE, *fields, *(name.replace("_", " ") for name in fields)}


def read_cells(
    protocol: str, model: type[PointConfig], cells: Mapping[str, str], numbering: Numbering | None = None
) -> Cells:
    """Return what `cells` mean for a point of `model`; every cell that can not be understood is a fault."""
    found = Cells()
    for column, cell in cells.items():
        field = column.replace(" ", "_")
        if column in INFORMATIVE or column not in used_columns(protocol, model):
            continue
        if isinstance(cell, Spoilt):
            found.faults.append(Text(f"{column}: {cell.why.en}", f"{column}：{cell.why.zh}"))
            continue
        try:
            found.fields |= (
                _address(protocol, cell, numbering) if field == "address" else _read(protocol, model, field, cell)
            )
        except ConfigError as error:
            mend = Text(f" - {error.mend.en}", f" - {error.mend.zh}") if error.mend else Text("", "")
            found.faults.append(
                Text(f"{column}: {error.what.en}{mend.en}", f"{column}：{error.what.zh}{mend.zh}")
            )  # fmt: skip
        except ValueError as error:
            found.faults.append(Text(f"{column}: {error.args[0].en}", f"{column}：{error.args[0].zh}"))
    table, bit = found.fields.get("table"), found.fields.get("bit")
    if protocol == "modbus" and (table in BIT_TABLES or bit is not None):
        found.fields.pop("type", None)
    elif protocol == "modbus" and found.fields.get("type") == "bool" and "address" in found.fields:
        found.fields["bit"] = 0
        found.notes.append(Text("bit taken as 0", "按第 0 位处理"))
    return found


def _address(protocol: str, cell: str, numbering: Numbering | None) -> dict[str, Any]:
    if not cell:
        raise ValueError(Text("is missing", "缺失"))
    return parse_address(protocol, cell, numbering)


def _read(protocol: str, model: type[PointConfig], field: str, cell: str) -> dict[str, Any]:
    """Return what a cell that is no address says. Raises ConfigError, or ValueError(Text)."""
    if field == "datatype":
        return {"type": type_named(cell) or cell} if protocol == "modbus" and cell else {}
    if field == "name":
        return {field: cell or None}
    if field == "unit":
        return {field: _unit(cell)}
    if field == "property":
        return {field: _entry(cell)}
    if field == "scale":
        return {field: number_in({"scale": cell}, "scale")}
    return {field: _value(model.model_fields[field], cell)}


def unit_of(written: str) -> str | None:
    """Return the UN/ECE Rec 20 code of a unit as a person writes it; None where it is empty or not known."""
    if written in EMPTY:
        return None
    return written if written in load_units() else load_lexicon().unit_code(written)


def _unit(cell: str) -> str | None:
    code = unit_of(cell)
    if code is None and cell not in EMPTY:
        raise ValueError(
            Text(
                f"unknown unit '{cell}'; use its UN/ECE Rec 20 code, e.g. KWH",
                f"未知单位“{cell}”；请使用 UN/ECE Rec 20 代码，如 KWH",
            )
        )
    return code


def _entry(cell: str) -> str | None:
    """Return the entry that a person wrote by code or by name; None where the cell is empty or says that none fits."""
    if cell in EMPTY:
        return None
    code = clean(normalize("NFKC", cell))
    return _entry_names().get(code.casefold()) or load_dictionary().entry(code).code


@lru_cache(maxsize=1)
def _entry_names() -> Mapping[str, str]:
    """Return the code of every entry by its names, as far as they are its own."""
    names: dict[str, list[str]] = {}
    for code, entry in load_dictionary().items():
        for name in (entry.name.en, entry.name.zh):
            names.setdefault(normalize("NFKC", name).casefold(), []).append(code)
    return {name: codes[0] for name, codes in names.items() if len(codes) == 1} | {
        code: code for code in load_dictionary()
    }


def _value(field: FieldInfo, cell: str) -> Any:
    """Return what a cell of any other field says: text, a number, or JSON where the field holds more than one thing."""
    if cell == "" or (cell in EMPTY and field.annotation is not str):
        return None
    if field.annotation is not str and cell.startswith(("[", "{")):
        try:
            return json.loads(cell)
        except ValueError as error:
            raise ValueError(Text(f"'{cell}' is not JSON", f"“{cell}”不是 JSON")) from error
    if {int, float} & {field.annotation, *get_args(field.annotation)}:
        return number(cell)
    return cell


def _text(value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
