"""What is wrong with an equipment, in words, and the next step."""

from __future__ import annotations

from cloud.web.gateway_health import Trouble
from cloud.web.plant import Equipment
from cloud.web.words import ALARM, FAULT
from protocols.text import Text

_DOWN = Text("It does not answer: {reason}.", "设备无应答：{reason}。")
_CABLE = Text("Check its power and network cable; the gateway keeps trying.", "请检查设备电源与网线，网关会持续重试。")
_REMOVED = Text(
    "The gateway {agent} no longer reads it: it was taken out of its configuration.",
    "网关 {agent} 的配置中已移除该设备，不再采集。",
)
_REMAINS = Text("Its past remains.", "历史数据仍保留。")
_SILENT = Text("The gateway {agent} has not been heard of.", "网关 {agent} 已离线。")
_CATCHES_UP = Text(
    "It keeps collecting and will catch up; check its power and network.",
    "网关仍在本地采集，恢复后会自动补传；请检查其电源与网络。",
)
_FAULT = Text("The machine reports a fault.", "设备上报故障。")
_ALARM = Text("The machine reports an alarm.", "设备上报报警。")
_LOOK = Text("Its panel says which; its last values are on its page.", "具体原因请查看设备面板，最新数值见设备页面。")


def trouble_of(equipment: Equipment) -> Trouble | None:
    """Return why nothing new or nothing good comes from an equipment, or None while all is well."""
    known = equipment.known
    if known.state == "silent":
        return Trouble(
            "off", Text(_SILENT.en.format(agent=known.agent), _SILENT.zh.format(agent=known.agent)), _CATCHES_UP
        )
    if known.state == "removed":
        return Trouble(
            "off", Text(_REMOVED.en.format(agent=known.agent), _REMOVED.zh.format(agent=known.agent)), _REMAINS
        )
    if known.state == "down":
        reason = equipment.reason
        return Trouble("bad", Text(_DOWN.en.format(reason=reason.en), _DOWN.zh.format(reason=reason.zh)), _CABLE)
    mark = equipment.mark
    return Trouble("bad", _FAULT, _LOOK) if mark == FAULT else Trouble("warn", _ALARM, _LOOK) if mark == ALARM else None
