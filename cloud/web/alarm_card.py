"""The open alarms of a part of the plant in one card, the most urgent first, each a link to what is known of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID

from cloud.alarms.schemas import Alarm
from cloud.core.principal import Scope
from cloud.web.alarm_feed import follow_alarms
from cloud.web.alarm_words import PRIORITIES, state_mark
from cloud.web.elements import MarkView, Words, box, icon
from cloud.web.language import moment
from cloud.web.visit import Visit
from protocols.text import Text

MOST = 5

_TITLE, _ALL, _MORE = (
    Text("Open alarms", "当前报警"),
    Text("All alarms", "全部报警"),
    Text("There are more.", "还有更多报警。"),
)
_CALM = Text("No alarm is open.", "当前没有报警。")
_NO_RULES = Text("Nothing is watched yet: no alarm rule is on.", "尚未监视任何数据：没有启用的报警规则。")
_MAKE_RULE = Text("To the alarm rules", "前往报警规则")


class AlarmCard:
    """The card. `fill` asks for its content, and keeps it up to date as long as the page is open."""

    def __init__(self, visit: Visit, equipment: Collection[UUID] | None = None) -> None:
        self._visit = visit
        self._equipment = equipment
        self._shown: list[Alarm] | None = None
        self._ruled = True
        with box("card attention"):
            with box("card-head"):
                Words(visit.say(_TITLE), tag="h2")
                with box("link", "a", href="/alarms"):
                    Words(visit.say(_ALL))
            self._place = box("attention")

    async def fill(self) -> None:
        """Show what is open, now and from now on."""
        self._ruled = any(rule.enabled for rule in await self._visit.domains.alarms.rules.all(self._visit.scope))
        await self._refresh()
        follow_alarms(self._visit, self._refresh)

    async def _refresh(self) -> None:
        visit = self._visit
        alarms = await visit.domains.alarms.worst(visit.scope, limit=MOST + 1, equipment=self._equipment)
        if alarms == self._shown:
            return
        self._shown = alarms
        self._place.clear()
        with self._place:
            for alarm in alarms[:MOST]:
                self._row(alarm)
            if len(alarms) > MOST:
                Words(visit.say(_MORE), "muted small")
            if not alarms:
                self._empty()

    def _row(self, alarm: Alarm) -> None:
        visit = self._visit
        priority = PRIORITIES[alarm.priority]
        with box(f"concern {priority.tone}", "a", href=f"/alarms/{alarm.id}"):
            icon(priority.tone)
            with box():
                Words(alarm.message(visit.language), "who", tag="div")
                with box("line muted small"):
                    Words(visit.say(priority.text))
                    MarkView(state_mark(alarm), visit.language, plain=True)
                    Words(alarm.source)
                    Words(moment(alarm.raised_at, visit.zone, visit.language, now=datetime.now(UTC)), "num nowrap")

    def _empty(self) -> None:
        say = self._visit.say
        if self._ruled:
            with box("line is-well"):
                icon("good")
                Words(say(_CALM))
            return
        Words(say(_NO_RULES), "muted")
        if self._visit.may(Scope.ENGINEER):
            with box("link", "a", href="/alarm-rules"):
                Words(say(_MAKE_RULE))
