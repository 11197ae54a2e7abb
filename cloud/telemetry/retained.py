"""Readings wherever they are kept: those in the database and those in files, as if they were one.

A transaction that reads both takes the tenant's lock shared, one that moves readings takes it alone: nobody sees a reading
twice or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from cloud.core.db import AsyncConnection
from cloud.telemetry.cold_store import ColdStore
from cloud.telemetry.columns import COPY_HEADER, COPY_TRAILER, instant, records_of
from cloud.telemetry.store import arrays, query
from cloud.telemetry.store import cold as store
from cloud.telemetry.store import ingest as writing
from protocols.errors import ConfigError
from protocols.text import Text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Retained:
    """Reads both; `cold` None is a cloud without a cold store, for which files that there are none the less are an error."""

    def __init__(self, cold: ColdStore | None) -> None:
        self._cold = cold

    @property
    def cold(self) -> ColdStore:
        """The store of old readings; raises ConfigError if there is none."""
        if self._cold is None:
            raise ConfigError(
                Text(
                    "old readings are in files, and this process has no store of them",
                    "历史数据已归档，但未配置冷数据存储",
                ),
                Text("start it with the --cold-store of the others", "请使用与其他进程相同的 --cold-store 启动"),
                key="--cold-store",
            )
        return self._cold

    async def numbers(
        self, connection: AsyncConnection, series: Sequence[int], start: datetime, end: datetime, limit: int
    ) -> arrays.Readings:
        """Return numeric readings as `arrays.select_numbers` does."""
        files = await self.files(connection, series, start, end)
        found = await arrays.select_numbers(connection, series, start, end, limit)
        if not files:
            return found
        parts, week, seen = [found], files[0].week, 0
        for file in files:
            if file.week > week and seen >= limit:
                break  # what is later than this has no place among the first
            week = file.week
            part = await asyncio.to_thread(self.cold.read, file.name, us(start), us(end))
            seen += len(part)
            parts.append(part)
        return joined(parts, limit)

    async def readings(
        self,
        connection: AsyncConnection,
        series: int,
        start: datetime,
        end: datetime,
        *,
        after: datetime | None,
        limit: int,
    ) -> list[query.Row]:
        """Return readings of one series as `query.select_readings` does."""
        first = start if after is None else max(start, after + timedelta(microseconds=1))
        files = await self.files(connection, [series], first, end)
        rows = await query.select_readings(connection, series, start, end, after=after, limit=limit)
        if not files:
            return rows
        old = joined([await asyncio.to_thread(self.cold.read, file.name, us(first), us(end)) for file in files], limit)
        rows += [
            {"time": instant(time), "number": None if value != value else value, "text": None, "quality": quality}  # noqa: PLR0124 - NaN
            for time, value, quality in zip(old.time.tolist(), old.value.tolist(), old.quality.tolist(), strict=True)
        ]
        rows.sort(key=lambda row: row["time"])
        if len(rows) > limit:
            rows = [row for row in rows if row["time"] <= rows[limit - 1]["time"]]
        return rows

    async def count(
        self, connection: AsyncConnection, series: Sequence[int], start: datetime, end: datetime, limit: int
    ) -> int:
        """Return about the largest number of readings of any of `series`, never too few, counting to `limit` or more."""
        files = await self.files(connection, series, start, end)
        old = dict.fromkeys(series, 0)
        for file in files:
            whole = start <= file.week and file.week + timedelta(days=7) <= end
            inside = (
                file.readings if whole else len(await asyncio.to_thread(self.cold.read, file.name, us(start), us(end)))
            )
            old[file.series_id] += inside
        most = max(old.values(), default=0)
        if most >= limit:
            return most
        return most + await query.count_readings(connection, series, start, end, limit)

    async def files(
        self, connection: AsyncConnection, series: Sequence[int], start: datetime, end: datetime
    ) -> list[store.ColdFile]:
        """Return the files of a span, and keep them as they are until the transaction ends."""
        await store.lock_shared(connection)
        return await store.select_files(connection, series, start, end)

    async def put_back(self, connection: AsyncConnection, touched: Sequence[tuple[int, datetime]]) -> list[str]:
        """Put back into the database the weeks that late readings - (series, time) - belong to.

        Roll-ups of these are then made from all readings again; retention takes the weeks out once more later. Returns
        the names of files to be removed after the commit.
        """
        files = await store.select_touched(connection, [one for one, _ in touched], [time for _, time in touched])
        if not files:
            return []
        await store.lock(connection)
        # As they are now, since someone may have moved them before the lock.
        files = await store.select_touched(connection, [one for one, _ in touched], [time for _, time in touched])
        await writing.ensure_partitions(connection, {file.week for file in files})
        for file in files:
            kept = await asyncio.to_thread(self.cold.read, file.name)
            await writing.copy_numbers(connection, [COPY_HEADER, records_of(*kept), COPY_TRAILER])
            await store.forget(connection, file)
        return [file.name for file in files]


def joined(parts: Sequence[arrays.Readings], limit: int | None = None) -> arrays.Readings:
    """Return `parts` as one in the order of time, the first `limit` and those of the instant of the last of them."""
    series = np.concatenate([part.series for part in parts])
    time = np.concatenate([part.time for part in parts])
    value = np.concatenate([part.value for part in parts])
    quality = np.concatenate([part.quality for part in parts])
    order = np.argsort(time, kind="stable")
    found = arrays.Readings(series[order], time[order], value[order], quality[order])
    if limit is not None and len(found) > limit:
        end = int(np.searchsorted(found.time, found.time[limit - 1], side="right"))
        found = arrays.Readings(found.series[:end], found.time[:end], found.value[:end], found.quality[:end])
    return found


def us(time: datetime) -> int:
    """Return a time in microseconds since 1970 UTC."""
    return (time - _EPOCH) // timedelta(microseconds=1)
