"""Asks why a machine stood: a tap on the stop, a tap on the reason."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime, time, timedelta

from nicegui import ui

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.production.schemas import Stop, StopReason, StopWord
from cloud.web.elements import Words, box
from cloud.web.visit import Visit
from protocols.text import Text

_WHY = Text("Why did it stand?", "为什么停机？")
_FROM = Text("From another time on (parts the stop)", "从另一时刻起（停机将在此分开）")
_NOTE = Text("Note", "备注")
_TAKE_BACK = Text("Take the reason back", "撤销原因")
_CANCEL = Text("Cancel", "取消")
_WRONG_TIME = Text("Give a time within the stop, as 14:30.", "请填写停机期间的时刻，如 14:30。")
_MORE = Text("Note, or part the stop", "备注、拆分停机")


class StopDialog:
    """One dialog for all stops of a page."""

    def __init__(self, visit: Visit, reasons: Sequence[StopReason]) -> None:
        self._visit = visit
        self._reasons = [one for one in reasons if not one.retired]
        self._stop: Stop | None = None
        with ui.dialog().props("position=bottom") as self._dialog, box("card stack sheet"):
            self._title = Words("", tag="h2")
            self._when = Words("", "muted", tag="p")
            self._place = box("stack")
            with box("", "details"):
                Words(visit.say(_MORE), "link", tag="summary")
                with box("stack above"):
                    self._from = ui.input(visit.say(_FROM)).props("outlined dense maxlength=8")
                    self._note = ui.input(visit.say(_NOTE)).props("outlined dense maxlength=500")
            with box("line spread"):
                with box("button quiet", "button", type="button").on("click", self._take_back) as self._back:
                    Words(visit.say(_TAKE_BACK))
                with box("button quiet", "button", type="button").on("click", self._dialog.close):
                    Words(visit.say(_CANCEL))
        self._build()

    def _build(self) -> None:
        """Show the reasons in their groups, every one a tap away."""
        say = self._visit.say
        with self._place:
            for parent in (one for one in self._reasons if one.parent_id is None):
                children = [one for one in self._reasons if one.parent_id == parent.id]
                with box("reason-group"):
                    Words(say(Text(parent.name_en, parent.name_zh)), "muted small", tag="div")
                    with box("reasons"):
                        for one in children or [parent]:
                            button = box(f"reason {one.loss}", "button", type="button")
                            button.on("click", lambda _, reason=one: self._say(reason))
                            with button:
                                Words(say(Text(one.name_en, one.name_zh)))

    def open(self, stop: Stop, when: str) -> None:
        """Ask about `stop`; `when` is it in words."""
        self._stop = stop
        self._title.show(f"{stop.equipment} · {self._visit.say(_WHY)}")
        self._when.show(when)
        self._back.set_visibility(stop.reason_id is not None)
        self._from.value = ""
        self._note.value = stop.note
        self._dialog.open()

    async def _say(self, reason: StopReason) -> None:
        stop = self._stop
        if stop is None or not await self._visit.may_still(Scope.OPERATE):
            return
        at = self._begin(stop)
        if at is None:
            ui.notify(self._visit.say(_WRONG_TIME), type="warning")
            return
        word = StopWord(reason_id=reason.id, note=str(self._note.value or "")[:500])
        await self._act(
            self._visit.domains.production.stops.classify(
                self._visit.acting(Scope.OPERATE), stop.equipment_id, at, word
            )
        )

    async def _take_back(self) -> None:
        stop = self._stop
        if stop is not None and await self._visit.may_still(Scope.OPERATE):
            await self._act(
                self._visit.domains.production.stops.unclassify(
                    self._visit.acting(Scope.OPERATE), stop.equipment_id, stop.start
                )
            )

    async def _act(self, act: Awaitable[None]) -> None:
        try:
            await act
        except Problem as problem:
            ui.notify(self._visit.say(problem.detail), type="negative")
            return
        self._dialog.close()
        ui.navigate.to(self._visit.here)

    def _begin(self, stop: Stop) -> datetime | None:
        """Return from when on the reason holds: the begin, or the time given within the stop; None if it is not in it."""
        text = str(self._from.value or "").strip()
        if not text:
            return stop.start
        try:
            wall = time.fromisoformat(text)
        except ValueError:
            return None
        local = stop.start.astimezone(self._visit.zone)
        at = local.replace(hour=wall.hour, minute=wall.minute, second=wall.second, microsecond=0)
        if at < local:
            at += timedelta(days=1)
        return at if stop.start <= at < stop.end else None
