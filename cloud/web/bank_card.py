"""The bank of compute hours on the wallet's page, and on the market's the rates hours are bought at."""

from __future__ import annotations

from nicegui import ui

from cloud.billing.schemas import Bank, BankConversion, BankDeposit, BankLot, BankRate, BankRateSet
from cloud.core.principal import Principal, Scope
from cloud.web.compute_words import yuan
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field, attempt, button, done
from cloud.web.item_picker import figure_of
from cloud.web.visit import Visit
from protocols.text import Text

_BANK = Text("Bank of compute hours", "算力银行")
_NOTE = Text(
    "Buy hours of a chip ahead at today's rate: a job at an offer that takes them uses hours first, those that expire first before"
    " others, then a voucher, then cash. What is not used in time goes back in part.",
    "按当日价格预购某类芯片的机时：作业在支持机时的报价上先用机时(先到期先用)，再用算力券，最后用现金；到期未用部分按比例退回。",
)
_RATE = Text(
    "{chip}: {price} an hour of {unit}, for {days} days; converting costs {fee} %, {back} % of what expires comes back",
    "{chip}：每{unit}小时 {price}，有效 {days} 天；兑换手续费 {fee} %，到期退回 {back} %",
)
_CORE, _CARD = Text("a core", "核"), Text("a card", "卡")
_LOT = Text("{hours} h of {chip}", "{chip} {hours} 小时")
_LOT_NOTE = Text("{money} behind them · until {until}", "对应金额 {money} · 有效期至 {until}")
_HELD = Text("{hours} h held for jobs", "作业占用 {hours} 小时")
_NONE = Text("You have no hours yet.", "尚无机时。")
_NO_RATES = Text("The market's operator has published no rates yet.", "市场运营方尚未公布机时价格。")
_CHIP, _FOR, _BUY = Text("Hours of", "机时类别"), Text("For, yuan", "金额，元"), Text("Buy", "存入")
_FROM, _INTO, _HOURS = Text("From", "从"), Text("Into", "兑换为"), Text("Hours", "小时数")
_CONVERT = Text("Convert", "兑换")
_RATES, _PUBLISH = Text("Rates of the bank of compute hours", "算力银行价格"), Text("Publish", "公布")
_PRICE, _DAYS = Text("Yuan an hour of a core or card", "每核(卡)小时，元"), Text("Good for, days", "有效期，天")
_FEE, _BACK = Text("Fee of a conversion, %", "兑换手续费，%"), Text("Back of what expires, %", "到期退回，%")
_PUBLISHED = Text("Published: {chip}, {price} an hour.", "已公布：{chip} 每小时 {price}。")


class BankCard:
    """Lots, rates, and forms to buy and to convert."""

    def __init__(self, visit: Visit, bank: Bank) -> None:
        self._visit, say = visit, visit.say
        with box("card stack wide bank"):
            Words(say(_BANK), tag="h2")
            Words(say(_NOTE), "muted small", tag="p")
            if not bank.lots:
                Words(say(_NONE if bank.rates else _NO_RATES), "muted", tag="p")
            for lot in bank.lots:
                self._lot(lot)
            for rate in bank.rates:
                Words(rate_line(visit, rate), "small num", tag="p")
            self._answer = box("stack")
            if bank.rates and visit.may(Scope.ADMIN):
                self._forms([rate.chip for rate in bank.rates])

    def _lot(self, lot: BankLot) -> None:
        visit, say = self._visit, self._visit.say
        with box("line spread lot"):
            with box():
                Words(say(_LOT, hours=f"{lot.hours:,.3f}", chip=lot.chip), "strong num", tag="div")
                until = lot.expires_at.astimezone(visit.zone).date().isoformat()
                Words(say(_LOT_NOTE, money=yuan(lot.money), until=until), "small num", tag="div")
            if lot.held:
                Words(say(_HELD, hours=f"{lot.held:,.3f}"), "muted small num")

    def _forms(self, chips: list[str]) -> None:
        say, named = self._visit.say, {chip: chip for chip in chips}
        with box("form-row"):
            self._chip = Choice(say(_CHIP), named, chips[0])
            self._amount = Field(say(_FOR), inputmode="decimal")
        with box("line"):
            button(say(_BUY), self._buy)
        if len(chips) > 1:
            with box("form-row"):
                self._from = Choice(say(_FROM), named, chips[0])
                self._into = Choice(say(_INTO), named, chips[1])
                self._hours = Field(say(_HOURS), inputmode="decimal")
            with box("line"):
                button(say(_CONVERT), self._convert, "button quiet")

    async def _buy(self) -> None:
        async def act(principal: Principal) -> None:
            body = BankDeposit.model_validate({"chip": self._chip.value, "amount": figure_of(self._amount.value)})
            await self._visit.domains.billing.bank.deposit(principal, body)
            ui.navigate.to("/wallet")

        await attempt(self._visit, self._answer, Scope.ADMIN, act)

    async def _convert(self) -> None:
        async def act(principal: Principal) -> None:
            given = {"chip": self._from.value, "into": self._into.value, "hours": figure_of(self._hours.value)}
            await self._visit.domains.billing.bank.convert(principal, BankConversion.model_validate(given))
            ui.navigate.to("/wallet")

        await attempt(self._visit, self._answer, Scope.ADMIN, act)


class RatesCard:
    """Publishes rates, as the operator."""

    def __init__(self, visit: Visit, bank: Bank) -> None:
        self._visit, say = visit, visit.say
        with box("card stack wide"):
            Words(say(_RATES), tag="h2")
            for rate in bank.rates:
                Words(rate_line(visit, rate), "small num", tag="p")
            with box("form-row"):
                self._chip = Field(say(_CHIP), "cpu", maxlength="32")
                self._price = Field(say(_PRICE), inputmode="decimal")
                self._days = Field(say(_DAYS), "365", inputmode="numeric")
            with box("form-row"):
                self._fee = Field(say(_FEE), "1", inputmode="decimal")
                self._back = Field(say(_BACK), "50", inputmode="decimal")
            with box("line"):
                button(say(_PUBLISH), self._publish)
            self._answer = box("stack")

    async def _publish(self) -> None:
        async def act(principal: Principal) -> None:
            body = BankRateSet.model_validate(
                {
                    "chip": self._chip.value.strip().lower(),
                    "yuan_per_hour": figure_of(self._price.value),
                    "days": figure_of(self._days.value),
                    "fee_percent": figure_of(self._fee.value),
                    "back_percent": figure_of(self._back.value),
                }
            )
            made = await self._visit.domains.billing.bank.publish(principal, body)
            done(self._answer, self._visit.say(_PUBLISHED, chip=made.chip, price=yuan(made.yuan_per_hour)))

        await attempt(self._visit, self._answer, Scope.ADMIN, act)


def rate_line(visit: Visit, rate: BankRate) -> str:
    """Return a rate in words."""
    return visit.say(
        _RATE,
        chip=rate.chip,
        price=yuan(rate.yuan_per_hour),
        unit=visit.say(_CORE if rate.chip == "cpu" else _CARD),
        days=rate.days,
        fee=f"{rate.fee_percent:g}",
        back=f"{rate.back_percent:g}",
    )
