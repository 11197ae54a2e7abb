"""The form of an alarm rule: what it watches, when it is raised, who is told - filled in from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from nicegui import ui
from pydantic import ValidationError

from cloud.alarms.schemas import PRIORITIES, Rule, RuleRequest
from cloud.energy.service import WATCHED
from cloud.notify.schemas import Channel
from cloud.production.service import KPIS
from cloud.web import alarm_rule_words as words
from cloud.web import alarm_words
from cloud.web.alarm_rule_target import Offered, RuleTarget
from cloud.web.elements import Words, box
from cloud.web.visit import Visit
from protocols.text import Text

LIMITS = ("high_high", "high", "low", "low_low")
_BY_VALUE = ("threshold", "rate", "state", "stale", "bad_quality", "spc")

_WHAT, _WHEN, _WHO = (
    Text("What is watched", "监测对象"),
    Text("When it is raised", "触发条件"),
    Text("Who is told", "通知对象"),
)
_KIND = Text("Kind of rule", "规则类型")
_ALL = Text("all", "全部")
_LIMIT_NAMES = {
    "high_high": Text("Far too high above", "严重偏高 >"),
    "high": Text("Too high above", "偏高 >"),
    "low": Text("Too low below", "偏低 <"),
    "low_low": Text("Far too low below", "严重偏低 <"),
}
_DEADBAND = Text("Deadband: back to normal by this much", "回差：恢复所需的回落量")
_PER_MINUTE, _WINDOW = Text("More than this per minute", "每分钟变化超过"), Text("measured over (s)", "计算时长 (s)")
_DIRECTION = Text("Direction", "方向")
_DIRECTIONS = {"either": Text("either", "任意"), "rising": Text("rising", "上升"), "falling": Text("falling", "下降")}
_VALUES, _SECONDS = Text("State", "状态"), Text("No data for (s)", "无数据超过 (s)")
_MEASURE, _AGENT_LIMIT = Text("What of the gateway", "网关指标"), Text("Limit", "限值")
_PERCENT, _MINUTES = (
    Text("More than this percent rejected", "不合格率超过 (%)"),
    Text("of the last (min)", "统计时长 (min)"),
)
_LEAST = Text("if there were at least so many parts", "且件数不少于")
_PRIORITY = Text("Priority", "优先级")
_ON_DELAY, _OFF_DELAY = Text("holds for (s)", "持续时间 (s)"), Text("normal for (s)", "恢复确认时间 (s)")
_LATCHING = Text("Stays until somebody resets it", "锁存，须人工复位")
_CHANNELS, _RETURN = Text("Channels", "通知渠道"), Text("also when it is back to normal", "恢复时也通知")
_NO_CHANNELS = Text("There is no channel yet; alarms show on the page only.", "尚未建立通知渠道，报警仅在页面显示。")
_AFTER = Text("If nobody acknowledges, after (min)", "无人确认时，几分钟后升级 (min)")
_NEXT = Text("tell these, too", "再通知")
_HINT = Text("What to do about it", "处理建议")
_NAME = Text("Name of the rule", "规则名称")
_ON_OFF = Text("Rule is on", "启用规则")


class RuleForm:
    """The fields of one rule. `request` gives what was filled in."""

    def __init__(
        self,
        visit: Visit,
        rule: Rule | None,
        given: Offered,
        channels: Sequence[Channel],
    ) -> None:
        self._visit = visit
        self._rule = rule
        self._channels = {str(channel.id): channel.name for channel in channels}
        self._fields: dict[str, Any] = {}
        self._place_what(given)
        self._place_when()
        self._place_who()

    @property
    def kind(self) -> str:
        """The kind chosen."""
        return str(self._fields["kind"].value)

    def request(self) -> RuleRequest:
        """Return what was filled in; raises ValidationError for what makes no sense."""
        value = {name: field.value for name, field in self._fields.items()}
        on_values = self.kind in _BY_VALUE
        selection = self._target.selection(on_values=on_values, of_machines=self.kind != "agent")
        steps = []
        if value["after"] and value["next"]:
            steps = [{"after_minutes": int(value["after"]), "channels": value["next"]}]
        kept = self._rule.model_dump(include={"message_en", "message_zh", "hint_en", "hint_zh"}) if self._rule else {}
        hint = {f"hint_{self._visit.language}": str(value["hint"] or "")}
        return RuleRequest.model_validate(
            kept
            | hint
            | {
                **{"name": str(value["name"] or "").strip() or self._usual_name(), "enabled": value["enabled"]},
                **{"selection": selection, "condition": self._condition(value), "priority": value["priority"]},
                **{"on_delay_s": int(value["on_delay_s"] or 0), "off_delay_s": int(value["off_delay_s"] or 0)},
                **{"latching": value["latching"], "channels": value["channels"], "tell_return": value["tell_return"]},
                "escalation": steps,
            }
        )

    def explain(self, error: ValidationError) -> str:
        """Return what is wrong with what was filled in, in one line."""
        fault = error.errors()[0]
        if self._visit.language == "zh":
            return f"请检查填写内容：{_FAULTS_ZH.get(str(fault['msg']).removeprefix('Value error, '), '有必填项缺失或数值无效')}"
        return f"Please look again: {str(fault['msg']).removeprefix('Value error, ')}"

    def _usual_name(self) -> str:
        kind = self._visit.say(alarm_words.RULE_KINDS[self.kind])
        if self.kind not in _BY_VALUE:
            return kind
        point = self._target.name
        return f"{point} · {kind}"[:120] if self._target.series.value is not None else f"{point} {kind}".strip()

    def _condition(self, value: Mapping[str, Any]) -> dict[str, Any]:
        names: Mapping[str, Sequence[str]] = {
            "threshold": (*LIMITS, "deadband"),
            "rate": ("per_minute", "direction", "window_s"),
            "state": ("values",),
            "stale": ("seconds",),
            "agent": ("measure", "limit"),
            "reject_rate": ("percent", "window_minutes", "least_parts"),
            "spc": ("charts", "calm_points"),
        }
        fields = {name: name for name in names.get(self.kind, ())} | _OWN_FIELDS.get(self.kind, {})
        given = {name: value[field] for name, field in fields.items() if value[field] not in (None, "")}
        for whole in ("window_s", "seconds", "window_minutes", "least_parts", "least_minutes", "calm_points"):
            if whole in given:
                given[whole] = int(given[whole])
        return {"kind": self.kind, **given}

    def _place_what(self, given: Offered) -> None:
        visit, rule = self._visit, self._rule
        with box("card stack"):
            Words(visit.say(_WHAT), tag="h2")
            with box() as kind:
                pass
            self._target = RuleTarget(visit, rule, given)
            with kind:
                kinds = {one: visit.say(text) for one, text in alarm_words.RULE_KINDS.items()}
                usual = "state" if self._target.picked_has_states else "threshold"
                self._select("kind", _KIND, kinds, rule.condition.kind if rule else usual)
        self._fields["kind"].on_value_change(lambda _: self._show_kind())
        for field in (self._target.series, self._target.meaning):
            field.on_value_change(lambda _: self._offer_states())

    def _place_when(self) -> None:
        visit, rule = self._visit, self._rule
        condition = rule.condition.model_dump() if rule else {}
        query = visit.request.query_params
        with box("card stack"):
            Words(visit.say(_WHEN), tag="h2")
            self._groups: dict[str, ui.element] = {}
            with self._group("threshold"):
                for name in LIMITS:
                    self._number(name, _LIMIT_NAMES[name], condition.get(name, _number(query.get(name, ""))))
                self._number("deadband", _DEADBAND, condition.get("deadband", 0))
            with self._group("rate"):
                self._number("per_minute", _PER_MINUTE, condition.get("per_minute"))
                directions = {name: visit.say(text) for name, text in _DIRECTIONS.items()}
                self._select("direction", _DIRECTION, directions, condition.get("direction", "either"))
                self._number("window_s", _WINDOW, condition.get("window_s", 60))
            with self._group("state"):
                self._fields["values"] = ui.select([], multiple=True, label=visit.say(_VALUES), value=[])
                self._fields["values"].props("outlined use-chips").classes("field-in")
            with self._group("stale"):
                self._number("seconds", _SECONDS, condition.get("seconds", 300))
            with self._group("agent"):
                measures = {name: visit.say(text) for name, text in alarm_words.MEASURES.items()}
                self._select("measure", _MEASURE, measures, condition.get("measure", "silent_s"))
                self._number("limit", _AGENT_LIMIT, condition.get("limit", 180))
            with self._group("reject_rate"):
                self._number("percent", _PERCENT, condition.get("percent", 5))
                self._number("window_minutes", _MINUTES, condition.get("window_minutes", 60))
                self._number("least_parts", _LEAST, condition.get("least_parts", 20))
            with self._group("spc"):
                charts = {name: visit.say(text) for name, text in words.CHARTS.items()}
                chosen = condition.get("charts", ["western_electric"])
                self._select("charts", words.SIGNALS, charts, chosen, many=True)
                self._number("calm_points", words.CALM, condition.get("calm_points", 8))
                Words(visit.say(words.FROZEN_ONLY), "muted small", tag="p")
            self._place_figures(condition)
            with box("rule-fields"):
                self._number("on_delay_s", _ON_DELAY, rule.on_delay_s if rule else 0)
                self._number("off_delay_s", _OFF_DELAY, rule.off_delay_s if rule else 0)
                priorities = {one: visit.say(alarm_words.PRIORITIES[one].text) for one in PRIORITIES}
                self._select("priority", _PRIORITY, priorities, rule.priority if rule else "medium")
            self._fields["latching"] = ui.checkbox(visit.say(_LATCHING), value=rule.latching if rule else False)
        self._offer_states(condition.get("values", []))
        self._show_kind()

    def _place_figures(self, condition: Mapping[str, Any]) -> None:
        visit = self._visit
        with self._group("kpi"):
            kpis = {code: visit.say(kpi.name) for code, kpi in KPIS.items()}
            self._select("kpi", words.KPI, kpis, condition.get("kpi", "oee"))
            periods = {name: visit.say(text) for name, text in words.SHIFTS.items()}
            self._select("period", words.OF, periods, condition.get("period", "last_shift"))
            of_kpi = condition if self.kind == "kpi" else {}
            self._number("kpi_low", words.KPI_LOW, of_kpi.get("low", None if of_kpi else 60))
            self._number("kpi_high", words.KPI_HIGH, of_kpi.get("high"))
            self._number("least_minutes", words.LEAST_MINUTES, condition.get("least_minutes", 60))
        with self._group("energy"):
            figures = {
                code: visit.say(one.name) + (f" ({one.unit})" if one.unit else "") for code, one in WATCHED.items()
            }
            self._select("figure", words.ENERGY_FIGURE, figures, condition.get("figure", "demand_of_contract"))
            days = {day: visit.say(text) for day, text in words.ENERGY_DAYS.items()}
            self._select("day", words.OF, days, condition.get("day", "today"))
            of_energy = condition if self.kind == "energy" else {}
            self._number("energy_low", words.ENERGY_LOW, of_energy.get("low"))
            self._number("energy_high", words.ENERGY_HIGH, of_energy.get("high", None if of_energy else 95))
            self._number("energy_deadband", words.ENERGY_DEADBAND, of_energy.get("deadband", 0))
            Words(visit.say(words.ENERGY_NOTE), "muted small", tag="p")

    def _place_who(self) -> None:
        visit, rule = self._visit, self._rule
        step = rule.escalation[0] if rule and rule.escalation else None
        with box("card stack"):
            Words(visit.say(_WHO), tag="h2")
            if not self._channels:
                Words(visit.say(_NO_CHANNELS), "muted", tag="p")
            with box("rule-fields"):
                self._select(
                    "channels",
                    _CHANNELS,
                    self._channels,
                    _known(rule.channels if rule else (), self._channels),
                    many=True,
                )
                self._fields["tell_return"] = ui.checkbox(visit.say(_RETURN), value=rule.tell_return if rule else False)
            with box("rule-fields"):
                self._number("after", _AFTER, step.after_minutes if step else None)
                self._select(
                    "next", _NEXT, self._channels, _known(step.channels if step else (), self._channels), many=True
                )
            hint = (rule.hint_zh if visit.language == "zh" else rule.hint_en) if rule else ""
            self._text("hint", _HINT, hint)
            self._text("name", _NAME, rule.name if rule else "")
            self._fields["enabled"] = ui.switch(visit.say(_ON_OFF), value=rule.enabled if rule else True)

    def _group(self, kind: str) -> ui.element:
        self._groups[kind] = box("rule-fields")
        return self._groups[kind]

    def _show_kind(self) -> None:
        for kind, group in self._groups.items():
            group.set_visibility(kind == self.kind)
        self._target.by_value.set_visibility(self.kind in _BY_VALUE)

    def _offer_states(self, chosen: Sequence[int] | None = None) -> None:
        states = self._target.states
        wanted = [
            value for value in (chosen if chosen is not None else self._fields["values"].value) if value in states
        ]
        self._fields["values"].set_options(states, value=wanted)

    def _select(self, name: str, label: Text, options: Mapping[Any, str], value: Any, *, many: bool = False) -> None:
        field = ui.select(dict(options), value=value, label=self._visit.say(label), multiple=many)
        self._fields[name] = (
            field.props("outlined use-chips" if many else "outlined").classes("field-in").mark(f"rule-{name}")
        )

    def _number(self, name: str, label: Text, value: float | None) -> None:
        field = ui.number(self._visit.say(label), value=value).props("outlined step=any").classes("field-in")
        self._fields[name] = field.mark(f"rule-{name}")

    def _text(self, name: str, label: Text, value: str) -> None:
        self._fields[name] = (
            ui.input(self._visit.say(label), value=value).props("outlined maxlength=500").classes("editor")
        )


_OWN_FIELDS = {
    "kpi": {"kpi": "kpi", "period": "period", "low": "kpi_low", "high": "kpi_high", "least_minutes": "least_minutes"},
    "energy": {"figure": "figure", "day": "day"} | {name: f"energy_{name}" for name in ("low", "high", "deadband")},
}
"""Fields of the form by those of a condition, where they are called otherwise."""
_FAULTS_ZH = {
    "give at least one limit": "请至少填写一个限值",
    "the limits must be in the order low_low < low < high < high_high": "限值须由低到高依次排列",
    "a rule on values needs series_id or property, and not both": "请选择一个数据点或一种含义",
}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _known(channels: Sequence[UUID], offered: Mapping[str, str]) -> list[str]:
    return [str(channel) for channel in channels if str(channel) in offered]
