"""What every offer would come to for a job, before anything is spent, and the button that runs it there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from nicegui import ui

from cloud.compute.schemas import JobRequest, Plan, Quote
from cloud.core.principal import Principal, Scope
from cloud.web.compute_words import grams, small_yuan
from cloud.web.elements import Words, box
from cloud.web.forms import attempt, button
from cloud.web.language import duration, moment
from cloud.web.visit import Visit
from protocols.text import Text

_COMPARE, _RUN = Text("Compare offers", "比较报价"), Text("Run here", "在此运行")
_BEST = Text("Best", "推荐")
_TAKES = Text("{time} · {begin}", "{time} · {begin}")
_NOW, _LATER = Text("begins now", "立即开始"), Text("begins {at}", "{at} 开始")
_OWN = Text("{own} of your own", "自付 {own}")
_VOUCHER = Text("{cost} less {subsidy} by voucher", "费用 {cost}，算力券抵扣 {subsidy}")
_CARBON_OF = Text("CO₂ {location} by location, {market} by market", "CO₂ 按地点 {location}，按市场 {market}")
_REJECTED, _NONE_DO = Text("Will not do", "不可用"), Text("No offer will do.", "没有可用的报价。")
_PREPAID = Text(
    "{hours} of the run by hours bought ahead, instead of {prepaid}", "其中 {hours} 由预购机时支付，抵 {prepaid}"
)
_SHOWN = 12


class PlanList:
    """A button that compares offers for what `request` returns - for any offer, or the one named -, and what it finds."""

    def __init__(self, visit: Visit, request: Callable[[str | None], JobRequest]) -> None:
        self._visit, self._request = visit, request
        with box("line"):
            button(visit.say(_COMPARE), self._compare)
        self._answer = box("stack")
        self._plans = box("stack wide")

    async def _compare(self) -> None:
        async def act(principal: Principal) -> None:
            self._plans.clear()
            quote = await self._visit.domains.compute.placing.quote(principal, self._request(None))
            with self._plans:
                self._show(quote)

        await attempt(self._visit, self._answer, Scope.ADMIN, act)

    def _show(self, quote: Quote) -> None:
        say = self._visit.say
        if not quote.plans:
            Words(say(_NONE_DO), "notice warn", tag="p")
        for place, plan in enumerate(quote.plans[:_SHOWN]):
            self._plan(plan, best=place == 0)
        if quote.rejected:
            with box("stack wide", "details"):
                with box("", "summary"):
                    Words(f"{say(_REJECTED)}: {len(quote.rejected)}", "link")
                for one in quote.rejected:
                    why = one.reason_zh if self._visit.language == "zh" else one.reason_en
                    Words(f"{one.code}: {why}", "small", tag="div")

    def _plan(self, plan: Plan, *, best: bool) -> None:
        visit, say = self._visit, self._visit.say
        with box("line spread lot plan"):
            with box():
                name = f"{plan.code} · {plan.provider}"
                Words(f"{say(_BEST)}: {name}" if best else name, "strong", tag="div")
                soon = plan.begin - datetime.now(UTC) < timedelta(minutes=1)
                at = moment(plan.begin, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
                begin = say(_NOW) if soon else say(_LATER, at=at)
                Words(say(_TAKES, time=say(duration(plan.time_s)), begin=begin), "small", tag="div")
                if plan.prepaid_s:
                    hours = say(duration(plan.prepaid_s))
                    Words(say(_PREPAID, hours=hours, prepaid=small_yuan(plan.prepaid)), "small", tag="div")
                if plan.subsidy:
                    paid = say(_VOUCHER, cost=small_yuan(plan.cost), subsidy=small_yuan(plan.subsidy))
                    Words(paid, "small", tag="div")
                carbon = say(_CARBON_OF, location=grams(plan.carbon_kg), market=grams(plan.market_kg))
                Words(carbon, "muted small", tag="div")
            with box("line"):
                Words(say(_OWN, own=small_yuan(plan.own)), "num strong")

                async def run(code: str = plan.code, version: int = plan.version) -> None:
                    async def act(principal: Principal) -> None:
                        body = self._request(code).model_copy(update={"offer_version": version})
                        job = await visit.domains.compute.submit(principal, body)
                        ui.navigate.to(f"/compute/jobs/{job.id}")

                    await attempt(visit, self._answer, Scope.ADMIN, act)

                button(say(_RUN), run, "button" if best else "button quiet")
