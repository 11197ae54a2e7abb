"""Rented computing: what is offered, what a job would come to at each offer before anything is spent, and the company's jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cloud.compute.schemas import JobRequest, Offer
from cloud.core.principal import Scope
from cloud.web.backfill_form import BackfillForm
from cloud.web.compute_words import KINDS, state_of, yuan
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import Choice, Field
from cloud.web.item_picker import figure_of
from cloud.web.job_list import ANCHOR, show_jobs
from cloud.web.language import number
from cloud.web.layout import frame, page_head
from cloud.web.opinion_card import OpinionCard
from cloud.web.plan_list import PlanList
from cloud.web.quota_card import quota_line
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Rented computing", "算力超市")

_NOTE = Text(
    "Compare what a job would cost, how long it would take and how green it is, before a fen is spent. Pay by the second, for"
    " what is verified.",
    "花钱之前先比较费用、用时与碳排放；按秒计费，只为经双方确认的结果付费。",
)
_WHAT, _SET, _VERSION = Text("What to compute", "计算任务"), Text("Pictures", "图片集"), Text("Model", "模型")
_WITHIN, _BUDGET = Text("Done within, hours", "期限，小时"), Text("At most, yuan", "预算上限，元")
_CARBON = Text("What a kg of CO₂ weighs, yuan", "每千克 CO₂ 折算，元")
_PRIVACY = Text("Where pictures go", "图片流向")
_IDLE = Text("End it when idle, minutes; empty: only tell", "空闲多久后终止，分钟；留空仅通知")
_OFFLINE = Text("May go on without a link for, hours", "断网时允许继续运行，小时")
_MAY = {
    "raw": Text("to the provider", "可发送至算力提供方"),
    "stays": Text("to your own offers only", "仅限本企业算力"),
}
_NO_SETS = Text(
    "There are no pictures yet. Make a set under Model training first.", "尚无图片集，请先在“模型训练”中创建。"
)
_TO_TRAINING = Text("Model training", "模型训练")
_JOBS, _NO_JOBS = Text("Your jobs", "我的作业"), Text("No job has been run yet.", "尚无作业。")
_OFFERS = Text("On offer", "在售算力")
_NO_OFFERS = Text("Nothing is offered yet.", "暂无在售算力。")
_OFFER = Text(
    "{region} · {chip} · {cores} cores, {memory} GB · speed {speed}",
    "{region} · {chip} · {cores} 核 {memory} GB · 速度 {speed}",
)
_KEPT = Text("{jobs} jobs done, broke off {breaks} times", "完成作业 {jobs} 个，中断 {breaks} 次")
_GREEN = Text(
    "Green index {score} · PUE {pue} · green power {share} %", "绿色指数 {score} · PUE {pue} · 绿电 {share} %"
)
_REFUSED = Text("{name} did not pass the probe", "{name} 未通过验证")
_TAKES_HOURS = Text("Takes hours bought ahead", "接受预购机时")
_WALLS = Text("Runs programs of your own behind walls that are proven", "可运行自有程序，隔离已验证")
_PRICE = Text("{price} an hour now", "当前每小时 {price}")


async def build(visit: Visit) -> None:
    """Build the page."""
    compute, training = visit.domains.compute, visit.domains.training
    offers = await compute.desk.offers(visit.scope)
    quota = await compute.quotas.quota(visit.scope)
    sets = [each for each in await training.sets(visit.scope) if each.sensors is None]
    servings = await compute.servings.all(visit.scope, own=True)
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        if not sets:
            with box("card stack wide"):
                Words(visit.say(_NO_SETS), "muted", tag="p")
                with box("line"), box("button", "a", href="/training"):
                    Words(visit.say(_TO_TRAINING))
        elif visit.may(Scope.ADMIN):
            versions = {
                str(each.id): f"{one.name} v{each.number}"
                for one in sets
                for each in await training.versions(visit.scope, one.id)
            }
            _Form(visit, {str(one.id): one.name for one in sets}, versions)
        if visit.may(Scope.ADMIN):
            await _backfill(visit)
        with box("card stack wide", id=ANCHOR):
            Words(visit.say(_JOBS), tag="h2")
            Words(quota_line(visit, quota), "muted small num", tag="p")
            await show_jobs(visit, "/compute", _NO_JOBS, own=True)
        OpinionCard(visit, servings, offers)
        with box("card stack wide"):
            Words(visit.say(_OFFERS), tag="h2")
            if not offers:
                Words(visit.say(_NO_OFFERS), "muted", tag="p")
            for offer in sorted(offers, key=lambda one: (not one.alive, not one.proven, one.price_now)):
                offer_line(visit, offer)


async def _backfill(visit: Visit) -> None:
    """Add the form of a back-fill where there is a health model and something it could be about."""
    models = [each for each in await visit.domains.registry.versions(visit.scope) if each.task == "health"]
    points = await visit.domains.telemetry.points(visit.scope) if models else []
    if points:
        machines = {each.id: each.name for each in await visit.domains.fleet.equipment_list(visit.scope)}
        BackfillForm(visit, models, points, machines)


def offer_line(visit: Visit, offer: Offer) -> None:
    """Add an offer."""
    say, terms = visit.say, offer.terms
    with box("line spread lot offer"):
        with box():
            Words(f"{offer.code} · {offer.provider}", "strong", tag="div")
            speed = number(offer.speed) if offer.speed else "–"
            memory = f"{terms.memory_gb:g}"
            said = say(_OFFER, region=terms.region, chip=terms.chip, cores=terms.cores, memory=memory, speed=speed)
            Words(said, "small", tag="div")
            green = say(
                _GREEN, score=f"{offer.green.score:g}", pue=f"{terms.pue:g}", share=f"{100 * terms.green_share:g}"
            )
            Words(green, "muted small", tag="div")
            Words(say(_KEPT, jobs=offer.jobs, breaks=offer.breaks), "muted small", tag="div")
            if offer.no_walls == "":
                Words(say(_WALLS), "muted small", tag="div")
            if terms.takes_hours:
                Words(say(_TAKES_HOURS), "muted small", tag="div")
            for name in offer.refused:
                Words(say(_REFUSED, name=name), "muted small", tag="div")
        with box("line"):
            Words(say(_PRICE, price=yuan(offer.price_now)), "num")
            MarkView(state_of(offer), visit.language)


class _Form:
    """Says what is to be computed, compares, and runs it where the reader says."""

    def __init__(self, visit: Visit, sets: dict[str, str], versions: dict[str, str]) -> None:
        self._visit, say = visit, visit.say
        possible = ("fit", "inspect", "evaluate") if versions else ("fit",)
        kinds = {kind: say(KINDS[kind]) for kind in possible}
        chosen = visit.request.query_params.get("set", "")
        with box("card stack wide"):
            with box("form-row"):
                self._kind = Choice(say(_WHAT), kinds, "fit")
                self._set = Choice(say(_SET), sets, chosen if chosen in sets else next(iter(sets)))
                self._version = Choice(say(_VERSION), versions, next(iter(versions))) if versions else None
            with box("form-row"):
                self._hours = Field(say(_WITHIN), "12", inputmode="decimal")
                self._budget = Field(say(_BUDGET), "20", inputmode="decimal")
                self._carbon = Field(say(_CARBON), "0.1", inputmode="decimal")
                may = {name: say(words) for name, words in _MAY.items()}
                self._privacy = Choice(say(_PRIVACY), may, "raw")
            with box("form-row"):
                self._idle = Field(say(_IDLE), inputmode="decimal")
                self._offline = Field(say(_OFFLINE), "0", inputmode="decimal")
            PlanList(visit, self._request)

    def _request(self, offer: str | None = None) -> JobRequest:
        of_a_version = self._kind.value in ("inspect", "evaluate")
        return JobRequest.model_validate(
            {
                "kind": self._kind.value,
                "set_id": self._set.value,
                "version_id": self._version.value if of_a_version and self._version else None,
                "deadline": datetime.now(UTC) + timedelta(hours=figure_of(self._hours.value)),
                "budget": figure_of(self._budget.value),
                "carbon": figure_of(self._carbon.value),
                "privacy": self._privacy.value,
                "offline_h": figure_of(self._offline.value),
                "stop_idle_s": round(60 * figure_of(self._idle.value)) if self._idle.value.strip() else None,
                "offer": offer,
            }
        )
