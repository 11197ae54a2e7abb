"""One alarm: what it is, what to do about it, all that happened to it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from nicegui import ui

from cloud.alarms.schemas import AlarmDetail
from cloud.core.errors import NotFound, Problem
from cloud.core.principal import Scope
from cloud.web.alarm_feed import follow_alarms
from cloud.web.alarm_list import AlarmList, value_of
from cloud.web.alarm_words import CHANGES
from cloud.web.elements import Words, box
from cloud.web.language import NOTHING, moment, number
from cloud.web.layout import frame, page_head
from cloud.web.pages.alarms import TITLE
from cloud.web.visit import Visit
from protocols.text import Text

_HINT = Text("What to do", "处理建议")
_NO_HINT = Text(
    "The rule says nothing of what to do. An engineer can add it there.", "规则未填写处理建议，工程师可在规则中补充。"
)
_FACTS = Text("Facts", "详情")
_HAPPENED = Text("What happened", "处理过程")
_RULE, _MACHINE, _RAISED = Text("Rule", "规则"), Text("Machine", "设备"), Text("Raised", "触发时间")
_VALUE, _LIMIT, _RETURNED = Text("Value", "触发值"), Text("Limit", "限值"), Text("Back to normal", "恢复时间")
_OPEN_MACHINE = Text("Open the machine", "查看设备")
_COMMENT, _SAY = Text("Comment", "备注"), Text("Acknowledge with this comment", "确认并附备注")


async def build(visit: Visit) -> None:
    """Build the page and keep it up to date; raises NotFound."""
    try:
        identity = UUID(visit.request.path_params["alarm_id"])
    except ValueError as error:
        raise NotFound from error
    alarm = await visit.domains.alarms.alarm(visit.scope, identity)
    with frame(visit, alarm.rule):
        page_head(alarm.rule, back=("/alarms", visit.say(TITLE)))
        page = _Page(visit, identity)
        await page.refresh()
    follow_alarms(visit, page.refresh)


class _Page:
    def __init__(self, visit: Visit, identity: UUID) -> None:
        self._visit = visit
        self._identity = identity
        self._row = AlarmList(visit, self.refresh)
        with box("columns"):
            with box("stack wide"):
                with box("card stack"):
                    Words(visit.say(_HINT), tag="h2")
                    self._hint = Words("", tag="p")
                self._comment = box("card stack")
                with box("card stack"):
                    Words(visit.say(_HAPPENED), tag="h2")
                    self._events = box("events")
            with box("card stack"):
                Words(visit.say(_FACTS), tag="h2")
                self._facts = box("facts", "dl")
        self._asked = False

    async def refresh(self) -> None:
        visit = self._visit
        alarm = await visit.domains.alarms.alarm(visit.scope, self._identity)
        self._row.show([alarm], lambda: None)
        self._hint.show(alarm.hint(visit.language) or visit.say(_NO_HINT))
        self._show_comment(alarm)
        self._show_facts(alarm)
        self._events.clear()
        with self._events:
            for event in reversed(alarm.events):
                with box("event"):
                    Words(moment(event.at, visit.zone, visit.language, now=datetime.now(UTC)), "num muted nowrap")
                    with box():
                        value = f" {number(event.value)} {alarm.unit}".rstrip() if event.value is not None else ""
                        Words(visit.say(CHANGES[event.change]) + value)
                        if said := " · ".join(filter(None, (event.actor, event.comment))):
                            Words(said, "muted small", tag="div")

    def _show_comment(self, alarm: AlarmDetail) -> None:
        wanted = alarm.state in ("unacknowledged", "returned") and self._visit.may(Scope.OPERATE)
        self._comment.set_visibility(wanted)
        if not wanted or self._asked:
            return
        self._asked = True  # what somebody is writing stays
        with self._comment:
            said = ui.input(self._visit.say(_COMMENT)).props("outlined maxlength=500").classes("editor")
            with box("line"), box("button quiet", "button", type="button").on("click", lambda _: self._say(said)):
                Words(self._visit.say(_SAY))

    async def _say(self, said: ui.input) -> None:
        if not await self._visit.may_still(Scope.OPERATE):
            return
        try:
            person = self._visit.acting(Scope.OPERATE)
            await self._visit.domains.alarms.acknowledge(person, self._identity, str(said.value or "").strip())
        except Problem as problem:
            ui.notify(problem.detail.to(self._visit.language))
        await self.refresh()

    def _show_facts(self, alarm: AlarmDetail) -> None:
        visit, now = self._visit, datetime.now(UTC)
        returned = moment(alarm.returned_at, visit.zone, visit.language, now=now) if alarm.returned_at else NOTHING
        rows = (
            (_RULE, alarm.rule, f"/alarm-rules/{alarm.rule_id}"),
            (_MACHINE, visit.say(_OPEN_MACHINE), f"/equipment/{alarm.equipment_id}" if alarm.equipment_id else ""),
            (_RAISED, moment(alarm.raised_at, visit.zone, visit.language, now=now), ""),
            (_RETURNED, returned, ""),
            (_VALUE, value_of(alarm), ""),
            (_LIMIT, number(alarm.limit), ""),
        )
        self._facts.clear()
        with self._facts:
            for name, value, target in rows:
                if name is _MACHINE and not target:
                    continue
                Words(visit.say(name), tag="dt")
                with box("num", "dd"):
                    if target:
                        with box("link", "a", href=target):
                            Words(value)
                    else:
                        Words(value)
