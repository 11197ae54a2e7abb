"""Asking a company for data, and answering one that asks: cards of the sharing page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

from nicegui import ui

from cloud.core.errors import Invalid
from cloud.core.principal import Principal, Scope
from cloud.fleet.schemas import Equipment
from cloud.sharing.schemas import Acceptance, RequestBody, ShareRequest
from cloud.sharing.service import Ask, Item, Terms, coarser, less_trace, name_of
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.item_picker import FOR_DAYS, HISTORY, NOTHING_SHOWN, PURPOSE, ItemPicker, figure_of
from cloud.web.language import moment
from cloud.web.pages.uploads import offer
from cloud.web.share_words import (
    COMPARE,
    COMPARES,
    GRANULARITIES,
    MATURITIES,
    MATURITY,
    TRACE,
    TRACES,
    all_of,
    how,
    named,
)
from cloud.web.visit import Visit
from protocols.dictionary.entries import equipment_classes
from protocols.text import Language, Text

HIDDEN = ""
"""Chosen for an entry that is not shown."""

ALL_BESIDE = Ask.model_validate({"items": (), "trace": "full", "maturity": True, "compare": "named"})
"""All that can be asked for besides values."""
_YES = "yes"

_ASKS = Text("{leader} asks to see data of yours", "{leader}申请查看贵公司的数据")
_FOR = Text("For: {purpose}", "用途：{purpose}")
_BY = Text("Asked by {by}, {at}", "{by} 于 {at} 提出")
_REACH = Text(
    "From {history} days before you accept, and for {days} days. You can show less now, narrow it later, or end it at any time.",
    "范围：同意之前 {history} 天起，有效期 {days} 天。现在可缩小范围，以后也可随时缩小或终止。",
)
_ONLY_NOW = Text(
    "From the moment you accept, for {days} days. You can show less now, narrow it later, or end it at any time.",
    "范围：自同意时起，有效期 {days} 天。现在可缩小范围，以后也可随时缩小或终止。",
)
_CHANGES = Text(
    "This changes a grant that is in force; until you accept, that one stays as it is.",
    "该申请将变更一项生效中的授权；同意之前，原授权不变。",
)
_OF_KIND = Text("{kind}, {count} of yours: {entries}", "{kind}({count} 台)：{entries}")
_OTHER = Text("Other equipment", "其他设备")
_NOT = Text("not shown", "不共享")
_WHERE, _ALL = Text("At which machines", "哪些设备"), Text("all, later ones too", "全部设备(含以后新增)")
_ACCEPT, _DECLINE = Text("Accept", "同意"), Text("Decline", "拒绝")
_ASK = Text("Ask a company for data", "向企业申请数据")
_ASK_NOTE = Text(
    "The company is asked by its unified social credit code. It sees exactly this, in its own language, and may show less.",
    "按统一社会信用代码提出申请。对方看到的就是下列内容，并可缩小范围。",
)
_SEND = Text("Send the request", "发送申请")
_CODE, _NAME = Text("Unified social credit code", "统一社会信用代码"), Text("Name of the company", "企业名称")


class Speaker(Protocol):
    """Who reads a page: signed in or not, in a language."""

    @property
    def language(self) -> Language:
        """What they read."""

    def say(self, text: Text, **values: object) -> str:
        """Return `text` in it."""


class RequestCard:
    """A request made of the reader's company, with what they may say to it."""

    def __init__(
        self, visit: Visit, request: ShareRequest, machines: list[Equipment], then: Callable[[], None]
    ) -> None:
        self._visit, self._request, self._then = visit, request, then
        say, terms = visit.say, request.terms
        with box("card stack wide share-request"):
            Words(say(_ASKS, leader=request.leader), tag="h3")
            Words(say(_FOR, purpose=request.purpose), "strong", tag="p")
            Words(
                say(_REACH if terms.history_days else _ONLY_NOW, history=terms.history_days, days=terms.days), tag="p"
            )
            if request.grant_id:
                Words(say(_CHANGES), "notice warn small", tag="p")
            at = moment(request.asked_at, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
            Words(say(_BY, by=request.asked_by.removeprefix("user:"), at=at), "muted small", tag="p")
            for line in _by_kind(terms.items, machines, visit):
                Words(line, "small", tag="p")
            if not visit.may(Scope.ADMIN):
                for line in all_of(terms, visit.language):
                    Words(line, tag="p")
                return
            with box("form-row"):
                self._items = [(item, item_choice(visit, item)) for item in terms.items]
                self._beside = Beside(visit, terms)
            with box("form-row"):
                named = {str(each.id): each.label for each in machines}
                self._where = Choice(say(_WHERE), {"": say(_ALL)} | named, "")
                self._days = Field(say(FOR_DAYS), str(terms.days), inputmode="numeric")
            with box("line"):
                button(say(_ACCEPT), self._accept)
                button(say(_DECLINE), self._decline, "button quiet")
            offer(visit)
            self._answer = box("stack")

    async def _accept(self) -> None:
        request = self._request

        async def act(principal: Principal) -> None:
            acceptance = Acceptance.model_validate(
                granted_as(self._items, self._beside)
                | {
                    "machines": [self._where.value] if self._where.value else None,
                    "days": figure_of(self._days.value),
                }
            )
            await self._visit.domains.sharing.accept(principal, request.id, acceptance)

        if await attempt(self._visit, self._answer, Scope.ADMIN, act):
            self._then()

    async def _decline(self) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.sharing.refuse(principal, self._request.id)

        if await attempt(self._visit, self._answer, Scope.ADMIN, act):
            self._then()


def _by_kind(items: Sequence[Item], machines: Sequence[Equipment], visit: Visit) -> Iterator[str]:
    """Yield what is asked of each kind of machine that the reader's company has, where kinds are asked for at all."""
    counts = Counter(one.equipment_class for one in machines)
    for code, count in counts.items() if any(item.classes for item in items) else ():
        entries = [visit.say(name_of(item.entry)) for item in items if item.covers(code)]
        kind = equipment_classes().get(code, _OTHER)
        if entries:
            joined = ("、" if visit.language == "zh" else ", ").join(entries)
            yield visit.say(_OF_KIND, kind=visit.say(kind), count=count, entries=joined)


def item_choice(visit: Speaker, item: Item) -> Choice:
    """Add a list of how finely an entry is shown: as asked, more coarsely, or not at all."""
    options = {each: visit.say(GRANULARITIES[each]) for each in coarser(item)}
    options[item.granularity] = how(item, visit.language)
    return Choice(named(item, visit.language), options | {HIDDEN: visit.say(_NOT)}, item.granularity)


class Beside:
    """Lists of what is shown besides values - events, the level of maturity, the name in comparisons: as in `most`, or less.

    There is a list only for what `most` has. With `preset` all of it is chosen to begin with, as where somebody is asked.
    """

    def __init__(self, visit: Speaker, most: Ask | Terms, *, preset: bool = True) -> None:
        say, self._lists = visit.say, dict[str, Choice]()
        if most.trace:
            traces = {each or HIDDEN: say(TRACES[each]) for each in less_trace(most.trace)}
            self._lists["trace"] = Choice(say(TRACE), traces, most.trace if preset else HIDDEN)
        if most.maturity:
            levels = {_YES: say(MATURITIES[True]), HIDDEN: say(MATURITIES[False])}
            self._lists["maturity"] = Choice(say(MATURITY), levels, _YES if preset else HIDDEN)
        if most.compare:
            compares = {each or HIDDEN: say(COMPARES[each]) for each in (most.compare, None)}
            self._lists["compare"] = Choice(say(COMPARE), compares, most.compare if preset else HIDDEN)

    @property
    def shows(self) -> bool:
        """Whether anything is shown by it alone: a name in comparisons is none."""
        return any(self._value(name) != HIDDEN for name in ("trace", "maturity"))

    def kept(self) -> dict[str, object]:
        """Return what is chosen, as terms have it."""
        return {
            "trace": self._value("trace") or None,
            "maturity": self._value("maturity") == _YES,
            "compare": self._value("compare") or None,
        }

    def _value(self, name: str) -> str:
        return self._lists[name].value if name in self._lists else HIDDEN


def kept(chosen: list[tuple[Item, Choice]], beside: Beside) -> dict[str, object]:
    """Return what stays shown, as terms have it; raises Invalid if that is nothing."""
    items = [item.model_dump() | {"granularity": choice.value} for item, choice in chosen if choice.value != HIDDEN]
    if not items and not beside.shows:
        raise Invalid(NOTHING_SHOWN)
    return {"items": items, **beside.kept()}


def granted_as(chosen: list[tuple[Item, Choice]], beside: Beside) -> dict[str, object]:
    """Return `kept` as an acceptance has it, in which None would be all that is asked."""
    found = kept(chosen, beside)
    return found | {"trace": found["trace"] or "none", "compare": found["compare"] or "anonymous"}


class AskForm:
    """A form to ask a company for data."""

    def __init__(self, visit: Visit, then: Callable[[], None]) -> None:
        self._visit, self._then, say = visit, then, visit.say
        with box("card stack wide"):
            Words(say(_ASK), tag="h2")
            Words(say(_ASK_NOTE), "muted small", tag="p")
            with box("form-row"):
                self._code = Field(say(_CODE), maxlength="18", autocapitalize="characters")
                self._name = Field(say(_NAME), maxlength="200")
                self._purpose = Field(say(PURPOSE), maxlength="500")
            with box("form-row"):
                self._history = Field(say(HISTORY), "30", inputmode="numeric")
                self._days = Field(say(FOR_DAYS), "365", inputmode="numeric")
            self._picker = ItemPicker(visit)
            with box("form-row"):
                self._beside = Beside(visit, ALL_BESIDE, preset=False)
            with box("line"):
                button(say(_SEND), self._send)
            self._answer = box("stack")

    async def _send(self) -> None:
        async def act(principal: Principal) -> None:
            body = RequestBody.model_validate(
                {
                    "credit_code": self._code.value.strip().upper(),
                    "supplier": self._name.value.strip(),
                    "purpose": self._purpose.value.strip(),
                    "terms": {
                        "items": self._picker.chosen(needed=not self._beside.shows),
                        **self._beside.kept(),
                        "history_days": figure_of(self._history.value),
                        "days": figure_of(self._days.value),
                    },
                }
            )
            await self._visit.domains.sharing.ask(principal, body)

        if await attempt(self._visit, self._answer, Scope.ADMIN, act):
            self._then()


def reload() -> None:
    """Show the page anew."""
    ui.navigate.to("/shares")
