"""What a provider changes of an open offer: its prices by day and night, whether it takes new jobs, and whether it is open."""

from __future__ import annotations

from nicegui import ui

from cloud.compute.schemas import Offer, OfferChange
from cloud.core.principal import Principal, Scope
from cloud.web.elements import Words, box
from cloud.web.forms import Field, attempt, button
from cloud.web.item_picker import figure_of
from cloud.web.visit import Visit
from protocols.text import Text

DAY, NIGHT = Text("Yuan an hour, 8 to 22", "8–22 时，元/小时"), Text("Yuan an hour, 22 to 8", "22–8 时，元/小时")
DAY_FROM, NIGHT_FROM = 8, 22
_CHANGE = Text("Change terms", "变更条款")
_NOTE = Text(
    "Jobs that were placed keep the terms they were placed at; a quote holds for 15 minutes after a change.",
    "已提交的作业保持原条款；已询价者在变更后 15 分钟内仍可按原条款提交。",
)
_SAVE, _PAUSE, _RESUME, _CLOSE = (
    Text("Save", "保存"),
    Text("Pause", "暂停接单"),
    Text("Resume", "恢复接单"),
    Text("Close", "下架"),
)


class OfferEditor:
    """The changes of one offer; `answer` is where it is said if one is refused."""

    def __init__(self, visit: Visit, offer: Offer, answer: ui.element) -> None:
        self._visit, self._offer, self._answer, say = visit, offer, answer, visit.say
        prices = {each.from_hour: each.yuan_per_hour for each in offer.terms.prices}
        with box("", "details"):
            with box("", "summary"):
                Words(say(_CHANGE), "link")
            Words(say(_NOTE), "muted small", tag="p")
            self._fields: tuple[Field, Field] | None = None
            if set(prices) <= {DAY_FROM, NIGHT_FROM}:  # others are changed where they were made, by command or API
                last = offer.terms.prices[-1].yuan_per_hour
                with box("form-row"):
                    self._fields = (
                        Field(say(DAY), f"{prices.get(DAY_FROM, last):g}", inputmode="decimal"),
                        Field(say(NIGHT), f"{prices.get(NIGHT_FROM, last):g}", inputmode="decimal"),
                    )
            with box("line"):
                if self._fields:
                    button(say(_SAVE), self._save, "button small")
                button(say(_RESUME if offer.paused else _PAUSE), self._pause, "button quiet small")
                button(say(_CLOSE), self._close, "button quiet small")

    async def _save(self) -> None:
        assert self._fields is not None  # noqa: S101 - there is no button else
        day, night = self._fields
        prices = [
            {"from_hour": DAY_FROM, "yuan_per_hour": figure_of(day.value)},
            {"from_hour": NIGHT_FROM, "yuan_per_hour": figure_of(night.value)},
        ]
        await self._changed({"prices": prices})

    async def _pause(self) -> None:
        await self._changed({"paused": not self._offer.paused})

    async def _changed(self, change: dict[str, object]) -> None:
        async def act(principal: Principal) -> None:
            body = OfferChange.model_validate(change)
            await self._visit.domains.compute.desk.change(principal, self._offer.id, body)
            ui.navigate.to("/provider")

        await attempt(self._visit, self._answer, Scope.ADMIN, act)

    async def _close(self) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.compute.desk.close(principal, self._offer.id)
            ui.navigate.to("/provider")

        await attempt(self._visit, self._answer, Scope.ADMIN, act)
