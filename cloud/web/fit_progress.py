"""The button that has a model fitted, and how far the fit is while it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.training.schemas import Fit
from cloud.web.elements import Words, box
from cloud.web.forms import attempt, button
from cloud.web.visit import Visit
from protocols.text import Text

STAGES = {
    "": Text("Waiting for its turn", "等待中"),
    "read": Text("Reading pictures", "读取图片"),
    "learn": Text("Learning what is usual", "学习正常特征"),
    "check": Text("Finding the limits, checking the model", "确定界限并校验模型"),
    "judge": Text("Judging by held-back parts", "用留存工件评估"),
}
_FIT, _AGAIN, _CANCEL = Text("Train the model", "开始训练"), Text("Train again", "重新训练"), Text("Cancel", "取消")
_PROGRESS = Text("{stage} · {done} of {all} · {seconds} s", "{stage} · {done}/{all} · {seconds} 秒")
_STAGE = Text("{stage} · {seconds} s", "{stage} · {seconds} 秒")
_DONE = Text("Trained in {seconds} s.", "训练完成，用时 {seconds} 秒。")
_FAILED = Text("The last training failed: {why}", "上次训练失败：{why}")
_CANCELLED = Text("The last training was cancelled.", "上次训练已取消。")
_SPACING_S = 0.5


class FitProgress:
    """What the latest fit of a set is at; `fit` asks for one, `changed` is called when one has begun or ended."""

    def __init__(
        self,
        visit: Visit,
        set_id: UUID,
        changed: Callable[[], Awaitable[None]],
        fit: Callable[[Principal], Awaitable[None]],
        *,
        may_fit: bool,
    ) -> None:
        self._visit, self._id, self._changed, self._may_fit = visit, set_id, changed, may_fit
        self._fit = fit
        self._place = box("stack")
        self._answer = box("stack")
        self._words: Words | None = None
        self._bar: ui.element | None = None
        self._timer = ui.timer(_SPACING_S, self._look, active=False)
        self._shown: object = None

    async def show(self, *, again: bool) -> None:
        """Show the latest fit and what can be done; `again`: there is a version already."""
        visit, say = self._visit, self._visit.say
        fits = await visit.domains.training.fits(visit.scope, self._id)
        latest = fits[0] if fits else None
        shown = (latest and (latest.id, latest.state), again)
        if shown == self._shown:
            return  # a button that is drawn anew is not there for whoever is just pressing it
        self._shown = shown
        self._place.clear()
        self._words = self._bar = None
        running = latest is not None and latest.state in {"waiting", "running"}
        self._timer.active = running
        with self._place:
            if latest and running:
                self._words = Words("", "num fit-stage")
                self._bar = box("fit-progress", "progress", aria_label=say(_FIT))
                self._draw(latest)
                if self._may_fit:
                    with box("line"):
                        button(say(_CANCEL), lambda: self._cancel(latest.id), "button quiet")
                return
            if latest:
                self._say_outcome(latest)
            if self._may_fit:
                with box("line"):
                    button(say(_AGAIN if again else _FIT), self._request)

    def _say_outcome(self, fit: Fit) -> None:
        say = self._visit.say
        if fit.state == "failed":
            why = say(Text(fit.reason_en, fit.reason_zh))
            Words(say(_FAILED, why=why), "notice bad", tag="p").props["role"] = "alert"
        elif fit.state == "cancelled":
            Words(say(_CANCELLED), "muted", tag="p")
        else:
            Words(say(_DONE, seconds=f"{fit.seconds:.1f}"), "muted", tag="p")

    def _draw(self, fit: Fit) -> None:
        stage, seconds = self._visit.say(STAGES.get(fit.stage, STAGES[""])), f"{fit.seconds:.0f}"
        counted = fit.total > 1
        said = _PROGRESS if counted else _STAGE
        if self._words:
            self._words.show(self._visit.say(said, stage=stage, done=fit.done, all=fit.total, seconds=seconds))
        if self._bar:
            self._bar.props["max"] = str(max(fit.total, 1))
            self._bar.props["value"] = str(fit.done)
            if not counted:
                del self._bar.props["value"]  # how long this takes is not known
            self._bar.update()

    async def _look(self) -> None:
        if not await self._visit.may_still(Scope.READ):
            self._timer.active = False
            return
        fit = (await self._visit.domains.training.fits(self._visit.scope, self._id))[0]
        if fit.state in {"waiting", "running"}:
            self._draw(fit)
        else:
            self._timer.active = False
            await self._changed()

    async def _request(self) -> None:
        if await attempt(self._visit, self._answer, Scope.ENGINEER, self._fit):
            await self._changed()

    async def _cancel(self, fit: UUID) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.training.cancel_fit(principal, fit)

        if await attempt(self._visit, self._answer, Scope.ENGINEER, act):
            await self._changed()
