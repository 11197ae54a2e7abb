"""Tries a rule on what is stored: how often it would have been raised, by the same steps as the evaluation."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta

from cloud.alarms.condition_kinds import AgentHealth, RejectRate
from cloud.alarms.conditions import NORMAL
from cloud.alarms.raising import moment
from cloud.alarms.schemas import BackTestResult, Occurrence, RuleRequest
from cloud.alarms.sources import Plant, Source, track_of
from cloud.alarms.track import AnyTrack, StaleTrack, Transition, steps
from cloud.core.db import Database
from cloud.core.errors import Invalid
from cloud.core.principal import TenantScope
from cloud.telemetry.service import Readings, Telemetry
from protocols.text import Text

MAX_SOURCES = 50
MAX_READINGS = 2_000_000
"""Of all sources together; a trial that would read more tries fewer sources."""

LISTED = 500
"""Occurrences an answer has, the last ones."""

_PAGE = 50_000


async def back_test(
    db: Database, telemetry: Telemetry, scope: TenantScope, *, rule: RuleRequest, plant: Plant, days: int
) -> BackTestResult:
    """Return what `rule` would have done in the last `days` days; raises Invalid for kinds that are not on stored values."""
    if isinstance(rule.condition, AgentHealth | RejectRate):
        raise Invalid(
            Text(
                "Only rules on values, KPIs and energy can be tried on what is stored.",
                "只有针对数据点、KPI 与能源指标的规则可以用历史数据试算。",
            )
        )
    end = datetime.now(UTC)
    start = end - timedelta(days=days)
    sources = [source for source in plant.sources(rule) if source.series_id is not None]
    found: list[Occurrence] = []
    read = tried = 0
    for source in sources[:MAX_SOURCES]:
        if read >= MAX_READINGS:
            break
        tried += 1
        track = track_of(rule, source)
        moves, count = await _replay(db, telemetry, scope, track=track, source=source, start=start, end=end)
        read += count
        found += occurrences(source, moves)
    found.sort(key=lambda one: one.start)
    return BackTestResult(
        start=start,
        end=end,
        sources=tried,
        left_out=len(sources) - tried,
        readings=read,
        raised=len(found),
        active_s=sum(((one.end or end) - one.start).total_seconds() for one in found),
        occurrences=found[-LISTED:],
    )


async def _replay(
    db: Database,
    telemetry: Telemetry,
    scope: TenantScope,
    *,
    track: AnyTrack,
    source: Source,
    start: datetime,
    end: datetime,
) -> tuple[list[Transition], int]:
    """Return what comes of the stored readings of a source, and how many there are."""
    assert source.series_id is not None  # noqa: S101 - chosen so by the caller
    moves: list[Transition] = []
    read, after = 0, start
    while True:
        async with db.tenant(scope) as connection:
            page = await telemetry.feed.between(connection, source.series_id, after, end, _PAGE)
        moves += await asyncio.to_thread(_take, track, page)
        read += len(page)
        if len(page) < _PAGE:
            return moves + track.advance(int(end.timestamp() * 1e6)), read
        after = moment(int(page.time[-1]) + 1)


def _take(track: AnyTrack, page: Readings) -> list[Transition]:
    usable = page.quality >= 0
    if not isinstance(track, StaleTrack):
        return steps(track, page.time, page.value, usable)
    moves: list[Transition] = []
    for time, value in zip(page.time[usable].tolist(), page.value[usable].tolist(), strict=True):
        moves += track.advance(time)  # what the evaluation does every few seconds
        moves += track.step(time, value, True)
    return moves


def occurrences(source: Source, moves: list[Transition]) -> list[Occurrence]:
    """Return the times from leaving normal to being back, each with its outermost level."""
    found: list[Occurrence] = []
    for made in moves:
        if made.before == NORMAL:
            found.append(
                Occurrence(
                    series_id=source.series_id,
                    source=source.place,
                    level=made.after,
                    start=moment(made.time_us),
                    end=None,
                    value=made.value if math.isfinite(made.value) else None,
                )
            )
        elif made.after == NORMAL:
            found[-1].end = moment(made.time_us)
        elif made.raises:
            found[-1].level = made.after
    return found
