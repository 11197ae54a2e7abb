"""What is wrong with a gateway, in words, and the next step: the judgement of a health report, without a page around it.

The limits are ours: a technician has a working day to react to a warning, and little time where it is bad.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from cloud.fleet.schemas import Agent
from cloud.web.language import duration
from cloud.web.words import Tone
from protocols.text import Text

SILENT_AFTER = timedelta(seconds=90)
BEHIND_S, FAR_BEHIND_S = 120.0, 3600.0
CLOCK_OFF_S, CLOCK_WRONG_S = 2.0, 60.0
SHORT_HOURS, FEW_HOURS = 24.0, 4.0
FULL_SHARE, NEARLY_FULL_SHARE = 0.9, 0.7
SMALL_DISK, NO_DISK = 1_000_000_000, 200_000_000


class Trouble(NamedTuple):
    """One thing that is not as it should be: how bad, what it is, and what to do about it."""

    tone: Tone
    what: Text
    step: Text


_REVOKED = Trouble(
    "off",
    Text("Shut out: its key is revoked and nothing it sends is taken.", "已吊销：密钥已失效，平台不再接收其数据。"),
    Text("If it shall deliver again, enrol it with a new code.", "如需恢复，请用新的注册码重新注册。"),
)
_NEVER = Trouble(
    "idle",
    Text("Enrolled, and not heard of yet.", "已注册，尚未上线。"),
    Text("Start it on the box: sunmao-edge run", "请在网关上启动：sunmao-edge run"),
)
_SILENT = Text(
    "Not heard of for {length}. It goes on collecting and catches up later.",
    "已离线 {length}。网关仍在本地采集，恢复后会自动补传。",
)
_LASTS = Text(" Its buffer lasts about {length} in all.", "本地缓冲共可保存约 {length}。")
_CHECK_NETWORK = Text(
    "Check its power and network; on the box, sunmao-edge check says what is in the way.",
    "请检查电源与网络；在网关上运行 sunmao-edge check 可查明原因。",
)
_BEHIND = Text("Behind by {length}: older readings still wait to be sent.", "数据滞后 {length}，仍有历史数据待上传。")
_WAIT = Text(
    "It catches up by itself. If the delay grows, the link is too slow.",
    "网关会自动补传；若滞后持续增加，说明网络带宽不足。",
)
_FULL = Text(
    "{share} % of its buffer is used; once it is full, the oldest readings go.",
    "缓冲已用 {share}%，写满后将丢弃最旧的数据。",
)
_SHORT = Text("Without the cloud its buffer would last only {length}.", "若与平台断开，缓冲只能维持约 {length}。")
_LARGER = Text(
    "Give it more room (limit_mb in [buffer]), or collect less often.", "请加大 [buffer] 的 limit_mb，或降低采集频率。"
)
_CLOCK = Text(
    "Its clock is off by {length}; the times of its readings are too.", "网关时钟偏差 {length}，数据时间随之偏差。"
)
_SET_CLOCK = Text(
    "Let the box follow a time server (NTP): timedatectl set-ntp true",
    "请在网关上启用 NTP 对时：timedatectl set-ntp true",
)
_DISK = Text("Only {mb} MB of its disk are free.", "磁盘仅剩 {mb} MB。")
_CLEAR_DISK = Text("Remove what is not needed, or fit a larger disk.", "请清理无用文件，或更换更大的磁盘。")
_DROPPED = Text(
    "{count} readings were dropped since it started, because its buffer was full.",
    "启动以来因缓冲写满丢弃了 {count} 条数据。",
)
_ASIDE = Text("{count} batches were refused and set aside on the box.", "有 {count} 个批次被平台拒收并隔离在网关上。")
_LOOK_ASIDE = Text(
    "On the box, sunmao-edge buffer stats tells which.", "请在网关上运行 sunmao-edge buffer stats 查看。"
)
_COPIED = Trouble(
    "bad",
    Text(
        "Two boxes report by its key: a copy of its disk is running. What they send is mixed, and half of it taken as repetition.",
        "两台设备使用同一密钥上报：其磁盘被复制后同时运行，数据相互混淆，部分会被当作重复。",
    ),
    Text(
        "Revoke it, clear the state folder of both, and enrol each with a code of its own.",
        "请吊销该网关，清空两台设备的状态目录，再分别用新的注册码注册。",
    ),
)
COPIED_FOR = timedelta(hours=1)
_OLD = Text("Its software is {version}; this cloud's is {ours}.", "网关软件版本 {version}，平台版本 {ours}。")
_UPDATE = Text("Update the box when it suits.", "请择机升级网关软件。")

_WORST: tuple[Tone, ...] = ("bad", "warn", "off", "idle", "good")


def troubles(agent: Agent, now: datetime, ours: str) -> list[Trouble]:
    """Return what is wrong with a gateway, worst first; nothing where all is well. `ours` is this cloud's version."""
    if agent.revoked_at is not None:
        return [_REVOKED]
    if agent.last_seen is None:
        return [_NEVER]
    health = agent.health or {}
    found = [*_buffer(health), *_box(health), *_lost(health)]
    if agent.copied_at and now - agent.copied_at < COPIED_FOR:
        found.append(_COPIED)
    silent_s = (now - agent.last_seen).total_seconds()
    if silent_s > SILENT_AFTER.total_seconds():
        found.append(_silence(silent_s, health))
    elif health.get("oldest_unsent"):
        behind_s = now.timestamp() - health["oldest_unsent"] / 1e6
        if behind_s > BEHIND_S:
            tone: Tone = "bad" if behind_s > FAR_BEHIND_S else "warn"
            found.append(Trouble(tone, _filled(_BEHIND, length=duration(behind_s)), _WAIT))
    if agent.agent_version and agent.agent_version != ours:
        found.append(Trouble("idle", _filled(_OLD, version=agent.agent_version, ours=ours), _UPDATE))
    return sorted(found, key=lambda trouble: _WORST.index(trouble.tone))


def _silence(silent_s: float, health: Mapping[str, Any]) -> Trouble:
    what = _filled(_SILENT, length=duration(silent_s))
    hours = health.get("buffer_hours_left")
    if hours is not None:
        lasts = _filled(_LASTS, length=duration(hours * 3600))
        what = Text(what.en + lasts.en, what.zh + lasts.zh)
    return Trouble("bad", what, _CHECK_NETWORK)


def _buffer(health: Mapping[str, Any]) -> list[Trouble]:
    used, limit, hours = (health.get(key) for key in ("buffer_bytes", "buffer_limit_bytes", "buffer_hours_left"))
    if used is not None and limit and used / limit > NEARLY_FULL_SHARE:
        share = used / limit
        return [Trouble("bad" if share > FULL_SHARE else "warn", _filled(_FULL, share=f"{100 * share:.0f}"), _LARGER)]
    if hours is not None and hours < SHORT_HOURS:
        return [
            Trouble("bad" if hours < FEW_HOURS else "warn", _filled(_SHORT, length=duration(hours * 3600)), _LARGER)
        ]
    return []


def _box(health: Mapping[str, Any]) -> list[Trouble]:
    found = []
    offset_s = abs(health.get("clock_offset_us") or 0) / 1e6
    if offset_s > CLOCK_OFF_S:
        tone: Tone = "bad" if offset_s > CLOCK_WRONG_S else "warn"
        found.append(Trouble(tone, _filled(_CLOCK, length=duration(offset_s)), _SET_CLOCK))
    free = health.get("disk_free_bytes")
    if free is not None and free < SMALL_DISK:
        found.append(
            Trouble("bad" if free < NO_DISK else "warn", _filled(_DISK, mb=f"{free // 1_000_000}"), _CLEAR_DISK)
        )
    return found


def _lost(health: Mapping[str, Any]) -> list[Trouble]:
    found = []
    if health.get("dropped"):
        found.append(Trouble("warn", _filled(_DROPPED, count=f"{health['dropped']:,}"), _LARGER))
    if health.get("set_aside"):
        found.append(Trouble("warn", _filled(_ASIDE, count=f"{health['set_aside']:,}"), _LOOK_ASIDE))
    return found


def _filled(text: Text, **values: str | Text) -> Text:
    """Return `text` with `values` in its braces, each in the language of the sentence."""
    en = {name: value.en if isinstance(value, Text) else value for name, value in values.items()}
    zh = {name: value.zh if isinstance(value, Text) else value for name, value in values.items()}
    return Text(text.en.format(**en), text.zh.format(**zh))
