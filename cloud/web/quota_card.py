"""What companies have open on rented computing and may have: the operator reads and sets it on the market's page."""

from __future__ import annotations

from nicegui import ui

from cloud.compute.schemas import Quota, QuotaInUse, QuotaSet
from cloud.core.principal import Principal, Scope
from cloud.web.compute_words import yuan
from cloud.web.elements import Words, box
from cloud.web.forms import Field, attempt, button
from cloud.web.item_picker import figure_of
from cloud.web.visit import Visit
from protocols.text import Text

_QUOTAS = Text("Quotas of companies", "企业配额")
_NONE = Text("No company has a job open or a quota of its own.", "没有企业有未完成的作业或单独配额。")
_OPEN = Text("{jobs} of {most} jobs open, {reserved} reserved", "未完成作业 {jobs}/{most}，预留 {reserved}")
_OPEN_OF = Text(
    "{jobs} of {most} jobs open, {reserved} of {budget} reserved", "未完成作业 {jobs}/{most}，预留 {reserved}/{budget}"
)
_CODE, _JOBS = Text("Unified social credit code", "统一社会信用代码"), Text("Jobs open at most", "未完成作业上限")
_BUDGET = Text("Yuan reserved at most; empty: no limit", "预留上限，元；留空则不限")
_SET = Text("Set", "保存")


def quota_line(visit: Visit, quota: Quota) -> str:
    """Return what a company has open, in words."""
    told = {"jobs": quota.jobs, "most": quota.open_jobs, "reserved": yuan(quota.reserved)}
    if quota.open_budget is None:
        return visit.say(_OPEN, **told)
    return visit.say(_OPEN_OF, **told, budget=yuan(quota.open_budget))


class QuotaCard:
    """Quotas, and a form for one."""

    def __init__(self, visit: Visit, quotas: list[QuotaInUse]) -> None:
        self._visit, say = visit, visit.say
        with box("card stack wide"):
            Words(say(_QUOTAS), tag="h2")
            if not quotas:
                Words(say(_NONE), "muted", tag="p")
            for one in quotas:
                with box("lot"):
                    Words(" · ".join(filter(None, (one.company, one.credit_code))), "strong", tag="div")
                    Words(quota_line(visit, one), "small num", tag="div")
            with box("form-row"):
                self._code = Field(say(_CODE), maxlength="18")
                self._jobs = Field(say(_JOBS), "50", inputmode="numeric")
                self._budget = Field(say(_BUDGET), inputmode="decimal")
            with box("line"):
                button(say(_SET), self._set)
            self._answer = box("stack")

    async def _set(self) -> None:
        async def act(principal: Principal) -> None:
            budget = self._budget.value.strip()
            body = QuotaSet.model_validate(
                {
                    "credit_code": self._code.value.strip().upper(),
                    "open_jobs": figure_of(self._jobs.value),
                    "open_budget": figure_of(budget) if budget else None,
                }
            )
            await self._visit.domains.compute.quotas.set_quota(principal, body)
            ui.navigate.to("/wallet/market")

        await attempt(self._visit, self._answer, Scope.ADMIN, act)
