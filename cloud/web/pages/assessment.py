"""The maturity assessment: where the company stands, what raises the level next, and the questions with what is known already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from nicegui import ui

from cloud.assessment.schemas import Answer, Answers, Assessment, Evidence
from cloud.assessment.service import DIMENSIONS, Question, Scene, edition_2024, lacks, level_name, step_name
from cloud.core.principal import Principal, Scope
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.item_picker import figure_of
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

TITLE = Text("Maturity assessment", "数字化水平评测")

_NOTE = Text(
    "After the official assessment for small and medium enterprises, edition of 2024. What the platform knows is filled in.",
    "依据《中小企业数字化水平评测指标(2024年版)》自评，平台已掌握的数据自动预填。",
)
_POINTS = Text("{points} of 100 points", "基础得分 {points} / 100")
_NEXT, _OPEN = Text("What raises the level next", "提升路径"), Text("Open", "前往")
_STEP = Text("effort {effort}, {points} points", "难度 {effort}，加 {points} 分")
_SCENE_STEP = Text("effort {effort}, one scene", "难度 {effort}，增加一个场景")
_REPORT = Text("Report as PDF", "下载 PDF 报告")
_HISTORY = Text("Before", "历次评测")
_MACHINES = Text("How many production machines does the company have?", "企业共有多少台生产设备？")
_FILL_IN = Text("Fill in what is known", "按平台数据预填")
_KNOWN = Text("Known: {words}", "平台数据：{words}")
_SCENES = Text("Scenes of the business", "经营场景")
_BINDING = Text("{name} (binding)", "{name}(约束性)")
_NONE, _NO_ANSWER = Text("none of these", "均未达到"), Text("no answer", "未作答")
_TRENDS = {
    "higher": Text("higher", "提高"),
    "same": Text("the same", "持平"),
    "lower": Text("lower", "降低"),
}
_SAVE, _MANAGER = (
    Text("Assess", "开始评测"),
    Text("A manager of the company can make an assessment.", "仅企业管理者可进行评测。"),
)
_STEPS_SHOWN = 8


async def build(visit: Visit) -> None:
    """Build the page."""
    assessments = visit.domains.assessments
    history = await assessments.all(visit.scope)
    last = history[0] if history else None
    asked = visit.request.query_params.get("machines", "")
    machines = int(asked) if asked.isascii() and asked.isdigit() and 0 < int(asked) <= 100_000 else None
    if machines is None and last:
        machines = last.answers.machines
    known = await assessments.evidence(visit.scope, machines)
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        if last:
            _show(visit, last, history[1:])
        if visit.may(Scope.ADMIN):
            _Form(visit, last.answers if last else Answers(machines=None), known, machines)
        elif not last:
            Words(visit.say(_MANAGER), "card muted", tag="p")


def _show(visit: Visit, made: Assessment, before: Sequence[Assessment]) -> None:
    say, edition = visit.say, edition_2024()
    with box("card stack wide"):
        with box("line spread"):
            with box():
                Words(say(level_name(edition, made.level)), "level", tag="h2")
                Words(say(_POINTS, points=f"{made.points:g}"), "num", tag="div")
            with box("button quiet", "a", href=f"/api/v1/assessment/results/{made.id}/report?lang={visit.language}"):
                Words(say(_REPORT))
        Words(say(lacks(made)), tag="p")
        Words(say(edition.note), "muted small", tag="p")
        Words(f"{made.assessed_by.removeprefix('user:')} · {_at(visit, made)}", "muted small", tag="div")
    if made.steps:
        with box("card stack wide"):
            Words(say(_NEXT), tag="h2")
            for step in made.steps[:_STEPS_SHOWN]:
                with box("line spread lot"):
                    with box():
                        name = step_name(edition, made, step.id, scene=step.scene)
                        Words(say(name), "strong", tag="div")
                        words = _SCENE_STEP if step.scene else _STEP
                        Words(say(words, effort=step.effort, points=f"{step.points:g}"), "muted small", tag="div")
                    if step.page:
                        with box("button quiet small", "a", href=step.page):
                            Words(say(_OPEN))
    if before:
        with box("card stack wide"):
            Words(say(_HISTORY), tag="h2")
            for one in before[:10]:
                with box("line spread lot"):
                    Words(f"{say(level_name(edition, one.level))} · {say(_POINTS, points=f'{one.points:g}')}")
                    Words(_at(visit, one), "muted small")


def _at(visit: Visit, made: Assessment) -> str:
    return made.assessed_at.astimezone(visit.zone).strftime("%Y-%m-%d")


class _Form:
    """All questions, filled in with the last answers and, where there are none, with what is known."""

    def __init__(self, visit: Visit, last: Answers, known: Sequence[Evidence], machines: int | None) -> None:
        self._visit, say = visit, visit.say
        self._known = {one.id: one for one in known}
        self._answers: dict[str, Any] = {one.id: one.answer for one in known if not one.scene} | last.questions
        self._scenes: dict[str, int] = {one.id: int(one.answer) for one in known if one.scene} | last.scenes  # type: ignore[arg-type]
        edition = edition_2024()
        with box("card stack wide"):
            with box("form-row"):
                self._machines = Field(say(_MACHINES), str(machines or ""), inputmode="numeric")
            with box("line"):
                button(say(_FILL_IN), self._fill_in, "button quiet")
        for dimension, questions in groupby(edition.question, key=lambda one: one.dimension):
            with box("card stack wide"):
                Words(say(DIMENSIONS[dimension]), tag="h2")
                for question in questions:
                    self._question(question)
        for area, scenes in groupby(edition.scene, key=lambda one: Text(one.area_en, one.area_zh)):
            with box("card stack wide"):
                Words(f"{say(_SCENES)} · {say(area)}", tag="h2")
                for scene in scenes:
                    self._scene(scene)
        with box("line"):
            button(say(_SAVE), self._save)
        self._answer = box("stack")

    def _evidence(self, identity: str) -> None:
        if found := self._known.get(identity):
            mark = Mark(Text(_KNOWN.en.format(words=found.words.en), _KNOWN.zh.format(words=found.words.zh)), "good")
            MarkView(mark, self._visit.language, plain=True)

    def _question(self, question: Question) -> None:
        say, given = self._visit.say, self._answers.get(question.id)
        with box("stack assessed"):
            Words(say(question.ask), "strong", tag="div")
            self._evidence(question.id)
            if question.kind == "multi":
                for option in question.options:
                    ticked = {"checked": ""} if isinstance(given, list) and option.id in given else {}
                    with box("ticked", "label"):
                        tick = box("", "input", type="checkbox", **ticked)
                        Words(say(option.text))
                    tick.on(
                        "change",
                        partial(self._tick, question.id, option.id),
                        js_handler="event => emit(event.target.checked)",
                    )
            elif question.kind == "bands":
                text = "" if given is None else f"{given:g}"
                field = Field("%", text, inputmode="decimal", aria_label=say(question.name))
                self._answers[question.id] = field
            else:
                options: Mapping[str, Text] = (
                    _TRENDS if question.kind == "trend" else {one.id: one.text for one in question.options}
                )
                named = {"": say(_NO_ANSWER)} | {key: say(words) for key, words in options.items()}
                self._answers[question.id] = Choice(say(question.name), named, str(given or ""), shown=False)

    def _scene(self, scene: Scene) -> None:
        say = self._visit.say
        name = say(_BINDING, name=say(scene.name)) if scene.binding else say(scene.name)
        with box("stack assessed"):
            levels = {"0": say(_NONE)} | {str(level): f"{level} · {say(scene.level(level))}" for level in range(1, 5)}

            async def take(level: str) -> None:
                self._scenes[scene.id] = int(level)

            Choice(name, levels, str(self._scenes.get(scene.id, 0)), take)
            self._evidence(scene.id)

    def _tick(self, question: str, option: str, event: Any) -> None:
        ticked = set(self._answers.get(question) or ())
        self._answers[question] = sorted(ticked | {option} if event.args else ticked - {option})

    async def _fill_in(self) -> None:
        ui.navigate.to(f"/assessment?machines={self._machines.value.strip()}")

    async def _save(self) -> None:
        async def act(principal: Principal) -> None:
            found: dict[str, Answer] = {}
            for identity, given in self._answers.items():
                value = given.value if isinstance(given, Field | Choice) else given
                if isinstance(given, Field):
                    value = figure_of(value) if value.strip() else None
                if value not in (None, "", []):
                    found[identity] = value
            machines = figure_of(self._machines.value) if self._machines.value.strip() else None
            answers = Answers.model_validate({"machines": machines, "questions": found, "scenes": self._scenes})
            await self._visit.domains.assessments.assess(principal, answers)
            ui.navigate.to("/assessment")

        await attempt(self._visit, self._answer, Scope.ADMIN, act)
