"""The pages' vocabulary: states and how they are coloured, qualities, numbers and durations in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from edge_agent.onboard.propose import SURE
from protocols.dictionary.entries import load_dictionary
from protocols.dictionary.units import load_units
from protocols.reading import Quality, Severity, Value
from protocols.text import Language, Text

Tone = Literal["good", "idle", "warn", "bad", "off"]
"""How a state is coloured. Every tone also has its own icon, so that no reader depends on the colour."""

NOTHING = "–"
"""Stands where there is no value."""

SURE_MARK, LOOK_MARK, NONE_MARK = Text("sure", "确定"), Text("look", "请核对"), Text("no entry", "无条目")
CONFIRMED_MARK, LEFT_OUT_MARK = Text("confirmed", "已确认"), Text("left out", "不采集")

DEVICE_STATES: Mapping[str, tuple[Text, Tone]] = MappingProxyType(
    {
        "up": (Text("delivering", "采集中"), "good"),
        "down": (Text("not answering", "无应答"), "bad"),
        "waiting": (Text("connecting", "连接中"), "idle"),
    }
)

_CAUSES: Mapping[str, Text] = MappingProxyType(
    {
        "UncertainLastUsableValue": Text("last usable value, no longer updated", "最后可用值，已停止更新"),
        "UncertainEngineeringUnitsExceeded": Text("outside the plausible range", "超出合理范围"),
        "BadCommunicationError": Text("communication error", "通信错误"),
        "BadDecodingError": Text("the answer could not be decoded", "应答无法解析"),
        "BadTimeout": Text("no answer in time", "应答超时"),
        "BadNoCommunication": Text("no connection", "无连接"),
        "BadNodeIdUnknown": Text("the machine does not know this point", "设备中没有该点"),
        "BadOutOfRange": Text("impossible value", "数值不可能出现"),
        "BadTypeMismatch": Text("unexpected data type", "数据类型不符"),
        "BadConfigurationError": Text("the machine has no such address", "设备没有该地址"),
        "BadDeviceFailure": Text("the machine reports a failure", "设备报告故障"),
        "BadSensorFailure": Text("sensor failure", "传感器故障"),
        "BadNoData": Text("the machine has no value for it", "设备无该数据"),
        "BadWaitingForInitialData": Text("waiting for the first value", "等待首个数值"),
    }
)


def quality_words(quality: Quality) -> Text:
    """Return what is wrong with a value in words; empty for a good one, the OPC UA code where it has no name here."""
    if quality.severity is Severity.GOOD:
        return Text("", "")
    return _CAUSES.get(quality.cause, Text(quality.cause, quality.cause))


def confidence_mark(*, included: bool, confirmed: bool, code: str | None, confidence: float) -> tuple[Text, Tone]:
    """Return how sure the meaning of a point is: green = sure or confirmed, amber = look, grey = none or left out."""
    if not included:
        return LEFT_OUT_MARK, "off"
    if code is None:
        return NONE_MARK, "off"
    if confirmed:
        return CONFIRMED_MARK, "good"
    return (SURE_MARK, "good") if confidence >= SURE else (LOOK_MARK, "warn")


def entry_name(code: str, language: Language) -> str:
    """Return the name of a dictionary entry."""
    return load_dictionary()[code].name.to(language)


def unit_symbol(code: str | None) -> str:
    """Return the symbol of a unit; "" for none and for 1."""
    if code in {None, "", "C62"}:
        return ""
    known = load_units().get(code or "")
    return known.symbol if known else code or ""


def shown_value(value: Value, code: str | None = None, language: Language = "en") -> str:
    """Return a live value for a reader: three to four significant digits, a state of the dictionary by its name."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return Text("on", "开").to(language) if value else Text("off", "关").to(language)
    if isinstance(value, str):
        return value
    entry = load_dictionary().get(code) if code else None
    if entry is not None and entry.values and int(value) in entry.values:
        return entry.values[int(value)].to(language)
    if not math.isfinite(value):
        return NOTHING
    size = abs(value)
    whole = isinstance(value, int) or size >= 1000 or size == 0
    return f"{value:,.{0 if whole else 1 if size >= 100 else 2 if size >= 1 else 3}f}"


def duration(seconds: float) -> Text:
    """Return a length of time in its largest fitting unit, rounded down."""
    count = max(int(seconds), 0)
    if count < 60:
        return Text(f"{count} s", f"{count} 秒")
    if count < 3600:
        return Text(f"{count // 60} min", f"{count // 60} 分钟")
    if count < 86400:
        return Text(f"{count // 3600} h", f"{count // 3600} 小时")
    return Text(f"{count // 86400} d", f"{count // 86400} 天")


FINDING_TONES: Mapping[str, Tone] = MappingProxyType({"ok": "good", "look": "warn", "wrong": "bad"})
"""How what a check found is coloured."""


def capital(text: str) -> str:
    """Return `text` as the beginning of a line."""
    return text[:1].upper() + text[1:]
