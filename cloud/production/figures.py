"""Puts records of shifts together to figures of any node and period. What is computed is in `kpi`; nothing is computed here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from cloud.production.kpi import INPUTS, KPIS, Kpi, completeness, missing
from cloud.production.places import Machine
from cloud.production.record import ShiftRecord, union
from cloud.production.schemas import Granularity, KpiInput, KpiReport, KpiRow, KpiValue, LeftOut, Loss, Node
from protocols.text import Text

ELEMENTS: Mapping[str, Text] = {
    "producing": Text("Production", "生产"),
    "setup": Text("Setup", "调试换型"),
    "failure": Text("Failure", "故障"),
    "micro_stop": Text("Micro-stops", "短暂停机"),
    "delay": Text("Idle", "待机"),
    "no_order": Text("No order", "无订单"),
    "maintenance": Text("Maintenance", "维护"),
    "planned_stop": Text("Planned stop", "计划停机"),
    "unknown": Text("State unknown", "状态未知"),
}


class Period(NamedTuple):
    """What a row is about."""

    first: date
    last: date
    shift: Text


@dataclass(frozen=True)
class Recorded:
    """A record and what it is of."""

    equipment_id: UUID
    day: date
    shift: Text
    start: datetime
    until: datetime
    record: ShiftRecord


class Reasons(NamedTuple):
    """What stop reasons are called and counted as, by id."""

    name: Mapping[str, Text]
    loss: Mapping[str, str]


@dataclass(frozen=True)
class Question:
    """Figures of which node and days, in which steps, and whether of each machine, too."""

    node: Node
    first: date
    last: date
    granularity: Granularity
    machines: bool = True


class Made(NamedTuple):
    """What was made, in pieces; None where a machine that makes parts does not count it. `quality_rate` is the KPI's."""

    produced: float | None
    good: float | None
    scrap: float | None
    in_silence: float
    quality_rate: float | None


def made(records: Collection[ShiftRecord]) -> Made:
    """Return what machines made together, each with one of `records`; those that count nothing are left aside."""
    counted = union([record for record in records if record.total is not None])
    rated = union([record for record in records if missing(KPIS["quality_rate"], record) is None])
    return Made(
        produced=_sum(counted.total, counted.late),
        good=_sum(counted.good, counted.late_good),
        scrap=_sum(counted.scrap, counted.late_scrap),
        in_silence=counted.late,
        quality_rate=KPIS["quality_rate"].compute(rated).value,
    )


def good_parts(found: Sequence[Recorded]) -> dict[UUID, float | None]:
    """Return the good parts of each machine in `found`; None where it does not count them."""
    return {machine: made([record]).good for machine, record in _by_machine(found).items()}


def by_month(found: Sequence[Recorded]) -> dict[UUID, dict[date, tuple[float | None, float | None]]]:
    """Return good parts and availability of each machine in `found` by the first day of the month; None where not known."""
    grouped: dict[tuple[UUID, date], list[ShiftRecord]] = defaultdict(list)
    for one in found:
        grouped[one.equipment_id, one.day.replace(day=1)].append(one.record)
    months: dict[UUID, dict[date, tuple[float | None, float | None]]] = defaultdict(dict)
    kpi = KPIS["availability"]
    for (machine, month), records in grouped.items():
        whole = union(records)
        available = None if missing(kpi, whole) else kpi.compute(whole).value
        months[machine][month] = (made([whole]).good, available)
    return months


class ShiftFigures(NamedTuple):
    """KPIs of a machine in one shift: `values` by the codes of `KPIS`, without those it lacks something for.

    `planned_busy_s`: how much planned busy time there was so far; `completeness` says in what share of it the state was known.
    """

    start: datetime
    shift: Text
    planned_busy_s: float
    completeness: float
    values: Mapping[str, float]


def shift_figures(start: datetime, shift: Text, record: ShiftRecord) -> ShiftFigures:
    """Return what can be said of the shift that `record` is of."""
    computed = {code: kpi.compute(record).value for code, kpi in KPIS.items() if missing(kpi, record) is None}
    return ShiftFigures(
        start=start,
        shift=shift,
        planned_busy_s=record.times.planned_busy / 1e6,
        completeness=completeness(record) or 0.0,
        values={code: value for code, value in computed.items() if value is not None},
    )


def report(question: Question, machines: Sequence[Machine], found: Sequence[Recorded], reasons: Reasons) -> KpiReport:
    """Return the figures that `question` asks for, made of the records `found` of `machines`."""
    period = _PERIODS[question.granularity]
    by_period: dict[Period, list[Recorded]] = defaultdict(list)
    by_machine: dict[UUID, list[Recorded]] = defaultdict(list)
    for one in found:
        by_period[period(question, one)].append(one)
        by_machine[one.equipment_id].append(one)
    everything = Period(question.first, question.last, Text("", ""))
    names = {machine.id: machine.name for machine in machines}
    ordered = sorted(by_period.items(), key=lambda item: (item[0].first, min(one.start for one in item[1])))
    return KpiReport(
        node=question.node,
        first_day=question.first,
        last_day=question.last,
        granularity=question.granularity,
        rows=[_row(period, some, names, reasons) for period, some in ordered],
        total=_row(everything, found, names, reasons) if found else None,
        machines=[
            _row(everything, by_machine[machine.id], names, reasons, machine)
            for machine in machines
            if question.machines and machine.id in by_machine
        ],
    )


def of_shift(start: datetime, machines: Sequence[Machine], found: Sequence[Recorded], reasons: Reasons) -> list[KpiRow]:
    """Return the figures of each machine's shift that begins at `start`, as its own report by shifts tells them."""
    shifts: dict[UUID, dict[tuple[date, Text], list[Recorded]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        shifts[one.equipment_id][one.day, one.shift].append(one)
    rows = []
    for machine in machines:
        for (day, shift), some in shifts[machine.id].items():
            if min(one.start for one in some) == start:
                rows.append(_row(Period(day, day, shift), some, {machine.id: machine.name}, reasons, machine))
    return rows


def _of_shift(_: Question, one: Recorded) -> Period:
    return Period(one.day, one.day, one.shift)


def _of_day(_: Question, one: Recorded) -> Period:
    return Period(one.day, one.day, Text("", ""))


def _of_week(question: Question, one: Recorded) -> Period:
    """Weeks begin on Monday (ISO 8601)."""
    monday = one.day - timedelta(days=one.day.weekday())
    return _clipped(question, monday, monday + timedelta(days=6))


def _of_month(question: Question, one: Recorded) -> Period:
    first = one.day.replace(day=1)
    return _clipped(question, first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def _of_all(question: Question, _: Recorded) -> Period:
    return Period(question.first, question.last, Text("", ""))


def _clipped(question: Question, first: date, last: date) -> Period:
    return Period(max(first, question.first), min(last, question.last), Text("", ""))


_PERIODS: Mapping[Granularity, Callable[[Question, Recorded], Period]] = {
    "shift": _of_shift,
    "day": _of_day,
    "week": _of_week,
    "month": _of_month,
    "total": _of_all,
}


def _by_machine(found: Sequence[Recorded]) -> dict[UUID, ShiftRecord]:
    """Return, for each machine, the union of its records."""
    grouped: dict[UUID, list[ShiftRecord]] = defaultdict(list)
    for one in found:
        grouped[one.equipment_id].append(one.record)
    return {machine: union(records) for machine, records in grouped.items()}


def _row(
    period: Period,
    found: Sequence[Recorded],
    names: Mapping[UUID, str],
    reasons: Reasons,
    machine: Machine | None = None,
) -> KpiRow:
    sums = _by_machine(found)
    whole = union(list(sums.values()))
    pieces = made(sums.values())
    times = asdict(whole.times) | {"planned_busy": whole.times.planned_busy}
    return KpiRow(
        first_day=period.first,
        last_day=period.last,
        shift_en=period.shift.en,
        shift_zh=period.shift.zh,
        start=min(one.start for one in found),
        until=max(one.until for one in found),
        equipment_id=machine.id if machine else None,
        equipment=machine.name if machine else "",
        seconds={name: value / 1e6 for name, value in times.items() if name != "failures"},
        produced=pieces.produced,
        good=pieces.good,
        scrap=pieces.scrap,
        in_breaks=whole.beside,
        in_silence=pieces.in_silence,
        kpis=_values(sums, names),
        losses=_losses(whole, reasons),
    )


def _sum(known: float | None, late: float) -> float | None:
    # Shares of a piece are a means of computing; together they are whole again.
    return None if known is None else round(known + late, 6)


def _values(sums: Mapping[UUID, ShiftRecord], names: Mapping[UUID, str]) -> dict[str, KpiValue]:
    """Return every KPI of the union of the machines that have all it needs; the others are named with what they lack."""
    unions: dict[frozenset[UUID], ShiftRecord] = {}
    found = {}
    for code, kpi in KPIS.items():
        lacking = {machine: reason for machine, record in sums.items() if (reason := missing(kpi, record))}
        inside = frozenset(sums.keys() - lacking.keys())
        if inside not in unions:
            unions[inside] = union([record for machine, record in sums.items() if machine in inside])
        found[code] = _value(kpi, unions[inside], lacking, names, none_left=bool(lacking) and not inside)
    return found


def _value(
    kpi: Kpi, whole: ShiftRecord, lacking: Mapping[UUID, Text], names: Mapping[UUID, str], *, none_left: bool
) -> KpiValue:
    figure = kpi.compute(whole)
    reason = figure.reason
    if none_left:
        figure, reason = figure._replace(value=None, warning=None), next(iter(lacking.values()))
    warning = figure.warning
    return KpiValue(
        code=kpi.code,
        name_en=kpi.name.en,
        name_zh=kpi.name.zh,
        value=figure.value,
        unit=kpi.unit,
        per=kpi.per,
        formula=kpi.formula,
        reason_en=reason.en if reason else "",
        reason_zh=reason.zh if reason else "",
        warning_en=warning.en if warning else "",
        warning_zh=warning.zh if warning else "",
        completeness=completeness(whole),
        inputs=[
            KpiInput(
                symbol=symbol,
                name_en=INPUTS[symbol].name.en,
                name_zh=INPUTS[symbol].name.zh,
                value=INPUTS[symbol].amount(whole),
                unit=INPUTS[symbol].unit,
            )
            for symbol in kpi.inputs
        ],
        sources=sorted(whole.sources),
        left_out=[
            LeftOut(equipment_id=machine, equipment=names.get(machine, ""), reason_en=why.en, reason_zh=why.zh)
            for machine, why in lacking.items()
        ],
    )


def _losses(record: ShiftRecord, reasons: Reasons) -> list[Loss]:
    """Return what time was lost for, the most first."""
    found = []
    for key, (length, stops) in record.losses.items():
        name = ELEMENTS.get(key) or reasons.name.get(key)
        if name is None:
            continue
        found.append(
            Loss(
                reason_id=None if key in ELEMENTS else UUID(key),
                element=reasons.loss.get(key, key),
                name_en=name.en,
                name_zh=name.zh,
                seconds=length / 1e6,
                stops=stops,
            )
        )
    return sorted(found, key=lambda loss: -loss.seconds)
