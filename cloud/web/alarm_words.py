"""The words of alarms on pages: priorities, states, what can happen, kinds of rules and of channels."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloud.alarms.schemas import Alarm, Change, Priority, State
from cloud.notify.schemas import Kind
from cloud.notify.schemas import State as Sent
from cloud.web.words import Mark
from protocols.text import Text

PRIORITIES: Mapping[Priority, Mark] = MappingProxyType(
    {
        "critical": Mark(Text("Critical", "紧急"), "bad"),
        "high": Mark(Text("High", "高"), "bad"),
        "medium": Mark(Text("Medium", "中"), "warn"),
        "low": Mark(Text("Low", "低"), "idle"),
    }
)
STATES: Mapping[State, Mark] = MappingProxyType(
    {
        "unacknowledged": Mark(Text("Not acknowledged", "未确认"), "bad"),
        "acknowledged": Mark(Text("Acknowledged", "已确认"), "warn"),
        "returned": Mark(Text("Back to normal, not acknowledged", "已恢复，未确认"), "idle"),
        "latched": Mark(Text("Back to normal, to be reset", "已恢复，待复位"), "idle"),
        "closed": Mark(Text("Over", "已结束"), "good"),
    }
)
SET_ALARM = Text("Set an alarm", "设置报警")
"""What leads from a point to a new rule on it."""

SHELVED = Mark(Text("Shelved", "已搁置"), "off")
SUPPRESSED = Mark(Text("Suppressed", "已抑制"), "off")

CHANGES: Mapping[Change, Text] = MappingProxyType(
    {
        "raised": Text("Raised", "触发"),
        "level": Text("Another limit", "限值变化"),
        "returned": Text("Back to normal", "恢复正常"),
        "acknowledged": Text("Acknowledged", "确认"),
        "reset": Text("Reset", "复位"),
        "shelved": Text("Shelved", "搁置"),
        "unshelved": Text("Taken up again", "解除搁置"),
        "escalated": Text("Escalated", "升级通知"),
    }
)

RULE_KINDS: Mapping[str, Text] = MappingProxyType(
    {
        "threshold": Text("Beyond a limit", "越限"),
        "rate": Text("Changes too fast", "变化过快"),
        "state": Text("In a state for too long", "状态持续过久"),
        "stale": Text("No data", "无数据"),
        "bad_quality": Text("Values not valid", "数据无效"),
        "agent": Text("Gateway", "网关"),
        "reject_rate": Text("Rejected parts", "不合格率"),
        "spc": Text("Out of control (SPC)", "过程失控(SPC)"),
        "kpi": Text("OEE or another KPI of a shift", "班次 OEE 等指标"),
        "energy": Text("Energy: demand, cost, use per part", "能耗：需量、电费、单耗等"),
    }
)
MEASURES: Mapping[str, Text] = MappingProxyType(
    {
        "silent_s": Text("Not heard for (s)", "失联时长 (s)"),
        "buffer_hours_left": Text("Buffer lasts less than (h)", "缓存剩余少于 (h)"),
        "clock_offset_s": Text("Clock is off by (s)", "时钟偏差 (s)"),
        "disk_free_gb": Text("Disk space below (GB)", "磁盘剩余少于 (GB)"),
    }
)

CHANNEL_KINDS: Mapping[Kind, Text] = MappingProxyType(
    {
        "dingtalk": Text("DingTalk group robot", "钉钉群机器人"),
        "wecom": Text("WeCom group robot", "企业微信群机器人"),
        "feishu": Text("Feishu group robot", "飞书群机器人"),
        "email": Text("E-mail", "电子邮件"),
        "webhook": Text("Webhook", "Webhook 接口"),
    }
)
SENT: Mapping[Sent, Mark] = MappingProxyType(
    {
        "sent": Mark(Text("Sent", "已发送"), "good"),
        "waiting": Mark(Text("Waiting", "待发送"), "idle"),
        "dead": Mark(Text("Given up", "发送失败"), "bad"),
    }
)


def state_mark(alarm: Alarm) -> Mark:
    """Return how an alarm stands, in one mark."""
    if alarm.shelved_until is not None:
        return SHELVED
    return SUPPRESSED if alarm.suppressed else STATES[alarm.state]
