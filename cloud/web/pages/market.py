"""The operator's side of the market: money that came in or goes out, pools of programmes, applications, and what came of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from nicegui import ui

from cloud.billing.schemas import Decision, Deposit, Effect, PayOut, Pool, Voucher
from cloud.billing.service import programmes
from cloud.core.errors import NotFound
from cloud.core.principal import Principal, Scope
from cloud.web.bank_card import RatesCard
from cloud.web.compute_words import yuan
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field, attempt, button, done
from cloud.web.item_picker import figure_of
from cloud.web.layout import frame, page_head
from cloud.web.pages import wallet
from cloud.web.quota_card import QuotaCard
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("The market", "市场运营")

_MONEY, _BOOKED = (
    Text("Money in and out", "资金收付"),
    Text("{amount} booked for {company}.", "已为{company}入账 {amount}。"),
)
_CODE, _AMOUNT = Text("Unified social credit code", "统一社会信用代码"), Text("Amount, yuan", "金额，元")
_REFERENCE, _WAY = Text("Bank slip", "银行凭证号"), Text("What", "类型")
_WAYS = {
    "in.cash": Text("paid in: cash", "充值：现金"),
    "in.bond": Text("paid in: a provider's bond", "充值：保证金"),
    "out.payable": Text("paid out: a provider's earnings", "付款：提供方收入"),
    "out.cash": Text("given back: cash", "退还：现金"),
    "out.bond": Text("given back: bond", "退还：保证金"),
}
_BOOK = Text("Book", "入账")
_POOLS, _PROGRAMME, _UNTIL = Text("Programmes", "补贴计划"), Text("Programme", "补贴计划"), Text("Open until", "开放至")
_OPEN, _OPENED = Text("Open, or add to it", "开放或追加"), Text("Open with {amount} more.", "已追加 {amount}。")
_WAITING, _NONE = Text("Applications", "待审批申请"), Text("No application waits.", "没有待审批的申请。")
_ASKS = Text("{company} ({code}) · {programme} · fees of {fee}", "{company}({code})· {programme} · 预计费用 {fee}")
_APPROVE, _REJECT, _REASON = Text("Grant", "批准"), Text("Turn down", "驳回"), Text("Reason", "说明")
_EFFECT = Text("What came of it", "绩效")
_LINE = Text(
    "{count} of {applications} granted, {granted}; redeemed {redeemed} ({share} %) for {jobs} jobs; decided in {days} days;"
    " {leverage} own yuan per subsidised yuan",
    "申请 {applications} 件，批准 {count} 件共 {granted}；已兑付 {redeemed}({share} %)，作业 {jobs} 个；平均审批 {days} 天；"
    "每元补贴带动自有资金 {leverage} 元",
)


async def build(visit: Visit) -> None:
    """Build the page; for others than the operator it does not exist."""
    desk = visit.domains.billing.vouchers
    applications = await desk.applications(visit.scope)
    if not visit.may(Scope.ADMIN):
        raise NotFound
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), back=("/wallet", visit.say(wallet.TITLE)))
        _Applications(visit, [each for each in applications if each.state == "applied"])
        _Money(visit)
        RatesCard(visit, await visit.domains.billing.bank.bank(visit.scope))
        _Pools(visit)
        QuotaCard(visit, await visit.domains.compute.quotas.quotas(visit.scope))
        effects = await desk.effect(visit.scope)
        if effects:
            with box("card stack wide"):
                Words(visit.say(_EFFECT), tag="h2")
                for one in effects:
                    _effect(visit, one)


def _effect(visit: Visit, one: Effect) -> None:
    name = programmes()[one.programme].name
    share = 100 * one.redeemed / one.granted if one.granted else 0.0
    said = visit.say(
        _LINE,
        count=one.granted_count,
        applications=one.applications,
        granted=yuan(one.granted),
        redeemed=yuan(one.redeemed),
        share=f"{share:.1f}",
        jobs=one.jobs,
        days=f"{one.days:.1f}",
        leverage="–" if one.leverage is None else f"{one.leverage:.2f}",
    )
    with box("lot"):
        Words(visit.say(name), "strong", tag="div")
        Words(said, "small num", tag="div")


class _Applications:
    """Applications that wait for a word."""

    def __init__(self, visit: Visit, waiting: list[Voucher]) -> None:
        self._visit = visit
        with box("card stack wide"):
            Words(visit.say(_WAITING), tag="h2")
            self._answer = box("stack")
            if not waiting:
                Words(visit.say(_NONE), "muted", tag="p")
            for voucher in waiting:
                self._one(voucher)

    def _one(self, voucher: Voucher) -> None:
        visit, say = self._visit, self._visit.say
        name = say(programmes()[voucher.programme].name)
        with box("stack wide lot application"):
            asks = say(_ASKS, company=voucher.company, code=voucher.credit_code, programme=name, fee=yuan(voucher.fee))
            Words(asks, "strong", tag="div")
            Words(f"{voucher.purpose} · {voucher.contact}", "small", tag="div")
            with box("form-row"):
                reason = Field(say(_REASON), maxlength="500")
            with box("line"):
                for words, approve in ((_APPROVE, True), (_REJECT, False)):

                    async def decide(approve: bool = approve, identity: UUID = voucher.id) -> None:
                        async def act(principal: Principal) -> None:
                            body = Decision(approve=approve, reason=reason.value.strip())
                            await visit.domains.billing.vouchers.decide(principal, identity, body)
                            ui.navigate.to("/wallet/market")

                        await attempt(visit, self._answer, Scope.ADMIN, act)

                    button(say(words), decide, "button" if approve else "button quiet")


class _Money:
    """Books what came in or went out by bank."""

    def __init__(self, visit: Visit) -> None:
        self._visit, say = visit, visit.say
        with box("card stack wide"):
            Words(say(_MONEY), tag="h2")
            with box("form-row"):
                self._way = Choice(say(_WAY), {way: say(words) for way, words in _WAYS.items()}, "in.cash")
                self._code = Field(say(_CODE), maxlength="18")
                self._amount = Field(say(_AMOUNT), inputmode="decimal")
                self._reference = Field(say(_REFERENCE), maxlength="200")
            with box("line"):
                button(say(_BOOK), self._book)
            self._answer = box("stack")

    async def _book(self) -> None:
        async def act(principal: Principal) -> None:
            direction, account = self._way.value.split(".")
            given = {
                "credit_code": self._code.value.strip().upper(),
                "amount": figure_of(self._amount.value),
                "reference": self._reference.value.strip(),
                "account": account,
            }
            till = self._visit.domains.billing.till
            if direction == "in":
                booked = await till.deposit(principal, Deposit.model_validate(given))
            else:
                booked = await till.pay_out(principal, PayOut.model_validate(given))
            self._reference.clear()
            said = self._visit.say(_BOOKED, amount=yuan(booked.amount), company=booked.company)
            done(self._answer, said)

        await attempt(self._visit, self._answer, Scope.ADMIN, act)


class _Pools:
    """Opens programmes."""

    def __init__(self, visit: Visit) -> None:
        self._visit, say = visit, visit.say
        in_a_year = (datetime.now(UTC) + timedelta(days=365)).date().isoformat()
        with box("card stack wide"):
            Words(say(_POOLS), tag="h2")
            with box("form-row"):
                named = {code: say(each.name) for code, each in programmes().items()}
                self._programme = Choice(say(_PROGRAMME), named, next(iter(named)))
                self._amount = Field(say(_AMOUNT), inputmode="decimal")
                self._until = Field(say(_UNTIL), in_a_year, type="date")
            with box("line"):
                button(say(_OPEN), self._open)
            self._answer = box("stack")

    async def _open(self) -> None:
        async def act(principal: Principal) -> None:
            body = Pool.model_validate(
                {
                    "programme": self._programme.value,
                    "amount": figure_of(self._amount.value),
                    "closes_at": f"{self._until.value}T00:00:00+08:00",
                }
            )
            await self._visit.domains.billing.till.open_pool(principal, body)
            done(self._answer, self._visit.say(_OPENED, amount=yuan(float(body.amount))))

        await attempt(self._visit, self._answer, Scope.ADMIN, act)
