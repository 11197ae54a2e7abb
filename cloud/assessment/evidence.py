"""What the platform knows towards the assessment: each proposal says what it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cloud.assessment.schemas import Answer, Evidence
from cloud.core.principal import TenantScope
from cloud.energy.service import Energy
from cloud.fleet.service import Fleet
from cloud.identity.service import Identity
from cloud.production.schemas import Node
from cloud.production.service import Production
from cloud.quality.service import Quality
from cloud.sharing.service import KPI, Sharing
from cloud.telemetry.service import Telemetry
from protocols.text import Text

_LATELY = timedelta(days=7)
_MONTH = timedelta(days=30)
_YEAR = timedelta(days=365)
_NOT_MACHINES = frozenset({"energy_meter", "sensor", "inspection_station"})
"""Classes of equipment that are no production machines."""
_SAME = 0.001
"""Rates of good parts no further apart than this are the same."""
_SHARED_QUALITY = {f"{KPI}quality_rate", f"{KPI}first_pass_yield"}


@dataclass(frozen=True)
class Doors:
    """Where it is looked for."""

    identity: Identity
    fleet: Fleet
    telemetry: Telemetry
    production: Production
    energy: Energy
    quality: Quality
    sharing: Sharing


@dataclass(frozen=True)
class _Known:
    machines: int
    produces: bool
    meters: int
    inspected: int
    rates: tuple[float | None, float | None]
    suppliers: int
    shares_quality: bool


async def evidence(doors: Doors, scope: TenantScope, machines: int | None) -> list[Evidence]:
    """Return what is known; shares of machines only where `machines`, how many the company has, is told."""
    known = await _look(doors, scope)
    return list(_proposed(known, machines))


async def _look(doors: Doors, scope: TenantScope) -> _Known:
    now = datetime.now(UTC)
    heard = {one.equipment_id for one in await doors.telemetry.latest(scope) if now - one.time < _LATELY}
    equipment = await doors.fleet.equipment_list(scope)
    machines = [
        one for one in equipment if one.id in heard and (one.class_override or one.equipment_class) not in _NOT_MACHINES
    ]
    produces, rates = await _production(doors, scope, now)
    inspected = await doors.quality.summary(scope, now - _MONTH, now)
    grants = [one for one in await doors.sharing.grants(scope) if one.live]
    return _Known(
        machines=len(machines),
        produces=produces,
        meters=len(await doors.energy.registry.meters(scope)),
        inspected=inspected.total,
        rates=rates,
        suppliers=sum(one.side == "leader" for one in grants),
        shares_quality=any(
            one.side == "supplier" and _SHARED_QUALITY & {item.entry for item in one.terms.items} for one in grants
        ),
    )


async def _production(
    doors: Doors, scope: TenantScope, now: datetime
) -> tuple[bool, tuple[float | None, float | None]]:
    """Return whether states of machines are recorded, and the rates of good parts of the year before and of this one."""
    produces, good = False, [[0.0, 0.0], [0.0, 0.0]]
    for site in await doors.identity.sites(scope):
        node = Node(kind="site", id=site.id)
        for place, end in enumerate((now - _YEAR, now)):
            report = await doors.production.kpis(
                scope, node, (end - _YEAR).date() + timedelta(days=1), end.date(), machines=False
            )
            if report.total:
                produces = produces or (place == 1 and report.total.kpis["availability"].value is not None)
                good[place][0] += report.total.good or 0.0
                good[place][1] += report.total.produced or 0.0
    before, after = (parts / made if made else None for parts, made in good)
    return produces, (before, after)


def _proposed(known: _Known, machines: int | None) -> Iterator[Evidence]:
    if known.machines:
        yield _of("network", ["control"], _machines(known))
        if machines:
            share = min(100.0, round(100 * known.machines / machines, 1))
            words = Text(
                f"{known.machines} of {machines} machines report.", f"{machines} 台设备中 {known.machines} 台正在上报。"
            )
            yield _of("connected", share, words)
            yield _of("digitised", share, words)
    collected = {
        "production": known.produces,
        "quality": known.inspected > 0,
        "equipment": known.machines > 0,
        "energy": known.meters > 0,
    }
    if any(collected.values()):
        yield _of(
            "collection",
            [name for name, there in collected.items() if there],
            Text("Collected by gateways of this platform.", "由本平台网关自动采集。"),
        )
    before, after = known.rates
    if before is not None and after is not None:
        trend = "same" if abs(after - before) <= _SAME else "higher" if after > before else "lower"
        words = Text(
            f"Good parts: {100 * before:.2f} % in the year before, {100 * after:.2f} % in this one.",
            f"合格率：上一年 {100 * before:.2f}%，近一年 {100 * after:.2f}%。",
        )
        yield _of("product_quality", trend, words)
    yield from _scenes(known)


def _scenes(known: _Known) -> Iterator[Evidence]:
    if known.machines:
        yield _of("equipment", 3 if known.produces else 2, _machines(known), scene=True)
    if known.produces:
        words = Text("States and counts are recorded, OEE is computed.", "设备状态与产量自动记录，并计算 OEE。")
        yield _of("production", 3, words, scene=True)
    if known.inspected:
        words = Text(
            f"{known.inspected:,} parts were judged by themselves in 30 days.",
            f"近 30 天自动判定 {known.inspected:,} 件。",
        )
        yield _of("quality", 4 if known.shares_quality else 3, words, scene=True)
    if known.meters:
        words = Text(f"{known.meters} meters are read as energy is used.", f"实时采集 {known.meters} 个能源计量点。")
        yield _of("energy", 3, words, scene=True)
    if known.produces and (known.meters or known.inspected):
        yield _of("decisions", 3, Text("Figures stand on one page, live.", "各项指标实时汇总于同一页面。"), scene=True)
    if known.suppliers:
        words = Text(f"{known.suppliers} suppliers share data.", f"已有 {known.suppliers} 家供应商共享数据。")
        yield _of("purchasing", 4, words, scene=True)


def _machines(known: _Known) -> Text:
    return Text(f"{known.machines} machines reported within 7 days.", f"近 7 天有 {known.machines} 台设备上报数据。")


def _of(identity: str, answer: Answer | int, words: Text, *, scene: bool = False) -> Evidence:
    return Evidence(id=identity, scene=scene, answer=answer, words_en=words.en, words_zh=words.zh)
