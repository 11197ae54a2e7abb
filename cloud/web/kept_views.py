"""Kept looks at curves, on the page of trends: opened with one click, kept under a name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from cloud.core.principal import Principal, Scope
from cloud.telemetry.schemas import View, ViewRequest
from cloud.web.elements import Words, box
from cloud.web.forms import Field, attempt, button
from cloud.web.trend_view import MOST_SERIES, TrendView
from cloud.web.visit import Visit
from protocols.text import Text

_KEPT, _NAME = Text("Kept views", "已存视图"), Text("Name of this view", "视图名称")
_KEEP, _FORGET = Text("Keep this view", "保存视图"), Text("Forget {name}", "删除{name}")
_NO_POINT = Text("no machine here has what it shows yet", "尚无设备具备所需数据")


async def opened(visit: Visit, view: View) -> TrendView:
    """Return what a kept view shows in this plant: of one by meaning the first points that have it, entry by entry."""
    series = view.series or await visit.domains.telemetry.catalogue.meaning(
        visit.scope, view.entries, view.equipment_class, MOST_SERIES
    )
    return TrendView(tuple(series[:MOST_SERIES]), timedelta(seconds=view.length_s), compare=view.compare)


class KeptViews:
    """The views by name, and a field to keep what is shown now; `shown` says what that is, `show` shows another."""

    def __init__(
        self,
        visit: Visit,
        shown: Callable[[], TrendView],
        show: Callable[[TrendView], Awaitable[None]],
    ) -> None:
        self._visit, self._shown, self._show = visit, shown, show
        self._place = box("line")
        self._answer = box("stack")

    async def draw(self) -> None:
        """List them."""
        visit, say = self._visit, self._visit.say
        views = await visit.domains.telemetry.views.all(visit.scope)
        targets = [(view, await opened(visit, view)) for view in views]
        self._place.clear()
        with self._place:
            if views:
                Words(say(_KEPT), "muted small")
            for view, target in targets:
                self._chip(view, target)
            if visit.may(Scope.ENGINEER):
                with box("", "details"):
                    with box("link", "summary"):
                        Words(say(_KEEP))
                    self._name = Field(say(_NAME), maxlength="120")
                    button(say(_KEEP), self._keep, "button quiet")

    def _chip(self, view: View, target: TrendView) -> None:
        say = self._visit.say
        with box("choices"):
            with box("", "button", type="button") as name:
                Words(view.name)
            if target.series:
                name.on("click", partial(self._show, target))
            else:
                name.props["disabled"] = ""
                name.props["title"] = say(_NO_POINT)
            if self._visit.may(Scope.ENGINEER):
                forget = say(_FORGET, name=view.name)
                with box("", "button", type="button", title=forget, aria_label=forget) as away:
                    Words("×")
                away.on("click", partial(self._forget, view))

    async def _keep(self) -> None:
        view = self._shown()
        request = {"name": self._name.value, "series": list(view.series), "compare": view.compare}

        async def act(principal: Principal) -> None:
            body = ViewRequest.model_validate(request | {"length_s": int(view.length.total_seconds())})
            await self._visit.domains.telemetry.views.create(principal, body)

        if await attempt(self._visit, self._answer, Scope.ENGINEER, act):
            await self.draw()

    async def _forget(self, view: View) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.telemetry.views.remove(principal, view.id)

        if await attempt(self._visit, self._answer, Scope.ENGINEER, act):
            await self.draw()
