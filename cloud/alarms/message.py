"""The words of an alarm: what a template may hold, and the usual text of each kind of condition."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from protocols.text import Text

FIELDS = ("equipment", "path", "point", "value", "unit", "limit", "rule")
"""What may stand in braces in a template."""

_BRACES = re.compile(r"\{([^{}]*)\}")

USUAL: Mapping[str, Text] = {
    "high_high": Text(
        "{point} far too high: {value} {unit} (limit {limit})", "{point}严重偏高：{value} {unit}(限值 {limit})"
    ),
    "high": Text("{point} too high: {value} {unit} (limit {limit})", "{point}偏高：{value} {unit}(限值 {limit})"),
    "low": Text("{point} too low: {value} {unit} (limit {limit})", "{point}偏低：{value} {unit}(限值 {limit})"),
    "low_low": Text(
        "{point} far too low: {value} {unit} (limit {limit})", "{point}严重偏低：{value} {unit}(限值 {limit})"
    ),
    "rate": Text(
        "{point} changes too fast: {value} {unit}/min (limit {limit})",
        "{point}变化过快：{value} {unit}/分钟(限值 {limit})",
    ),
    "state": Text("{point}: {value}", "{point}：{value}"),
    "stale": Text("{point}: no data for {limit} s", "{point}：已 {limit} 秒无数据"),
    "bad_quality": Text("{point}: values are not valid", "{point}：数据无效"),
    "silent_s": Text("Gateway not heard for {limit} s", "网关已 {limit} 秒未通信"),
    "buffer_hours_left": Text("Gateway's buffer lasts {value} h only", "网关缓存仅可再存 {value} 小时"),
    "clock_offset_s": Text("Gateway's clock is off by {value} s", "网关时钟偏差 {value} 秒"),
    "disk_free_gb": Text("Gateway has {value} GB of disk left", "网关磁盘仅剩 {value} GB"),
    "spc": Text(
        "{point} has changed: its control chart signals at {value} {unit}",
        "{point}失控：控制图在 {value} {unit} 处发出信号",
    ),
    "reject_rate": Text("{value} % of the parts rejected (limit {limit} %)", "不合格率 {value}%(限值 {limit}%)"),
}


def shown_number(value: float) -> str:
    """Return `value` for a sentence: four significant digits, a dash where there is none."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def check_template(template: str) -> str:
    """Return `template`; raises ValueError that names a field it has and no alarm has."""
    for name in _BRACES.findall(template):
        if name not in FIELDS:
            raise ValueError(f"{{{name}}} is not known; there are {', '.join(f'{{{field}}}' for field in FIELDS)}")
    return template


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return `template` with its fields filled in; a value is taken literally, whatever it holds."""
    return " ".join(_BRACES.sub(lambda found: values.get(found.group(1), ""), template).split())
