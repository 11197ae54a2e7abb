"""The edge agents: are they heard, do they keep up, what waits in their buffers - and what to do where they do not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import NamedTuple
from uuid import UUID

from nicegui import ui

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.fleet.schemas import Agent
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import MarkView, Words, box, icon
from cloud.web.enrolment import EnrolCommand, show_code_maker
from cloud.web.gateway_health import SILENT_AFTER, Trouble, troubles
from cloud.web.language import NOTHING, age, duration, number
from cloud.web.layout import frame, page_head
from cloud.web.pages.uploads import offer
from cloud.web.visit import Visit
from cloud.web.words import GATEWAY_LOST, ONLINE, Mark
from protocols.text import Text

TITLE = Text("Gateways", "网关")
AT_A_GLANCE = 4
"""How many facts a tile shows before one asks for all."""

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
_WELL = Text("All is well.", "一切正常。")
_DETAILS = Text("All figures", "全部数据")
_SITE = Text("Site", "站点")
_REVOKE = Text("Shut out", "吊销")
_REALLY = Text(
    "Shut {name} out? Nothing it sends is taken any more, at once; its past remains. To let it in again takes a new code.",
    "确定吊销 {name}？平台将立即停止接收其数据，历史数据保留；恢复需要新的注册码。",
)
_YES, _NO = Text("Shut it out", "确定吊销"), Text("Keep it", "取消")


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
                offer(visit)
        with maker:
            await show_code_maker(visit, command.show)
    sites = {site.id: site.name for site in await visit.domains.identity.sites(visit.scope)}
    shown = _Gateways(visit, tiles, sites)
    shown.refresh(agents, datetime.now(UTC))

    async def refresh(_: Collection[Latest], now: datetime) -> None:
        shown.refresh(await visit.domains.fleet.agents(visit.scope), now)

    live.follow(visit, refresh)


class _Fact(NamedTuple):
    name: Text
    value: str


@dataclass
class _Tile:
    """What changes of one gateway's tile."""

    mark: MarkView
    values: list[Words]
    health: ui.element
    acts: ui.element
    shown: list[Trouble] | None = field(default=None)


class _Gateways:
    """The tiles of all gateways. They are built once and then only what changes is written anew."""

    def __init__(self, visit: Visit, place: ui.element, sites: dict[UUID, str]) -> None:
        self._visit = visit
        self._place = place
        self._sites = sites
        self._tiles: dict[UUID, _Tile] = {}

    def refresh(self, agents: Sequence[Agent], now: datetime) -> None:
        if [agent.id for agent in agents] != list(self._tiles) or not agents:
            self._build(agents, now)
        for agent in agents:
            tile = self._tiles[agent.id]
            tile.mark.show(_mark(agent, now))
            for words, fact in zip(tile.values, self._facts(agent, now), strict=True):
                words.show(fact.value)
            found = troubles(agent, now, version("sunmao-iiot"))
            if found != tile.shown:
                tile.shown = found
                tile.health.clear()
                with tile.health:
                    self._say(found)
            tile.acts.set_visibility(agent.revoked_at is None)

    def _say(self, found: Sequence[Trouble]) -> None:
        say = self._visit.say
        if not found:
            with box("line is-well"):
                icon("good")
                Words(say(_WELL))
        for trouble in found:
            with box(f"concern {trouble.tone}"):
                icon(trouble.tone)
                with box():
                    Words(say(trouble.what), tag="div")
                    Words(say(trouble.step), "muted small", tag="div")

    def _facts(self, agent: Agent, now: datetime) -> list[_Fact]:
        return [_Fact(_SITE, self._sites.get(agent.site_id, NOTHING)), *_facts(self._visit, agent, now)]

    def _build(self, agents: Sequence[Agent], now: datetime) -> None:
        say = self._visit.say
        self._tiles = {}
        self._place.clear()
        with self._place:
            if not agents:
                Words(say(_NONE), "muted", tag="p")
            for agent in agents:
                with box("card stack", id=str(agent.id)):
                    with box("tile-head"):
                        Words(agent.name, "tile-name", tag="div")
                        mark = MarkView(_mark(agent, now), self._visit.language)
                    health = box("attention")
                    facts = self._facts(agent, now)
                    values = self._fact_list(facts[:AT_A_GLANCE])
                    with box("more-facts", "details"):
                        Words(say(_DETAILS), "link", tag="summary")
                        values += self._fact_list(facts[AT_A_GLANCE:])
                    with box("link", "a", href=f"/gateways/{agent.id}/configuration"):
                        Words(say(_CONFIGURATION))
                    with box("link", "a", href=f"/gateways/{agent.id}/diagnostics"):
                        Words(say(_DIAGNOSTICS))
                    acts = box("stack")
                    if self._visit.may(Scope.ENGINEER):
                        self._offer(acts, agent)
                self._tiles[agent.id] = _Tile(mark, values, health, acts)

    def _fact_list(self, facts: Sequence[_Fact]) -> list[Words]:
        values = []
        with box("rows", "dl"):
            for fact in facts:
                Words(self._visit.say(fact.name), tag="dt")
                values.append(Words(fact.value, tag="dd"))
        return values

    def _offer(self, acts: ui.element, agent: Agent) -> None:
        """Offer to shut the gateway out."""
        acts.clear()
        with acts, box("link bad", "button", type="button").on("click", lambda: self._ask(acts, agent)):
            Words(self._visit.say(_REVOKE))

    def _ask(self, acts: ui.element, agent: Agent) -> None:
        """Ask once more, with what it means."""
        say, visit = self._visit.say, self._visit

        async def revoke() -> None:
            if not await visit.may_still(Scope.ENGINEER):
                return
            try:
                await visit.domains.fleet.revoke(visit.acting(Scope.ENGINEER).scope, agent.id, visit.principal.actor)
            except Problem as refused:
                self._offer(acts, agent)
                with acts:
                    Words(say(refused.detail), "is-bad", tag="p")
                return
            self.refresh(await visit.domains.fleet.agents(visit.scope), datetime.now(UTC))

        acts.clear()
        with acts, box("notice bad", role="alert"), box("stack"):
            Words(say(_REALLY, name=agent.name), tag="p")
            with box("line"):
                with box("button bad", "button", type="button").on("click", revoke):
                    Words(say(_YES))
                with box("button quiet", "button", type="button").on("click", lambda: self._offer(acts, agent)):
                    Words(say(_NO))


def _mark(agent: Agent, now: datetime) -> Mark:
    if agent.revoked_at is not None:
        return _REVOKED
    if agent.last_seen is None:
        return _NEVER
    return ONLINE if now - agent.last_seen < SILENT_AFTER else GATEWAY_LOST


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
        _Fact(_WAITING, waiting),
        _Fact(_LASTS, lasts),
        _Fact(_VERSION, agent.agent_version),
        _Fact(_UP, since("started", NOTHING)),
        _Fact(_COLLECTED, count("collected")),
        _Fact(_MISSED, count("missed_cycles")),
        _Fact(_LOST, count("dropped")),
        _Fact(_ASIDE, count("set_aside")),
        _Fact(_BUFFER, buffer),
        _Fact(_CLOCK, clock),
        _Fact(_DISK, megabytes("disk_free_bytes")),
        _Fact(_MEMORY, megabytes("rss_bytes")),
    ]
