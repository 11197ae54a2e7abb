"""One gateway's configuration: what is in force there, every version and what became of it, and how to change it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from nicegui import ui

from cloud.core.errors import NotFound, Problem
from cloud.core.principal import Scope
from cloud.fleet.schemas import Configuration, ConfigurationRequest, ConfigurationVersion
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import MarkView, Words, box
from cloud.web.language import moment
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text
from protocols.uplink.configuration import difference, normal

TITLE = Text("Configuration", "配置")

UNKNOWN = Mark(Text("Not told yet", "尚未上报"), "off")
IN_FORCE = Mark(Text("In force", "已生效"), "good")
SENT = Mark(Text("Waiting for the gateway", "待网关获取"), "idle")
ON_TRIAL = Mark(Text("On trial", "试运行中"), "warn")
REFUSED = Mark(Text("Refused by the gateway", "网关拒绝"), "bad")
UNDONE = Mark(Text("Undone by the gateway", "网关已回退"), "bad")
AT_THE_BOX = Mark(Text("Changed at the gateway", "在网关本机修改"), "warn")
SUPERSEDED = Mark(Text("Replaced before it was fetched", "未获取即被替换"), "off")
FORMER = Mark(Text("Was in force", "曾生效"), "off")

_OUTCOMES = {"probation": ON_TRIAL, "applied": IN_FORCE, "failed": REFUSED, "rolled_back": UNDONE}

_GATEWAYS = Text("Gateways", "网关")
_NOT_TOLD = Text(
    "The gateway tells its configuration with its next report. Software before this version does not.",
    "网关将在下次上报时提供其配置；旧版本网关软件不支持此功能。",
)
_VERSION = Text("Version {number}", "第 {number} 版")
_SAID = Text("{who}, {when}", "{who}，{when}")
_BOX = Text("found at the gateway", "网关本机")
_CHANGE = Text("Change it", "修改配置")
_HOW = Text(
    "The gateway checks the whole text, tries it for a minute, and goes back by itself if a machine that answered no"
    " longer does. Its name, this cloud's address and all passwords stay on it.",
    "网关会先完整校验，再试运行一分钟；若原本正常的设备因此失去应答，将自动回退。网关名称、云端地址和所有密码仅保存在网关本机。",
)
_TEXT, _NOTE = Text("Text of the configuration (TOML)", "配置内容 (TOML)"), Text("What for?", "修改原因")
_COMPARE, _SEND = Text("Show the difference", "查看差异"), Text("Send to the gateway", "下发到网关")
_NO_DIFFERENCE = Text("There is no difference.", "没有差异。")
_IS_SENT = Text(
    "Version {number} waits for the gateway; what becomes of it is shown above.",
    "第 {number} 版已等待网关获取，结果将显示在上方。",
)
_MOVED_ON = Text(
    "The configuration has moved on to version {number} meanwhile. Compare before you send.",
    "当前配置已更新为第 {number} 版，下发前请先查看差异。",
)
_ONLY_ADMIN = Text("Only an engineer can change it.", "只有工程师及以上角色可以修改配置。")
_VERSIONS = Text("Versions", "历史版本")
_AGAINST = Text("Compare with what is in force", "与当前生效配置比较")
_TAKE = Text("Take as draft", "以此为草稿")


def configuration_mark(now: Configuration) -> Mark:
    """Return how the configuration of a gateway stands, in one mark."""
    if now.in_force is None:
        return UNKNOWN
    wanted = now.wanted
    if wanted is not None and wanted.version > now.in_force.version:
        return _OUTCOMES.get(wanted.outcome, SENT)
    if wanted is not None and wanted.outcome == "probation":
        return ON_TRIAL
    return AT_THE_BOX if now.in_force.origin == "box" and now.in_force.version > 0 else IN_FORCE


async def build(visit: Visit) -> None:
    """Build the page and keep it up to date; raises NotFound."""
    try:
        agent_id = UUID(visit.request.path_params["agent_id"])
    except ValueError as error:
        raise NotFound from error
    agents = await visit.domains.fleet.agents(visit.scope)
    agent = next((agent for agent in agents if agent.id == agent_id), None)
    if agent is None:
        raise NotFound
    now = await visit.domains.fleet.configurations.current(visit.scope, agent_id)
    with frame(visit, f"{agent.name} · {visit.say(TITLE)}"):
        with page_head(f"{agent.name} · {visit.say(TITLE)}", back=("/gateways", visit.say(_GATEWAYS))):
            mark = MarkView(configuration_mark(now), visit.language)
        page = _Page(visit, agent_id, mark)
        await page.show(now)

    async def refresh(_: Collection[Latest], __: datetime) -> None:
        await page.refresh()

    live.follow(visit, refresh)


class _Page:
    """What is on the page, and the state it was drawn for."""

    def __init__(self, visit: Visit, agent_id: UUID, mark: MarkView) -> None:
        self._visit = visit
        self._agent_id = agent_id
        self._mark = mark
        self._configurations = visit.domains.fleet.configurations
        self._shown: Configuration | None = None
        self._seen: Configuration | None = None
        self._text: ui.textarea | None = None
        self._answer: ui.element | None = None
        with box("stack wide"):
            self._state = box("card stack")
            self._editor = box("card stack")
            self._history = box("card stack")

    async def show(self, now: Configuration) -> None:
        """Draw the page for `now`; the draft that somebody is writing stays."""
        self._shown = now
        self._mark.show(configuration_mark(now))
        self._state.clear()
        with self._state:
            if now.in_force is None:
                Words(self._visit.say(_NOT_TOLD), "muted", tag="p")
            else:
                self._line(now.in_force, IN_FORCE)
                if now.wanted is not None and now.wanted.version != now.in_force.version:
                    self._line(now.wanted, _OUTCOMES.get(now.wanted.outcome, SENT))
        if now.in_force is not None and self._seen is None:
            self._seen = now
            await self._show_editor(now.in_force)
        self._editor.set_visibility(now.in_force is not None)
        await self._show_history(now)

    async def refresh(self) -> None:
        """Draw the page anew if something has happened."""
        now = await self._configurations.current(self._visit.scope, self._agent_id)
        if now != self._shown:
            if self._answer is not None:
                self._answer.clear()  # what it says was true of the state before
            await self.show(now)

    def _line(self, version: ConfigurationVersion, mark: Mark) -> None:
        visit = self._visit
        with box("line"):
            Words(visit.say(_VERSION, number=version.version), tag="strong")
            MarkView(mark, visit.language, plain=True)
            Words(self._who_and_when(version), "muted small")
        if version.note:
            Words(version.note, "small", tag="p")
        if reason := version.reason(visit.language):
            Words(reason, "notice bad", tag="p")

    def _who_and_when(self, version: ConfigurationVersion) -> str:
        visit = self._visit
        when = moment(version.created_at, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
        who = visit.say(_BOX) if version.origin == "box" else version.author.removeprefix("user:")
        return visit.say(_SAID, who=who, when=when)

    async def _show_editor(self, in_force: ConfigurationVersion) -> None:
        visit = self._visit
        version = await self._configurations.version(visit.scope, self._agent_id, in_force.version)
        with self._editor:
            Words(visit.say(_CHANGE), tag="h2")
            if not visit.may(Scope.ENGINEER):
                Words(visit.say(_ONLY_ADMIN), "muted", tag="p")
                Words(version.text, "diff", tag="pre")
                return
            Words(visit.say(_HOW), "muted small", tag="p")
            self._text = ui.textarea(visit.say(_TEXT), value=version.text).props("outlined").classes("editor")
            self._text.mark("configuration-text")
            note = ui.input(visit.say(_NOTE)).props("outlined maxlength=500").classes("editor")
            with box("line"):
                self._button(_COMPARE, self._compare, "button quiet")
                self._button(_SEND, lambda: self._send(note.value or ""), "button")
            self._answer = box("stack")

    def _button(self, name: Text, act: Callable[[], Awaitable[None]], classes: str) -> None:
        with box(classes, "button", type="button").on("click", lambda _: act()):
            Words(self._visit.say(name))

    async def _compare(self) -> None:
        if self._text is None or self._answer is None or self._shown is None or self._shown.in_force is None:
            return
        in_force = self._shown.in_force.version
        now = await self._configurations.version(self._visit.scope, self._agent_id, in_force)
        self._show_difference(self._answer, difference(now.text, normal(self._text.value or "")))
        self._seen = self._shown  # what is compared with has been seen

    async def _send(self, note: str) -> None:
        visit = self._visit
        if self._text is None or self._answer is None or self._seen is None:
            return
        if not await visit.may_still(Scope.ENGINEER):
            return
        request = ConfigurationRequest(text=self._text.value or "", note=note[:500])
        self._answer.clear()
        try:
            made = await self._configurations.want(
                visit.acting(Scope.ENGINEER).scope,
                self._agent_id,
                request,
                etag=self._seen.etag,
                actor=visit.principal.actor,
            )
        except Problem as problem:
            await self.refresh()
            with self._answer:
                Words(problem.detail.to(visit.language), "notice bad", tag="p")
                if self._shown and self._shown.in_force and self._shown != self._seen:
                    Words(visit.say(_MOVED_ON, number=self._shown.in_force.version), "muted small", tag="p")
            return
        await self.refresh()
        self._seen = self._shown
        with self._answer:
            Words(visit.say(_IS_SENT, number=made.version), "notice warn", tag="p")

    def _show_difference(self, place: ui.element, found: str) -> None:
        place.clear()
        with place:
            if not found:
                Words(self._visit.say(_NO_DIFFERENCE), "muted", tag="p")
                return
            with box("diff", "pre"):
                for line in found.split("\n"):
                    Words(line + "\n", {"+": "added", "-": "removed"}.get(line[:1], ""))

    async def _show_history(self, now: Configuration) -> None:
        visit = self._visit
        versions = await self._configurations.versions(visit.scope, self._agent_id)
        self._history.clear()
        with self._history:
            Words(visit.say(_VERSIONS), tag="h2")
            for version in versions:
                self._line(version, self._mark_of(version, now))
                below = box("stack")
                with box("line"):
                    if now.in_force is not None and version.version != now.in_force.version:
                        self._button(_AGAINST, partial(self._against, version, below), "button quiet")
                    if self._text is not None:
                        self._button(_TAKE, partial(self._take, version), "button quiet")

    def _mark_of(self, version: ConfigurationVersion, now: Configuration) -> Mark:
        if now.in_force is not None and version.version == now.in_force.version:
            return IN_FORCE
        if version.origin == "box":
            return AT_THE_BOX
        if version.outcome == "" and now.wanted is not None and version.version < now.wanted.version:
            return SUPERSEDED
        return _OUTCOMES.get(version.outcome, SENT) if version.outcome != "applied" else FORMER

    async def _against(self, version: ConfigurationVersion, place: ui.element) -> None:
        if self._shown is not None and self._shown.in_force is not None:
            found = await self._configurations.difference(
                self._visit.scope, self._agent_id, self._shown.in_force.version, version.version
            )
            self._show_difference(place, found.difference)

    async def _take(self, version: ConfigurationVersion) -> None:
        if self._text is not None:
            found = await self._configurations.version(self._visit.scope, self._agent_id, version.version)
            self._text.value = found.text
