"""What the rules of a tenant watch: which series, agents and stations, and what they are called."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cloud.alarms.condition_kinds import AgentHealth, EnergyLimit, KpiLimit, OutOfControl, RejectRate, Stale
from cloud.alarms.conditions import judge_of
from cloud.alarms.message import USUAL, fill, shown_number
from cloud.alarms.schemas import Level, Rule, RuleRequest, Selection
from cloud.alarms.track import AnyTrack, StaleTrack, Track
from cloud.energy.schemas import Figure
from cloud.energy.service import WATCHED
from cloud.fleet.schemas import Agent, Equipment
from cloud.production.service import KPIS, ShiftFigures
from cloud.spc.service import FrozenLimits
from cloud.telemetry.schemas import Point
from protocols.text import Text

STATION_CLASS = "inspection_station"

_HEARD_S = 90.0


@dataclass(frozen=True, slots=True)
class Source:
    """One thing a rule watches.

    Attributes:
        key: names it in the database: series:<id>, agent:<id>, equipment:<id> or site:<id>.
        place: where it is, in words.
        label, path: of the equipment, or the agent.
        point: what is watched there.
        zone: IANA name of the site's time zone.
        names: of coded values.
        limits: of its control chart, where a rule goes by that.
    """

    key: str
    place: str
    label: str
    path: str
    point: Text
    zone: str
    unit: str = ""
    series_id: int | None = None
    equipment_id: UUID | None = None
    agent_id: UUID | None = None
    site_id: UUID | None = None
    names: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    limits: FrozenLimits | None = None


@dataclass(slots=True)
class Watch:
    """A source under a rule, and where it stands."""

    rule: Rule
    source: Source
    track: AnyTrack

    @property
    def key(self) -> tuple[UUID, str]:
        """Names it among all of the tenant."""
        return self.rule.id, self.source.key

    def message(self, level: Level, value: float) -> Text:
        """Return what people are told."""
        condition, source = self.rule.condition, self.source
        kind = condition.measure if isinstance(condition, AgentHealth) else condition.kind
        usual = USUAL[level if kind in ("threshold", "kpi", "energy") else kind]
        limit = self.track.limit(level)
        filled = {
            **{"equipment": source.label, "path": source.path, "unit": source.unit, "rule": self.rule.name},
            "limit": "" if limit is None else shown_number(limit),
        }
        en = filled | {"point": source.point.en, "value": self._shown(value, "en")}
        zh = filled | {"point": source.point.zh, "value": self._shown(value, "zh")}
        return Text(fill(self.rule.message_en or usual.en, en), fill(self.rule.message_zh or usual.zh, zh))

    def _shown(self, value: float, language: str) -> str:
        names = self.source.names.get(int(value)) if value == value and value.is_integer() else None  # noqa: PLR0124
        return names[language] if names else shown_number(value)


def track_of(rule: RuleRequest, source: Source | None = None) -> AnyTrack:
    """Return where a source of `rule` stands that nothing is known of yet; rules on control charts need it."""
    if isinstance(rule.condition, Stale):
        return StaleTrack(rule.condition.seconds, rule.on_delay_s, rule.off_delay_s)
    return Track(judge_of(rule, source.limits if source else None), rule.on_delay_s, rule.off_delay_s)


def rule_of(row: Mapping[str, Any]) -> Rule:
    """Return a rule as the database keeps it."""
    return Rule(**(row["definition"] | {name: value for name, value in row.items() if name != "definition"}))


def measured(agent: Agent, measure: str, now: datetime) -> float:
    """Return what a rule on agents looks at; NaN where it is not known now."""
    silent_s = (now - (agent.last_seen or agent.enrolled_at)).total_seconds()
    if measure == "silent_s":
        return silent_s
    if silent_s > _HEARD_S or agent.health is None:
        return math.nan
    match measure:
        case "buffer_hours_left":
            value = agent.health.get("buffer_hours_left")
        case "clock_offset_s":
            offset = agent.health.get("clock_offset_us")
            value = None if offset is None else abs(offset) / 1e6
        case _:
            value = agent.health.get("disk_free_bytes", 0) / 1e9
    return math.nan if value is None else float(value)


def figure_of(condition: KpiLimit, found: ShiftFigures) -> float | None:
    """Return the KPI that a rule looks at, in the unit of its limits; None where too little is known."""
    if found.planned_busy_s < condition.least_minutes * 60 or found.completeness < condition.least_completeness:
        return None
    value = found.values.get(condition.kpi)
    return None if value is None else value * _kpi_unit(condition.kpi)[1]


def why_silent(condition: EnergyLimit, found: Figure, now: datetime, zone: ZoneInfo) -> Text | None:
    """Return why nothing is said of an energy figure; None where something is."""
    if found.value is None:
        return Text(found.why_en, found.why_zh)
    if found.completeness < condition.least_completeness:
        share, least = f"{100 * found.completeness:.0f}", f"{100 * condition.least_completeness:.0f}"
        return Text(
            f"measured in {share} % of the time, less than {least} %", f"仅 {share}% 的时间有读数，低于 {least}%"
        )
    local = now.astimezone(zone)
    minutes = local.hour * 60 + local.minute
    if WATCHED[condition.figure].of_day and condition.day == "today" and minutes < condition.least_minutes:
        return Text(
            f"the first {condition.least_minutes} min of the day", f"当日前 {condition.least_minutes} 分钟不判断"
        )
    return None


def _kpi_unit(code: str) -> tuple[str, float]:
    """Return the unit in which people are told a KPI, and what a value of `KPIS` is multiplied by for it."""
    kpi = KPIS[code]
    if kpi.unit == "SEC":
        return "min", 1 / 60
    return ("/h", 1.0) if kpi.per else ("%", 100.0)


class Plant:
    """All that rules can watch at a tenant."""

    def __init__(
        self,
        equipment: Sequence[Equipment],
        points: Sequence[Point],
        agents: Sequence[Agent],
        limits: Mapping[int, FrozenLimits],
    ) -> None:
        self.limits = limits
        self.equipment = {one.id: one for one in equipment if one.state != "removed"}
        self.points = [
            point for point in points if point.equipment_id in self.equipment and point.data_type != "STRING"
        ]
        self.agents = {agent.id: agent for agent in agents if agent.revoked_at is None}

    def _zone_of(self, agent: Agent) -> str:
        return next((one.time_zone for one in self.equipment.values() if one.agent_id == agent.id), "UTC")

    def sources(self, rule: RuleRequest) -> Iterator[Source]:
        """Yield what `rule` watches."""
        wanted = rule.selection
        match rule.condition:
            case AgentHealth():
                for agent in self.agents.values():
                    if wanted.agent_id in (None, agent.id) and wanted.site_id in (None, agent.site_id):
                        yield Source(
                            f"agent:{agent.id}",
                            agent.name,
                            agent.name,
                            agent.name,
                            _AGENT,
                            self._zone_of(agent),
                            agent_id=agent.id,
                        )
            case RejectRate():
                for one in self.equipment.values():
                    if one.equipment_class == STATION_CLASS and _stands(one, wanted):
                        key, zone = f"equipment:{one.id}", one.time_zone
                        yield Source(key, one.path, one.label, one.path, _PARTS, zone, "%", equipment_id=one.id)
            case KpiLimit(kpi=code, period=period):
                name, shift = KPIS[code].name, _SHIFTS[period]
                point = Text(f"{name.en} of {shift.en}", f"{shift.zh}{name.zh}")
                for one in self.equipment.values():
                    if _stands(one, wanted):
                        key, unit = f"equipment:{one.id}", _kpi_unit(code)[0]
                        yield Source(
                            key, one.path, one.label, one.path, point, one.time_zone, unit, equipment_id=one.id
                        )
            case EnergyLimit() as condition:
                yield from self._energy_sources(condition, wanted)
            case _:
                yield from self._point_sources(rule)

    def _energy_sources(self, condition: EnergyLimit, wanted: Selection) -> Iterator[Source]:
        known, day = WATCHED[condition.figure], _DAYS[condition.day]
        point = Text(f"{known.name.en} of {day.en}", f"{day.zh}{known.name.zh}") if known.of_day else known.name
        here = [one for one in self.equipment.values() if _stands(one, wanted)]
        if known.of_site:
            for one in {one.site_id: one for one in here}.values():
                key, site = f"site:{one.site_id}", one.site
                yield Source(key, site, site, site, point, one.time_zone, known.unit, site_id=one.site_id)
        else:
            for one in here:
                yield Source(
                    *(f"equipment:{one.id}", one.path, one.label, one.path, point, one.time_zone, known.unit),
                    equipment_id=one.id,
                    site_id=one.site_id,
                )

    def _point_sources(self, rule: RuleRequest) -> Iterator[Source]:
        charted = isinstance(rule.condition, OutOfControl)
        for each in self.points:
            one = self.equipment[each.equipment_id]
            if charted and each.series_id not in self.limits:
                continue
            if _is(each, rule.selection) and _stands(one, rule.selection):
                yield source_of(each, one, self.limits.get(each.series_id) if charted else None)


_SHIFTS = {
    "last_shift": Text("the last shift", "上一班次"),
    "running_shift": Text("this shift", "本班次"),
}
_DAYS = {"today": Text("today", "今日"), "yesterday": Text("yesterday", "昨日")}
_AGENT, _PARTS = Text("Gateway", "网关"), Text("Inspected parts", "检测件")


def source_of(point: Point, equipment: Equipment, limits: FrozenLimits | None = None) -> Source:
    """Return a point as a source."""
    return Source(
        f"series:{point.series_id}",
        f"{equipment.path} · {point.name}",
        equipment.label,
        equipment.path,
        Text(point.name_en, point.name_zh),
        equipment.time_zone,
        point.unit_symbol,
        series_id=point.series_id,
        equipment_id=equipment.id,
        names=point.values or (_BOOLEAN if point.data_type == "BOOLEAN" else {}),
        limits=limits,
    )


_BOOLEAN = {0: {"en": "no", "zh": "否"}, 1: {"en": "yes", "zh": "是"}}


def _is(point: Point, wanted: Selection) -> bool:
    if wanted.series_id is not None:
        return point.series_id == wanted.series_id
    return wanted.property is not None and point.property == wanted.property


def _stands(equipment: Equipment, wanted: Selection) -> bool:
    return (
        wanted.equipment_class in (None, "", equipment.equipment_class)
        and wanted.site_id in (None, equipment.site_id)
        and wanted.line_id in (None, equipment.line_id)
        and wanted.equipment_id in (None, equipment.id)
    )


class Plan:
    """The enabled rules of a tenant with all they watch, as of one version of the rules."""

    def __init__(self, version: int, rules: Iterable[Rule], plant: Plant) -> None:
        self.version = version
        self.plant = plant
        self.rules = {rule.id: rule for rule in rules if rule.enabled}
        self.watches: dict[tuple[UUID, str], Watch] = {}
        self.by_series: dict[int, list[Watch]] = {}
        self.others: list[Watch] = []
        for rule in self.rules.values():
            for source in plant.sources(rule):
                watch = Watch(rule, source, track_of(rule, source))
                self.watches[watch.key] = watch
                if source.series_id is None:
                    self.others.append(watch)
                else:
                    self.by_series.setdefault(source.series_id, []).append(watch)
        self.timed = [watch for watch in self.watches.values() if isinstance(watch.track, StaleTrack)]
        self.known = {point.series_id for point in plant.points}
