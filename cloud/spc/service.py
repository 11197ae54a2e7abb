"""The door of process control.

chart = await spc.chart(scope, series_id, start, end)     -> ControlChart by the point's plan
shares = await spc.shares(scope, equipment_id, start, end) -> ShareChart of rejected parts, by hour or day
plan = await spc.set_plan(principal, series_id, request)   a new version of a point's plan
found = sampling(query)                                    -> Sampling, a plan of ISO 2859-1
lot = await spc.add_lot(principal, request)                accepted or not; `lots` says how the next is inspected
limits = await spc.frozen(scope)                           -> dict[int, FrozenLimits] by series, for whoever watches values come
ControlWatch(limits[series], charts).add(value)            whether a chart signals at the point that this value completes
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isfinite
from typing import NamedTuple
from uuid import UUID

import numpy as np
from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.quality.service import Quality
from cloud.spc import charts, store
from cloud.spc.capability import capability
from cloud.spc.sampling import AQLS, SamplingPlan, acceptance, plan, severity_after
from cloud.spc.schemas import (
    Capability,
    ControlChart,
    ControlPlan,
    Line,
    Lot,
    LotRequest,
    Lots,
    PlanRequest,
    Sampling,
    SamplingQuery,
    ShareChart,
    Signal,
)
from cloud.spc.watch import Chart, ControlWatch, FrozenLimits
from cloud.telemetry.schemas import Reading
from cloud.telemetry.service import Telemetry
from protocols.text import Text

__all__ = ["Chart", "ControlWatch", "FrozenLimits", "Spc", "sampling"]

MOST_READINGS = 50_000
MOST_POINTS = 2_000
"""Points of a chart; of more, nobody sees any."""
RELATED = 0.5
_BY_HOUR = timedelta(days=4)
_LOTS = 100

_TOO_MANY = Text(
    f"There are more than {MOST_READINGS:,} readings in this time; choose a shorter one.",
    f"该时段内读数超过 {MOST_READINGS:,} 个，请缩短时段。",
)
_STOPPED = Text(
    "Five lots were not accepted under tightened inspection: it is discontinued until the supplier has improved (ISO 2859-1, 9.4)."
    " Start again under another product name once that is so.",
    "加严检验下累计五批不接收：暂停检验，直至供方改进(GB/T 2828.1 第 9.4 条)。改进后请以新的产品名称重新开始。",
)
_LOT_TAKEN = Text("This lot has been sampled already.", "该批次已抽检。")


def sampling(query: SamplingQuery) -> Sampling:
    """Return the plan for a lot, with what it does to lots of the AQL and worse."""
    found = plan(query.lot_size, query.level, query.aql, query.severity)
    return Sampling(
        letter=found.letter,
        size=found.size,
        accept=found.accept,
        reject=found.reject,
        severity=query.severity,
        at_aql=acceptance(found, query.aql / 100),
        half=_share_at(found, 0.5),
        tenth=_share_at(found, 0.1),
    )


class _Data(NamedTuple):
    """Good numbers with their times, and how many readings there were."""

    times: list[datetime]
    values: list[float]
    seen: int


class Spc:
    """Process control of a tenant."""

    def __init__(self, db: Database, telemetry: Telemetry, quality: Quality) -> None:
        self._db = db
        self._telemetry = telemetry
        self._quality = quality
        self._frozen: dict[tuple[UUID, int, int], charts.Baseline | None] = {}

    async def plans(self, scope: TenantScope) -> list[ControlPlan]:
        """Return the plans in force."""
        async with self._db.tenant(scope) as connection:
            return [ControlPlan(**row) for row in await store.select_plans(connection)]

    async def versions(self, scope: TenantScope, series_id: int) -> list[ControlPlan]:
        """Return every version of a point's plan, newest first; raises NotFound for a point that is not there."""
        await self._equipment_of(scope, series_id)
        async with self._db.tenant(scope) as connection:
            return [ControlPlan(**row) for row in await store.select_plans(connection, series_id, latest=False)]

    async def set_plan(self, principal: Principal, series_id: int, request: PlanRequest) -> ControlPlan:
        """Put a new version of a point's plan into force; raises NotFound."""
        equipment = await self._equipment_of(principal.scope, series_id)
        row = request.model_dump() | {"series_id": series_id, "equipment_id": equipment, "created_by": principal.actor}
        async with self._db.tenant(principal.scope) as connection:
            await store.lock(connection, f"plans of {series_id}")
            await store.insert_plan(connection, row)
            stored = ControlPlan(**(await store.select_plans(connection, series_id))[0])
            after = request.model_dump(mode="json")
            await audit.record(connection, principal.actor, "control_plan.set", str(series_id), after=after)
        return stored

    async def chart(self, scope: TenantScope, series_id: int, start: datetime, end: datetime) -> ControlChart:
        """Return the chart of a point in [start, end); raises NotFound, Invalid for too many readings."""
        await self._equipment_of(scope, series_id)
        async with self._db.tenant(scope) as connection:
            rows = await store.select_plans(connection, series_id)
        plan_ = (
            ControlPlan(**rows[0])
            if rows
            else ControlPlan(series_id=series_id, version=0, subgroup=5, created_by="", created_at=None)
        )
        data = await self._values(scope, series_id, start, end)
        base = await self._baseline(scope, plan_)
        return _chart(
            ControlChart(series_id=series_id, start=start, end=end, plan=plan_, readings=0, unused=0), data, base
        )

    async def frozen(self, scope: TenantScope) -> dict[int, FrozenLimits]:
        """Return the limits of the points whose plan in force froze them, by series.

        What a plan's version froze is reckoned once: late readings do not move limits that people have put into force.
        """
        found: dict[int, FrozenLimits] = {}
        for plan_ in await self.plans(scope):
            key = (scope.tenant_id, plan_.series_id, plan_.version)
            if key not in self._frozen and plan_.baseline_start and plan_.baseline_end:
                try:
                    base = await self._baseline(scope, plan_)
                except Invalid:  # more readings than a chart shows: its page says so
                    base = None
                self._frozen[key] = base if base and base.sigma > 0 else None
            if base := self._frozen.get(key):
                found[plan_.series_id] = FrozenLimits(plan_.version, plan_.subgroup, base)
        return found

    async def _baseline(self, scope: TenantScope, plan_: ControlPlan) -> charts.Baseline | None:
        """Return what the span that a plan froze says; None without one, or where too little was read in it."""
        if not plan_.baseline_start or not plan_.baseline_end:
            return None
        before = (await self._values(scope, plan_.series_id, plan_.baseline_start, plan_.baseline_end)).values
        return charts.baseline(charts.subgroups(before, plan_.subgroup)) if len(before) > plan_.subgroup else None

    async def shares(
        self,
        scope: TenantScope,
        equipment_id: UUID | None,
        start: datetime,
        end: datetime,
        *,
        kind: charts.Counts = "p",
    ) -> ShareChart:
        """Return the chart of rejected parts of a station, or all: by hour, above four days by day (UTC)."""
        summary = await self._quality.summary(scope, start, end, equipment_id)
        counted: dict[datetime, list[int]] = {}
        for hour in summary.hours:
            at = hour.hour if end - start <= _BY_HOUR else hour.hour.replace(hour=0)
            held = counted.setdefault(at, [0, 0])
            held[0] += hour.reject
            held[1] += hour.total
        counted = {at: held for at, held in counted.items() if held[1]}
        hits, parts = [held[0] for held in counted.values()], [held[1] for held in counted.values()]
        found = charts.counted(kind, hits, parts) if parts else None
        return ShareChart(
            kind=kind,
            times=list(counted),
            parts=parts,
            shares=found.values.tolist() if found else [],
            centre=sum(hits) / sum(parts) if parts else None,
            centres=found.centre.tolist() if found else [],
            lower=found.lower.tolist() if found else [],
            upper=found.upper.tolist() if found else [],
            signals=[Signal(index=one.at, rule=one.rule, chart="values") for one in found.signals] if found else [],
        )

    async def add_lot(self, principal: Principal, request: LotRequest) -> Lot:
        """Judge a lot by its sample, as severely as the lots before call for; raises Invalid, Conflict."""
        if request.aql not in AQLS:
            listed = ", ".join(f"{aql:g}" for aql in AQLS)
            raise Invalid(Text(f"The AQL is one of {listed}.", f"AQL 须为 {listed} 之一。"))
        async with self._db.tenant(principal.scope) as connection:
            await store.lock(connection, f"lots of {request.product}")
            before = await store.select_lots(connection, request.product, _LOTS)
            state = severity_after([row["accepted"] for row in reversed(before)])
            if state == "discontinued":
                raise Conflict(_STOPPED)
            found = plan(request.lot_size, request.level, request.aql, state)
            if request.found > found.size:
                raise Invalid(
                    Text(
                        f"The sample has {found.size} parts; {request.found} of them cannot be nonconforming.",
                        f"样本量为 {found.size}，不合格数不能为 {request.found}。",
                    )
                )
            row = request.model_dump() | {
                "id": uuid7(),
                "severity": state,
                "sample_size": found.size,
                "accept": found.accept,
                "accepted": request.found <= found.accept,
                "sampled_by": principal.actor,
            }
            try:
                lot = Lot(**await store.insert_lot(connection, row))
            except store.Taken as error:
                raise Conflict(_LOT_TAKEN) from error
            await audit.record(
                connection, principal.actor, "lot.sample", lot.lot, product=lot.product, accepted=lot.accepted
            )
        return lot

    async def lots(self, scope: TenantScope, product: str) -> Lots:
        """Return a product's latest 100 lots and how the next one is inspected."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_lots(connection, product, _LOTS)
        return Lots(
            items=[Lot(**row) for row in rows], next=severity_after([row["accepted"] for row in reversed(rows)])
        )

    async def products(self, scope: TenantScope) -> list[str]:
        """Return the products that had lots, at most 500."""
        async with self._db.tenant(scope) as connection:
            return await store.select_products(connection, 500)

    async def _equipment_of(self, scope: TenantScope, series_id: int) -> UUID:
        for point in await self._telemetry.points(scope):
            if point.series_id == series_id:
                return point.equipment_id
        raise NotFound

    async def _values(self, scope: TenantScope, series_id: int, start: datetime, end: datetime) -> _Data:
        """Return the good numbers in [start, end)."""
        readings: list[Reading] = []
        after = None
        while True:
            page = await self._telemetry.readings(scope, series_id, start, end, after=after, limit=10_000)
            readings += page.items
            if page.next is None:
                break
            if len(readings) > MOST_READINGS:
                raise Invalid(_TOO_MANY)
            after = page.next
        good = [
            (each.time, float(each.value))
            for each in readings
            if each.quality >= 0 and isinstance(each.value, int | float) and isfinite(each.value)
        ]
        return _Data([time for time, _ in good], [value for _, value in good], len(readings))


def _chart(chart: ControlChart, data: _Data, base: charts.Baseline | None) -> ControlChart:
    """Fill in the chart of `data`; without a baseline its limits rest on what is shown."""
    plan_, size = chart.plan, chart.plan.subgroup
    whole = len(data.values) // size
    groups = charts.subgroups(data.values, size)[-MOST_POINTS:]
    used = data.values[: whole * size][-MOST_POINTS * size :]
    ends = list(data.times[size - 1 :: size])[:whole][-MOST_POINTS:]
    base = base or charts.baseline(groups)
    chart.readings, chart.unused = len(data.values), data.seen - len(used)
    if len(groups) < 2 or not base.sigma > 0:
        return chart
    means, ranges = groups.mean(axis=1), charts.spreads(groups)
    lower, upper = charts.mean_limits(base, size)
    centre_r, lower_r, upper_r = charts.spread_limits(base, size)
    z = (means - base.centre) / (base.sigma / np.sqrt(size))
    up, down, drifts = charts.cusum(z.tolist())
    found = [Signal(index=one.at, rule=one.rule, chart="values") for one in charts.signals(z.tolist())]
    found += [
        Signal(index=index, rule="beyond", chart="ranges")
        for index, each in enumerate(ranges)
        if each > upper_r or each < lower_r
    ]
    found += [Signal(index=one.at, rule="cusum", chart="cusum") for one in drifts]
    averages, away, wandered = charts.ewma(z.tolist())
    found += [Signal(index=one.at, rule="ewma", chart="ewma") for one in wandered]
    of_mean = base.sigma / np.sqrt(size)
    chart.ewma, chart.ewma_away = (base.centre + of_mean * averages).tolist(), (of_mean * away).tolist()
    chart.spread = "deviation" if size > charts.RANGE_UP_TO else "range"
    chart.times, chart.values = ends, means.tolist()
    chart.ranges = [None if np.isnan(each) else float(each) for each in ranges]
    chart.up, chart.down = up.tolist(), down.tolist()
    chart.value_line = Line(centre=base.centre, lower=lower, upper=upper)
    chart.range_line = Line(centre=centre_r, lower=lower_r, upper=upper_r)
    chart.signals, chart.stable = found, not found
    chart.related = charts.autocorrelation(means.tolist()) > RELATED
    index = capability(np.asarray(used), base, plan_.lower_limit, plan_.upper_limit)
    chart.capability = index and Capability(**index._asdict())
    return chart


def _share_at(found: SamplingPlan, wanted: float) -> float:
    """Return the share of nonconforming parts at which a lot is accepted with this probability."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if acceptance(found, middle) > wanted else (low, middle)
    return (low + high) / 2
