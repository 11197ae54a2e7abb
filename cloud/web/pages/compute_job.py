"""One job on rented computing: how far it is, what it costs, where it ran and why there, what came out, and its receipt."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from nicegui import ui

from cloud.compute.schemas import JobDetail
from cloud.core.errors import NotFound
from cloud.core.principal import Principal, Scope
from cloud.web.compute_words import KINDS, STATES, grams, progress_of, reason_of, small_yuan
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import attempt, button
from cloud.web.job_monitor import JobMonitor
from cloud.web.job_result import told_of
from cloud.web.language import duration, moment
from cloud.web.layout import frame, page_head
from cloud.web.pages import provider
from cloud.web.pages.compute import TITLE
from cloud.web.refund_card import RefundCard
from cloud.web.visit import Visit
from protocols.text import Text

_LOOK_S = 1.0
_RESERVED = Text("Reserved at most {cap}; charged so far {cost}.", "最多预留 {cap}，目前计费 {cost}。")
_CHARGED = Text("Charged {cost}, paid by voucher {subsidy}.", "计费 {cost}，其中算力券支付 {subsidy}。")
_HOURS = Text("{hours} hours bought ahead are reserved, and go first.", "已预留预购机时 {hours} 小时，优先使用。")
_BY_HOURS = Text("{prepaid} of it was paid by hours bought ahead.", "其中 {prepaid} 由预购机时支付。")
_BEGINS = Text("Begins {at} at {code}.", "{at} 在 {code} 开始。")
_CANCEL, _CANCELLING = Text("Cancel", "取消作业"), Text("It ends at the next beat.", "将在下一次心跳时结束。")
_RUNS = Text("Where it ran", "运行记录")
_RUN_OF = Text(
    "{used} computed, {billable} count, {lost} lost · {beats} beats",
    "运行 {used}，计费 {billable}，损失 {lost} · 心跳 {beats} 次",
)
_SAVED = Text("{saved} of {total} were safe", "已保存 {saved}/{total}")
_ROWS = Text("The bill", "账单明细")
_PIECE = Text("{seconds} s at {price} an hour", "{seconds} 秒，每小时 {price}")
_CREDIT, _BOND = Text("Voucher", "算力券抵扣"), Text("From the provider's bond, for what was lost", "提供方保证金赔付")
_OF_HOURS = Text("hours worth {cost}", "机时，值 {cost}")
_CORRECTION = Text("Refund", "退款")
_GREEN = Text(
    "{kwh} kWh (estimated), CO₂ {location} by location, {market} by market",
    "{kwh} kWh(估算)，CO₂ 按地点 {location}，按市场 {market}",
)
_WHY = Text("Why there", "选择依据")
_TOOK = Text("taken", "已选用")
_OUT = Text("What came out", "结果")
_MODEL = Text("The model is a new version of its set.", "模型已成为该图片集的新版本。")
_TO_SET = Text("To the versions", "查看版本")
_RECEIPT, _DOWNLOAD = Text("Receipt", "凭据"), Text("Download the receipt", "下载凭据")
_RECEIPT_NOTE = Text(
    "One signed record: the decision, every second both sides signed, the chip, the money, the carbon. Prove it anywhere:",
    "一份签名记录：选择依据、双方签名的每一秒、芯片、费用与碳排放。可在任何地方校验：",
)
_COMMAND = "sunmao-cloud compute verify-receipt receipt.json"
_PLANS = 4


async def build(visit: Visit) -> None:
    """Build the page; raises NotFound."""
    try:
        identity = UUID(visit.request.path_params["job_id"])
    except ValueError as error:
        raise NotFound from error
    detail = await visit.domains.compute.job(visit.scope, identity)
    job = detail.job
    with frame(visit, job.name):
        page_head(
            f"{visit.say(KINDS[job.kind])}: {job.name}",
            back=("/compute", visit.say(TITLE)) if job.own else ("/provider", visit.say(provider.TITLE)),
            note=job.customer if not job.own else "",
        )
        _Job(visit, box("stack wide"), detail)
        if detail.attempts or job.state in ("queued", "running"):
            await JobMonitor(visit, detail).show()


class _Job:
    """The page below its head, drawn anew while the job moves."""

    def __init__(self, visit: Visit, place: ui.element, detail: JobDetail) -> None:
        self._visit, self._place, self._detail = visit, place, detail
        self._show()
        if detail.job.state in ("queued", "running"):
            self._timer = ui.timer(_LOOK_S, self._look)

    async def _look(self) -> None:
        if not await self._visit.may_still(Scope.READ):
            return
        found = await self._visit.domains.compute.job(self._visit.scope, self._detail.job.id)
        if found != self._detail:
            self._detail = found
            self._show()
        if found.job.state not in ("queued", "running"):
            self._timer.cancel()

    def _show(self) -> None:
        self._place.clear()
        with self._place:
            self._state()
            if self._detail.attempts:
                self._attempts()
            if self._detail.charges:
                self._charges()
            if self._detail.job.state == "done":
                self._out()
            self._decisions()
            job = self._detail.job
            if job.has_receipt:
                self._receipt()
            if not job.own and job.ended_at and job.cost and self._visit.may(Scope.ADMIN):
                RefundCard(self._visit, job.id)

    def _at(self, at: datetime) -> str:
        return moment(at, self._visit.zone, self._visit.language, now=datetime.now(UTC), seconds=False)

    def _state(self) -> None:
        visit, say, job = self._visit, self._visit.say, self._detail.job
        with box("card stack wide"):
            with box("line spread"):
                MarkView(STATES[job.state], visit.language)
                if job.own and job.state in ("queued", "running") and visit.may(Scope.ADMIN):
                    if job.cancelling:
                        Words(say(_CANCELLING), "muted")
                    else:
                        button(say(_CANCEL), self._cancel, "button quiet")
            if job.state == "running":
                Words(progress_of(job, visit.language), tag="p")
                if job.total:
                    box("fit-progress", "progress", value=str(job.done), max=str(job.total))
            elif job.state == "queued":
                Words(say(_BEGINS, at=self._at(job.not_before), code=job.code), tag="p")
            if why := reason_of(job, visit.language):
                Words(why, "notice warn", tag="p")
            words = _RESERVED if job.state in ("queued", "running") else _CHARGED
            cap, cost, subsidy = (small_yuan(value) for value in (job.cap, job.cost, job.subsidy))
            Words(say(words, cap=cap, cost=cost, subsidy=subsidy), "num", tag="p")
            if job.reserved_h:
                Words(say(_HOURS, hours=f"{job.reserved_h:,.3f}"), "small num", tag="p")
            if job.prepaid:
                Words(say(_BY_HOURS, prepaid=small_yuan(job.prepaid)), "small num", tag="p")
            for one in self._detail.findings:
                Words(one.words_zh if visit.language == "zh" else one.words_en, "notice warn finding", tag="p")
            self._answer = box("stack")

    async def _cancel(self) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.compute.cancel(principal, self._detail.job.id)
            self._detail = await self._visit.domains.compute.job(self._visit.scope, self._detail.job.id)
            self._show()

        await attempt(self._visit, self._answer, Scope.ADMIN, act)

    def _attempts(self) -> None:
        visit, say = self._visit, self._visit.say
        with box("card stack wide"):
            Words(say(_RUNS), tag="h2")
            for each in self._detail.attempts:
                with box("line spread lot"):
                    with box():
                        Words(f"{each.code} · {each.provider}", "strong", tag="div")
                        used, billable, lost = (
                            say(duration(value)) for value in (each.used_s, each.billable_s, each.lost_s)
                        )
                        Words(
                            say(_RUN_OF, used=used, billable=billable, lost=lost, beats=each.beats), "small", tag="div"
                        )
                        told = [self._at(each.started_at), each.chip]
                        if each.saved:
                            told.append(say(_SAVED, saved=each.saved, total=self._detail.job.total))
                        Words(" · ".join(filter(None, told)), "muted small", tag="div")
                    MarkView(STATES[each.state], visit.language)

    def _charges(self) -> None:
        say = self._visit.say
        energy = {each.attempt: each.facts for each in self._detail.charges if "energy_kwh" in each.facts}
        with box("card stack wide"):
            Words(say(_ROWS), tag="h2")
            for row in self._detail.charges:
                names = {"Credit": _CREDIT, "Adjustment": _BOND}
                piece = say(_PIECE, seconds=f"{row.seconds:,.1f}", price=small_yuan(row.price))
                what = say(names[row.category]) if row.category in names else piece
                with box("line spread lot"):
                    Words(f"{say(_CORRECTION)}: {what}" if row.correction else what)
                    Words(say(_OF_HOURS, cost=small_yuan(row.cost)) if row.lot_id else small_yuan(row.billed), "num")
            kwh, location, market = (
                sum(facts[name] for facts in energy.values())
                for name in ("energy_kwh", "carbon_location_g", "carbon_market_g")
            )
            said = say(_GREEN, kwh=f"{kwh:.6f}", location=grams(location / 1000), market=grams(market / 1000))
            Words(said, "muted small", tag="p")

    def _out(self) -> None:
        say, detail = self._visit.say, self._detail
        with box("card stack wide"):
            Words(say(_OUT), tag="h2")
            if detail.job.kind == "fit":
                Words(say(_MODEL), tag="p")
                with box("line"), box("button", "a", href=f"/training/{detail.job.subject['set_id']}"):
                    Words(say(_TO_SET))
            else:
                for line in told_of(detail.job, self._visit.language):
                    Words(line, "num", tag="p")
            with box("line"):
                for name in detail.outputs:
                    with box("button quiet", "a", href=f"/api/v1/compute/jobs/{detail.job.id}/outputs/{name}"):
                        Words(name)

    def _decisions(self) -> None:
        visit, say = self._visit, self._visit.say
        with box("card stack wide"):
            Words(say(_WHY), tag="h2")
            for decision in self._detail.decisions:
                Words(self._at(datetime.fromisoformat(decision["at"])), "muted small", tag="div")
                for plan in decision["plans"][:_PLANS]:
                    taken = f" · {say(_TOOK)}" if plan["code"] == decision["chosen"] else ""
                    told = f"{plan['code']}: {small_yuan(plan['own'])}, {say(duration(plan['time_s']))}{taken}"
                    Words(told, "small num", tag="div")
                for one in decision["rejected"][:_PLANS]:
                    Words(
                        f"{one['code']}: {one['reason_zh' if visit.language == 'zh' else 'reason_en']}",
                        "muted small",
                        tag="div",
                    )

    def _receipt(self) -> None:
        say = self._visit.say
        with box("card stack wide"):
            Words(say(_RECEIPT), tag="h2")
            Words(say(_RECEIPT_NOTE), "small", tag="p")
            Words(_COMMAND, "command", tag="code")
            with box("line"), box("button quiet", "a", href=f"/api/v1/compute/jobs/{self._detail.job.id}/receipt"):
                Words(say(_DOWNLOAD))
