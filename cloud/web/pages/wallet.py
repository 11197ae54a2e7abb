"""The wallet: what is there and held, hours bought ahead, vouchers and applications, the bill of a month, every movement."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from nicegui import ui

from cloud.billing.schemas import Application, Bill, Budget, Voucher, VoucherProgramme, Wallet
from cloud.billing.service import programmes as rules
from cloud.billing.service import this_month
from cloud.core.principal import Principal, Scope
from cloud.web.bank_card import BankCard
from cloud.web.compute_words import small_yuan, yuan
from cloud.web.elements import MarkView, Words, box, figure
from cloud.web.forms import Choice, Field, attempt, button, done
from cloud.web.invoice_card import InvoiceCard
from cloud.web.item_picker import figure_of
from cloud.web.language import moment
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

TITLE = Text("Wallet and vouchers", "钱包与算力券")

_CASH, _HELD = Text("Cash", "现金余额"), Text("{held} held for jobs", "作业预留 {held}")
_VOUCHERS, _LEFT = Text("Vouchers", "算力券"), Text("left of what was granted", "剩余额度")
_PAY_IN = Text(
    "Money is paid in by bank transfer with your unified social credit code as reference; the market's operator books it.",
    "请通过银行转账充值，并注明本企业统一社会信用代码，由市场运营方入账。",
)
_BUDGET, _LIMIT = (
    Text("Budget of a month", "月度预算"),
    Text("At most a month, yuan; empty: no limit", "每月上限，元；留空则不限"),
)
_SPENT = Text("{spent} charged this month, before vouchers", "本月已计费 {spent}(抵扣前)")
_SET, _KEPT = Text("Set", "保存"), Text("Kept.", "已保存。")
_OPERATOR = Text("The market: money, programmes, applications", "市场运营：资金、补贴计划、申请审批")
_APPLY, _NONE_OPEN = (
    Text("Apply for a voucher", "申请算力券"),
    Text("No programme is open now.", "目前没有开放的补贴计划。"),
)
_PROGRAMME, _KIND = Text("Programme", "补贴计划"), Text("You are", "申请主体")
_KINDS = {
    "enterprise": Text("an enterprise", "企业"),
    "startup": Text("a start-up", "初创企业"),
    "institute": Text("an institute", "科研院所"),
    "one_person": Text("a one-person company", "一人公司 OPC"),
}
_FEE, _PURPOSE = Text("Fees expected in a year, yuan", "预计年度费用，元"), Text("What for", "用途")
_AFFILIATES = Text("Providers you belong together with, if any", "关联的算力提供方(如有)")
_CONTACT, _SEND = Text("Whom to ask", "联系人"), Text("Send the application", "提交申请")
_SHARE = Text("{name}: up to {share} %, {flow}", "{name}：最高 {share} %，{flow}")
_FLOWS = {
    "deduct_now": Text("taken off at once", "即时抵扣"),
    "reimburse": Text("paid back when the job has ended", "作业完成后返还"),
}
_STATES = {
    "applied": Mark(Text("Waits for a decision", "待审批"), "idle"),
    "issued": Mark(Text("In force", "有效"), "good"),
    "rejected": Mark(Text("Turned down", "未通过"), "bad"),
    "withdrawn": Mark(Text("Withdrawn", "已撤回"), "off"),
    "expired": Mark(Text("Expired", "已过期"), "off"),
}
_OF = Text("{left} of {amount} left, until {until}", "剩余 {left}/{amount}，有效期至 {until}")
_ASKED, _WITHDRAW = Text("for fees of {fee}", "预计费用 {fee}"), Text("Withdraw", "撤回")
_BILL, _NO_ROWS = Text("Bill of {month}", "{month} 账单"), Text("Nothing was charged in this month.", "本月没有计费。")
_SUMS = Text(
    "{cost} charged, {credits} given back, {billed} to pay", "计费 {cost}，抵扣与退款 {credits}，应付 {billed}"
)
_BY_HOURS = Text("{prepaid} of it was paid by hours bought ahead.", "其中 {prepaid} 由预购机时支付。")
_PREPAID = Text("Hours bought ahead, {what}", "预购机时，{what}")
_TABLE = Text("As a table (FOCUS 1.2)", "导出表格(FOCUS 1.2)")
_PARQUET = Text("As Parquet", "导出 Parquet")
_MOVES = Text("Movements", "收支明细")
_REASONS = {
    "deposit": Text("Paid in", "充值"),
    "payout": Text("Paid out", "提现"),
    "job.reserve": Text("Reserved for a job", "作业预留"),
    "job.post": Text("Paid for a job", "作业付款"),
    "job.void": Text("Reserve given back", "预留释放"),
    "job.release": Text("Reserve given back", "预留释放"),
    "job.charge": Text("Earned by a job", "作业收入"),
    "job.fee": Text("The market's share", "平台服务费"),
    "job.bond": Text("For what a break wasted", "中断赔付"),
    "voucher.issue": Text("Voucher granted", "算力券发放"),
    "voucher.redeem": Text("Paid back by voucher", "算力券返还"),
    "voucher.expire": Text("Voucher expired", "算力券过期"),
    "voucher.claw_back": Text("Back to the voucher", "退回算力券"),
    "bank.deposit": Text("Hours bought ahead", "预购机时"),
    "bank.convert": Text("Hours converted", "机时兑换"),
    "bank.fee": Text("Fee of a conversion", "兑换手续费"),
    "bank.back": Text("Back of hours that expired", "到期机时退回"),
    "bank.expire": Text("Hours expired", "机时过期"),
    "refund": Text("Refund", "退款"),
    "refund.fee": Text("The market's share of a refund", "退款返还服务费"),
}
_ACCOUNTS = {
    "cash": _CASH,
    "voucher": Text("Voucher", "算力券"),
    "payable": Text("Earnings", "收入"),
    "bond": Text("Bond", "保证金"),
    "bank": Text("Money behind hours", "机时对应金额"),
}
_SHOWN = 30


async def build(visit: Visit) -> None:
    """Build the page."""
    billing = visit.domains.billing
    wallet = await billing.wallet(visit.scope)
    vouchers = await billing.vouchers.own(visit.scope)
    programmes = [each for each in await billing.vouchers.programmes(visit.scope) if each.closes_at]
    month = visit.request.query_params.get("month") or this_month()
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE))
        _balances(visit, wallet)
        _Budget(visit, wallet)
        BankCard(visit, await billing.bank.bank(visit.scope))
        _Vouchers(visit, vouchers, programmes)
        show_bill(visit, await billing.bill(visit.scope, month, "customer"))
        InvoiceCard(visit, await billing.invoices.invoices(visit.scope, "customer"), "customer", month)
        moved = await billing.movements(visit.scope)
        if moved:
            with box("card stack wide"):
                Words(visit.say(_MOVES), tag="h2")
                for each in moved[:_SHOWN]:
                    with box("line spread lot"):
                        with box():
                            Words(visit.say(_REASONS.get(each.reason, Text(each.reason, each.reason))), tag="div")
                            account = visit.say(_ACCOUNTS.get(each.account, Text(each.account, each.account)))
                            Words(f"{account} · {_at(visit, each.at)}", "muted small", tag="div")
                        Words(small_yuan(each.amount), "num muted" if each.kind in ("hold", "void") else "num")


def show_bill(visit: Visit, bill: Bill) -> None:
    """Add the bill of a month, as customer or provider, with a way to the months before."""
    say = visit.say
    with box("card stack wide"):
        with box("line spread"):
            Words(say(_BILL, month=bill.month), tag="h2")
            if bill.charges:
                query = f"month={bill.month}&side={bill.side}"
                with box("line"):
                    for form, words in (("csv", _TABLE), ("parquet", _PARQUET)):
                        with box("button quiet", "a", href=f"/api/v1/billing/bill/focus?{query}&format={form}"):
                            Words(say(words))
        if not bill.charges:
            Words(say(_NO_ROWS), "muted", tag="p")
            return
        told = say(_SUMS, cost=small_yuan(bill.cost), credits=small_yuan(bill.credits), billed=small_yuan(bill.billed))
        Words(told, "num strong", tag="p")
        if bill.prepaid:
            Words(say(_BY_HOURS, prepaid=small_yuan(bill.prepaid)), "small num", tag="p")
        sums: dict[tuple[UUID | None, UUID | None], float] = {}
        names: dict[tuple[UUID | None, UUID | None], str] = {}
        for row in bill.charges:
            about = (row.job_id, None if row.job_id else row.lot_id)
            sums[about] = sums.get(about, 0.0) + row.billed
            names.setdefault(about, row.description)
        for (job, lot), billed in list(sums.items())[:_SHOWN]:
            with box("line spread lot", "a", href=f"/compute/jobs/{job}") if job else box("line spread lot"):
                Words(say(_PREPAID, what=names[job, lot]) if lot else names[job, lot])
                Words(small_yuan(billed), "num")


def _balances(visit: Visit, wallet: Wallet) -> None:
    say = visit.say
    held = sum(each.held for each in wallet.accounts if each.kind == "cash")
    with box("card stack wide"):
        with box("figures"):
            figure(say(_CASH), yuan(wallet.free("cash")), say(_HELD, held=yuan(held)))
            figure(say(_VOUCHERS), yuan(wallet.free("voucher")), say(_LEFT))
        Words(say(_PAY_IN), "muted small", tag="p")
        if wallet.operates:
            with box("line"), box("button quiet", "a", href="/wallet/market"):
                Words(say(_OPERATOR))


class _Budget:
    """What may be spent in a month."""

    def __init__(self, visit: Visit, wallet: Wallet) -> None:
        self._visit, say = visit, visit.say
        with box("card stack wide"):
            Words(say(_BUDGET), tag="h2")
            Words(say(_SPENT, spent=small_yuan(wallet.spent)), "num", tag="p")
            with box("form-row"):
                limit = "" if wallet.budget is None else f"{wallet.budget:g}"
                self._limit = Field(say(_LIMIT), limit, inputmode="decimal")
            with box("line"):
                button(say(_SET), self._set, "button quiet")
            self._answer = box("stack")

    async def _set(self) -> None:
        async def act(principal: Principal) -> None:
            text = self._limit.value.strip()
            body = Budget.model_validate({"monthly": figure_of(text) if text else None})
            await self._visit.domains.billing.set_budget(principal, body)
            done(self._answer, self._visit.say(_KEPT))

        await attempt(self._visit, self._answer, Scope.ADMIN, act)


def _at(visit: Visit, at: datetime) -> str:
    return moment(at, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)


class _Vouchers:
    """Vouchers, and a form for one."""

    def __init__(self, visit: Visit, vouchers: list[Voucher], programmes: list[VoucherProgramme]) -> None:
        self._visit, say = visit, visit.say
        names = {code: each.name for code, each in rules().items()}
        with box("card stack wide"):
            Words(say(_VOUCHERS), tag="h2")
            self._answer = box("stack")
            for each in vouchers:
                self._voucher(each, say(names[each.programme]))
            if not programmes:
                Words(say(_NONE_OPEN), "muted", tag="p")
                return
            Words(say(_APPLY), tag="h3")
            for one in programmes:
                share, flow = f"{100 * one.highest_share:g}", say(_FLOWS[one.flow])
                Words(say(_SHARE, name=say(names[one.code]), share=share, flow=flow), "small", tag="p")
            with box("form-row"):
                self._programme = Choice(
                    say(_PROGRAMME), {one.code: say(names[one.code]) for one in programmes}, programmes[0].code
                )
                self._kind = Choice(say(_KIND), {kind: say(words) for kind, words in _KINDS.items()}, "enterprise")
                self._fee = Field(say(_FEE), "1000", inputmode="decimal")
            with box("form-row"):
                self._purpose = Field(say(_PURPOSE), maxlength="200")
                self._contact = Field(say(_CONTACT), visit.principal.email, maxlength="200")
                self._affiliates = Field(say(_AFFILIATES), maxlength="400")
            with box("line"):
                button(say(_SEND), self._apply)

    def _voucher(self, voucher: Voucher, name: str) -> None:
        visit, say = self._visit, self._visit.say
        with box("line spread lot voucher"):
            with box():
                Words(name, "strong", tag="div")
                if voucher.amount and voucher.valid_until:
                    until = voucher.valid_until.astimezone(visit.zone).date().isoformat()
                    told = say(_OF, left=yuan(voucher.left or 0), amount=yuan(voucher.amount), until=until)
                else:
                    told = say(_ASKED, fee=yuan(voucher.fee))
                Words(told, "small num", tag="div")
                Words(" · ".join(filter(None, (voucher.purpose, voucher.reason))), "muted small", tag="div")
            with box("line"):
                MarkView(_STATES[voucher.state], visit.language)
                if voucher.state == "applied":

                    async def withdraw(identity: UUID = voucher.id) -> None:
                        async def act(principal: Principal) -> None:
                            await visit.domains.billing.vouchers.withdraw(principal, identity)
                            ui.navigate.to("/wallet")

                        await attempt(visit, self._answer, Scope.ADMIN, act)

                    button(say(_WITHDRAW), withdraw, "button quiet small")

    async def _apply(self) -> None:
        async def act(principal: Principal) -> None:
            body = Application.model_validate(
                {
                    "programme": self._programme.value,
                    "applicant": self._kind.value,
                    "fee": figure_of(self._fee.value),
                    "purpose": self._purpose.value.strip(),
                    "contact": self._contact.value.strip(),
                    "affiliates": [name.strip() for name in self._affiliates.value.split(",") if name.strip()],
                }
            )
            await self._visit.domains.billing.vouchers.apply(principal, body)
            ui.navigate.to("/wallet")

        await attempt(self._visit, self._answer, Scope.ADMIN, act)
