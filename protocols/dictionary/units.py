"""Units by their UN/ECE Recommendation 20 common code, and the conversion between units of one quantity.

`units.csv` gives each unit's exact conversion to the coherent SI unit of its quantity: SI value = value x factor +
offset, both written as decimals or fractions and kept as such, so that 3600 s make exactly one hour. Codes and factors
are those of UN/ECE Recommendation 20 (Annexes II and III); where its table rounds, the defining relation is used.

A quantity is finer than a dimension: active, reactive and apparent power share one dimension and still must not be
converted into each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from fractions import Fraction
from functools import lru_cache
from unicodedata import normalize

import msgspec

from protocols.dictionary.data import data_rows
from protocols.errors import ConfigError
from protocols.text import Text


class Unit(msgspec.Struct, frozen=True):
    """One unit. `code`: UN/ECE Rec 20. SI value = value x `factor` + `offset`."""

    code: str
    symbol: str
    name: Text
    quantity: str
    factor: Fraction
    offset: Fraction


@lru_cache(maxsize=1)
def load_units() -> Mapping[str, Unit]:
    """Return all units by code, in the order of the data file; read once per process."""
    return {row["code"]: _unit(row) for row in data_rows("units.csv")}


def unit(code: str, *, key: str | None = None) -> Unit:
    """Return the unit `code`; raises ConfigError naming `key` and the nearest codes if it is unknown."""
    units = load_units()
    if code in units:
        return units[code]
    raise ConfigError(
        Text(f"unknown unit '{code}'", f"未知单位“{code}”"),
        Text(
            f"use a UN/ECE Rec 20 code; nearest: {_nearest(code)}",
            f"请使用 UN/ECE Rec 20 单位代码，相近的有：{_nearest(code)}",
        ),
        key=key,
    )


@lru_cache(maxsize=1024)
def conversion(from_code: str, to_code: str, *, difference: bool = False) -> tuple[float, float]:
    """Return (factor, offset) with value in `to_code` = value in `from_code` x factor + offset.

    With `difference` the values are differences between two states (a superheat, a temperature rise), to which no
    offset applies: 5 °C of superheat are 5 K. Raises ConfigError for an unknown code or units of unlike quantities.
    """
    source, target = unit(from_code), unit(to_code)
    if source.quantity != target.quantity:
        alike = ", ".join(code for code, other in load_units().items() if other.quantity == target.quantity)
        raise ConfigError(
            Text(
                f"cannot convert {from_code} ({source.quantity}) to {to_code} ({target.quantity})",
                f"无法将 {from_code}({source.name.zh})换算为 {to_code}({target.name.zh})",
            ),
            Text(f"units of {target.quantity}: {alike}", f"可用单位：{alike}"),
        )
    offset = Fraction(0) if difference else (source.offset - target.offset) / target.factor
    return float(source.factor / target.factor), float(offset)


def convert(value: float, from_code: str, to_code: str) -> float:
    """Return `value` converted between two units of one quantity, rounded to twelve significant digits.

    The rounding is that of `driver.PointConfig.engineering`: 830 kPa read 8.3 bar. Errors as for `conversion`.
    """
    factor, offset = conversion(from_code, to_code)
    return float(f"{value * factor + offset:.12g}")


def opcua_unit_id(code: str) -> int:
    """Return the UnitId of OPC UA Part 8, 5.6.4.3: the code's ASCII bytes read as one big-endian integer."""
    return int.from_bytes(code.encode("ascii"), "big")


def code_of_opcua_unit_id(unit_id: int) -> str | None:
    """Return the code whose `opcua_unit_id` is `unit_id`, known to `load_units` or not; None where it is no code."""
    if not 0 < unit_id < 1 << 24:
        return None
    code = unit_id.to_bytes(3, "big").lstrip(b"\0").decode("latin-1")
    return code if code.isascii() and code.isalnum() else None


def _unit(row: dict[str, str]) -> Unit:
    return Unit(
        code=row["code"],
        symbol=row["symbol"],
        name=Text(row["name_en"], row["name_zh"]),
        quantity=row["quantity"],
        factor=Fraction(row["factor"]),
        offset=Fraction(row["offset"]),
    )


def _nearest(wanted: str) -> str:
    """Return the units whose symbol somebody meant by `wanted` ("kWh", "m3", "℃"), else the codes spelt most alike."""
    units = load_units()
    near = [code for code, found in units.items() if _plain(found.symbol) == _plain(wanted)]
    near = near or get_close_matches(wanted.upper(), units, 3, 0.5) or ["KWH", "CEL"]
    return ", ".join(f"{code} ({units[code].symbol})" for code in near)


def _plain(symbol: str) -> str:
    return normalize("NFKC", symbol).replace("·", "").casefold()
