"""Gives a part of what a job cost back, as its provider, on the job's page."""

from __future__ import annotations

from uuid import UUID

from nicegui import ui

from cloud.billing.schemas import Refund
from cloud.core.principal import Principal, Scope
from cloud.web.elements import Words, box
from cloud.web.forms import Field, attempt, button
from cloud.web.item_picker import figure_of
from cloud.web.visit import Visit
from protocols.text import Text

_TITLE = Text("Give money back", "退款")
_NOTE = Text(
    "The rows stay; rows that correct them are added. Vouchers and prepaid hours get their part back, and the"
    " market's share of it returns to you.",
    "原明细不变，另增更正明细。算力券与预购机时按比例退回，相应的平台服务费返还给您。",
)
_SHARE, _REASON = Text("Share of what it cost, %", "退还比例，%"), Text("Reason", "原因")
_GIVE = Text("Give back", "退款")


class RefundCard:
    """A form for one refund."""

    def __init__(self, visit: Visit, job: UUID) -> None:
        self._visit, self._job, say = visit, job, visit.say
        with box("card stack wide refund"):
            Words(say(_TITLE), tag="h2")
            Words(say(_NOTE), "muted small", tag="p")
            with box("form-row"):
                self._share = Field(say(_SHARE), "100", inputmode="decimal")
                self._reason = Field(say(_REASON), maxlength="200")
            with box("line"):
                button(say(_GIVE), self._give, "button quiet")
            self._answer = box("stack")

    async def _give(self) -> None:
        async def act(principal: Principal) -> None:
            given = {
                "job_id": self._job,
                "share": figure_of(self._share.value) / 100,
                "reason": self._reason.value.strip(),
            }
            await self._visit.domains.billing.refund(principal, Refund.model_validate(given))
            ui.navigate.to(f"/compute/jobs/{self._job}")

        await attempt(self._visit, self._answer, Scope.ADMIN, act)
