"""Acceptance sampling: how many parts of a lot to inspect, what its sample showed, and how the next lot is inspected."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args
from urllib.parse import urlencode

from nicegui import ui

from cloud.core.errors import Invalid
from cloud.core.principal import Principal, Scope
from cloud.spc.schemas import AQLS, Level, Lot, LotRequest, SamplingQuery, State
from cloud.spc.service import sampling
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.language import moment
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

TITLE = Text("Lots", "批次抽检")

_NOTE = Text(
    "How many parts of a lot to inspect, and whether it is accepted: single sampling by attributes, ISO 2859-1 (GB/T 2828.1).",
    "每批抽检多少件、是否接收：计数一次抽样，GB/T 2828.1(ISO 2859-1)。",
)
_ENTER = Text("Inspect a lot", "抽检一批")
_PRODUCT, _LOT = Text("Product", "产品"), Text("Lot", "批号")
_SIZE, _LEVEL, _AQL = (
    Text("Parts in the lot", "批量"),
    Text("Inspection level", "检验水平"),
    Text("AQL, %", "接收质量限 AQL，%"),
)
_FOUND = Text("Nonconforming parts in the sample", "样本中的不合格数")
_ASK, _SAVE = Text("How many to inspect?", "应抽多少件？"), Text("Enter the result", "录入结果")
_PLAN = Text(
    "{severity}: inspect {size} parts; accept the lot with at most {accept} nonconforming, reject it from {reject} on.",
    "{severity}：抽 {size} 件；不合格数不超过 {accept} 则接收，达到 {reject} 则不接收。",
)
_MEANS = Text(
    "A lot with {aql} % nonconforming parts is accepted in {at} % of cases, one with {tenth} % in 10 %.",
    "不合格率 {aql}% 的批有 {at}% 的机会被接收；不合格率 {tenth}% 的批仅 10%。",
)
_ACCEPTED, _REJECTED = Mark(Text("Accepted", "接收"), "good"), Mark(Text("Not accepted", "不接收"), "bad")
STATES: dict[State, Text] = {
    "normal": Text("Normal inspection", "正常检验"),
    "tightened": Text("Tightened inspection", "加严检验"),
    "discontinued": Text("Inspection discontinued", "暂停检验"),
}
_LOTS = Text("Lots of {product}", "{product} 的批次")
_NEXT = Text("The next lot: {state}", "下一批：{state}")
_OF = Text("{found} of {size} parts nonconforming, {accept} allowed", "{size} 件中不合格 {found} 件，允许 {accept} 件")
_WHOLE = Text("'{text}' is no whole number.", "“{text}”不是整数。")


async def build(visit: Visit) -> None:
    """Build the page."""
    products = await visit.domains.spc.products(visit.scope)
    chosen = visit.request.query_params.get("product", products[0] if products else "")
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        _Form(visit, chosen)
        if chosen:
            await _lots(visit, products, chosen)


class _Form:
    """What is asked and entered of a lot."""

    def __init__(self, visit: Visit, product: str) -> None:
        self._visit, say = visit, visit.say
        with box("card stack wide"):
            Words(say(_ENTER), tag="h2")
            with box("form-row"):
                self._product = Field(say(_PRODUCT), product, maxlength="120")
                self._lot = Field(say(_LOT), maxlength="120")
                self._size = Field(say(_SIZE), inputmode="numeric")
                self._level = Choice(say(_LEVEL), {each: each for each in get_args(Level)}, "II")
                self._aql = Choice(say(_AQL), {f"{each:g}": f"{each:g}" for each in AQLS}, "1")
                self._found = Field(say(_FOUND), "0", inputmode="numeric")
            with box("line"):
                button(say(_ASK), self._ask, "button quiet")
                if visit.may(Scope.OPERATE):
                    button(say(_SAVE), self._save)
            self._answer = box("stack")

    async def _ask(self) -> None:
        visit, say = self._visit, self._visit.say

        async def act(principal: Principal) -> None:
            state = (await visit.domains.spc.lots(principal.scope, self._product.value.strip() or "-")).next
            query = SamplingQuery.model_validate(
                {
                    "lot_size": _whole(self._size.value),
                    "level": self._level.value,
                    "aql": float(self._aql.value),
                    "severity": "normal" if state == "normal" else "tightened",
                }
            )
            found = sampling(query)
            with self._answer, box("notice good"):
                Words(
                    say(_PLAN, severity=say(STATES[state]), size=found.size, accept=found.accept, reject=found.reject),
                    tag="p",
                )
                means = say(
                    _MEANS, aql=self._aql.value, at=f"{100 * found.at_aql:.0f}", tenth=f"{100 * found.tenth:.1f}"
                )
                Words(means, "small", tag="p")

        await attempt(visit, self._answer, Scope.READ, act)

    async def _save(self) -> None:
        async def act(principal: Principal) -> None:
            request = LotRequest.model_validate(
                {
                    "product": self._product.value.strip(),
                    "lot": self._lot.value.strip(),
                    "lot_size": _whole(self._size.value),
                    "level": self._level.value,
                    "aql": float(self._aql.value),
                    "found": _whole(self._found.value),
                }
            )
            await self._visit.domains.spc.add_lot(principal, request)
            ui.navigate.to(_address(request.product))

        await attempt(self._visit, self._answer, Scope.OPERATE, act)


def _address(product: str) -> str:
    return f"/lots?{urlencode({'product': product})}"


def _whole(text: str) -> int:
    """Return what stands in a field; raises Invalid for what is no whole number."""
    try:
        return int(text.strip())
    except ValueError as error:
        raise Invalid(Text(_WHOLE.en.format(text=text[:40]), _WHOLE.zh.format(text=text[:40]))) from error


async def _lots(visit: Visit, products: list[str], product: str) -> None:
    say = visit.say
    lots = await visit.domains.spc.lots(visit.scope, product)
    with box("card stack wide"):
        with box("line spread"):
            Words(say(_LOTS, product=product), tag="h2")
            Words(
                say(_NEXT, state=say(STATES[lots.next])), "" if lots.next == "normal" else "notice warn small", tag="p"
            )
        if len(products) > 1:

            async def other(value: str) -> None:
                ui.navigate.to(_address(value))

            Choice(say(_PRODUCT), {each: each for each in products}, product, other, shown=False)
        for each in lots.items[:50]:
            _lot(visit, each)


def _lot(visit: Visit, lot: Lot) -> None:
    say = visit.say
    at = moment(lot.sampled_at, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
    with box("line spread lot"):
        with box():
            with box("strong", "a", href=f"/inspections?{urlencode({'part': lot.lot})}"):
                Words(lot.lot)
            shown = say(_OF, found=lot.found, size=lot.sample_size, accept=lot.accept)
            Words(f"{say(STATES[lot.severity])} · {shown}", "small", tag="div")
            Words(f"{lot.sampled_by.removeprefix('user:')} · {at}", "muted small", tag="div")
        MarkView(_ACCEPTED if lot.accepted else _REJECTED, visit.language)
