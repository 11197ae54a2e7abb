"""Alarm rules: the list with a switch for each, and the page on which one is made, tried and changed."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from nicegui import ui
from pydantic import ValidationError

from cloud.alarms.schemas import BackTestResult, Rule, RuleRequest
from cloud.core.errors import NotFound, Problem
from cloud.core.principal import Scope
from cloud.web.alarm_chart import tried
from cloud.web.alarm_rule_form import LIMITS, RuleForm
from cloud.web.alarm_rule_target import offered
from cloud.web.alarm_words import PRIORITIES, RULE_KINDS
from cloud.web.charts import Sample
from cloud.web.elements import MarkView, Words, box
from cloud.web.language import duration, number
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.dictionary.entries import equipment_classes
from protocols.text import Text

TITLE = Text("Alarm rules", "报警规则")
TRIED_DAYS = 7
_SAMPLES = 800

_NEW = Text("New rule", "新建规则")
_NONE = Text(
    "There is no rule yet. Make one, or take the default rules and switch on those that fit.",
    "尚无规则。可新建，或先加入预置规则，再启用适合的规则。",
)
_ON, _OFF = Text("on", "已启用"), Text("off", "已停用")
_ACTIVE = Text("{n} active", "{n} 条报警中")
_DEFAULTS = Text("Default rules", "预置规则")
_DEFAULTS_NOTE = Text(
    "They are added switched off: compare their limits with the maker's manual, try them, then switch them on.",
    "加入后默认停用：请对照设备手册核对限值，试算后再启用。",
)
_GENERAL = Text("Gateways and any machine", "网关与通用")
_ADDED = Text("{n} rules were added, switched off.", "已加入 {n} 条规则(停用状态)。")
_ALL_THERE = Text("All of them are there already.", "均已存在。")
_SAVE, _TRY, _REMOVE = (
    Text("Save", "保存"),
    Text("Try on the last 7 days", "用近 7 天数据试算"),
    Text("Remove this rule", "删除规则"),
)
_SURE = Text("Yes, remove it", "确认删除")
_RESULT = Text(
    "It would have been raised {n} times in 7 days and been active for {time}.",
    "近 7 天将触发 {n} 次，累计持续 {time}。",
)
_LOOKED = Text("Looked at {readings} readings of {sources} points.", "共计算 {sources} 个数据点的 {readings} 条读数。")
_LOOKED_AT_FIGURES = Text(
    "Looked at {readings} figures of {sources} places.", "共判断 {sources} 处的 {readings} 个指标值。"
)
_LEFT_OUT = Text("{n} more points were not tried.", "另有 {n} 个数据点未试算。")
_NO_VALUES = Text("There are no values of the last 7 days to try it on.", "近 7 天没有可供试算的数据。")
_TRIED = Text("{name}: red is when it would have been raised", "{name}：红色为将触发的时段")
_NOW = Text("What the rule says now", "当前判断")
_SILENT = Text("nothing is said: {why}", "不判断：{why}")
_WOULD, _FINE = Mark(Text("would be raised", "将触发"), "bad"), Mark(Text("normal", "正常"), "good")
_LEFT_OUT_PLACES = Text("{n} more are not shown.", "另有 {n} 处未显示。")
_ONLY_ENGINEER = Text("Only an engineer can change rules.", "只有工程师及以上角色可以修改规则。")


async def build(visit: Visit) -> None:
    """Build the list."""
    rules = await visit.domains.alarms.rules.all(visit.scope)
    with frame(visit, visit.say(TITLE)):
        with page_head(visit.say(TITLE)):
            if visit.may(Scope.ENGINEER):
                with box("button", "a", href="/alarm-rules/new"):
                    Words(visit.say(_NEW))
        if not rules:
            Words(visit.say(_NONE), "card muted", tag="p")
        with box("stack"):
            for rule in rules:
                _row(visit, rule)
        if visit.may(Scope.ENGINEER):
            await _defaults(visit)


def _row(visit: Visit, rule: Rule) -> None:
    with box("card rule" if rule.enabled else "card rule off"):
        with box("rule-what"):
            with box("line"):
                MarkView(PRIORITIES[rule.priority], visit.language)
                Words(visit.say(RULE_KINDS[rule.condition.kind]), "muted small")
                if rule.active:
                    Words(visit.say(_ACTIVE, n=rule.active), "mark bad")
            with box("rule-name", "a", href=f"/alarm-rules/{rule.id}"):
                Words(rule.name)
        if visit.may(Scope.ENGINEER):
            switch = ui.switch(value=rule.enabled).props(f'aria-label="{visit.say(_ON)}"')
            switch.on_value_change(partial(_switch, visit, rule.id, switch))
        else:
            Words(visit.say(_ON if rule.enabled else _OFF), "muted")


async def _switch(visit: Visit, rule: UUID, switch: ui.switch, _: object) -> None:
    if not await visit.may_still(Scope.ENGINEER):
        return
    try:
        known = await visit.domains.alarms.rules.one(visit.scope, rule)
        if known.enabled != switch.value:
            wanted = known.model_dump(include=set(RuleRequest.model_fields)) | {"enabled": bool(switch.value)}
            person = visit.acting(Scope.ENGINEER)
            await visit.domains.alarms.rules.change(person, rule, RuleRequest.model_validate(wanted))
    except Problem as problem:
        ui.notify(problem.detail.to(visit.language))
        ui.navigate.reload()


async def _defaults(visit: Visit) -> None:
    present = {code for place in await visit.domains.fleet.places(visit.scope) for code in place.classes}
    offered = visit.domains.alarms.rules.classes_with_defaults()
    with box("card stack"):
        Words(visit.say(_DEFAULTS), tag="h2")
        Words(visit.say(_DEFAULTS_NOTE), "muted small", tag="p")
        with box("line"):
            for code in [one for one in offered if one == "" or one in present]:
                name = _GENERAL if code == "" else equipment_classes()[code]
                with box("button quiet", "button", type="button").on("click", partial(_add, visit, code)):
                    Words(visit.say(name))


async def _add(visit: Visit, equipment_class: str, _: object) -> None:
    if not await visit.may_still(Scope.ENGINEER):
        return
    try:
        added = await visit.domains.alarms.rules.add_defaults(visit.acting(Scope.ENGINEER), equipment_class)
    except Problem as problem:
        ui.notify(problem.detail.to(visit.language))
        return
    if added:
        ui.navigate.reload()
    else:
        ui.notify(visit.say(_ALL_THERE))


async def build_one(visit: Visit) -> None:
    """Build the page of one rule, or of a new one; raises NotFound."""
    asked = visit.request.path_params["rule_id"]
    rule = None
    if asked != "new":
        try:
            rule = await visit.domains.alarms.rules.one(visit.scope, UUID(asked))
        except ValueError as error:
            raise NotFound from error
    title = rule.name if rule else visit.say(_NEW)
    with frame(visit, title):
        page_head(title, back=("/alarm-rules", visit.say(TITLE)))
        if not visit.may(Scope.ENGINEER):
            Words(visit.say(_ONLY_ENGINEER), "card muted", tag="p")
            return
        form = RuleForm(visit, rule, await offered(visit, rule), await visit.domains.notify.channels(visit.scope))
        _Acts(visit, rule, form)


class _Acts:
    """The buttons below the form, and what they answer."""

    def __init__(self, visit: Visit, rule: Rule | None, form: RuleForm) -> None:
        self._visit = visit
        self._rule = rule
        self._form = form
        self._answer = box("stack")
        with box("line acts"):
            self._button(_SAVE, "button", self._save)
            self._button(_TRY, "button quiet", self._try)
            if rule is not None:
                with box() as place:
                    self._button(_REMOVE, "button quiet", partial(self._ask, place))

    def _button(self, name: Text, classes: str, act: object) -> None:
        with box(classes, "button", type="button").on("click", lambda _: act()):  # type: ignore[operator]
            Words(self._visit.say(name))

    def _request(self) -> RuleRequest | None:
        self._answer.clear()
        try:
            return self._form.request()
        except ValidationError as error:
            with self._answer:
                Words(self._form.explain(error), "notice bad", tag="p")
            return None

    def _refused(self, problem: Problem) -> None:
        with self._answer:
            Words(problem.detail.to(self._visit.language), "notice bad", tag="p")

    async def _save(self) -> None:
        if not await self._visit.may_still(Scope.ENGINEER) or (request := self._request()) is None:
            return
        rules, person = self._visit.domains.alarms.rules, self._visit.acting(Scope.ENGINEER)
        try:
            if self._rule is None:
                await rules.create(person, request)
            else:
                await rules.change(person, self._rule.id, request)
        except Problem as problem:
            self._refused(problem)
            return
        ui.navigate.to("/alarm-rules")

    async def _ask(self, place: ui.element) -> None:
        place.clear()
        with place:
            self._button(_SURE, "button bad", self._remove)

    async def _remove(self) -> None:
        if self._rule is None or not await self._visit.may_still(Scope.ENGINEER):
            return
        try:
            await self._visit.domains.alarms.rules.remove(self._visit.acting(Scope.ENGINEER), self._rule.id)
        except Problem as problem:
            self._refused(problem)
            return
        ui.navigate.to("/alarm-rules")

    async def _try(self) -> None:
        if not await self._visit.may_still(Scope.ENGINEER) or (request := self._request()) is None:
            return
        try:
            found = await self._visit.domains.alarms.rules.back_test(self._visit.scope, request, TRIED_DAYS)
        except Problem as problem:
            self._refused(problem)
            return
        with self._answer:
            await self._show(request, found)

    async def _show(self, request: RuleRequest, found: BackTestResult) -> None:
        visit = self._visit
        if found.present:
            _show_present(visit, found)
        with box("card stack").mark("back-test"):
            if not found.readings:
                Words(visit.say(_NO_VALUES), "muted", tag="p")
                return
            Words(visit.say(_RESULT, n=found.raised, time=visit.say(duration(found.active_s))), tag="h2")
            words = _LOOKED_AT_FIGURES if request.condition.kind in ("kpi", "energy") else _LOOKED
            looked = visit.say(words, readings=f"{found.readings:,}", sources=found.sources)
            left_out = visit.say(_LEFT_OUT, n=found.left_out) if found.left_out else ""
            Words(f"{looked} {left_out}", "muted small", tag="p")
            if found.judged:
                self._show_figures(request, found)
                return
            series = found.occurrences[0].series_id if found.occurrences else request.selection.series_id
            if series is None:
                return
            (point,) = await visit.domains.telemetry.catalogue.of(visit.scope, [series])
            answer = await visit.domains.telemetry.history(visit.scope, [series], found.start, found.end, _SAMPLES)
            samples = [
                Sample(one.time, one.value) for one in answer.curves[0].samples if not isinstance(one.value, str)
            ]
            limits = _limits(request)
            name = visit.say(Text(point.name_en, point.name_zh))
            where = found.occurrences[0].source if found.occurrences else name
            Words(visit.say(_TRIED, name=where), "muted small", tag="p")
            unit = f" {point.unit_symbol}" if point.unit_symbol else ""
            ui.echart(tried(found, samples, limits, zone=visit.zone, name=name, unit=unit)).classes("chart")

    def _show_figures(self, request: RuleRequest, found: BackTestResult) -> None:
        visit, (first, *_) = self._visit, found.judged
        samples = [Sample(one.time, one.value) for one in found.judged]
        Words(visit.say(_TRIED, name=first.source), "muted small", tag="p")
        chart = tried(
            found, samples, _limits(request), zone=visit.zone, name=first.source, unit=f" {first.unit}".rstrip()
        )
        ui.echart(chart).classes("chart")


def _limits(request: RuleRequest) -> list[float]:
    """Return the limits of a rule that has any."""
    return [limit for name in LIMITS if (limit := getattr(request.condition, name, None)) is not None]


def _show_present(visit: Visit, found: BackTestResult) -> None:
    with box("card stack").mark("back-test"):
        Words(visit.say(_NOW), tag="h2")
        for one in found.present:
            with box("line spread"):
                Words(one.source)
                with box("line"):
                    if one.value is not None:
                        Words(f"{number(one.value)} {one.unit}", "num")
                    if why := visit.say(Text(one.why_en, one.why_zh)):
                        Words(visit.say(_SILENT, why=why), "muted small")
                    else:
                        MarkView(_WOULD if one.level else _FINE, visit.language)
        if found.left_out:
            Words(visit.say(_LEFT_OUT_PLACES, n=found.left_out), "muted small", tag="p")
