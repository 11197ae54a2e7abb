"""The company's own entries: what is proposed, who reviewed it, and proposing one by form or file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import get_args

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.dictionary.schemas import (
    CompanyEntry,
    EntryRequest,
    EntryState,
    ImportReport,
    OwnAggregation,
    ReviewRequest,
    WithdrawalRequest,
)
from cloud.dictionary.service import OWN
from cloud.web.elements import MarkView, Words, box
from cloud.web.entry_words import AGGREGATIONS, TYPES, meant
from cloud.web.file_choice import FileChoice
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.dictionary.entries import equipment_classes
from protocols.text import Text

_TITLE = Text("The company's own entries", "企业自有条目")
_STATES: dict[EntryState, Mark] = {
    "proposed": Mark(Text("To be reviewed", "待审核"), "warn"),
    "returned": Mark(Text("Sent back", "已退回"), "bad"),
    "released": Mark(Text("Released", "已发布"), "good"),
    "withdrawn": Mark(Text("Withdrawn", "已撤回"), "off"),
}
_VERSION = Text("version {number}, proposed by {by}", "第 {number} 版，{by} 提交")
_REVIEWED = Text(", reviewed by {by}", "，{by} 审核")
_REASON = Text("Reason, to send it back or to withdraw it", "退回或撤回的原因")
_APPROVE, _RETURN, _WITHDRAW = Text("Release", "发布"), Text("Send back", "退回"), Text("Withdraw", "撤回")
_PROPOSE = Text("Propose an entry", "提交条目")
_HOW = Text(
    "What the dictionary lacks; another person, a manager, reviews it. The code of an entry that is there makes a new version of it. Unit, type and aggregation of a released one stay.",
    "可提交字典中没有的含义，由另一位管理者审核。代码已存在时提交为新版本；已发布条目的单位、类型与汇总方式不可更改。",
)
_CODE = Text("Code (after own:)", "代码(own: 之后)")
_FIELDS = {
    "name_zh": Text("Chinese name", "中文名称"),
    "name_en": Text("English name", "英文名称"),
    "definition_zh": Text("Chinese definition", "中文定义"),
    "definition_en": Text("English definition", "英文定义"),
    "unit": Text("Unit (UN/ECE code, C62 for none)", "单位(UN/ECE 代码，无单位填 C62)"),
}
_CLASS, _TYPE, _AGGREGATION = (
    Text("Equipment class", "设备类别"),
    Text("Type", "类型"),
    Text("Many values become", "汇总方式"),
)
_SEND = Text("Propose", "提交")
_FILE = Text(
    "Or a file: CSV with the columns of the export, AASX or AAS JSON. All of it is proposed, or nothing.",
    "或导入文件：与导出列相同的 CSV、AASX 或 AAS JSON。全部有效才会提交。",
)
_TAKEN = Text("{proposed} proposed, {known} were known as they are.", "已提交 {proposed} 个，{known} 个已存在。")
_ROW = Text("{row}, {code}: {what}", "第 {row} 行，{code}：{what}")
_SHOWN = 50


async def show_company_entries(visit: Visit) -> None:
    """Add the list of the company's own entries, those to be reviewed first; nothing where there are none."""
    latest = await visit.domains.company_entries.latest(visit.scope)
    if not latest:
        return
    usable = await visit.domains.company_entries.usable(visit.scope)
    with box("card stack wide"):
        Words(visit.say(_TITLE), tag="h2")
        waiting_first = sorted(latest, key=lambda one: (one.state != "proposed", one.code))
        for one in waiting_first[:_SHOWN]:
            _Shown(visit, one, in_use=one.code in usable)


class _Shown:
    """One entry, as its latest version is, and what may be done with that."""

    def __init__(self, visit: Visit, shown: CompanyEntry, *, in_use: bool) -> None:
        self._visit, self._shown, say = visit, shown, visit.say
        entry = shown.entry.entry()
        with box("lot stack"):
            with box("line spread"):
                with box("line"):
                    Words(say(entry.name), "strong")
                    Words(shown.code, tag="code")
                MarkView(_STATES[shown.state], visit.language)
            Words(say(entry.definition), tag="div")
            Words(meant(visit, entry), "muted small", tag="div")
            who = say(_VERSION, number=shown.version, by=shown.proposed_by.removeprefix("user:"))
            if shown.reviewed_by:
                who += say(_REVIEWED, by=shown.reviewed_by.removeprefix("user:"))
            Words(who, "muted small", tag="div")
            if shown.note:
                Words(shown.note, "small", tag="div")
            if not visit.may(Scope.ADMIN):
                return
            mine = shown.proposed_by == visit.principal.actor
            reviewable, withdrawable = shown.state == "proposed" and not mine, shown.state != "proposed" and in_use
            if reviewable or withdrawable:
                with box("form-row"):
                    self._note = Field(say(_REASON), maxlength="500")
                with box("line"):
                    if reviewable:
                        button(say(_APPROVE), partial(self._review, True))
                        button(say(_RETURN), partial(self._review, False), "button quiet")
                    else:
                        button(say(_WITHDRAW), self._withdraw, "button quiet")
                self._answer = box("stack")

    async def _review(self, approve: bool) -> None:
        async def act(principal: Principal) -> None:
            request = ReviewRequest(approve=approve, note=self._note.value.strip())
            await self._visit.domains.company_entries.review(principal, self._shown.code, request)

        await self._do(act)

    async def _withdraw(self) -> None:
        async def act(principal: Principal) -> None:
            request = WithdrawalRequest(note=self._note.value.strip())
            await self._visit.domains.company_entries.withdraw(principal, self._shown.code, request.note)

        await self._do(act)

    async def _do(self, act: Callable[[Principal], Awaitable[None]]) -> None:
        if await attempt(self._visit, self._answer, Scope.ADMIN, act):
            ui.navigate.reload()


class ProposalForm:
    """Proposes an entry, or those of a file."""

    def __init__(self, visit: Visit) -> None:
        self._visit, say = visit, visit.say
        with box("card stack wide"):
            Words(say(_PROPOSE), tag="h2")
            Words(say(_HOW), "muted small", tag="p")
            with box("form-row"):
                self._code = Field(say(_CODE), maxlength="60")
                self._texts = {name: Field(say(label), maxlength="1000") for name, label in _FIELDS.items()}
                classes = {code: say(name) for code, name in equipment_classes().items()}
                self._class = Choice(say(_CLASS), classes, "generic")
                self._type = Choice(say(_TYPE), {code: say(name) for code, name in TYPES.items()}, "REAL_MEASURE")
                ways = {way: say(AGGREGATIONS[way]) for way in get_args(OwnAggregation)}
                self._aggregation = Choice(say(_AGGREGATION), ways, "avg")
            with box("line"):
                button(say(_SEND), self._propose)
            self._answer = box("stack")
            Words(say(_FILE), "muted small", tag="p")
            with box("line"):
                for format in ("csv", "aasx", "json"):
                    Words(format.upper(), "muted small")
                    choice = FileChoice(visit, f"/api/v1/dictionary:import?format={format}", f".{format}")
                    choice.answers_in(self._answer, self._taken)

    async def _propose(self) -> None:
        async def act(principal: Principal) -> None:
            request = EntryRequest.model_validate(
                {
                    "code": f"{OWN}{self._code.value.strip().removeprefix(OWN)}",
                    **{name: field.value.strip() for name, field in self._texts.items()},
                    "equipment_class": self._class.value,
                    "data_type": self._type.value,
                    "aggregation": self._aggregation.value,
                }
            )
            await self._visit.domains.company_entries.propose(principal, [request])

        if await attempt(self._visit, self._answer, Scope.ENGINEER, act):
            ui.navigate.reload()

    async def _taken(self, text: str) -> None:
        visit = self._visit
        report = ImportReport.model_validate_json(text)
        for fault in report.faults[:_SHOWN]:
            what = visit.say(Text(fault.message_en, fault.message_zh))
            Words(visit.say(_ROW, row=fault.row, code=fault.code, what=what), "notice bad", tag="p")
        if not report.faults:
            said = visit.say(_TAKEN, proposed=len(report.proposed), known=report.known)
            Words(said, "notice good", tag="p").props["role"] = "status"
