"""Recalls on a page: those of the reader's company with what others answer, those it was told of with what it may answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.sharing.schemas import Recall, RecallAnswer, RecallKind, RecallReply
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.language import moment
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

KINDS: Mapping[RecallKind, Text] = {
    "alert": Text("beware: what was made of it may be bad", "质量预警：由其制成的产品可能不合格"),
    "investigation": Text("look into what it was made of", "质量排查：排查其来源"),
    "block": Text("stop what was made of it", "停用召回：停止使用由其制成的产品"),
}
_TITLE = Text("Recalls", "召回")
_BY = Text("{issuer}, {at}", "{issuer}，{at}")
_AFFECTED = Text("{count} affected", "受影响对象 {count} 个")
_YOURS = Text("{count} of yours affected", "贵公司受影响对象 {count} 个")
_NOBODY = Text(
    "Nobody was told: no company with a live grant about events has any of it. Call those you deliver to.",
    "未通知任何企业：没有持有生效事件共享授权的企业涉及这些对象。请自行联系相关企业。",
)
_SEEN = Text("{company} ({count} seen)", "{company}(可见 {count} 个)")
_CUT = Text("More may be affected than was found.", "受影响对象可能多于所列。")
_ANSWERS: Mapping[RecallAnswer | None, Mark] = {
    None: Mark(Text("No answer yet", "尚未答复"), "warn"),
    "acknowledged": Mark(Text("Noted", "已知悉"), "idle"),
    "contained": Mark(Text("Contained", "已控制"), "good"),
    "not_affected": Mark(Text("Not affected", "不受影响"), "off"),
}
_YOUR_ANSWER, _WORDS, _SEND = Text("Your answer", "答复"), Text("In words", "说明"), Text("Answer", "提交答复")
_SHOWN, _THINGS = 20, 5


async def show_recalls(visit: Visit) -> None:
    """Add a card of the last recalls by and to the reader's company; nothing where there are none."""
    recalls = await visit.domains.sharing.recalls.recalls(visit.scope)
    if not recalls:
        return
    with box("card stack wide recalls"):
        Words(visit.say(_TITLE), tag="h2")
        for recall in recalls[:_SHOWN]:
            with box("lot stack recall"):
                _show(visit, recall)


def _show(visit: Visit, recall: Recall) -> None:
    say = visit.say
    at = moment(recall.issued_at, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
    Words(recall.reason, "strong break", tag="div")
    Words(say(KINDS[recall.kind]), "small", tag="div")
    Words(say(_BY, issuer=recall.issuer, at=at), "muted small", tag="div")
    Words(say(_AFFECTED if recall.side == "issuer" else _YOURS, count=recall.affected), "small", tag="div")
    for thing in recall.things[:_THINGS]:
        with box("small", "a", href=f"/trace?{urlencode({'thing': thing})}"):
            Words(thing, "break")
    if not recall.complete:
        Words(say(_CUT), "notice warn small", tag="p")
    if not recall.companies:
        Words(say(_NOBODY), "notice warn small", tag="p")
    for told in recall.companies:
        with box("line spread"):
            with box():
                name = told.company if told.shown is None else say(_SEEN, company=told.company, count=told.shown)
                Words(say(_YOUR_ANSWER) if recall.side == "told" else name, tag="div")
                Words(told.text, "muted small break", tag="div")
            MarkView(_ANSWERS[told.answer], visit.language)
    if recall.side == "told" and visit.may(Scope.OPERATE):
        _answering(visit, recall)


def _answering(visit: Visit, recall: Recall) -> None:
    say = visit.say
    with box("form-row"):
        choices: dict[str, str] = {name: say(mark.text) for name, mark in _ANSWERS.items() if name}
        choice = Choice(say(_YOUR_ANSWER), choices, "acknowledged")
        words = Field(say(_WORDS), maxlength="500")
    answer = box("stack")

    async def send() -> None:
        async def act(principal: Principal) -> None:
            reply = RecallReply.model_validate({"answer": choice.value, "text": words.value.strip()})
            await visit.domains.sharing.recalls.answer(principal, recall.id, reply)

        if await attempt(visit, answer, Scope.OPERATE, act):
            ui.navigate.to("/trace")

    with box("line"):
        button(say(_SEND), send, "button quiet")
