"""Where a programmable controller's own variables - D100, M8, X17, DB4.1 - lie in its Modbus tables.

What is in them is the program's choice, so there is no template of a controller; but a template of the machine may name
its controller, and its points by the names the program uses:

    plc = "delta-dvp"          # above [device]; `sunmao-edge library plc` lists them
    [[point]]
    name = "part_count_total"
    property = "part_count_total"
    at = "D100"                # instead of table, address and order
    type = "uint32"

`at = "D100.3"` is bit 3 of the word D100. Values of several words have the controller's own order unless `order` is given.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from protocols.errors import ConfigError
from protocols.text import Text
from protocols.validation import validate

_AT = re.compile(r"(%?[A-Z]+)(\d+)(?:\.(\d+))?")
_BITS = ("coil", "discrete")


def _whole(value: Any) -> Any:
    return int(value, 0) if isinstance(value, str) else value


class Area(BaseModel):
    """A run of variables of one letter: number `first` lies at `address`, `count` of them follow each other.

    numbering: how the numbers are written; "byte" counts bytes where a register has two, and eight bits each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^%?[A-Z]+$")
    table: Literal["coil", "discrete", "input", "holding"]
    address: Annotated[int, BeforeValidator(_whole)] = Field(ge=0, le=0xFFFF)
    count: int = Field(ge=1)
    first: int = 0
    numbering: Literal["decimal", "octal", "byte"] = "decimal"


class Plc(BaseModel):
    """The Modbus map of one series of controllers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    manufacturer: str
    model: str
    name: Text
    order: Literal["ABCD", "CDAB", "BADC", "DCBA"]
    source: str
    area: tuple[Area, ...]


def plc_ids() -> list[str]:
    """Return the ids of the known controllers, sorted."""
    return sorted(
        file.name.removesuffix(".toml")
        for file in files("protocols.library.plc_maps").iterdir()
        if file.name.endswith(".toml")
    )


def load_plc(name: str, key: str = "plc") -> Plc:
    """Return the controller `name`; raises ConfigError naming `key` for one that is not known."""
    if name not in plc_ids():
        near = ", ".join(get_close_matches(name, plc_ids(), 3) or plc_ids())
        raise ConfigError(
            Text(f"unknown controller '{name}'", f"未知的 PLC“{name}”"),
            Text(f"choose one of: {near}", f"可选：{near}"),
            key=key,
        )
    text = files("protocols.library.plc_maps").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return validate(Plc, tomllib.loads(text), name)


def placed(point: dict[str, Any], plc: str | None, key: str) -> dict[str, Any]:
    """Return the fields of `point` with its `at` turned into table, address, bit and order; others as they are.

    Raises ConfigError naming `key` for an `at` without a controller, or of no variable of it.
    """
    if "at" not in point:
        return point
    if plc is None:
        raise ConfigError(
            Text("needs a controller", "需要指明 PLC"),
            Text(
                'add plc = "..." above [device], or give table and address',
                '请在 [device] 之上添加 plc = "..."，或改写 table 与 address',
            ),
            key=f"{key}.at",
        )
    controller = load_plc(plc)
    rest = {name: value for name, value in point.items() if name != "at"}
    place = place_of(controller, str(point["at"]), f"{key}.at")
    if place["table"] in _BITS or "bit" in place:
        rest.pop("type", None)  # of [each_point]: a bit has none
    multiple = str(rest.get("type", "uint16"))[-2:] in {"32", "64"}
    order = {"order": controller.order} if multiple and controller.order != "ABCD" else {}
    # `table` of [each_point] does not count here: the variable says in which table it lies.
    return order | rest | place


def place_of(plc: Plc, at: str, key: str = "at") -> dict[str, Any]:
    """Return table, address and, in a register, bit of the variable `at`; raises ConfigError for one it has not."""
    match = _AT.fullmatch(at.strip().upper())
    areas = [area for area in plc.area if match and area.name == match[1]]
    if match is None or not areas:
        names = ", ".join(dict.fromkeys(area.name for area in plc.area))
        raise _wrong(at, key, f"{plc.model} has {names}", f"{plc.model} 有 {names}")
    bit = None if match[3] is None else int(match[3])
    for area in areas:
        number = _number(area, match[2])
        if number is not None and area.first <= number < area.first + area.count:
            return _placed(area, number - area.first, bit, at, key)
    ranges = ", ".join(_ranges(areas))
    raise _wrong(at, key, f"there are {ranges}", f"范围为 {ranges}")


def _placed(area: Area, number: int, bit: int | None, at: str, key: str) -> dict[str, Any]:
    if area.table in _BITS:
        if (bit is None) == (area.numbering == "byte") or (bit or 0) > 7:
            example = f"{area.name}0.3" if area.numbering == "byte" else f"{area.name}3"
            raise _wrong(at, key, f"write {example}", f"请写作 {example}")
        place = number * 8 + (bit or 0) if area.numbering == "byte" else number
        return {"table": area.table, "address": area.address + place}
    if area.numbering == "byte":
        if number % 2 and bit is None:
            raise _wrong(at, key, "a value begins at an even byte", "数值须从偶数字节开始")
        # The first byte of a register is its upper half.
        bit = None if bit is None or bit > 7 else bit + (0 if number % 2 else 8)
        number //= 2
    if bit is not None and bit > 15:
        raise _wrong(at, key, "bits are 0 to 15", "位号为 0 至 15")
    found = {"table": area.table, "address": area.address + number}
    return found if bit is None else found | {"bit": bit}


def _number(area: Area, text: str) -> int | None:
    if area.numbering != "octal":
        return int(text)
    return int(text, 8) if set(text) <= set("01234567") else None


def _ranges(areas: list[Area]) -> Iterator[str]:
    for area in areas:
        last = area.first + area.count - 1
        written = f"{last:o} (octal)" if area.numbering == "octal" else str(last)
        yield f"{area.name}{area.first} to {area.name}{written}"


def _wrong(at: str, key: str, en: str, zh: str) -> ConfigError:
    return ConfigError(Text(f"no variable '{at}'", f"没有变量“{at}”"), Text(en, zh), key=key)
