"""Programmes: what suppliers are asked for, and how many have come how far."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.suppliers.schemas import Programme, ProgrammeRequest
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.item_picker import FOR_DAYS, HISTORY, PURPOSE, ItemPicker, figure_of
from cloud.web.layout import frame, page_head
from cloud.web.share_request_form import ALL_BESIDE, Beside
from cloud.web.supplier_words import CADENCES
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Suppliers", "供应商")

_NOTE = Text(
    "Invite all of them with one file. Each sees exactly what is asked, shows it or less of it, and you see who is stuck where.",
    "一个文件邀请全部供应商。对方看到的就是申请内容，可同意或缩小范围；您可看到每家进展到哪一步。",
)
_NONE = Text("There is no programme yet. Begin with what you would like to see.", "尚无计划。请先填写希望查看的数据。")
_COUNT = Text("{live} of {all} live · until {deadline}", "{all} 家中 {live} 家已正常共享 · 截止 {deadline}")
_NEW = Text("New programme", "新建计划")
_NAME, _DEADLINE = Text("Name", "名称"), Text("Deadline", "截止日期")
_COMPLETE = Text("Good readings, at least %", "有效读数不低于，%")
_CADENCE = Text("New values come", "数据更新频率")
_AGE = Text("Delay allowed besides, minutes", "此外允许延迟，分钟")
_MAKE = Text("Create", "创建")


async def build(visit: Visit) -> None:
    """Build the page."""
    suppliers = visit.domains.suppliers
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        programmes = await suppliers.programmes(visit.scope)
        if not programmes:
            Words(visit.say(_NONE), "card muted", tag="p")
        with box("tiles"):
            for programme in programmes[:20]:
                states = await suppliers.states(visit.acting(Scope.READ), programme.id)
                _tile(visit, programme, Counter(each.stage for each in states))
        if visit.may(Scope.ADMIN):
            _Form(visit)


def _tile(visit: Visit, programme: Programme, stages: Counter[str]) -> None:
    with box("card tile", "a", href=f"/programmes/{programme.id}"):
        with box():
            Words(programme.name, "tile-name", tag="div")
            Words(programme.purpose, "small", tag="div")
        said = visit.say(_COUNT, live=stages["live"], all=stages.total(), deadline=programme.deadline.isoformat())
        Words(said, "muted small num")


class _Form:
    """Makes a programme."""

    def __init__(self, visit: Visit) -> None:
        self._visit, say = visit, visit.say
        in_a_quarter = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
        with box("card stack wide"):
            Words(say(_NEW), tag="h2")
            with box("form-row"):
                self._name = Field(say(_NAME), maxlength="120")
                self._purpose = Field(say(PURPOSE), maxlength="500")
                self._deadline = Field(say(_DEADLINE), in_a_quarter, type="date")
            with box("form-row"):
                self._history = Field(say(HISTORY), "30", inputmode="numeric")
                self._days = Field(say(FOR_DAYS), "365", inputmode="numeric")
                self._complete = Field(say(_COMPLETE), "90", inputmode="numeric")
                self._cadence = Choice(
                    say(_CADENCE), {each: say(words) for each, words in CADENCES.items()}, "continuous"
                )
                self._age = Field(say(_AGE), "60", inputmode="numeric")
            self._picker = ItemPicker(visit)
            with box("form-row"):
                self._beside = Beside(visit, ALL_BESIDE.model_copy(update={"trace": None}), preset=False)
            with box("line"):
                button(say(_MAKE), self._make)
            self._answer = box("stack")

    async def _make(self) -> None:
        async def act(principal: Principal) -> None:
            request = ProgrammeRequest.model_validate(
                {
                    "name": self._name.value.strip(),
                    "purpose": self._purpose.value.strip(),
                    "deadline": self._deadline.value,
                    "completeness": figure_of(self._complete.value) / 100,
                    "cadence": self._cadence.value,
                    "age_minutes": figure_of(self._age.value),
                    "terms": {
                        "items": self._picker.chosen(),
                        **self._beside.kept(),
                        "history_days": figure_of(self._history.value),
                        "days": figure_of(self._days.value),
                    },
                }
            )
            made = await self._visit.domains.suppliers.create(principal, request)
            ui.navigate.to(f"/programmes/{made.id}")

        await attempt(self._visit, self._answer, Scope.ADMIN, act)
