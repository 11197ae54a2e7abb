"""Tries a rule on figures - KPIs of shifts, energy - on the past: each as it would have been told then, by its own function.

A demand is looked at every five minutes, a figure of the day so far every two hours and at the day's end, of the day before
once it is over, and a KPI when its shift is over. Energy per good part of today is looked at when the day is over only, as
parts are not kept by the minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from cloud.alarms.backtest import LISTED, MAX_SOURCES, occurrences
from cloud.alarms.condition_kinds import EnergyLimit, KpiLimit
from cloud.alarms.schemas import BackTestResult, Judged, Occurrence, RuleRequest
from cloud.alarms.sources import Source, figure_of, track_of, why_silent
from cloud.core.errors import NotFound
from cloud.core.principal import TenantScope
from cloud.energy.schemas import Figure
from cloud.energy.service import WATCHED, Energy
from cloud.production.service import Production

_DEMAND_EVERY, _DAY_EVERY = timedelta(minutes=5), timedelta(hours=2)
_LAST_MINUTE = timedelta(minutes=1)


class _Told(NamedTuple):
    at: datetime
    value: float | None


async def replay_figures(  # noqa: PLR0917 - one of each
    energy: Energy,
    production: Production,
    scope: TenantScope,
    rule: RuleRequest,
    sources: Sequence[Source],
    start: datetime,
    end: datetime,
) -> BackTestResult:
    """Return what a rule on KPIs or energy would have done in [start, end) of its first `MAX_SOURCES` sources."""
    tried = sources[:MAX_SOURCES]
    if isinstance(rule.condition, KpiLimit):
        told = await _kpis(production, scope, rule.condition, tried, start, end)
    else:
        told = await _energy(energy, scope, rule, tried, start, end)
    found: list[Occurrence] = []
    for source, figures in zip(tried, told, strict=True):
        track, moves = track_of(rule, source), []
        for at, value in figures:
            us = int(at.timestamp() * 1e6)
            moves += track.advance(us)
            if value is not None:
                moves += track.step(us, value, True)
        found += occurrences(source, moves + track.advance(int(end.timestamp() * 1e6)))
    found.sort(key=lambda one: one.start)
    known = [(source, [one for one in each if one.value is not None]) for source, each in zip(tried, told, strict=True)]
    shown = next((each for each in known if found and each[0].place == found[0].source), None)
    shown = shown or next((each for each in known if each[1]), None)
    return BackTestResult(
        start=start,
        end=end,
        sources=len(tried),
        left_out=len(sources) - len(tried),
        readings=sum(len(each) for _, each in known),
        raised=len(found),
        active_s=sum(((one.end or end) - one.start).total_seconds() for one in found),
        occurrences=found[-LISTED:],
        judged=[Judged(source=shown[0].place, time=at, value=value, unit=shown[0].unit) for at, value in shown[1]]
        if shown
        else [],
    )


async def _kpis(  # noqa: PLR0917 - one of each
    production: Production,
    scope: TenantScope,
    condition: KpiLimit,
    sources: Sequence[Source],
    start: datetime,
    end: datetime,
) -> list[list[_Told]]:
    machines = [source.equipment_id for source in sources if source.equipment_id]
    told: dict[UUID, list[_Told]] = {}
    for machine, over, figures in await production.shifts_over(scope, machines, start, end):
        told.setdefault(machine, []).append(_Told(over, figure_of(condition, figures)))
    return [told.get(source.equipment_id, []) if source.equipment_id else [] for source in sources]


async def _energy(  # noqa: PLR0917 - one of each
    energy: Energy,
    scope: TenantScope,
    rule: RuleRequest,
    sources: Sequence[Source],
    start: datetime,
    end: datetime,
) -> list[list[_Told]]:
    condition = rule.condition
    assert isinstance(condition, EnergyLimit)  # noqa: S101 - asked by the caller
    of_site: dict[UUID, tuple[list[datetime], list[dict[UUID, Figure]]]] = {}
    told = []
    for source in sources:
        assert source.site_id is not None  # noqa: S101 - sources of rules on energy name it
        zone = ZoneInfo(source.zone)
        if source.site_id not in of_site:
            instants = list(_instants(condition, zone, start, end))
            try:
                found = await energy.watched_at(scope, condition.figure, source.site_id, instants, condition.day)
            except NotFound:  # removed meanwhile
                found = [{} for _ in instants]
            of_site[source.site_id] = instants, found
        own = source.equipment_id or source.site_id
        told.append(
            [
                _Told(at, _said(condition, by_id.get(own), at, zone))
                for at, by_id in zip(*of_site[source.site_id], strict=True)
            ]
        )
    return told


def _said(condition: EnergyLimit, figure: Figure | None, at: datetime, zone: ZoneInfo) -> float | None:
    return None if figure is None or why_silent(condition, figure, at, zone) else figure.value


def _instants(condition: EnergyLimit, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield when a figure is looked at, in the order of time."""
    if not WATCHED[condition.figure].of_day:
        step = _DEMAND_EVERY.total_seconds()
        at = datetime.fromtimestamp(-(-start.timestamp() // step) * step, UTC)
        while at < end:
            yield at
            at += _DEMAND_EVERY
        return
    first = start.astimezone(zone).date()
    days = [first + timedelta(days=n) for n in range((end.astimezone(zone).date() - first).days + 2)]
    for begin, over in pairwise(_midnight(day, zone) for day in days):
        looks = [over - _LAST_MINUTE]
        if condition.day == "yesterday":
            looks = [begin + _LAST_MINUTE]
        elif condition.figure != "specific":
            looks = [begin + _DAY_EVERY * n for n in range(1, int((over - begin) / _DAY_EVERY))] + looks
        yield from (at for at in looks if start <= at < end)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
