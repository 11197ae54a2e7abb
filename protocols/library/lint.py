"""Finds what a template's own form cannot rule out: facts without a source, registers that overlap, unlikely scales."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from protocols.dictionary.entries import Entry, load_dictionary
from protocols.driver import PointConfig
from protocols.library.physics.plausible import usual_range
from protocols.library.templates import Template
from protocols.text import Text

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_STEPS = 10
"""A register whose step is more than this part of what the dictionary calls typical cannot show how a value moves."""


def lint_template(template: Template) -> list[Text]:
    """Return what is wrong or unlikely in `template`, one sentence per fault; empty when it may enter the library.

    The rules: the facts have a source; the name is given in English and in Chinese; no two names differ by case only;
    no value takes registers of another, unless one is a single bit of the other; a measure says in what unit the device
    delivers it; codes are those of the dictionary; a register can hold what such a point usually shows, and its step is
    at most a tenth of the typical range.
    """
    return [*_head(template), *_names(template), *_overlaps(template), *_meanings(template)]


def _head(template: Template) -> Iterator[Text]:
    device = template.device
    if not device.source.strip():
        yield Text(
            "device.source: no source - name manual and edition, or repository and path",
            "device.source：缺少来源 - 请写明说明书及版本，或代码仓库与路径",
        )
    if _CHINESE.search(device.name.en) or not _CHINESE.search(device.name.zh):
        yield Text(
            'device.name: en has to be English and zh Chinese, as in { en = "Energy meter", zh = "电能表" }',
            'device.name：en 应为英文，zh 应为中文，例如 { en = "Energy meter", zh = "电能表" }',
        )


def _names(template: Template) -> Iterator[Text]:
    seen: dict[str, str] = {}
    for point in template.points:
        other = seen.setdefault(point.name.casefold(), point.name)
        if other != point.name:
            yield _of(
                point,
                f"differs from '{other}' by case only - give one of them another name",
                f"与“{other}”仅大小写不同 - 请给其中一个换个名称",
            )


def _overlaps(template: Template) -> Iterator[Text]:
    placed = sorted((span, point.name) for point in template.points if (span := point.span()) is not None)
    for ((table, first, after), name), ((other_table, other_first, other_after), other) in combinations(placed, 2):
        if table != other_table or other_first >= after:
            continue
        if (after - first == 1) == (other_after - other_first == 1):
            yield Text(
                f"point '{other}': takes registers of '{name}' ({table}) - compare address and type of both with the manual",
                f"点“{other}”：与“{name}”占用相同的寄存器（{table}）- 请对照说明书检查两者的 address 与 type",
            )


def _meanings(template: Template) -> Iterator[Text]:
    for point in template.points:
        if point.property is None:
            continue
        entry = load_dictionary().entry(point.property)
        if point.unit is None and entry.unit != "C62":
            yield _of(
                point, f"state the unit the device delivers ({entry.unit}?)", f"请写明设备给出的单位（{entry.unit}？）"
            )
        if point.codes is not None and not set(point.codes.values()) <= set(entry.values):
            known = ", ".join(f"{code} {name.en}" for code, name in entry.values.items())
            said = "、".join(f"{code} {name.zh}" for code, name in entry.values.items())
            yield _of(
                point,
                f"'{entry.code}' has no such codes - right of = write one of: {known or 'none, it has no codes'}",
                f"“{entry.code}”没有这些代码 - 等号右边可填：{said or '无，该条目没有代码'}",
            )
        yield from _scale(point, entry)


def _scale(point: PointConfig, entry: Entry) -> Iterator[Text]:
    limits = point.raw_limits()
    if limits is None or entry.data_type != "REAL_MEASURE" or entry.typical_min is None or entry.typical_max is None:
        return
    factor, offset = entry.conversion_from(point.unit or entry.unit)
    ends = [factor * (point.scale * raw + point.offset) + offset for raw in limits]
    least, _ = usual_range(entry)
    if entry.aggregation != "counter_delta" and max(ends) < least:
        yield _of(
            point,
            f"its registers end at {max(ends):g} {entry.unit}, such points usually show {least:g} and more - check scale",
            f"寄存器最大只能表示 {max(ends):g} {entry.unit}，而此类点通常不小于 {least:g} - 请检查 scale",
        )
    step = abs(factor * point.scale)
    if step * _STEPS > entry.typical_max - entry.typical_min:
        yield _of(
            point,
            f"one step is {step:g} {entry.unit}, more than a tenth of the typical range - check scale and unit",
            f"一个最小步长为 {step:g} {entry.unit}，超过典型范围的十分之一 - 请检查 scale 与 unit",
        )


def _of(point: PointConfig, en: str, zh: str) -> Text:
    return Text(f"point '{point.name}': {en}", f"点“{point.name}”：{zh}")
