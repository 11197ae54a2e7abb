"""The provider's side: offers with the command that starts their worker, jobs at them, and what they have earned."""

from __future__ import annotations

from cloud.billing.service import this_month
from cloud.compute.schemas import Offer, OfferTerms
from cloud.core.principal import Principal, Scope
from cloud.web.compute_words import yuan
from cloud.web.elements import Words, box, figure
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.invoice_card import InvoiceCard
from cloud.web.item_picker import figure_of
from cloud.web.job_list import ANCHOR, show_jobs
from cloud.web.layout import frame, page_head
from cloud.web.offer_editor import DAY, DAY_FROM, NIGHT, NIGHT_FROM, OfferEditor
from cloud.web.pages.compute import offer_line
from cloud.web.pages.wallet import show_bill
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Provide computing", "提供算力")

_NOTE = Text(
    "A machine that stands idle at night earns: open an offer, start its worker with one command, be paid by the verified second.",
    "让闲置的计算机创造收益：新建报价，一条命令启动节点，按经确认的每一秒结算。",
)
_EARNED, _EARNED_NOTE = Text("Earned, not paid out", "待提取收入"), Text("after the market's share", "已扣平台服务费")
_BOND, _BOND_NOTE = Text("Bond", "保证金"), Text("pays for what a break of yours wastes", "用于赔付中断造成的损失")
_OFFERS, _NONE = Text("Your offers", "我的算力"), Text("You offer nothing yet.", "尚未提供算力。")
_JOBS, _NO_JOBS = Text("Jobs at your offers", "运行中的作业"), Text("No job has come yet.", "尚无作业。")
_NEW, _OPEN = Text("New offer", "新建报价"), Text("Open the offer", "发布")
_REGION, _CHIP, _ORIGIN = Text("Region", "地区代码"), Text("Chip", "芯片"), Text("Chip from", "芯片来源")
_ORIGINS = {"domestic": Text("China", "国产"), "other": Text("elsewhere", "其他")}
_CORES, _MEMORY = Text("Cores", "核数"), Text("Memory, GB", "内存，GB")
_KW, _PUE, _GREEN = (
    Text("Power at work, kW", "运行功率，kW"),
    Text("PUE of the building", "机房 PUE"),
    Text("Green power, %", "绿电比例，%"),
)
_HOURS = Text("Hours bought ahead", "预购机时")
_TAKES = {
    "no": Text("not taken", "不接受"),
    "yes": Text("taken: you get what the customer bought them for", "接受：按客户购入价结算"),
}
_TOKEN = Text(
    "Save this token in a file now; it is shown once. Then start the worker on the machine:",
    "请立即将该令牌保存到文件，仅显示一次。然后在机器上启动节点：",
)
_COMMAND = "sunmao-cloud compute work --url {url} --token-file token.txt"
_SHOWN = 20


async def build(visit: Visit) -> None:
    """Build the page."""
    compute, billing = visit.domains.compute, visit.domains.billing
    offers = await compute.desk.offers(visit.scope, own=True)
    wallet = await billing.wallet(visit.scope)
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        with box("card figures"):
            figure(visit.say(_EARNED), yuan(wallet.free("payable")), visit.say(_EARNED_NOTE))
            figure(visit.say(_BOND), yuan(wallet.free("bond")), visit.say(_BOND_NOTE))
        _Offers(visit, offers)
        with box("card stack wide", id=ANCHOR):
            Words(visit.say(_JOBS), tag="h2")
            await show_jobs(visit, "/provider", _NO_JOBS, own=False)
        month = visit.request.query_params.get("month") or this_month()
        show_bill(visit, await billing.bill(visit.scope, month, "provider"))
        InvoiceCard(visit, await billing.invoices.invoices(visit.scope, "provider"), "provider", month)


class _Offers:
    """Offers, and a form for one."""

    def __init__(self, visit: Visit, offers: list[Offer]) -> None:
        self._visit, say = visit, visit.say
        with box("card stack wide"):
            Words(say(_OFFERS), tag="h2")
            self._answer = box("stack")
            if not offers:
                Words(say(_NONE), "muted", tag="p")
            for offer in sorted(offers, key=lambda one: one.closed_at is not None)[:_SHOWN]:
                offer_line(visit, offer)
                if offer.closed_at is None:
                    OfferEditor(visit, offer, self._answer)
        with box("card stack wide"):
            Words(say(_NEW), tag="h2")
            with box("form-row"):
                self._region = Field(say(_REGION), "CN-JS", maxlength="16")
                self._chip = Field(say(_CHIP), "cpu", maxlength="32")
                self._origin = Choice(say(_ORIGIN), {name: say(words) for name, words in _ORIGINS.items()}, "other")
            with box("form-row"):
                self._day = Field(say(DAY), "2", inputmode="decimal")
                self._night = Field(say(NIGHT), "1", inputmode="decimal")
                self._cores = Field(say(_CORES), "2", inputmode="numeric")
                self._memory = Field(say(_MEMORY), "8", inputmode="decimal")
            with box("form-row"):
                self._kw = Field(say(_KW), "0.1", inputmode="decimal")
                self._pue = Field(say(_PUE), "1.3", inputmode="decimal")
                self._green = Field(say(_GREEN), "0", inputmode="decimal")
                self._hours = Choice(say(_HOURS), {name: say(words) for name, words in _TAKES.items()}, "no")
            with box("line"):
                button(say(_OPEN), self._open)
            self._made = box("stack wide")

    async def _open(self) -> None:
        visit = self._visit

        async def act(principal: Principal) -> None:
            terms = OfferTerms.model_validate(
                {
                    "region": self._region.value.strip().upper(),
                    "chip": self._chip.value.strip().lower(),
                    "chip_origin": self._origin.value,
                    "prices": [
                        {"from_hour": DAY_FROM, "yuan_per_hour": figure_of(self._day.value)},
                        {"from_hour": NIGHT_FROM, "yuan_per_hour": figure_of(self._night.value)},
                    ],
                    "cores": figure_of(self._cores.value),
                    "memory_gb": figure_of(self._memory.value),
                    "kw": figure_of(self._kw.value),
                    "pue": figure_of(self._pue.value),
                    "green_share": figure_of(self._green.value) / 100,
                    "takes_hours": self._hours.value == "yes",
                }
            )
            made = await visit.domains.compute.desk.open(principal, terms)
            url = str(visit.request.base_url).rstrip("/")
            with self._made:
                Words(made.offer.code, "strong", tag="div")
                Words(visit.say(_TOKEN), "small", tag="p")
                Words(made.token, "command worker-token", tag="code")
                Words(_COMMAND.format(url=url), "command", tag="code")

        self._made.clear()
        await attempt(visit, self._made, Scope.ADMIN, act)
