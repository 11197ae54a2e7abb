"""Takes up the evaluation where it has ended: what the database keeps of where sources stand, and what they begin with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cloud.alarms.conditions import NORMAL
from cloud.alarms.raising import moment
from cloud.alarms.sources import Plan, Watch, track_of
from cloud.alarms.store import alarms as alarm_store
from cloud.alarms.store import rules as store
from cloud.alarms.track import Track, Transition
from cloud.core.db import AsyncConnection

LONGEST_HELD = timedelta(days=1)
"""A value that is older says nothing of the present, even where its agent is heard."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def row_of(watch: Watch) -> store.Row:
    """Return what the database keeps of where a source stands."""
    track = watch.track
    return {
        **{"rule_id": watch.rule.id, "source": watch.source.key, "level": track.level, "wanted": track.wanted},
        **{"since": moment(track.since), "seen": moment(track.seen), "value": track.value},
    }


async def restore(connection: AsyncConnection, plan: Plan) -> tuple[dict[int, int], set[tuple[UUID, str]]]:
    """Put all sources where they stood; returns up to when each series was read, and the sources something was known of.

    The alarm of a source that is not watched any more is over.
    """
    for watch in plan.watches.values():
        watch.track = track_of(watch.rule, watch.source)
    plan.timed = [watch for watch in plan.watches.values() if not isinstance(watch.track, Track)]
    seen = {
        series: (time - _EPOCH) // timedelta(microseconds=1)
        for series, time in (await store.select_seen(connection)).items()
        if series in plan.by_series
    }
    known = set()
    for row in await store.select_tracks(connection):
        found = plan.watches.get((row["rule_id"], row["source"]))
        if found is None:
            for alarm in await alarm_store.close_of_source(connection, row["rule_id"], row["source"]):
                await alarm_store.insert_event(connection, alarm, "returned", NORMAL)
            continue
        known.add(found.key)
        track = found.track
        track.level, track.wanted = row["level"], row["wanted"]
        track.since, track.seen = ((row[name] - _EPOCH) // timedelta(microseconds=1) for name in ("since", "seen"))
        track.value = math.nan if row["value"] is None else row["value"]
        if found.source.series_id is not None and isinstance(track, Track):
            seen[found.source.series_id] = max(seen.get(found.source.series_id, 0), track.seen)
    return seen, known


def prime(
    plan: Plan,
    *,
    known: set[tuple[UUID, str]],
    held: Mapping[int, tuple[int, float, int]],
    seen: dict[int, int],
    is_alive: Callable[[Watch], bool],
    now_us: int,
) -> list[tuple[Watch, Transition]]:
    """Have sources that nothing is known of begin with the value they hold; returns what comes of that.

    `held` is the newest reading of each series: time, value, quality. A series that was never read is read from there on.
    """
    oldest = now_us - LONGEST_HELD // timedelta(microseconds=1)
    for series, (time, _, _) in held.items():
        seen.setdefault(series, min(time, now_us))
    moves: list[tuple[Watch, Transition]] = []
    for watch in plan.watches.values():
        series_id, track = watch.source.series_id, watch.track
        if series_id is None or series_id not in held:
            continue
        time, value, quality = held[series_id]
        if not isinstance(track, Track):
            if track.level == NORMAL:
                track.seen = max(track.seen, min(time, seen[series_id]))
        elif watch.key not in known and oldest < time <= seen[series_id] and is_alive(watch):
            moves += [(watch, made) for made in track.step(time, value, quality >= 0)]
    return moves
