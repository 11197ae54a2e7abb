"""Checks that the dictionary's data files are fit for release."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import get_args

from protocols.dictionary.data import data_rows
from protocols.dictionary.entries import Aggregation, DataType, equipment_classes
from protocols.dictionary.units import load_units
from protocols.text import Text

FILES = ("core.csv", "computed.csv", "value_lists.csv", "equipment_classes.csv", "units.csv")

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_CODE = re.compile(r"^[a-z][a-z0-9_]*$")

Row = Mapping[str, str]


def check_dictionary() -> list[Text]:
    """Return what is wrong with the released data files, one sentence per fault; empty when they may be released."""
    return check_tables({file: data_rows(file) for file in FILES})


def check_tables(tables: Mapping[str, Sequence[Row]]) -> list[Text]:
    """Return what is wrong with `tables` (rows as written, by file name).

    The rules: codes are unique and well formed; every reference (unit, equipment class, property of a value list) has
    its target; both names and both definitions are there, the Chinese ones Chinese, no definition the same as its name,
    no two properties of one class named alike; data type and aggregation are known and fit each other;
    typical_min < typical_max; a unit's factor is above zero and every quantity has its coherent SI unit.
    """
    return [
        Text(f"{file}: {code}: {fault.en}", f"{file}:{code}:{fault.zh}")
        for file, check in _CHECKS.items()
        for code, fault in check(tables)
    ]


def check_property(row: Row) -> list[Text]:
    """Return what keeps `row`, an entry written as in core.csv, from being one beside the released ones."""
    codes = {"equipment_classes.csv": equipment_classes(), "units.csv": load_units()}
    tables: dict[str, list[Row]] = {file: [{"code": code} for code in known] for file, known in codes.items()}
    return [fault for _, fault in _properties({**tables, "core.csv": [row], "computed.csv": []})]


def _properties(tables: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, Text]]:
    rows = [*tables["core.csv"], *tables["computed.csv"]]
    units = {row["code"] for row in tables["units.csv"]}
    classes = {row["code"] for row in tables["equipment_classes.csv"]}
    for row in rows:
        code = row["code"]
        if not _CODE.match(code):
            yield code, Text("the code is not lower-case letters, digits and _", "代码只能由小写字母、数字和下划线组成")
        yield from _bilingual(code, row, "name")
        yield from _bilingual(code, row, "definition")
        for language in ("en", "zh"):
            if row[f"definition_{language}"] == row[f"name_{language}"]:
                yield code, Text("the definition only repeats the name", "定义与名称相同")
        if row["equipment_class"] not in classes:
            yield code, Text(f"unknown class '{row['equipment_class']}'", f"未知设备类别“{row['equipment_class']}”")
        if row["unit_unece"] not in units:
            yield code, Text(f"unknown unit '{row['unit_unece']}'", f"未知单位“{row['unit_unece']}”")
        for field, allowed in (("data_type", get_args(DataType)), ("aggregation", get_args(Aggregation))):
            if row[field] not in allowed:
                yield code, Text(f"{field} '{row[field]}' is not one of {allowed}", f"{field} 不允许取“{row[field]}”")
        if row["data_type"] in {"STRING", "BOOLEAN"} and row["aggregation"] not in {"last", "duration_by_state"}:
            yield (
                code,
                Text(f"a {row['data_type']} cannot be aggregated by {row['aggregation']}", "该数据类型不能这样聚合"),
            )
        if row["typical_min"] and row["typical_max"] and float(row["typical_min"]) >= float(row["typical_max"]):
            yield code, Text("typical_min is not below typical_max", "典型下限不小于典型上限")
    yield from _repeated(rows, ("code",))
    for language in ("en", "zh"):
        yield from _repeated(rows, ("equipment_class", f"name_{language}"))


def _values(tables: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, Text]]:
    rows = tables["value_lists.csv"]
    coded = {
        row["code"] for row in (*tables["core.csv"], *tables["computed.csv"]) if row["data_type"] == "INTEGER_COUNT"
    }
    for row in rows:
        if row["property"] not in coded:
            yield row["property"], Text("is no whole-number property of core.csv", "不是 core.csv 中的整数属性")
        if not row["value"].lstrip("-").isdecimal():
            yield row["property"], Text(f"value '{row['value']}' is no whole number", f"取值“{row['value']}”不是整数")
        yield from _bilingual(row["property"], row, "name")
    yield from _repeated(rows, ("property", "value"))


def _classes(tables: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, Text]]:
    rows = tables["equipment_classes.csv"]
    for row in rows:
        yield from _bilingual(row["code"], row, "name")
    yield from _repeated(rows, ("code",))


def _units(tables: Mapping[str, Sequence[Row]]) -> Iterator[tuple[str, Text]]:
    rows = tables["units.csv"]
    coherent = {row["quantity"] for row in rows if Fraction(row["factor"]) == 1 and Fraction(row["offset"]) == 0}
    for row in rows:
        if not re.fullmatch(r"[A-Z0-9]{2,3}", row["code"]):
            yield row["code"], Text("is no UN/ECE Rec 20 common code", "不是 UN/ECE Rec 20 单位代码")
        yield from _bilingual(row["code"], row, "name")
        if Fraction(row["factor"]) <= 0:
            yield row["code"], Text("the factor is not above zero", "换算系数必须大于零")
        if row["quantity"] not in coherent | _WITHOUT_COHERENT_UNIT:
            yield (
                row["code"],
                Text(f"'{row['quantity']}' has no coherent SI unit", f"“{row['quantity']}”缺少 SI 主单位"),
            )
    yield from _repeated(rows, ("code",))


_WITHOUT_COHERENT_UNIT = frozenset({"reactive_energy", "apparent_energy"})
"""Quantities whose coherent SI unit (var s, V A s) has no code in Recommendation 20."""

_CHECKS = {
    "core.csv": _properties,
    "value_lists.csv": _values,
    "equipment_classes.csv": _classes,
    "units.csv": _units,
}


def _bilingual(code: str, row: Row, field: str) -> Iterator[tuple[str, Text]]:
    if not row[f"{field}_en"].strip() or _CHINESE.search(row[f"{field}_en"]):
        yield code, Text(f"{field}_en is missing or not English", f"缺少英文 {field}_en")
    if not _CHINESE.search(row[f"{field}_zh"]):
        yield code, Text(f"{field}_zh is missing or not Chinese", f"缺少中文 {field}_zh")


def _repeated(rows: Sequence[Row], fields: tuple[str, ...]) -> Iterator[tuple[str, Text]]:
    counted = Counter(tuple(row[field] for field in fields) for row in rows)
    for key, count in counted.items():
        if count > 1:
            yield (
                ", ".join(key),
                Text(f"{' + '.join(fields)} is used {count} times", f"{'+'.join(fields)} 重复 {count} 次"),
            )
