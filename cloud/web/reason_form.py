"""Shapes the tree of stop reasons: adds, retires and brings back."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from nicegui import ui
from pydantic import ValidationError

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.production.schemas import LossVersion, ReasonRequest, StopReason
from cloud.production.service import BEGINNING, ELEMENTS
from cloud.web.elements import Words, box
from cloud.web.settings_history import SinceFields, set_by, since_words
from cloud.web.visit import Visit
from protocols.text import Text

_REASONS = Text("Stop reasons", "停机原因")
_NOTE = Text(
    "What a reason is counted as decides the figures: a planned stop is no planned busy time.",
    "原因计入哪类时间决定指标：计划停机不计入计划忙碌时间。",
)
_ENGLISH, _CHINESE, _UNDER, _AS = (
    Text("English name", "英文名称"),
    Text("Chinese name", "中文名称"),
    Text("Under", "上级"),
    Text("Counted as", "计入"),
)
_FIRST_LEVEL, _ADD = Text("first level", "一级原因"), Text("Add", "增加")
_RETIRE, _BRING_BACK = Text("Retire", "停用"), Text("Bring back", "恢复")
_COUNT_OTHERWISE, _SAVE, _TAKE_AWAY = (
    Text("Count it otherwise", "修改计入方式"),
    Text("Save", "保存"),
    Text("Take away", "删除此版本"),
)
_SINCE_NOTE = Text(
    "Figures before that stay as they were. A stop is counted as its reason was when it began.",
    "此前的指标保持不变；每次停机按其开始时原因的计入方式统计。",
)
_DAY_MISSING = Text("Choose the first day.", "请选择起始日期。")
_NAME_MISSING = Text("Give a name in both languages.", "请填写中英文名称。")
_LOSSES = ("planned_stop", "setup", "failure", "delay", "no_order", "maintenance")


class ReasonForm:
    """The reasons of a company."""

    def __init__(self, visit: Visit, reasons: Sequence[StopReason]) -> None:
        self._visit = visit
        with box("card stack"):
            Words(visit.say(_REASONS), tag="h2")
            Words(visit.say(_NOTE), "muted", tag="p")
            for parent in (one for one in reasons if one.parent_id is None):
                self._show(parent, "strong")
                for child in (one for one in reasons if one.parent_id == parent.id):
                    self._show(child, "second-level")
            self._show_adding(reasons)

    def _show(self, reason: StopReason, classes: str) -> None:
        visit = self._visit
        with box("line spread"):
            with box("line"):
                Words(visit.say(Text(reason.name_en, reason.name_zh)), f"{classes} {'muted' if reason.retired else ''}")
                with box("link small", "button", type="button") as counted:
                    Words(visit.say(ELEMENTS[reason.loss]))
            with box("button quiet small", "button", type="button").on("click", lambda: self._retire(reason)):
                Words(visit.say(_BRING_BACK if reason.retired else _RETIRE))
        counted.props["title"] = visit.say(_COUNT_OTHERWISE)
        place = box("stack")
        counted.on("click", lambda: self._show_counting(reason, place))

    async def _show_counting(self, reason: StopReason, place: ui.element) -> None:
        """Show what a reason is and was counted as, and a form to count it otherwise; hide it where it is shown."""
        visit, reasons = self._visit, self._visit.domains.production.reasons
        if place.default_slot.children:
            place.clear()
            return
        versions = await reasons.losses(visit.scope, reason.id)
        with place, box("card stack"):
            losses = {loss: visit.say(ELEMENTS[loss]) for loss in _LOSSES}
            loss = (
                ui.select(losses, value=reason.loss, label=visit.say(_AS)).props("outlined dense").mark("reason-loss")
            )
            since = SinceFields(visit, known_before=True, note=_SINCE_NOTE)

            async def save() -> None:
                try:
                    valid_from = since.value
                except ValueError:
                    ui.notify(visit.say(_DAY_MISSING), type="warning")
                    return
                request = ReasonRequest(**reason.model_dump(exclude={"id"}) | {"loss": loss.value})
                await self._act(reasons.change(visit.acting(Scope.ENGINEER), reason.id, request, valid_from))

            with box("line"), box("button", "button", type="button").on("click", save):
                Words(visit.say(_SAVE))
            for version in versions:
                self._show_version(reason, version)

    def _show_version(self, reason: StopReason, version: LossVersion) -> None:
        visit = self._visit
        with box("machine-row"):
            with box("stack"):
                words = f"{since_words(visit, version.valid_from)} · {visit.say(ELEMENTS[version.loss])}"
                Words(words, "small")
                if who := set_by(visit, version.set_by):
                    Words(who, "muted small")
            if version.valid_from != BEGINNING:

                async def remove() -> None:
                    door, person = visit.domains.production.reasons, visit.acting(Scope.ENGINEER)
                    await self._act(door.remove_loss(person, reason.id, version.valid_from))

                with box("button quiet small", "button", type="button").on("click", remove):
                    Words(visit.say(_TAKE_AWAY))

    def _show_adding(self, reasons: Sequence[StopReason]) -> None:
        visit = self._visit
        parents = {"": visit.say(_FIRST_LEVEL)} | {
            str(one.id): visit.say(Text(one.name_en, one.name_zh)) for one in reasons if one.parent_id is None
        }
        with box("line above"):
            zh = ui.input(visit.say(_CHINESE)).props("outlined dense maxlength=80")
            en = ui.input(visit.say(_ENGLISH)).props("outlined dense maxlength=80")
            under = ui.select(parents, value="", label=visit.say(_UNDER)).props("outlined dense").classes("short")
            losses = {loss: visit.say(ELEMENTS[loss]) for loss in _LOSSES}
            counted = ui.select(losses, value="delay", label=visit.say(_AS)).props("outlined dense").classes("short")

            async def add() -> None:
                try:
                    request = ReasonRequest.model_validate(
                        {
                            "parent_id": under.value or None,
                            "name_en": (en.value or "").strip(),
                            "name_zh": (zh.value or "").strip(),
                            "loss": counted.value,
                            "position": 1000,
                        }
                    )
                except ValidationError:
                    ui.notify(visit.say(_NAME_MISSING), type="warning")
                    return
                await self._act(visit.domains.production.reasons.add(visit.acting(Scope.ENGINEER), request))

            with box("button quiet", "button", type="button").on("click", add):
                Words(visit.say(_ADD))

    async def _retire(self, reason: StopReason) -> None:
        request = ReasonRequest(**reason.model_dump(exclude={"id"}) | {"retired": not reason.retired})
        reasons = self._visit.domains.production.reasons
        await self._act(reasons.change(self._visit.acting(Scope.ENGINEER), reason.id, request))

    async def _act(self, act: Awaitable[object]) -> None:
        if not await self._visit.may_still(Scope.ENGINEER):
            return
        try:
            await act
        except Problem as problem:
            ui.notify(self._visit.say(problem.detail), type="negative")
            return
        ui.navigate.to(self._visit.here)
