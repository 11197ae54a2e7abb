"""The operator's page at the line: parts nobody has judged, those the model is least sure of first, two large buttons."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from nicegui import ui
from nicegui.events import KeyEventArguments

from cloud.core.principal import Principal, Scope
from cloud.quality.schemas import Inspection, Judgement
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.defect_field import name_another
from cloud.web.elements import MarkView, Words, box, icon
from cloud.web.forms import attempt, button
from cloud.web.gallery import model_says, score_scale, second_opinion
from cloud.web.language import moment
from cloud.web.layout import frame, page_head
from cloud.web.pages.training import stations_of
from cloud.web.plate import show_plate
from cloud.web.visit import Visit
from cloud.web.words import VERDICTS
from protocols.text import Text

TITLE = Text("Judge parts", "人工复判")
REFIT_WORTH = 20
"""From so many words since the last version a new fit is worth its while: about one more fold of parts."""

_NOTE = Text(
    "The parts the model is least sure of come first. Each word makes the next version better.",
    "优先显示模型最不确定的工件；每次判定都会用于改进下一版本。",
)
_NO_STATION = Text("No inspection station has reported to you yet.", "尚无您可以查看的检测工位。")
_NOTHING = Text(
    "Every part with a picture has been judged. New ones appear here by themselves.",
    "所有带图片的工件均已判定；新工件会自动显示。",
)
_GOOD, _DEFECT, _UNDO = Text("Good", "良品"), Text("Defect", "缺陷品"), Text("Undo (key U)", "撤销(按键 U)")
_GOOD_KEY, _DEFECT_KEY = Text("key G", "按键 G"), Text("key D", "按键 D")
_KINDS = Text("Or say at once what is wrong:", "或直接选择缺陷类型：")
_NEW_WORDS = Text(
    "{count} words since the last version; a new training is worth its while from {worth} on.",
    "自上一版本以来已判定 {count} 件；达到 {worth} 件后建议重新训练。",
)
_READY = Text(
    "{count} words since the last version: train a new one.", "自上一版本以来已判定 {count} 件，建议重新训练。"
)
_TO_SET = Text("To the training", "前往训练")


async def build(visit: Visit) -> None:
    """Build the page for the station of its address, or the first one."""
    stations = stations_of(await visit.domains.fleet.equipment_list(visit.scope))
    asked = visit.request.query_params.get("station", "")
    chosen = asked if asked in stations else next(iter(stations), "")
    with frame(visit, visit.say(TITLE)):
        with page_head(visit.say(TITLE), note=visit.say(_NOTE)):
            if len(stations) > 1:
                with box("choices", "nav"):
                    for key, name in stations.items():
                        with box("here" if key == chosen else "", "a", href=f"/judge?station={key}"):
                            Words(name)
        if not chosen:
            Words(visit.say(_NO_STATION), "card muted", tag="p")
            return
        judging = _Judging(visit, UUID(chosen))
        await judging.take_in()

    async def refresh(_: Collection[Latest], __: datetime) -> None:
        await judging.take_in()

    live.follow(visit, refresh)


class _Judging:
    """One part at a time; what was said last can be taken back, step by step."""

    def __init__(self, visit: Visit, station: UUID) -> None:
        self._visit, self._station = visit, station
        self._said: list[UUID] = []
        self._shown: UUID | None = None
        self._turn = asyncio.Lock()
        self._place = box("stack wide")
        self._answer = box("stack")
        self._count = box("line")
        ui.keyboard(self._key, repeating=False)

    async def take_in(self) -> None:
        """Show a new part where none is shown; one that is being looked at stays."""
        async with self._turn:
            if self._shown is None:
                await self._show()

    async def _show(self, first: UUID | None = None) -> None:
        """Show the part whose turn it is, or `first`."""
        visit, quality = self._visit, self._visit.domains.quality
        if first:
            item: Inspection | None = await quality.inspection(visit.scope, first)
        else:
            waiting = await quality.uncertain(visit.scope, self._station, 1)
            item = waiting[0] if waiting else None
        names = await quality.defect_names(visit.scope)
        if item and item.model_defect:  # what the model takes it for stands first
            names = [item.model_defect, *(name for name in names if name != item.model_defect)]
        self._shown = item.id if item else None
        self._place.clear()
        with self._place:
            if item is None:
                Words(visit.say(_NOTHING), "card muted", tag="p")
                if self._said:
                    self._undo_button()
            else:
                self._show_part(item, names)
        await self._show_count()

    def _show_part(self, item: Inspection, names: list[str]) -> None:
        visit, address = self._visit, f"/api/v1/inspections/{item.id}"
        with box("judge"):
            with box("card"):
                show_plate(visit, f"{address}/picture", f"{address}/heatmap" if item.heatmap else "", item.part)
            with box("card stack wide"):
                with box("line spread"):
                    with box("line"):
                        Words(item.part, "strong num part")
                        MarkView(VERDICTS[item.verdict], visit.language)
                    Words(moment(item.time, visit.zone, visit.language, now=datetime.now(UTC)), "muted num small")
                with box("judge-buttons"):
                    self._large(_GOOD, _GOOD_KEY, "good", "good")
                    self._large(_DEFECT, _DEFECT_KEY, "bad", "defect")
                if names:
                    Words(visit.say(_KINDS), "muted small")
                    with box("judge-kinds"):
                        for name in names:
                            button(name, partial(self._judge, "defect", name), "button quiet")
                name_another(visit, partial(self._judge, "defect"))
                if self._said:
                    self._undo_button()
                score_scale(visit, item)
                model_says(visit, defect=item.model_defect, chance=item.model_chance, aligned=item.aligned)
                second_opinion(visit, item)

    def _large(self, name: Text, key: Text, tone: str, judgement: Judgement) -> None:
        with box(f"button {tone}", "button", type="button").on("click", lambda _: self._judge(judgement)):
            with box("line"):
                icon(tone)
                Words(self._visit.say(name))
            Words(self._visit.say(key), "key")

    def _undo_button(self) -> None:
        with box("line"):
            button(self._visit.say(_UNDO), self._undo, "button quiet")

    async def _key(self, event: KeyEventArguments) -> None:
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.meta or event.modifiers.alt:
            return
        pressed = str(event.key).lower()
        if pressed == "u":
            await self._undo()
        elif pressed in {"g", "d"}:
            await self._judge("good" if pressed == "g" else "defect")

    async def _judge(self, judgement: Judgement, defect: str = "") -> None:
        shown, self._shown = self._shown, None  # a second press meanwhile is not about the next part
        if shown is None:
            return

        async def act(principal: Principal) -> None:
            await self._visit.domains.quality.judge(principal, shown, judgement, defect)

        async with self._turn:
            if await attempt(self._visit, self._answer, Scope.OPERATE, act):
                self._said.append(shown)
                await self._show()
            else:
                self._shown = shown

    async def _undo(self) -> None:
        if not self._said:
            return
        last = self._said.pop()

        async def act(principal: Principal) -> None:
            await self._visit.domains.quality.withdraw(principal, last)

        async with self._turn:
            if await attempt(self._visit, self._answer, Scope.OPERATE, act):
                await self._show(first=last)

    async def _show_count(self) -> None:
        visit, training = self._visit, self._visit.domains.training
        sets = [
            each
            for each in await training.sets(visit.scope)
            if each.equipment_id == self._station and each.sensors is None
        ]
        if not sets:
            self._count.clear()
            return
        new = (await training.counts(visit.scope, sets[0].id)).new
        said = _READY if new >= REFIT_WORTH else _NEW_WORDS
        self._count.clear()
        with self._count:
            Words(visit.say(said, count=new, worth=REFIT_WORTH), "num new-words")
            with box("link", "a", href=f"/training/{sets[0].id}"):
                Words(visit.say(_TO_SET))
