"""Puts a report together from the doors of production, energy and alarms. What is computed is computed there, and once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cloud.alarms.service import Alarms
from cloud.core.errors import NotFound
from cloud.core.principal import TenantScope
from cloud.energy.schemas import Figure as EnergyFigure
from cloud.energy.schemas import UsageRow, Window
from cloud.energy.service import Energy
from cloud.fleet.service import Fleet
from cloud.identity.service import Identity
from cloud.production.schemas import Granularity, KpiReport, KpiRow, KpiValue, Node, Shift
from cloud.production.service import Production
from cloud.reports.schemas import Bar, Bars, Column, Document, Figure, Kind, Period, Section, Table, Tone
from protocols.text import Text

_TITLES: Mapping[Kind, Text] = {
    "shift": Text("Shift report", "班次报告"),
    "day": Text("Daily report", "生产日报"),
    "week": Text("Weekly report", "生产周报"),
    "month": Text("Monthly report", "生产月报"),
}
_KPIS = ("oee", "availability", "effectiveness", "quality_rate", "throughput_rate", "scrap_ratio", "first_pass_yield")
_RATIOS = ("oee", "availability", "effectiveness", "quality_rate")
_TONES: Mapping[str, Tone] = {
    "failure": "bad",
    "delay": "warn",
    "micro_stop": "warn",
    "setup": "plain",
    "unknown": "idle",
}
_MOST_LOSSES = 12

_PRODUCTION, _LOSSES = Text("Production", "生产"), Text("Lost time by reason", "损失时间及原因")
_ENERGY, _ALARMS = Text("Electricity", "用电"), Text("Alarms of the company", "企业报警")
_RAISED, _PER_HOUR = Text("Raised", "报警次数"), Text("Per hour", "每小时报警")
_ANSWERED, _SOURCE = Text("Median time to acknowledge", "确认时间中位数"), Text("Source", "来源")
_RULE, _SHARE = Text("Rule", "规则"), Text("Share", "占比")
_GOOD, _SCRAP = Text("Good parts", "良品数"), Text("Scrap", "报废数")
_MACHINE, _STOPS, _TIME = Text("Machine", "设备"), Text("Stops", "停机次数"), Text("Time", "时间")
_REASON = Text("Reason", "原因")
_USED, _COST, _CO2 = Text("Electricity used", "用电量"), Text("Cost", "电费"), Text("Carbon dioxide", "二氧化碳排放")
_PER_PART = Text("Per good part", "单件良品能耗")
_NO_SHIFT = Text(
    "No shift was recorded in this period: enter a shift calendar, and what makes a machine running.",
    "该时段没有班次记录：请录入班次日历，并设置设备运行的判定方式。",
)
_LEFT_OUT = Text("without {names}", "不含 {names}")


class Sources(NamedTuple):
    """What a report is made from."""

    identity: Identity
    fleet: Fleet
    production: Production
    energy: Energy
    alarms: Alarms


class _Where(NamedTuple):
    company: str
    path: str
    zone: ZoneInfo


class Composer:
    """Makes documents."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def calendar(
        self, scope: TenantScope, node: Node, start: datetime, end: datetime
    ) -> tuple[ZoneInfo, list[Shift]]:
        """Return the time zone of `node` and its shifts that overlap [start, end); raises NotFound."""
        where = await self._where(scope, node)
        return where.zone, await self._sources.production.shifts_between(scope, node, start, end)

    async def compose(self, scope: TenantScope, node: Node, period: Period, before: Period | None) -> Document:
        """Return the report on `node` in `period`, compared with the period `before`; raises NotFound."""
        where = await self._where(scope, node)
        return Document(
            title=_TITLES[period.kind],
            company=where.company,
            place=where.path,
            period=period.name,
            made=datetime.now(UTC),
            zone=where.zone,
            sections=[
                *await self._production(scope, node, period, before),
                await self._energy(scope, node, period, before),
                *([await self._alarms(scope, period)] if node.kind == "site" else []),
            ],
        )

    async def _where(self, scope: TenantScope, node: Node) -> _Where:
        identity = self._sources.identity
        company = await identity.company_name(scope)
        if node.kind == "equipment":
            equipment = await self._sources.fleet.equipment(scope, node.id)
            return _Where(company, equipment.path, ZoneInfo(equipment.time_zone))
        sites = {site.id: site for site in await identity.plant.sites(scope)}
        if node.kind == "line":
            line = await identity.plant.line(scope, node.id)
            return _Where(company, line.path, ZoneInfo(sites[line.site_id].time_zone))
        if node.id not in sites:
            raise NotFound
        return _Where(company, sites[node.id].name, ZoneInfo(sites[node.id].time_zone))

    async def _production(self, scope: TenantScope, node: Node, period: Period, before: Period | None) -> list[Section]:
        listed = node.kind != "equipment"
        report = await self._kpis(scope, node, period, machines=listed and period.kind != "shift")
        total = _row_of(report, period)
        if total is None:
            return [Section(_PRODUCTION, note=_NO_SHIFT)]
        past = _row_of(await self._kpis(scope, node, before), before) if before else None
        machines = report.machines
        if listed and period.kind == "shift":  # a report by shifts has them for the whole day only
            machines = await self._sources.production.of_shift(scope, node, period.first, period.start)
        return [_made(total, past, machines), _lost(total)]

    async def _kpis(self, scope: TenantScope, node: Node, period: Period, *, machines: bool = False) -> KpiReport:
        step: Granularity = "shift" if period.kind == "shift" else "total"
        kpis = self._sources.production.kpis
        return await kpis(scope, node, period.first, period.last, step, machines=machines)

    async def _energy(self, scope: TenantScope, node: Node, period: Period, before: Period | None) -> Section:
        energy = self._sources.energy
        window = Window(period.start, min(period.end, datetime.now(UTC)))
        usage = await energy.usage(scope, node, window, "day")
        past = (await energy.usage(scope, node, Window(before.start, before.end), "day")).total if before else None
        table = None
        if node.kind == "site":
            summary = await energy.summary(scope, node.id, window)
            columns = [
                Column(_MACHINE),
                Column(_USED, summary.unit),
                Column(_COST, summary.currency),
                Column(Text("Idle", "待机能耗"), summary.unit),
                Column(_PER_PART, f"{summary.unit}/pcs", 3),
            ]
            rows = [
                (one.name, one.energy.value, one.cost.value, one.idle.value, one.specific.value)
                for one in summary.machines
            ]
            table = Table(columns, rows)
        return Section(_ENERGY, figures=_used(usage.total, past), table=table)

    async def _alarms(self, scope: TenantScope, period: Period) -> Section:
        found = await self._sources.alarms.statistics(scope, period.start, period.end)
        answered = found.acknowledged_after_s
        figures = [
            Figure(_RAISED, found.raised, "", 0),
            Figure(_PER_HOUR, found.per_hour, "", 1),
            Figure(_ANSWERED, None if answered is None else answered / 60, "min", 0),
        ]
        rows = [(one.source, one.rule, one.raised, 100 * one.share) for one in found.bad_actors]
        columns = [Column(_SOURCE), Column(_RULE), Column(_RAISED, "", 0), Column(_SHARE, "%", 0)]
        return Section(_ALARMS, figures=figures, table=Table(columns, rows))


def _row_of(report: KpiReport, period: Period) -> KpiRow | None:
    if period.kind != "shift":
        return report.total
    return next((row for row in report.rows if row.start == period.start), None)


def _made(total: KpiRow, past: KpiRow | None, machines: Sequence[KpiRow]) -> Section:
    figures = [_kpi(total.kpis[code], past.kpis[code] if past else None) for code in _KPIS]
    figures[4:4] = [
        Figure(_GOOD, total.good, "", 0, past.good if past else None),
        Figure(_SCRAP, total.scrap, "", 0, past.scrap if past else None),
    ]
    columns = [
        Column(_MACHINE),
        *(Column(total.kpis[code].name, "%") for code in _RATIOS),
        Column(_GOOD, "", 0),
        Column(_SCRAP, "", 0),
    ]
    rows = [(row.equipment, *(_percent(row.kpis[code]) for code in _RATIOS), row.good, row.scrap) for row in machines]
    return Section(_PRODUCTION, figures=figures, table=Table(columns, rows))


def _kpi(kpi: KpiValue, past: KpiValue | None) -> Figure:
    ratio = kpi.unit == "C62" and not kpi.per
    unit = "%" if ratio else f"/{'h' if kpi.per == 'HUR' else kpi.per}"
    before = None if past is None else (_percent(past) if ratio else past.value)
    note = kpi.reason if kpi.value is None else kpi.warning
    if not note.en and kpi.left_out:
        names = ", ".join(sorted(one.equipment for one in kpi.left_out))
        note = Text(_LEFT_OUT.en.format(names=names), _LEFT_OUT.zh.format(names=names))
    value = _percent(kpi) if ratio else kpi.value
    return Figure(kpi.name, value, unit, 1, before, kpi.completeness, note if note.en else None)


def _percent(kpi: KpiValue) -> float | None:
    return None if kpi.value is None else 100 * kpi.value


def _lost(total: KpiRow) -> Section:
    losses = sorted(total.losses, key=lambda loss: -loss.seconds)[:_MOST_LOSSES]
    bars = [Bar(loss.name, loss.seconds / 60, _TONES.get(loss.element, "plain")) for loss in losses]
    rows = [(loss.name, loss.stops, loss.seconds / 60) for loss in losses]
    columns = [Column(_REASON), Column(_STOPS, "", 0), Column(_TIME, "min", 0)]
    return Section(_LOSSES, chart=Bars("min", 0, bars), table=Table(columns, rows))


def _used(total: UsageRow, past: UsageRow | None) -> list[Figure]:
    named = ((_USED, "energy", 0), (_COST, "cost", 2), (_CO2, "co2", 1), (_PER_PART, "specific", 3))
    return [
        _energy_figure(name, getattr(total, field), getattr(past, field) if past else None, digits)
        for name, field, digits in named
    ]


def _energy_figure(name: Text, found: EnergyFigure, past: EnergyFigure | None, digits: int) -> Figure:
    why = Text(found.why_en, found.why_zh) if found.why_en else None
    return Figure(name, found.value, found.unit, digits, past.value if past else None, found.completeness, why)
