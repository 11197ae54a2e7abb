"""What rules on energy say of the present: each figure is asked for once a site, however many rules watch it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from cloud.alarms.condition_kinds import EnergyLimit
from cloud.alarms.conditions import NORMAL, judge_of
from cloud.alarms.schemas import Present, RuleRequest
from cloud.alarms.sources import Source, why_silent
from cloud.core.errors import NotFound
from cloud.core.principal import TenantScope
from cloud.energy.schemas import Figure
from cloud.energy.service import Energy
from protocols.text import Text

_NO_METER = Text("no meter of electricity measures it", "没有计量其用电的电表")


async def figures_of(
    energy: Energy, scope: TenantScope, watched: Iterable[tuple[EnergyLimit, Source]], now: datetime
) -> list[Figure | None]:
    """Return the figure of each that is watched, in their order; None where there is none of such a place."""
    found: dict[tuple[str, str, UUID], dict[UUID, Figure]] = {}
    answers: list[Figure | None] = []
    for condition, source in watched:
        assert source.site_id is not None  # noqa: S101 - sources of rules on energy name it
        key = condition.figure, condition.day, source.site_id
        if key not in found:
            try:
                found[key] = await energy.watched(scope, condition.figure, source.site_id, now, condition.day)
            except NotFound:  # removed since the plan was made
                found[key] = {}
        answers.append(found[key].get(source.equipment_id or source.site_id))
    return answers


async def usable(
    energy: Energy, scope: TenantScope, watched: Sequence[tuple[EnergyLimit, Source]], now: datetime
) -> list[float | None]:
    """Return the value of each that is watched; None where too little is known."""
    values: list[float | None] = []
    for (condition, source), figure in zip(watched, await figures_of(energy, scope, watched, now), strict=True):
        silent = figure is None or why_silent(condition, figure, now, ZoneInfo(source.zone))
        values.append(None if figure is None or silent else figure.value)
    return values


async def present(
    energy: Energy, scope: TenantScope, rule: RuleRequest, sources: Sequence[Source], now: datetime
) -> list[Present]:
    """Return what a rule makes of each of its sources now, or why it says nothing."""
    condition = rule.condition
    assert isinstance(condition, EnergyLimit)  # noqa: S101 - asked by the caller
    answers = []
    found = await figures_of(energy, scope, [(condition, source) for source in sources], now)
    for source, figure in zip(sources, found, strict=True):
        why = why_silent(condition, figure, now, ZoneInfo(source.zone)) if figure else _NO_METER
        value = figure.value if figure else None
        level = NORMAL if why or value is None else judge_of(rule).level(0, value, NORMAL)
        answers.append(
            Present(
                source=source.place,
                value=value,
                unit=figure.unit if figure else source.unit,
                completeness=figure.completeness if figure else 0.0,
                level=level,
                why_en=why.en if why else "",
                why_zh=why.zh if why else "",
            )
        )
    return answers
