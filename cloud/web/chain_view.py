"""A thing followed across companies, company by company, and recalling it."""

from __future__ import annotations

from urllib.parse import urlencode

from nicegui import ui

from cloud.core.errors import Problem
from cloud.core.principal import Principal, Scope
from cloud.sharing.schemas import ChainTrace, RecallBody
from cloud.web import live
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.recall_cards import KINDS
from cloud.web.share_words import TRACES
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

_TITLE = Text("Across companies", "跨企业追溯")
_NOTE = Text(
    "Through your own events and those of companies that show them to you. What is shown of theirs is on record with both.",
    "沿本企业事件及其他企业向贵公司共享的事件追溯。对方事件的每次显示双方均有记录。",
)
_DIRECTION = Text("Direction", "方向")
_UP, _DOWN = Text("what it was made of", "来源"), Text("what was made of it", "去向")
_NOBODY = Text("No company shows you its events yet.", "目前没有企业向贵公司共享事件。")
_ASK = Text("Ask for them", "申请共享")
_SHOWN = Text("{company}: {what}", "{company}：{what}")
_NOT_DISCLOSED = Text("not disclosed", "未共享事件")
_COUNT = Text("{count} things", "{count} 个对象")
_END = Mark(Text("end", "终点"), "idle")
_MORE = Text("and {count} more", "另有 {count} 个")
_CUT = Text("There is more than is shown.", "未全部显示。")
_RECALL, _ISSUE = Text("Recall", "召回"), Text("Tell the companies", "通知相关企业")
_KIND, _REASON = Text("What they are to do", "通知类型"), Text("Reason, for the other companies", "原因(对方可见)")
_RECALL_NOTE = Text(
    "Every company with a live grant about events, from either side, that has something affected is told what of it is its own.",
    "凡与贵公司有生效的事件共享授权(任一方向)且涉及受影响对象的企业，均会收到其自身受影响对象的通知。",
)
_EACH = 40


class ChainView:
    """The card of one thing; what it shows is fetched once the page stands, as each look is on record with others."""

    def __init__(self, visit: Visit, thing: str) -> None:
        self._visit, self._thing, say = visit, thing, visit.say
        with box("card stack wide chain"):
            Words(say(_TITLE), tag="h2")
            Words(say(_NOTE), "muted small", tag="p")
            with box("form-row"):
                ways = {"down": say(_DOWN), "up": say(_UP)}
                self._way = Choice(say(_DIRECTION), ways, "down", self._show)
            self._place = box("stack wide")
        live.fill_in(visit, self._show)
        if visit.may(Scope.ADMIN):
            self._recall()

    async def _show(self, _: str = "") -> None:
        visit, way = self._visit, self._way.value
        try:
            found = await visit.domains.sharing.tracer.trace(
                visit.acting(Scope.READ), [self._thing], up=way == "up", way="page"
            )
        except Problem as problem:
            self._place.clear()
            with self._place:
                Words(problem.detail.to(visit.language), "muted", tag="p")
            return
        if self._way.value == way:  # else something else has been chosen meanwhile
            self._place.clear()
            with self._place:
                self._draw(found)

    def _draw(self, found: ChainTrace) -> None:
        say = self._visit.say
        if not found.sources:
            with box("line"):
                Words(say(_NOBODY), "muted")
                with box("button quiet", "a", href="/shares"):
                    Words(say(_ASK))
        for source in found.sources:
            what = say(TRACES[source.trace] if source.trace else _NOT_DISCLOSED)
            Words(say(_SHOWN, company=source.company, what=what), "small", tag="div")
        ends = set(found.ends)
        for company in sorted({name for thing in found.things for name in thing.companies}):
            things = [thing for thing in found.things if company in thing.companies]
            with box("line spread"):
                Words(company, tag="h3")
                Words(say(_COUNT, count=len(things)), "muted small num")
            with box():
                for thing in things[:_EACH]:
                    with box("lot line spread"):
                        with box("", "a", href=f"/trace?{urlencode({'thing': thing.thing})}"):
                            Words(thing.thing, "break")
                        with box("line"):
                            if thing.thing in ends:
                                MarkView(_END, self._visit.language, plain=True)
                            Words(str(thing.depth), "muted small num")
            if len(things) > _EACH:
                Words(say(_MORE, count=len(things) - _EACH), "muted small", tag="p")
        if not found.complete:
            Words(say(_CUT), "notice warn small", tag="p")

    def _recall(self) -> None:
        visit, say = self._visit, self._visit.say
        with box("card stack wide"):
            Words(say(_RECALL), tag="h2")
            Words(say(_RECALL_NOTE), "muted small", tag="p")
            with box("form-row"):
                kind = Choice(say(_KIND), {name: say(words) for name, words in KINDS.items()}, "alert")
                reason = Field(say(_REASON), maxlength="500")
            answer = box("stack")

            async def issue() -> None:
                async def act(principal: Principal) -> None:
                    body = RecallBody.model_validate(
                        {"things": [self._thing], "kind": kind.value, "reason": reason.value.strip()}
                    )
                    await visit.domains.sharing.recalls.issue(principal, body)

                if await attempt(visit, answer, Scope.ADMIN, act):
                    ui.navigate.to("/trace")

            with box("line"):
                button(say(_ISSUE), issue, "button bad")
