"""The form of an alarm rule: what it watches, when it is raised, who is told - filled in from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from nicegui import ui
from pydantic import ValidationError

from cloud.alarms.schemas import PRIORITIES, Rule, RuleRequest
from cloud.energy.service import WATCHED
from cloud.fleet.schemas import Equipment
from cloud.notify.schemas import Channel
from cloud.production.service import KPIS
from cloud.telemetry.schemas import Point
from cloud.web import alarm_rule_words as words
from cloud.web import alarm_words
from cloud.web.elements import Words, box
from cloud.web.visit import Visit
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.text import Text

MOST_POINTS = 500
"""Points offered in one list; with more, the machine is chosen first."""
LIMITS = ("high_high", "high", "low", "low_low")
_BY_VALUE = ("threshold", "rate", "state", "stale", "bad_quality", "spc")

_WHAT, _WHEN, _WHO = (
    Text("What is watched", "监测对象"),
    Text("When it is raised", "触发条件"),
    Text("Who is told", "通知对象"),
)
_KIND = Text("Kind of rule", "规则类型")
_MACHINE, _POINT = Text("Machine", "设备"), Text("One point", "单个数据点")
_ENTRY = Text("or all points of this meaning", "或某一含义的全部数据点")
_CLASS, _WHERE = Text("of this class", "设备类型"), Text("at this place", "所在位置")
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
        points: Sequence[Point],
        plant: Sequence[Equipment],
        channels: Sequence[Channel],
    ) -> None:
        self._visit = visit
        self._rule = rule
        self.points = {point.series_id: point for point in points if point.data_type != "STRING"}
        self._plant = {one.id: one for one in plant}
        self._channels = {str(channel.id): channel.name for channel in channels}
        self._fields: dict[str, Any] = {}
        self._place_what()
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
        place = str(value["place"] or "")
        series = value["series_id"] if on_values else None
        selection = {
            "series_id": series,
            "property": value["property"] if on_values and series is None else None,
            "equipment_class": value["equipment_class"] or None if series is None and self.kind != "agent" else None,
            **({place.partition(":")[0]: place.partition(":")[2]} if place and series is None else {}),
        }
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
        point = self.points.get(self._fields["series_id"].value)
        if point is not None:
            return f"{self._place_of(point)} · {kind}"[:120]
        entry = next((one for one in self.points.values() if one.property == self._fields["property"].value), None)
        return f"{self._name_of(entry) if entry else ''} {kind}".strip()

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

    def _place_what(self) -> None:
        visit, rule = self._visit, self._rule
        query = visit.request.query_params
        asked = query.get("series_id", "")
        chosen = rule.selection.series_id if rule else int(asked) if asked.isdecimal() else None
        with box("card stack"):
            Words(visit.say(_WHAT), tag="h2")
            kinds = {kind: visit.say(text) for kind, text in alarm_words.RULE_KINDS.items()}
            usual = "state" if chosen in self.points and self._states(chosen) else "threshold"
            self._select("kind", _KIND, kinds, rule.condition.kind if rule else usual)
            with box("rule-fields") as by_value:
                picked = self.points.get(chosen) if chosen is not None else None
                if len(self.points) > MOST_POINTS:
                    machines = {one.id: one.path for one in self._plant.values()}
                    self._select("machine", _MACHINE, machines, picked and picked.equipment_id, clear=True)
                    self._fields["machine"].on_value_change(lambda _: self._offer_points())
                self._select("series_id", _POINT, {}, None, clear=True)
                self._offer_points(picked)
                self._select("property", _ENTRY, self._entries(), rule.selection.property if rule else None, clear=True)
            with box("rule-fields") as where:
                classes = {one.equipment_class for one in self._plant.values()}
                known = {code: visit.say(text) for code, text in equipment_classes().items() if code in classes}
                of_class = rule.selection.equipment_class if rule else None
                self._select(
                    "equipment_class",
                    _CLASS,
                    known | ({of_class: of_class} if of_class and of_class not in known else {}),
                    of_class,
                    clear=True,
                )
                self._select("place", _WHERE, self._places(), _place_value(rule), clear=True)
        self._fields["kind"].on_value_change(lambda _: self._show_kind())
        self._fields["series_id"].on_value_change(lambda _: self._offer_states())
        self._fields["property"].on_value_change(lambda _: self._offer_states())
        self._by_value, self._where = by_value, where

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
        self._by_value.set_visibility(self.kind in _BY_VALUE)

    def _offer_points(self, picked: Point | None = None) -> None:
        machine = self._fields.get("machine")
        offered = {
            series: self._place_of(point)
            for series, point in self.points.items()
            if machine is None or point.equipment_id == machine.value
        }
        self._fields["series_id"].set_options(offered, value=picked.series_id if picked else None)

    def _offer_states(self, chosen: Sequence[int] | None = None) -> None:
        point = self.points.get(self._fields["series_id"].value)
        code = self._fields["property"].value
        point = point or next((one for one in self.points.values() if code and one.property == code), None)
        states = self._states(point.series_id) if point else {}
        wanted = [
            value for value in (chosen if chosen is not None else self._fields["values"].value) if value in states
        ]
        if "values" in self._fields:
            self._fields["values"].set_options(states, value=wanted)

    def _states(self, series: int | None) -> dict[int, str]:
        point = None if series is None else self.points.get(series)
        if point is None:
            return {}
        if point.data_type == "BOOLEAN":
            return {1: self._visit.say(Text("Yes", "是")), 0: self._visit.say(Text("No", "否"))}
        return {value: names[self._visit.language] for value, names in point.values.items()}

    def _entries(self) -> dict[str, str]:
        found = {point.property: self._name_of(point) for point in self.points.values() if point.property}
        wanted = self._rule.selection.property if self._rule else None
        if wanted and wanted not in found:  # no machine has it yet
            entry = load_dictionary().get(wanted)
            found[wanted] = self._visit.say(entry.name) if entry else wanted
        return found

    def _places(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in self._plant.values():
            found[f"site_id:{one.site_id}"] = one.site
            if one.line_id and one.line:
                found[f"line_id:{one.line_id}"] = f"{one.site} / {one.line}"
            found[f"equipment_id:{one.id}"] = one.path
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def _name_of(self, point: Point) -> str:
        unit = f" ({point.unit_symbol})" if point.unit_symbol else ""
        return (point.name_zh if self._visit.language == "zh" else point.name_en) + unit

    def _place_of(self, point: Point) -> str:
        equipment = self._plant.get(point.equipment_id)
        return f"{equipment.label if equipment else ''} · {self._name_of(point)}"

    def _select(
        self, name: str, label: Text, options: Mapping[Any, str], value: Any, *, clear: bool = False, many: bool = False
    ) -> None:
        field = ui.select(
            dict(options), value=value, label=self._visit.say(label), multiple=many, with_input=clear, clearable=clear
        )
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


def _place_value(rule: Rule | None) -> str | None:
    if rule is None:
        return None
    for name in ("equipment_id", "line_id", "site_id"):
        if value := getattr(rule.selection, name):
            return f"{name}:{value}"
    return None
