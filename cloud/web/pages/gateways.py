"""The edge agents: are they heard, do they keep up, what waits in their buffers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from nicegui import ui

from cloud.fleet.schemas import Agent
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import MarkView, Words, box
from cloud.web.enrolment import EnrolCommand, show_code_maker
from cloud.web.language import NOTHING, age, duration, number
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from cloud.web.words import GATEWAY_LOST, ONLINE, Mark
from protocols.text import Text

TITLE = Text("Gateways", "网关")

_SILENT_AFTER = timedelta(seconds=90)
_REVOKED = Mark(Text("Revoked", "已吊销"), "off")
_NEVER = Mark(Text("Not heard yet", "尚未上线"), "idle")
_NEW = Text("Add a gateway", "新增网关")
_HOW = Text("Then run on the gateway:", "然后在网关上运行：")
_NONE = Text(
    "No gateway is enrolled yet. Create a code to enrol the first one.", "尚无网关。请先生成注册码，注册第一台网关。"
)
_SEEN, _VERSION, _UP = Text("Last heard", "最近上线"), Text("Version", "版本"), Text("Running for", "已运行")
_BUFFER, _WAITING = Text("Buffer used", "缓冲占用"), Text("Waiting to be sent", "待上传")
_COLLECTED, _LOST = Text("Values collected", "已采集"), Text("Values dropped", "已丢弃")
_ASIDE, _DISK, _MEMORY = Text("Set aside", "已隔离批次"), Text("Disk free", "磁盘剩余"), Text("Memory", "内存占用")
_MISSED, _CLOCK = Text("Poll cycles missed", "错过的采集周期"), Text("Clock off by", "时钟偏差")
_LASTS, _LASTS_FOR = Text("Buffer lasts without the cloud", "断网可缓存"), Text("about {length}", "约 {length}")
_CONFIGURATION = Text("Configuration and its versions", "配置与历史版本")
_DIAGNOSTICS = Text("Read a machine now, remote diagnostics", "立即读取设备、远程诊断")
_OF = Text("{used} of {limit} MB", "{used} / {limit} MB")
_SINCE = Text("for {length}", "已等待 {length}")
_NOTHING_WAITS = Text("nothing", "无")


async def build(visit: Visit) -> None:
    """Build the gateways page and keep it up to date."""
    agents = await visit.domains.fleet.agents(visit.scope)
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE))
        with box("tiles roomy"):
            tiles = box("contents")
            with box("card stack"):
                Words(visit.say(_NEW), tag="h2")
                maker = box()
                Words(visit.say(_HOW), "muted", tag="div")
                command = EnrolCommand(visit)
        with maker:
            await show_code_maker(visit, command.show)
    shown = _Gateways(visit, tiles)
    shown.refresh(agents, datetime.now(UTC))

    async def refresh(_: Collection[Latest], now: datetime) -> None:
        shown.refresh(await visit.domains.fleet.agents(visit.scope), now)

    live.follow(visit, refresh)


class _Fact(NamedTuple):
    name: Text
    value: str


class _Gateways:
    """The tiles of all gateways. They are built once and then only their words change."""

    def __init__(self, visit: Visit, place: ui.element) -> None:
        self._visit = visit
        self._place = place
        self._shown: dict[str, tuple[MarkView, list[Words]]] = {}

    def refresh(self, agents: Sequence[Agent], now: datetime) -> None:
        if [str(agent.id) for agent in agents] != list(self._shown) or not agents:
            self._build(agents, now)
        for agent in agents:
            mark, values = self._shown[str(agent.id)]
            mark.show(_mark(agent, now))
            for words, fact in zip(values, _facts(self._visit, agent, now), strict=True):
                words.show(fact.value)

    def _build(self, agents: Sequence[Agent], now: datetime) -> None:
        self._shown = {}
        self._place.clear()
        with self._place:
            if not agents:
                Words(self._visit.say(_NONE), "muted", tag="p")
            for agent in agents:
                with box("card stack"):
                    with box("tile-head"):
                        Words(agent.name, "tile-name", tag="div")
                        mark = MarkView(_mark(agent, now), self._visit.language)
                    with box("rows", "dl"):
                        values = []
                        for fact in _facts(self._visit, agent, now):
                            Words(self._visit.say(fact.name), tag="dt")
                            values.append(Words(fact.value, tag="dd"))
                    with box("link", "a", href=f"/gateways/{agent.id}/configuration"):
                        Words(self._visit.say(_CONFIGURATION))
                    with box("link", "a", href=f"/gateways/{agent.id}/diagnostics"):
                        Words(self._visit.say(_DIAGNOSTICS))
                self._shown[str(agent.id)] = (mark, values)


def _mark(agent: Agent, now: datetime) -> Mark:
    if agent.revoked_at is not None:
        return _REVOKED
    if agent.last_seen is None:
        return _NEVER
    return ONLINE if now - agent.last_seen < _SILENT_AFTER else GATEWAY_LOST


def _facts(visit: Visit, agent: Agent, now: datetime) -> list[_Fact]:
    health = agent.health or {}

    def count(key: str) -> str:
        return number(health[key], whole=True) if key in health else NOTHING

    def megabytes(key: str) -> str:
        return f"{number(health[key] / 1e6, whole=True)} MB" if key in health else NOTHING

    def since(key: str, absent: str) -> str:
        start = health.get(key)
        return visit.say(duration(now.timestamp() - start / 1e6)) if start else absent

    buffer = NOTHING
    if "buffer_limit_bytes" in health:
        used, limit = (number(health[key] / 1e6, whole=True) for key in ("buffer_bytes", "buffer_limit_bytes"))
        buffer = visit.say(_OF, used=used, limit=limit)
    waiting = since("oldest_unsent", visit.say(_NOTHING_WAITS))
    if health.get("oldest_unsent"):
        waiting = visit.say(_SINCE, length=waiting)
    offset = health.get("clock_offset_us")
    clock = NOTHING if offset is None else f"{offset / 1e6:+.2f} s"
    hours = health.get("buffer_hours_left")
    lasts = NOTHING if hours is None else visit.say(_LASTS_FOR, length=visit.say(duration(hours * 3600)))
    seen = visit.say(age((now - agent.last_seen).total_seconds())) if agent.last_seen else NOTHING
    return [
        _Fact(_SEEN, seen),
        _Fact(_VERSION, agent.agent_version),
        _Fact(_UP, since("started", NOTHING)),
        _Fact(_COLLECTED, count("collected")),
        _Fact(_MISSED, count("missed_cycles")),
        _Fact(_LOST, count("dropped")),
        _Fact(_ASIDE, count("set_aside")),
        _Fact(_WAITING, waiting),
        _Fact(_BUFFER, buffer),
        _Fact(_LASTS, lasts),
        _Fact(_CLOCK, clock),
        _Fact(_DISK, megabytes("disk_free_bytes")),
        _Fact(_MEMORY, megabytes("rss_bytes")),
    ]
