"""Many readings or roll-up states at once: PostgreSQL's arrays taken as numpy arrays, without a loop over rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.postgres import types
from psycopg.pq import Format

from cloud.telemetry.columns import POSTGRES_EPOCH_US
from cloud.telemetry.store.rollups import TABLES

_HEADER_BYTES = 20  # dimensions, has nulls, type, length, lower bound; four bytes each


class Readings(NamedTuple):
    """Numeric readings as arrays of one length, in the order of time.

    Attributes:
        series: int32.
        time: int64, microseconds since 1970 UTC.
        value: float64; NaN where there was none.
        quality: int16, `protocols.reading.Quality`.
    """

    series: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.time)


class States(NamedTuple):
    """Roll-up states of one series as arrays of one length, in the order of time; see 0004_telemetry.sql.

    `time` is the begin of each bucket in microseconds since 1970 UTC; floats are NaN where no reading was used.
    """

    time: NDArray[np.int64]
    n: NDArray[np.int64]
    good: NDArray[np.int64]
    used: NDArray[np.int64]
    sum: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    last: NDArray[np.float64]


class Minutes(NamedTuple):
    """Roll-up states of the minutes of one series that have usable readings, as arrays of one length, oldest first.

    `time` is the begin of each minute in seconds since 1970 UTC; `increase` is NaN where a minute has one reading.
    """

    time: NDArray[np.int64]
    mean: NDArray[np.float64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    increase: NDArray[np.float64]


async def select_numbers(
    connection: AsyncConnection, series: Sequence[int], start: datetime, end: datetime, limit: int
) -> Readings:
    """Return the numeric readings of the tenant's `series` in [start, end), oldest first.

    At least `limit` where there are as many: readings of one instant are never parted.
    """
    return await read_arrays(
        connection,
        """
        SELECT array_agg(series_id), array_agg(ts), array_agg(value), array_agg(quality) FROM (
            SELECT t.series_id, t.ts, t.value, t.quality
            FROM telemetry t JOIN series s ON s.id = t.series_id AND s.tenant_id = current_tenant()
            WHERE t.series_id = ANY(%s) AND t.ts >= %s AND t.ts < %s
            ORDER BY t.ts FETCH FIRST %s ROWS WITH TIES
        ) r
        """,
        [list(series), start, end, limit],
    )


async def select_later(
    connection: AsyncConnection, series: Sequence[int], since: Sequence[datetime], until: datetime, limit: int
) -> Readings:
    """Return numeric readings of the tenant's `series` later than each one's `since` up to `until`, by series and time.

    At most `limit` of one series.
    """
    return await read_arrays(
        connection,
        """
        SELECT array_agg(id), array_agg(ts), array_agg(value), array_agg(quality) FROM (
            SELECT w.id, r.ts, r.value, r.quality
            FROM unnest(%s::int[], %s::timestamptz[]) AS w (id, since)
            JOIN series s ON s.id = w.id AND s.tenant_id = current_tenant()
            CROSS JOIN LATERAL (
                SELECT ts, value, quality FROM telemetry
                WHERE series_id = w.id AND ts > w.since AND ts > %s AND ts <= %s ORDER BY ts LIMIT %s
            ) r
            ORDER BY w.id, r.ts
        ) r
        """,
        [list(series), list(since), min(since, default=until), until, limit],
    )


async def select_last_before(connection: AsyncConnection, series: Sequence[int], start: datetime) -> Readings:
    """Return, of each of the tenant's `series`, the last numeric reading before `start` that is in the database."""
    return await read_arrays(
        connection,
        """
        SELECT array_agg(series_id), array_agg(ts), array_agg(value), array_agg(quality) FROM (
            SELECT t.* FROM series s CROSS JOIN LATERAL (
                SELECT series_id, ts, value, quality FROM telemetry
                WHERE series_id = s.id AND ts < %s ORDER BY ts DESC LIMIT 1
            ) t
            WHERE s.tenant_id = current_tenant() AND s.id = ANY(%s) ORDER BY t.ts
        ) r
        """,
        [start, list(series)],
    )


async def read_arrays(connection: AsyncConnection, query: Any, values: Sequence[Any]) -> Readings:
    """Return what `query` gives as one row of four arrays: series, time, value, quality."""
    row = await _arrays(connection, query, values)
    if row is None:
        nothing = np.empty(0)
        return Readings(nothing.astype("i4"), nothing.astype("i8"), nothing, nothing.astype("i2"))
    return Readings(*row)


async def select_states(
    connection: AsyncConnection, resolution: str, series: int, start: datetime, end: datetime
) -> States:
    """Return the roll-up states of one of the tenant's series in [start, end)."""
    row = await _arrays(
        connection,
        f"""
        SELECT array_agg(bucket), array_agg(n), array_agg(good), array_agg(used), array_agg(sum), array_agg(low),
               array_agg(high), array_agg(last)
        FROM (
            SELECT r.bucket, r.n, r.good, r.used, COALESCE(r.sum, 'NaN') AS sum, COALESCE(r.low, 'NaN') AS low,
                   COALESCE(r.high, 'NaN') AS high, COALESCE(r.last, 'NaN') AS last
            FROM {TABLES[resolution]} r JOIN series s ON s.id = r.series_id AND s.tenant_id = current_tenant()
            WHERE r.series_id = %s AND r.bucket >= %s AND r.bucket < %s ORDER BY r.bucket
        ) r
        """,  # noqa: S608 - a table of this package
        [series, start, end],
    )
    if row is None:
        whole, real = np.empty(0, "i8"), np.empty(0)
        return States(whole, whole, whole, whole, real, real, real, real)
    return States(*row)


async def select_minutes(connection: AsyncConnection, series: int, start: datetime, end: datetime) -> Minutes:
    """Return the used minutes of one of the tenant's series in [start, end), and the next one on either side."""
    row = await _arrays(
        connection,
        """
        SELECT array_agg(extract(epoch FROM bucket)::bigint), array_agg(sum / used), array_agg(first), array_agg(last),
               array_agg(COALESCE(increase, 'NaN'))
        FROM (
            SELECT r.* FROM (
                (SELECT * FROM rollup_minute WHERE series_id = %(series)s AND bucket < %(start)s AND used > 0
                 ORDER BY bucket DESC LIMIT 1)
                UNION ALL
                SELECT * FROM rollup_minute
                WHERE series_id = %(series)s AND bucket >= %(start)s AND bucket < %(end)s AND used > 0
                UNION ALL
                (SELECT * FROM rollup_minute WHERE series_id = %(series)s AND bucket >= %(end)s AND used > 0
                 ORDER BY bucket LIMIT 1)
            ) r JOIN series s ON s.id = r.series_id AND s.tenant_id = current_tenant() ORDER BY r.bucket
        ) r
        """,
        {"series": series, "start": start, "end": end},
    )
    if row is None:
        real = np.empty(0)
        return Minutes(np.empty(0, "i8"), real, real, real, real)
    return Minutes(*row)


async def _arrays(connection: AsyncConnection, query: Any, values: Any) -> tuple[NDArray[Any], ...] | None:
    """Return the arrays of the one row of `query`, or None if they are of nothing."""
    async with connection.cursor(binary=True) as cursor:
        for name, loader in _LOADERS.items():
            cursor.adapters.register_loader(types[name].array_oid, loader)
        await cursor.execute(query, values)
        row = await cursor.fetchone()
    return None if row is None or row[0] is None else row


class _ArrayLoader(Loader):
    """Takes a one-dimensional array without nulls, whose elements all have one size, as it lies in the answer."""

    format = Format.BINARY
    element: str
    zero = 0

    def load(self, data: Buffer) -> NDArray[Any]:
        records = np.frombuffer(data, np.dtype([("length", ">i4"), ("element", self.element)]), offset=_HEADER_BYTES)
        native = records["element"].astype(np.dtype(self.element).newbyteorder("="))
        return native + self.zero if self.zero else native


class _Int2(_ArrayLoader):
    element = ">i2"


class _Int4(_ArrayLoader):
    element = ">i4"


class _Int8(_ArrayLoader):
    element = ">i8"


class _Float8(_ArrayLoader):
    element = ">f8"


class _Instants(_ArrayLoader):
    element = ">i8"
    zero = POSTGRES_EPOCH_US


_LOADERS = {"int2": _Int2, "int4": _Int4, "int8": _Int8, "float8": _Float8, "timestamptz": _Instants}
