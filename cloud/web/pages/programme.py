"""One programme: the funnel, who is stuck where and what is missing, inviting by a file, reminding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from nicegui import ui

from cloud.core.errors import NotFound
from cloud.core.principal import Principal, Scope
from cloud.sharing.service import name_of, unit_of
from cloud.suppliers.schemas import ImportReport, NewInvitation, Place, Programme, Supplier
from cloud.telemetry.service import csv_table
from cloud.web.elements import MarkView, Words, box
from cloud.web.file_choice import FileChoice
from cloud.web.forms import attempt, button, done
from cloud.web.language import moment, number
from cloud.web.layout import frame, page_head
from cloud.web.pages.supplier import INVITATION_PATH
from cloud.web.share_words import all_of
from cloud.web.supplier_wall import show_wall
from cloud.web.supplier_words import CADENCES, STAGES, WAY, lacking
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

TITLE = Text("Suppliers", "供应商")

_LOOK_S = 5.0
_UNTIL = Text("{purpose} · until {deadline}", "{purpose} · 截止 {deadline}")
_ASKED = Text("What every supplier is asked for", "向每家供应商申请的数据")
_FUNNEL = Text("How far they are", "进展")
_INVITE = Text("Invite suppliers", "邀请供应商")
_FILE = Text(
    "A CSV or Excel file with the columns credit_code, name and, if you like, contact. It is taken wholly or not at all.",
    "CSV 或 Excel 文件，列为：统一社会信用代码、企业名称、联系方式(可选)。全部有效才会导入。",
)
_TEMPLATE = Text("Template", "模板")
_FAULTS = Text("Nobody was invited: {count} faults.", "未邀请任何供应商：共 {count} 处错误。")
_FAULT = Text("Row {row}, {column}: {message}", "第 {row} 行，{column}：{message}")
_INVITED = Text(
    "{count} suppliers are invited. Send the links one way and tell the codes another; both are shown this once.",
    "已邀请 {count} 家供应商。请通过不同途径发送链接与邀请码；二者仅显示一次。",
)
_LINKS, _CODES = Text("Links, as a spreadsheet", "链接表格"), Text("Codes, as a spreadsheet", "邀请码表格")
_HEADINGS = (Text("Credit code", "统一社会信用代码"), Text("Company", "企业名称"), Text("Contact", "联系方式"))
_LINK, _CODE = Text("Link", "链接"), Text("Code", "邀请码")
_SUPPLIERS, _NOBODY = Text("Suppliers", "供应商"), Text("Nobody is invited yet.", "尚未邀请供应商。")
_SINCE = Text("since {at}", "自 {at}")
_REMINDED = Text("reminded {at}", "已于 {at} 提醒")
_BY_HAND = Text("Values of some machines are entered by hand.", "部分设备的数据为人工填报。")
_CADENCE = Text("New values: {cadence}", "数据更新：{cadence}")
_REMIND, _CHECK = Text("Remind", "提醒"), Text("Check now", "立即检查")
_ANEW = Text("A new link and a new code; the old ones no longer open:", "新链接与新邀请码，旧的已失效：")
_TOLD = Text("It is registered and has the request before it.", "对方已注册，申请在其待办中。")
_ALL = Text("All", "全部")
_CARDS = Text("What they show", "共享数据概览")
_FEW = Text(
    "A place among others is told of the last whole week, from five companies on; by name among those who have agreed to that.",
    "比较以上一个完整周为准，至少五家企业共享同一数据项时才显示所处位置；同意实名的企业之间按名次显示。",
)
_RANK = Text("rank {rank} of {of} by name", "实名排名 {rank}/{of}")
_WEEK = Text("{mean} {unit} · week before {week}", "{mean} {unit} · 前一周 {week}")
_DRIFTS = Mark(Text("drifts", "出现漂移"), "warn")
_PLACES: dict[Place, Text] = {
    "highest": Text("in the highest quarter", "位于最高的四分之一"),
    "middle": Text("in the middle half", "位于中间一半"),
    "lowest": Text("in the lowest quarter", "位于最低的四分之一"),
}
_EXPORT = Text("As a spreadsheet", "导出表格")
_SCORE_HEADINGS = (Text("Company", "企业名称"), Text("Entry", "数据项"), Text("Day", "日期"), Text("Mean", "均值"))
_SHOWN = 300


async def build(visit: Visit) -> None:
    """Build the page; raises NotFound."""
    try:
        programme = await visit.domains.suppliers.programme(
            visit.scope, UUID(visit.request.path_params["programme_id"])
        )
    except ValueError as error:
        raise NotFound from error
    with frame(visit, programme.name):
        note = visit.say(_UNTIL, purpose=programme.purpose, deadline=programme.deadline.isoformat())
        page_head(programme.name, back=("/programmes", visit.say(TITLE)), note=note)
        funnel = _Funnel(visit, programme)
        await funnel.show()
        await show_wall(visit, programme)
        if visit.may(Scope.ADMIN):
            _import(visit, programme, funnel)
        await _scorecards(visit, programme)
        with box("card stack wide"):
            Words(visit.say(_ASKED), tag="h2")
            for line in all_of(programme.terms, visit.language):
                Words(line, tag="p")
            Words(visit.say(_CADENCE, cadence=visit.say(CADENCES[programme.cadence])), "small", tag="p")


async def _scorecards(visit: Visit, programme: Programme) -> None:
    """Show what the values of suppliers come to, entry by entry."""
    say = visit.say
    cards = [
        one for one in await visit.domains.suppliers.scorecards(visit.acting(Scope.READ), programme.id) if one.scores
    ]
    if not cards:
        return
    with box("line spread"):
        Words(say(_CARDS), tag="h2")
        rows = [
            [card.name, say(name_of(score.entry)), day.isoformat(), mean]
            for card in cards
            for score in card.scores
            for day, mean in score.days
        ]
        content = csv_table([[say(heading) for heading in _SCORE_HEADINGS], *rows])
        button(say(_EXPORT), partial(_save, content, "scorecards.csv"), "button quiet")
    if all(score.place is None and score.rank is None for card in cards for score in card.scores):
        Words(say(_FEW), "muted small", tag="p")
    with box("tiles"):
        for card in cards[:_SHOWN]:
            with box("card stack scorecard"):
                with box("strong", "a", href=f"/shares/{card.grant_id}"):
                    Words(card.name)
                for score in card.scores:
                    with box():
                        Words(say(name_of(score.entry)), "muted small", tag="div")
                        shown = say(_WEEK, mean=number(score.mean), unit=unit_of(score.entry), week=number(score.week))
                        Words(shown, "num", tag="div")
                        if score.rank:
                            Words(say(_RANK, rank=score.rank, of=score.of), "small", tag="div")
                        if score.place:
                            Words(say(_PLACES[score.place]), "small", tag="div")
                        if score.drifting:
                            MarkView(_DRIFTS, visit.language, plain=True)


class _Funnel:
    """How many have come how far, and each supplier with what is missing."""

    def __init__(self, visit: Visit, programme: Programme) -> None:
        self._visit, self._programme = visit, programme
        self._stage = ""
        self._drawn: tuple[Any, ...] = ()
        self._place = box("stack wide")
        self._answer = box("stack")
        ui.timer(_LOOK_S, self.show)

    async def show(self) -> None:
        """Draw it, if anything has changed."""
        visit = self._visit
        if not await visit.may_still(Scope.READ):
            return
        states = await visit.domains.suppliers.states(visit.acting(Scope.READ), self._programme.id)
        seen = (self._stage, [each.model_dump_json() for each in states])
        if seen == self._drawn:
            return
        self._drawn = seen
        self._place.clear()
        with self._place:
            self._counts(states)
            Words(visit.say(_SUPPLIERS), tag="h2")
            if not states:
                Words(visit.say(_NOBODY), "card muted", tag="p")
            shown = [each for each in states if self._stage in ("", each.stage)]
            for each in sorted(shown, key=lambda one: one.stage == "live")[:_SHOWN]:
                self._supplier(each)

    def _counts(self, states: Sequence[Supplier]) -> None:
        counts = Counter(each.stage for each in states)
        with box("card stack wide"):
            Words(self._visit.say(_FUNNEL), tag="h2")
            with box("funnel"):
                for stage in WAY:
                    reached = sum(counts[each] for each in WAY[WAY.index(stage) :])
                    share = 100 * reached / max(len(states), 1)
                    with box("funnel-step"):
                        Words(str(reached), "big num", tag="div")
                        Words(self._visit.say(STAGES[stage].text), "small", tag="div")
                        box("funnel-bar").style(f"width: {share:.0f}%")
            with box("choices"):
                there = [(each, STAGES[each].text) for each in STAGES if counts[each]]
                for key, name in [("", _ALL), *there]:
                    chosen = "here" if key == self._stage else ""
                    with box(chosen, "button", type="button").on("click", partial(self._choose, key)):
                        Words(self._visit.say(name))

    async def _choose(self, stage: str) -> None:
        self._stage = stage
        await self.show()

    def _at(self, at: datetime) -> str:
        return moment(at, self._visit.zone, self._visit.language, now=datetime.now(UTC), seconds=False)

    def _supplier(self, supplier: Supplier) -> None:
        visit, say = self._visit, self._visit.say
        with box("card stack wide supplier"):
            with box("line spread"):
                with box():
                    if supplier.grant_id:
                        with box("strong", "a", href=f"/shares/{supplier.grant_id}"):
                            Words(supplier.name)
                    else:
                        Words(supplier.name, "strong", tag="div")
                    reminded = " · " + say(_REMINDED, at=self._at(supplier.reminded_at)) if supplier.reminded_at else ""
                    since = say(_SINCE, at=self._at(supplier.since))
                    parts = filter(None, (supplier.credit_code, supplier.contact, since))
                    Words(" · ".join(parts) + reminded, "muted small", tag="div")
                MarkView(STAGES[supplier.stage], visit.language)
            for words in lacking(supplier.stage, supplier.items, self._programme, visit.language):
                Words(words, "small", tag="div")
            if any(item.by_hand for item in supplier.items):
                Words(say(_BY_HAND), "muted small", tag="div")
            if visit.may(Scope.ADMIN):
                with box("line"):
                    if supplier.stage in ("invited", "opened", "registered"):
                        button(say(_REMIND), partial(self._remind, supplier), "button quiet small")
                    if supplier.stage in ("agreed", "device", "conformant", "live"):
                        button(say(_CHECK), partial(self._check, supplier), "button quiet small")

    async def _remind(self, supplier: Supplier) -> None:
        made: list[NewInvitation | None] = []

        async def act(principal: Principal) -> None:
            made.append(await self._visit.domains.suppliers.remind(principal, supplier.id))

        if await attempt(self._visit, self._answer, Scope.ADMIN, act):
            with self._answer, box("card stack wide"):
                if made[0]:
                    Words(f"{supplier.name} - {self._visit.say(_ANEW)}", tag="p")
                    Words(_link(self._visit, made[0].token), "command", tag="code")
                    Words(made[0].code, "command", tag="code")
                else:
                    Words(f"{supplier.name}: {self._visit.say(_TOLD)}", tag="p")
            await self.show()

    async def _check(self, supplier: Supplier) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.suppliers.check(principal, supplier.id)

        if await attempt(self._visit, self._answer, Scope.ADMIN, act):
            await self.show()


def _link(visit: Visit, token: str) -> str:
    return f"{str(visit.request.base_url).rstrip('/')}{INVITATION_PATH}#{token}"


def _import(visit: Visit, programme: Programme, funnel: _Funnel) -> None:
    say = visit.say
    with box("card stack wide"):
        Words(say(_INVITE), tag="h2")
        Words(say(_FILE), "muted small", tag="p")
        with box("line"):
            choice = FileChoice(visit, f"/api/v1/programmes/{programme.id}/suppliers", ".csv,.xlsx")
            template = csv_table([[say(heading) for heading in _HEADINGS]])
            button(say(_TEMPLATE), partial(_save, template, "suppliers.csv"), "button quiet")
        answer = box("stack")

    async def taken(text: str) -> None:
        _show_report(visit, ImportReport.model_validate_json(text), answer)
        await funnel.show()

    choice.answers_in(answer, taken)


def _show_report(visit: Visit, report: ImportReport, answer: ui.element) -> None:
    say = visit.say
    if report.faults:
        Words(say(_FAULTS, count=len(report.faults)), "notice bad", tag="p").props["role"] = "alert"
        for fault in report.faults[:50]:
            said = say(_FAULT, row=fault.row, column=fault.column, message=fault.message.to(visit.language))
            Words(said, "small", tag="div")
        return
    done(answer, say(_INVITED, count=len(report.invited)))
    for name, last in ((_LINKS, _LINK), (_CODES, _CODE)):
        heading = [say(each) for each in (*_HEADINGS, last)]
        rows = [
            [one.credit_code, one.name, one.contact, _link(visit, one.token) if last is _LINK else one.code]
            for one in report.invited
        ]
        file = "links.csv" if last is _LINK else "codes.csv"
        button(say(name), partial(_save, csv_table([heading, *rows]), file), "button quiet")


async def _save(content: bytes, name: str) -> None:
    ui.download.content(content, name)
