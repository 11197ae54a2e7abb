"""The product's vocabulary on its pages: states, qualities, verdicts, units of work - one word for one thing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from protocols.reading import Quality, Severity
from protocols.text import Text

Tone = Literal["good", "idle", "warn", "bad", "off"]
"""How a state is coloured. Every tone also has its own icon, so that no reader depends on the colour."""


class Mark(NamedTuple):
    """A state as people see it: its words and its tone."""

    text: Text
    tone: Tone


RUNNING = Mark(Text("Running", "运行"), "good")
ONLINE = Mark(Text("Online", "在线"), "good")
IDLE = Mark(Text("Idle", "待机"), "idle")
STOPPED = Mark(Text("Stopped", "停机"), "off")
ALARM = Mark(Text("Alarm", "报警"), "warn")
FAULT = Mark(Text("Fault", "故障"), "bad")
WAITING = Mark(Text("Connecting", "连接中"), "idle")
UNKNOWN = Mark(Text("Unknown", "未知"), "off")
NO_DATA = Mark(Text("No data", "无数据"), "off")
UNREACHABLE = Mark(Text("Not answering", "无应答"), "bad")
REMOVED = Mark(Text("No longer connected", "已移除"), "off")
BY_HAND = Mark(Text("Entered by hand", "人工填报"), "idle")
GATEWAY_LOST = Mark(Text("Gateway offline", "网关离线"), "off")

VERDICTS: Mapping[str, Mark] = MappingProxyType(
    {
        "pass": Mark(Text("Pass", "合格"), "good"),
        "review": Mark(Text("Review", "待复核"), "warn"),
        "reject": Mark(Text("Reject", "不合格"), "bad"),
    }
)

JUDGEMENTS: Mapping[str, Mark] = MappingProxyType(
    {
        "good": Mark(Text("Operator: good", "人工判定：良品"), "good"),
        "defect": Mark(Text("Operator: defect", "人工判定：缺陷"), "bad"),
    }
)

PROTOCOLS: Mapping[str, Text | str] = MappingProxyType(
    {
        "opcua": "OPC UA",
        "modbus": "Modbus",
        "mqtt": "MQTT",
        "inspection": Text("Pictures", "图片"),
        "machine_health": Text("Health model", "健康模型"),
        "by_hand": Text("Entered by hand", "人工填报"),
    }
)
"""Protocols as the trade writes them."""

STEPS = (
    (86400, Text("{n} d", "{n} 天")),
    (3600, Text("{n} h", "{n} 小时")),
    (60, Text("{n} min", "{n} 分钟")),
    (1, Text("{n} s", "{n} 秒")),
)
"""Widths of samples: the seconds in a unit, and how a number of them is written; the largest first."""

YES, NO = Text("Yes", "是"), Text("No", "否")

_SEVERITIES: Mapping[Severity, Mark] = MappingProxyType(
    {
        Severity.GOOD: Mark(Text("Good", "正常"), "good"),
        Severity.UNCERTAIN: Mark(Text("Uncertain", "存疑"), "warn"),
        Severity.BAD: Mark(Text("Bad", "无效"), "bad"),
    }
)

_CAUSES: Mapping[str, Text] = MappingProxyType(
    {
        "GoodLocalOverride": Text("entered by hand", "人工填报"),
        "UncertainLastUsableValue": Text("last usable value, no longer updated", "最后可用值，已停止更新"),
        "UncertainEngineeringUnitsExceeded": Text("outside the plausible range", "超出合理范围"),
        "BadCommunicationError": Text("communication error", "通信错误"),
        "BadDecodingError": Text("the device's answer could not be decoded", "设备应答无法解析"),
        "BadTimeout": Text("the device did not answer in time", "设备应答超时"),
        "BadNoCommunication": Text("no connection to the device", "与设备无连接"),
        "BadWaitingForInitialData": Text("waiting for the first value", "等待首个数值"),
        "BadNodeIdUnknown": Text("the device does not know this point", "设备中没有该点"),
        "BadOutOfRange": Text("impossible value", "数值不可能出现"),
        "BadTypeMismatch": Text("unexpected data type", "数据类型不符"),
        "BadConfigurationError": Text("wrong configuration", "配置错误"),
        "BadDeviceFailure": Text("device failure", "设备故障"),
        "BadSensorFailure": Text("sensor failure", "传感器故障"),
        "BadNoData": Text("the device has no value for it", "设备无该数据"),
    }
)


def quality_mark(quality: Quality) -> Mark:
    """Return severity and cause of a value in words; an unnamed cause is given by its OPC UA code."""
    return _quality_mark(quality.severity, quality.cause)


def cause_mark(cause: str) -> Mark:
    """Return the same for the name of an OPC UA status, or its hexadecimal code."""
    if cause.startswith("0x"):
        return quality_mark(Quality.from_status_code(int(cause, 16)))
    severity = next((each for each in Severity if cause.lower().startswith(each.name.lower())), Severity.BAD)
    return _quality_mark(severity, cause)


def _quality_mark(severity: Severity, cause: str) -> Mark:
    words, tone = _SEVERITIES[severity]
    if cause.lower() == severity.name.lower():
        return Mark(words, tone)
    reason = _CAUSES.get(cause, Text(cause, cause))
    return Mark(Text(f"{words.en}: {reason.en}", f"{words.zh}:{reason.zh}"), tone)
