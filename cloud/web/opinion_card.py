"""Second opinions that are metered, on the page of rented computing: what is reserved, what was asked, what is left."""

from __future__ import annotations

from uuid import UUID

from nicegui import ui

from cloud.compute.schemas import Offer
from cloud.compute.service import Serving, ServingRequest
from cloud.core.principal import Principal, Scope
from cloud.web.compute_words import small_yuan
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.item_picker import figure_of
from cloud.web.language import number
from cloud.web.visit import Visit
from protocols.text import Text

_TITLE = Text("Second opinions on single parts", "单件复检")
_NOTE = Text(
    "A box asks a heavier model on the parts it doubts. Its own verdict stands first, and alone when what is reserved is used up.",
    "盒子对存疑工件另请更强的模型复检；盒子自身结论先行生效，预留金额用完后仅用自身结论。",
)
_TOLD = Text(
    "{count} answered in {seconds} s of the model · {left} of {cap} left",
    "已复检 {count} 次，模型用时 {seconds} 秒 · 剩余 {left}/{cap}",
)
_ENDED = Text(
    "{count} answered in {seconds} s of the model · {cost}", "共复检 {count} 次，模型用时 {seconds} 秒 · {cost}"
)
_OFFER, _BUDGET = Text("At", "算力"), Text("Yuan, reserved until the end", "预留金额，元")
_OPEN, _END = Text("Reserve", "开通"), Text("End", "结束")
_TOKEN = Text(
    "Save this token now, it is shown once. It belongs under [inspection.remote] of the boxes, with the address of the offer's server:",
    "请立即保存该令牌，仅显示一次。将其与该算力的服务地址一起填入盒子的 [inspection.remote]：",
)
_SHOWN = 12


class OpinionCard:
    """What was reserved, and a form for more."""

    def __init__(self, visit: Visit, servings: list[Serving], offers: list[Offer]) -> None:
        self._visit, say = visit, visit.say
        with box("card stack wide"):
            Words(say(_TITLE), tag="h2")
            Words(say(_NOTE), "muted", tag="p")
            self._answer = box("stack")
            for one in servings[:_SHOWN]:
                self._line(one)
            if offers and visit.may(Scope.ADMIN):
                codes = {each.code: f"{each.code} · {each.provider}" for each in offers}
                with box("form-row"):
                    self._offer = Choice(say(_OFFER), codes, offers[0].code)
                    self._budget = Field(say(_BUDGET), "10", inputmode="decimal")
                with box("line"):
                    button(say(_OPEN), self._open)
            self._made = box("stack wide")

    def _line(self, one: Serving) -> None:
        visit = self._visit
        told = {"count": number(one.count), "seconds": number(one.seconds), "cost": small_yuan(one.cost)}
        said = visit.say(_ENDED if one.ended_at else _TOLD, **told, left=small_yuan(one.left), cap=small_yuan(one.cap))
        with box("line spread lot"):
            with box():
                Words(f"{one.code} · {one.provider}", "strong", tag="div")
                Words(said, "muted small num", tag="div")
            if one.ended_at is None and visit.may(Scope.ADMIN):

                async def end(identity: UUID = one.id) -> None:
                    async def act(principal: Principal) -> None:
                        await visit.domains.compute.servings.end(principal, identity)
                        ui.navigate.to("/compute")

                    await attempt(visit, self._answer, Scope.ADMIN, act)

                button(visit.say(_END), end, "button quiet small")

    async def _open(self) -> None:
        visit = self._visit

        async def act(principal: Principal) -> None:
            body = ServingRequest.model_validate({"offer": self._offer.value, "budget": figure_of(self._budget.value)})
            made = await visit.domains.compute.servings.open(principal, body)
            self._made.clear()
            with self._made:
                Words(visit.say(_TOKEN), "small", tag="p")
                Words(made.token, "command", tag="code")

        await attempt(visit, self._answer, Scope.ADMIN, act)
