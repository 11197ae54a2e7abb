"""Readings for who must see each of them once, as they are committed: what alarms are made from.

The caller keeps a position and, per series, up to which source time it has read; it does its work in the transaction it
reads in, so that both commit together. A reading is given if it is later than the caller has read of its series.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np

from cloud.core.db import AsyncConnection
from cloud.core.errors import NotFound
from cloud.telemetry.columns import instant
from cloud.telemetry.store import arrays, query
from cloud.telemetry.store.arrays import Readings
from protocols.reading import LATEST_US

__all__ = ["Feed", "Readings", "groups"]


class Feed:
    """What has been committed to the tenant of the running transaction."""

    at_once = 5_000
    """Readings of one series given at once; where there are as many, there may be more."""

    async def begin(self, connection: AsyncConnection, position: int | None) -> int | None:
        """Return `position` if all changes since it are still remembered, else None: anything may have changed."""
        if position is not None and await query.can_resume(connection, position):
            return position
        return None

    async def changes(self, connection: AsyncConnection, position: int | None) -> tuple[int, list[int]]:
        """Return the new position, and the series that changed since `position`; with None only the position."""
        if position is None:
            return await query.select_position(connection), []
        return await query.select_changes(connection, position)

    async def readings(self, connection: AsyncConnection, since: Mapping[int, int], until: datetime) -> Readings:
        """Return the numeric readings of series later than `since` (microseconds) up to `until`, by series and time."""
        return await arrays.select_later(
            connection, list(since), [instant(time) for time in since.values()], until, self.at_once
        )

    async def latest(self, connection: AsyncConnection, series: Collection[int]) -> dict[int, tuple[int, float, int]]:
        """Return (time in microseconds, value, quality) of the newest numeric reading of each series that has one."""
        found = await arrays.select_last_before(connection, list(series), instant(LATEST_US))
        rows = zip(*(column.tolist() for column in found), strict=True)
        return {one: (time, value, quality) for one, time, value, quality in rows}

    async def between(
        self, connection: AsyncConnection, series: int, start: datetime, end: datetime, limit: int
    ) -> Readings:
        """Return the first readings of a series in [start, end): `limit`, or a few more of one instant. Raises NotFound."""
        if not await query.select_series(connection, [series]):
            raise NotFound
        return await arrays.select_numbers(connection, [series], start, end, limit)


class Group(NamedTuple):
    """The readings of one series among many: where they lie, their extremes, and whether all may be used.

    `low` and `high` are NaN where a reading has no value.
    """

    series: int
    place: slice
    low: float
    high: float
    usable: bool


def groups(readings: Readings) -> list[Group]:
    """Return the series in `readings`, which are sorted by series."""
    if not len(readings):
        return []
    starts = np.concatenate([[0], np.flatnonzero(np.diff(readings.series)) + 1])
    ends = np.append(starts[1:], len(readings))
    columns = (
        readings.series[starts],
        starts,
        ends,
        np.minimum.reduceat(readings.value, starts),
        np.maximum.reduceat(readings.value, starts),
        np.logical_and.reduceat(readings.quality >= 0, starts),
    )
    return [
        Group(series, slice(start, end), low, high, usable)
        for series, start, end, low, high, usable in zip(*(column.tolist() for column in columns), strict=True)
    ]
