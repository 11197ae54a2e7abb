"""The KPIs of ISO 22400-2, each a pure function of a `ShiftRecord`: the only place where any of them is computed.

Formulas after the ISO 22400-2 ontology (hsu-aut/IndustrialStandard-ODP-ISO22400-2) and OPC 40501-1 Annex C.2; how machine
states become time elements is in `time_elements`. Three rules beyond the standard's text:

* PBT is taken without the time in which the machine's state is not known, and quantities without what was made in it; how
  much that is, `completeness` says.
* Pieces of several items are weighed by their PRI, since a bolt and a gearbox cannot be added: quality rate is
  PRI x GQ / (PRI x PQ), which for one item is GQ / PQ. So OEE = availability x effectiveness x quality rate
  = PRI x GQ / PBT holds for every set of machines and shifts.
* No value is capped. An effectiveness above 1 is given as it is, with a warning that PRI is too large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from cloud.production.record import ShiftRecord
from cloud.production.sources import PROBLEMS
from protocols.text import Text

HOUR_US = 3_600_000_000
Need = Literal["state", "count", "quality", "run_time", "inspection"]

_NOT_PLANNED = Text("no busy time is planned", "没有计划忙碌时间")
_NOT_HEARD = Text("the machine was not heard of in any of the planned time", "计划时间内始终没有收到设备数据")
_DID_NOT_RUN = Text("the machine did not run", "设备没有运行")
_NOTHING_MADE = Text("nothing was made", "没有产出")
NO_RUN_TIME = Text(
    "no planned run time per item (PRI) is set for what was made; set the ideal cycle in the settings",
    "未设置该产品的单件计划运行时间（PRI）；请在设置中填写理想节拍",
)
_NO_INSPECTION = Text("no parts were inspected", "没有检测记录")
_NO_FAILURE = Text("there was no failure", "期间没有发生故障")
_RUN_TIME_TOO_LARGE = Text(
    "above 100 %: the planned run time per item (PRI) is too large; make it shorter in the settings",
    "超过 100 %：单件计划运行时间（PRI）设置过大，请在设置中调小",
)
_COUNTERS_DISAGREE = Text(
    "the counters disagree: more good parts than parts; check what the points count",
    "计数不一致：良品数多于总数，请检查各点的计数含义",
)


class Figure(NamedTuple):
    """A value, or the reason why there is none; `warning` says what is odd about a value."""

    value: float | None
    reason: Text | None = None
    warning: Text | None = None


class Input(NamedTuple):
    """An amount KPIs are made of."""

    name: Text
    unit: str
    amount: Callable[[ShiftRecord], float | None]


def _seconds(pick: Callable[[ShiftRecord], float]) -> Callable[[ShiftRecord], float | None]:
    return lambda record: pick(record) / 1e6


def delay(record: ShiftRecord) -> int:
    """Return ADET, actual unit delay time, in microseconds."""
    return record.times.failure + record.times.micro_stop + record.times.delay


def busy(record: ShiftRecord) -> int:
    """Return AUBT, actual unit busy time, in microseconds: production, setup and delay."""
    return record.times.producing + record.times.setup + delay(record)


INPUTS: Mapping[str, Input] = MappingProxyType(
    {
        "PBT": Input(Text("Planned busy time", "计划忙碌时间"), "SEC", _seconds(lambda r: r.times.known_busy)),
        "APT": Input(Text("Actual production time", "实际生产时间"), "SEC", _seconds(lambda r: r.times.producing)),
        "AUST": Input(Text("Actual unit setup time", "实际调试时间"), "SEC", _seconds(lambda r: r.times.setup)),
        "ADET": Input(Text("Actual unit delay time", "实际延误时间"), "SEC", _seconds(delay)),
        "ADOT": Input(Text("Actual unit down time", "实际停产时间"), "SEC", _seconds(lambda r: r.times.no_order)),
        "AUBT": Input(Text("Actual unit busy time", "实际忙碌时间"), "SEC", _seconds(busy)),
        "PQ": Input(Text("Produced quantity", "产量"), "C62", lambda r: r.total),
        "GQ": Input(Text("Good quantity", "良品数"), "C62", lambda r: r.good),
        "SQ": Input(Text("Scrap quantity", "报废数"), "C62", lambda r: r.scrap),
        "PRI x PQ": Input(
            Text("Planned run time of what was made", "产量对应的计划运行时间"),
            "SEC",
            _seconds(lambda r: r.ideal_total),
        ),
        "PRI x GQ": Input(
            Text("Planned run time of the good parts", "良品对应的计划运行时间"),
            "SEC",
            _seconds(lambda r: r.ideal_good),
        ),
        "IP": Input(Text("Inspected parts", "检测件数"), "C62", lambda r: r.inspected),
        "GP": Input(Text("Good parts at the first pass", "一次合格件数"), "C62", lambda r: r.passed_first),
        "FE": Input(Text("Failures", "故障次数"), "C62", lambda r: r.times.failures),
        "TTR": Input(Text("Time in failure", "故障时间"), "SEC", _seconds(lambda r: r.times.failure)),
    }
)


def completeness(record: ShiftRecord) -> float | None:
    """Return the share of planned busy time in which the machine's state was known; None where none was planned."""
    planned = record.times.planned_busy
    return record.times.known_busy / planned if planned else None


def availability(record: ShiftRecord) -> Figure:
    """Return APT / PBT."""
    return _over_planned(record, record.times.producing)


def effectiveness(record: ShiftRecord) -> Figure:
    """Return PRI x PQ / APT. Above 1, PRI is too large."""
    if record.unrated:
        return Figure(None, NO_RUN_TIME)
    figure = _ratio(record.ideal_total, record.times.producing, _DID_NOT_RUN)
    return figure._replace(warning=_too_fast(figure.value))


def quality_rate(record: ShiftRecord) -> Figure:
    """Return GQ / PQ, weighed by PRI where it is set for everything made."""
    total, good = record.total or 0.0, record.good or 0.0
    if good > total:
        return Figure(None, _COUNTERS_DISAGREE)
    if record.unrated or not record.ideal_total:
        return _ratio(good, total, _NOTHING_MADE)
    return _ratio(record.ideal_good, record.ideal_total, _NOTHING_MADE)


def oee_index(record: ShiftRecord) -> Figure:
    """Return availability x effectiveness x quality rate = PRI x GQ / PBT."""
    if record.unrated:
        return Figure(None, NO_RUN_TIME)
    if (record.good or 0.0) > (record.total or 0.0):
        return Figure(None, _COUNTERS_DISAGREE)
    figure = _over_planned(record, record.ideal_good)
    return figure._replace(warning=_too_fast(effectiveness(record).value))


def net_equipment_effectiveness(record: ShiftRecord) -> Figure:
    """Return NEE, (APT + AUST) / PBT x effectiveness x quality rate: OEE that does not blame setting up."""
    speed, quality = effectiveness(record), quality_rate(record)
    available = _over_planned(record, record.times.producing + record.times.setup)
    for figure in (available, speed, quality):
        if figure.value is None:
            return Figure(None, figure.reason)
    return Figure((available.value or 0) * (speed.value or 0) * (quality.value or 0), warning=speed.warning)


def allocation_efficiency(record: ShiftRecord) -> Figure:
    """Return AUBT / PBT."""
    return _over_planned(record, busy(record))


def utilization_efficiency(record: ShiftRecord) -> Figure:
    """Return APT / AUBT."""
    return _ratio(record.times.producing, busy(record), _DID_NOT_RUN)


def technical_efficiency(record: ShiftRecord) -> Figure:
    """Return APT / (APT + ADET)."""
    return _ratio(record.times.producing, record.times.producing + delay(record), _DID_NOT_RUN)


def setup_rate(record: ShiftRecord) -> Figure:
    """Return AUST / (APT + AUST)."""
    return _ratio(record.times.setup, record.times.producing + record.times.setup, _DID_NOT_RUN)


def throughput_rate(record: ShiftRecord) -> Figure:
    """Return PQ / AOET per hour; AOET, order execution time, is APT + AUST + ADET + ADOT (OPC 40501-1 C.2.3)."""
    execution = busy(record) + record.times.no_order
    return _ratio((record.total or 0.0) * HOUR_US, execution, _DID_NOT_RUN)


def scrap_ratio(record: ShiftRecord) -> Figure:
    """Return SQ / PQ."""
    return _ratio(record.scrap or 0.0, record.total or 0.0, _NOTHING_MADE)


def first_pass_yield(record: ShiftRecord) -> Figure:
    """Return GP / IP: parts that were good when first inspected."""
    return _ratio(record.passed_first, record.inspected, _NO_INSPECTION)


def operating_time_between_failures(record: ShiftRecord) -> Figure:
    """Return APT / FE, in seconds."""
    return _ratio(record.times.producing / 1e6, record.times.failures, _NO_FAILURE)


def time_to_restore(record: ShiftRecord) -> Figure:
    """Return the time in failure per failure, in seconds."""
    return _ratio(record.times.failure / 1e6, record.times.failures, _NO_FAILURE)


@dataclass(frozen=True)
class Kpi:
    """A KPI: what it is called, its formula in the names of INPUTS, its unit (UN/ECE Rec 20), and what it cannot do without.

    `per` is the unit a rate is per.
    """

    code: str
    name: Text
    formula: str
    unit: str
    inputs: tuple[str, ...]
    needs: tuple[Need, ...]
    compute: Callable[[ShiftRecord], Figure]
    per: str = ""


KPIS: Mapping[str, Kpi] = MappingProxyType(
    {
        kpi.code: kpi
        for kpi in (
            Kpi("oee", Text("OEE index", "设备综合效率 OEE"), "PRI x GQ / PBT", "C62", ("PRI x GQ", "PBT"),
                ("state", "count", "quality", "run_time"), oee_index),
            Kpi("availability", Text("Availability", "时间利用率"), "APT / PBT", "C62", ("APT", "PBT"),
                ("state",), availability),
            Kpi("effectiveness", Text("Effectiveness", "性能利用率"), "PRI x PQ / APT", "C62", ("PRI x PQ", "APT"),
                ("state", "count", "run_time"), effectiveness),
            Kpi("quality_rate", Text("Quality rate", "合格率"), "GQ / PQ", "C62", ("GQ", "PQ"),
                ("count", "quality"), quality_rate),
            Kpi("nee", Text("Net equipment effectiveness", "设备净效率 NEE"),
                "(APT + AUST) x PRI x GQ / (PBT x APT)", "C62", ("APT", "AUST", "PRI x GQ", "PBT"),
                ("state", "count", "quality", "run_time"), net_equipment_effectiveness),
            Kpi("allocation_efficiency", Text("Allocation efficiency", "分配效率"), "AUBT / PBT", "C62",
                ("AUBT", "PBT"), ("state",), allocation_efficiency),
            Kpi("utilization_efficiency", Text("Utilisation efficiency", "利用效率"), "APT / AUBT", "C62",
                ("APT", "AUBT"), ("state",), utilization_efficiency),
            Kpi("technical_efficiency", Text("Technical efficiency", "技术效率"), "APT / (APT + ADET)", "C62",
                ("APT", "ADET"), ("state",), technical_efficiency),
            Kpi("setup_rate", Text("Setup rate", "调试占比"), "AUST / (APT + AUST)", "C62", ("AUST", "APT"),
                ("state",), setup_rate),
            Kpi("throughput_rate", Text("Throughput rate", "产出率"), "PQ / (AUBT + ADOT)", "C62",
                ("PQ", "AUBT", "ADOT"), ("state", "count"), throughput_rate, per="HUR"),
            Kpi("scrap_ratio", Text("Scrap ratio", "报废率"), "SQ / PQ", "C62", ("SQ", "PQ"),
                ("count", "quality"), scrap_ratio),
            Kpi("first_pass_yield", Text("First pass yield", "一次合格率"), "GP / IP", "C62", ("GP", "IP"),
                ("inspection",), first_pass_yield),
            Kpi("time_between_failures", Text("Operating time between failures", "平均故障间隔运行时间"), "APT / FE", "SEC",
                ("APT", "FE"), ("state",), operating_time_between_failures),
            Kpi("time_to_restore", Text("Mean time to restore", "平均修复时间"), "TTR / FE", "SEC", ("TTR", "FE"),
                ("state",), time_to_restore),
        )
    }
)  # fmt: skip


def missing(kpi: Kpi, record: ShiftRecord) -> Text | None:
    """Return what a machine lacks for `kpi`, in words; None if it has all that is needed."""
    for need in kpi.needs:
        lacking = _LACKING[need] & record.problems
        if lacking:
            return PROBLEMS[min(lacking)]
        if need == "run_time" and record.unrated:
            return NO_RUN_TIME
    return None


_LACKING: Mapping[Need, frozenset[str]] = MappingProxyType(
    {
        "state": frozenset({"no_state", "several_states"}),
        "count": frozenset({"no_count", "several_counts"}),
        "quality": frozenset({"no_quality", "several_counts"}),
        "run_time": frozenset(),
        "inspection": frozenset(),
    }
)


def _over_planned(record: ShiftRecord, amount: float) -> Figure:
    if record.times.planned_busy == 0:
        return Figure(None, _NOT_PLANNED)
    return _ratio(amount, record.times.known_busy, _NOT_HEARD)


def _ratio(top: float, bottom: float, reason: Text) -> Figure:
    return Figure(top / bottom) if bottom > 0 else Figure(None, reason)


def _too_fast(speed: float | None) -> Text | None:
    return _RUN_TIME_TOO_LARGE if speed is not None and speed > 1 else None
