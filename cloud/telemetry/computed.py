"""Readings that were computed here from stored ones: appended like late ones, each time of a series once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from cloud.core.db import AsyncConnection
from cloud.core.listen import announce
from cloud.telemetry.columns import COPY_HEADER, COPY_TRAILER, MINUTE_US, instant, records_of, weeks_of
from cloud.telemetry.retained import Retained
from cloud.telemetry.store import ingest as store
from protocols.uplink.messages import PointRef


class Computed(NamedTuple):
    """Readings of one point, in the order of time: microseconds since 1970 UTC, values, qualities."""

    time: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.int16]


async def append(
    connection: AsyncConnection,
    retained: Retained,
    target: tuple[UUID, UUID],
    points: Mapping[PointRef, Computed],
) -> int:
    """Append readings of an equipment - `target`: its tenant and it - and return how many were new, within `connection`.

    A time at which a series has a reading already, from whomever, is left as it is. Roll-ups, and weeks in the cold store, follow
    as they do for late readings.
    """
    tenant, equipment = target
    await store.bound_waits(connection)
    await store.lock_computed(connection)
    weeks = {week for computed in points.values() for week in weeks_of(computed.time)}
    await store.ensure_partitions(connection, [instant(week) for week in weeks])
    series = await store.ensure_series(connection, {point.device: equipment for point in points}, list(points))
    pieces, touched, count = [], [], 0
    for point, computed in points.items():
        if not len(computed.time):
            continue
        one = series[point]
        start, end = instant(int(computed.time[0])), instant(int(computed.time[-1]) + 1)
        there = await retained.numbers(connection, [one], start, end, _ALL)
        new = ~np.isin(computed.time, there.time)
        time = computed.time[new]
        ids = np.full(len(time), one, np.int32)
        pieces.append(records_of(ids, time, computed.value[new], computed.quality[new]))
        touched.append(np.stack([time // MINUTE_US, ids], axis=1))
        count += len(time)
    if not count:
        return 0
    await store.copy_numbers(connection, [COPY_HEADER, *pieces, COPY_TRAILER])
    pairs = np.unique(np.concatenate(touched), axis=0)
    await store.insert_changes(connection, pairs[:, 0].tolist(), pairs[:, 1].tolist())
    await store.choose_current(connection, list(series.values()))
    await announce(connection, tenant)
    return count


_ALL = 2**40
