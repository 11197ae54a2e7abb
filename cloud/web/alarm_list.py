"""A list of alarms in which one tap acknowledges and two put aside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from nicegui import ui

from cloud.alarms.schemas import Alarm
from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.web.alarm_words import PRIORITIES, state_mark
from cloud.web.elements import MarkView, Words, box
from cloud.web.language import age, moment, number
from cloud.web.visit import Visit
from protocols.text import Text

SHELF_MINUTES = (30, 120, 480, 1440)

_ACKNOWLEDGE, _RESET = Text("Acknowledge", "确认"), Text("Reset", "复位")
_SHELVE, _UNSHELVE = Text("Shelve", "搁置"), Text("Take up again", "解除搁置")
_MINUTES, _HOURS = Text("{n} min", "{n} 分钟"), Text("{n} h", "{n} 小时")
_REASON, _USUAL_REASON = Text("Reason", "原因"), Text("Being worked on", "正在处理")
_TIMES = Text("{n} times", "{n} 次")
_CONSEQUENCES = Text("and {n} more that follow from it", "另有 {n} 条由此引发")
_FOLLOWS = Text("follows from another", "由其他报警引发")
_UNTIL = Text("until {when}: {reason} ({who})", "至 {when}：{reason}({who})")
_SEEN = Text("{who}: {comment}", "{who}：{comment}")
_WHY_NO_REASON = Text("Say why it is put aside.", "请填写搁置原因。")

Done = Callable[[], Awaitable[None]]


class AlarmList:
    """Alarms as rows. `done` is called when a person has done something to one."""

    def __init__(self, visit: Visit, done: Done) -> None:
        self._visit = visit
        self._done = done
        self._ground = box("alarms")
        self._shown: list[Alarm] | None = None
        self._shelving: str = ""

    def show(self, alarms: Sequence[Alarm], empty: Callable[[], None]) -> None:
        """Show `alarms`, or what `empty` builds; nothing is drawn anew where nothing has changed."""
        if list(alarms) == self._shown:
            return
        self._shown = list(alarms)
        self._ground.clear()
        with self._ground:
            if not alarms:
                empty()
            for alarm in alarms:
                self._row(alarm)

    def _row(self, alarm: Alarm) -> None:
        visit, now = self._visit, datetime.now(UTC)
        tone = PRIORITIES[alarm.priority].tone if alarm.state != "closed" else "off"
        quiet = (
            "" if alarm.state == "unacknowledged" and alarm.shelved_until is None and not alarm.suppressed else " quiet"
        )
        with box(f"alarm card {tone}{quiet}") as row:
            row.mark(f"alarm-{alarm.rule}")
            with box("alarm-what"):
                with box("line"):
                    MarkView(PRIORITIES[alarm.priority], visit.language)
                    MarkView(state_mark(alarm), visit.language, plain=True)
                    if alarm.raises > 1:
                        Words(visit.say(_TIMES, n=alarm.raises), "muted small num")
                with box("alarm-message", "a", href=f"/alarms/{alarm.id}"):
                    Words(alarm.message(visit.language))
                with box("line muted small"):
                    Words(alarm.source)
                    Words(moment(alarm.raised_at, visit.zone, visit.language, now=now), "num nowrap")
                    if alarm.state != "closed":
                        Words(visit.say(age((now - alarm.raised_at).total_seconds())), "nowrap")
                self._remarks(alarm, now)
            if alarm.state != "closed" and visit.may(Scope.OPERATE):
                with box("alarm-acts"):
                    self._acts(alarm)

    def _remarks(self, alarm: Alarm, now: datetime) -> None:
        visit = self._visit
        remarks = []
        if alarm.consequences:
            remarks.append(visit.say(_CONSEQUENCES, n=alarm.consequences))
        if alarm.first_out:
            remarks.append(visit.say(_FOLLOWS))
        if alarm.shelved_until is not None:
            until = moment(alarm.shelved_until, visit.zone, visit.language, now=now, seconds=False)
            remarks.append(visit.say(_UNTIL, when=until, reason=alarm.shelved_reason, who=alarm.shelved_by))
        if alarm.acknowledged_by:
            said = visit.say(_SEEN, who=alarm.acknowledged_by, comment=alarm.comment)
            remarks.append(said if alarm.comment else alarm.acknowledged_by)
        for remark in remarks:
            Words(remark, "small", tag="p")
        if alarm.state == "unacknowledged" and alarm.hint(visit.language):
            Words(alarm.hint(visit.language), "hint small", tag="p")

    def _acts(self, alarm: Alarm) -> None:
        if alarm.state in ("unacknowledged", "returned", "latched"):
            name = _RESET if alarm.state == "latched" else _ACKNOWLEDGE
            self._button(name, "button", partial(self._acknowledge, alarm))
        if alarm.shelved_until is not None:
            self._button(_UNSHELVE, "button quiet", partial(self._unshelve, alarm))
            return
        choice = box("shelf stack")
        choice.set_visibility(False)
        self._button(_SHELVE, "button quiet", partial(self._choose, choice))
        with choice:
            reason = ui.input(self._visit.say(_REASON), value=self._visit.say(_USUAL_REASON)).props(
                "outlined dense maxlength=200"
            )
            with box("choices"):
                for minutes in SHELF_MINUTES:
                    text = _MINUTES if minutes < 60 else _HOURS
                    n = minutes if minutes < 60 else minutes // 60
                    with box("", "button", type="button").on("click", partial(self._shelve, alarm, minutes, reason)):
                        Words(self._visit.say(text, n=n))
        choice.move(target_index=-1)

    def _button(self, name: Text, classes: str, act: Callable[[], Awaitable[None]]) -> None:
        with box(classes, "button", type="button").on("click", lambda _: act()):
            Words(self._visit.say(name))

    async def _choose(self, choice: ui.element) -> None:
        choice.set_visibility(not choice.visible)

    async def _acknowledge(self, alarm: Alarm) -> None:
        await self._act(lambda: self._visit.domains.alarms.acknowledge(self._visit.acting(Scope.OPERATE), alarm.id))

    async def _unshelve(self, alarm: Alarm) -> None:
        await self._act(lambda: self._visit.domains.alarms.unshelve(self._visit.acting(Scope.OPERATE), alarm.id))

    async def _shelve(self, alarm: Alarm, minutes: int, reason: ui.input, _: object) -> None:
        why = str(reason.value or "").strip()
        if not why:
            ui.notify(self._visit.say(_WHY_NO_REASON))
            return
        alarms, person = self._visit.domains.alarms, self._visit.acting(Scope.OPERATE)
        await self._act(lambda: alarms.shelve(person, alarm.id, minutes=minutes, reason=why))

    async def _act(self, act: Callable[[], Awaitable[Alarm]]) -> None:
        if not await self._visit.may_still(Scope.OPERATE):
            return
        try:
            await act()
        except Problem as problem:
            ui.notify(problem.detail.to(self._visit.language))
        await self._done()


def value_of(alarm: Alarm) -> str:
    """Return the value an alarm was raised with, and its unit."""
    return f"{number(alarm.value)} {alarm.unit}".strip()
