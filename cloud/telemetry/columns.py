"""From the columns of the wire to the records of PostgreSQL's binary COPY, without a loop over rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from protocols.errors import Malformed
from protocols.reading import BAD_NO_DATA, EARLIEST_US, LATEST_US
from protocols.text import Text
from protocols.uplink.messages import Columns

POSTGRES_EPOCH_US = 946_684_800_000_000
"""2000-01-01T00:00:00Z, the zero of PostgreSQL's timestamps, in microseconds since 1970."""

MINUTE_US = 60_000_000
_WEEK_US = 7 * 24 * 60 * MINUTE_US
_MONDAY_US = 4 * 24 * 60 * MINUTE_US  # 1970-01-05, the first Monday
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# One record of COPY ... (FORMAT BINARY): field count, then length and big-endian value of each field.
_RECORD = np.dtype(
    [
        ("fields", ">i2"),
        *(("series_len", ">i4"), ("series", ">i4")),
        *(("ts_len", ">i4"), ("ts", ">i8")),
        *(("value_len", ">i4"), ("value", ">f8")),
        *(("quality_len", ">i4"), ("quality", ">i2")),
    ]
)
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"

_NOTHING = Columns([], b"", b"", b"", b"", b"")


class Numbers:
    """Numeric readings of one batch as arrays of one length.

    Attributes:
        point: index into the batch's list of points.
        time: microseconds since 1970 UTC.
        value: float64; NaN where there is none, which then has a bad quality.
        quality: int16, `protocols.reading.Quality`.
    """

    def __init__(self, columns: Columns | None) -> None:
        """Take the columns of a decoded batch, if it has any; raises Malformed for times that no database holds."""
        columns = columns or _NOTHING
        self.point: NDArray[np.uint32] = np.frombuffer(columns.point, "<u4")
        self.time: NDArray[np.int64] = np.frombuffer(columns.source_time, "<i8")
        value = np.frombuffer(columns.value, "<f8")
        quality = np.frombuffer(columns.quality, "<i2")
        if len(self.time) and (self.time.min() < EARLIEST_US or self.time.max() > LATEST_US):
            raise time_out_of_range()
        # An infinity is a decoding's fault; like a missing value it must not pass for a measurement.
        finite = np.isfinite(value)
        self.value: NDArray[np.float64] = np.where(finite, value, np.nan)
        self.quality: NDArray[np.int16] = np.where(finite | (quality < 0), quality, np.int16(BAD_NO_DATA))

    def __len__(self) -> int:
        return len(self.point)

    def records(self, series: NDArray[np.int32]) -> bytes:
        """Return the body of a binary COPY into telemetry; `series[i]` is the series of the i-th point of the batch."""
        return records_of(series[self.point], self.time, self.value, self.quality)


def records_of(
    series: NDArray[np.int32], time: NDArray[np.int64], value: NDArray[np.float64], quality: NDArray[np.int16]
) -> bytes:
    """Return the body of a binary COPY into telemetry."""
    records = np.empty(len(time), _RECORD)
    records["fields"] = 4
    records["series_len"], records["series"] = 4, series
    records["ts_len"], records["ts"] = 8, time - POSTGRES_EPOCH_US
    records["value_len"], records["value"] = 8, value
    records["quality_len"], records["quality"] = 2, quality
    return records.tobytes()


def weeks_of(time: NDArray[np.int64]) -> set[int]:
    """Return the Mondays, in microseconds since 1970, of the weeks that times fall into."""
    return set(np.unique((time - _MONDAY_US) // _WEEK_US * _WEEK_US + _MONDAY_US).tolist())


def instant(time_us: int) -> datetime:
    """Return a time of the wire, in microseconds since 1970 UTC and within the bounds above, as a datetime."""
    return _EPOCH + timedelta(microseconds=time_us)


def time_out_of_range() -> Malformed:
    """Return the refusal of a source time outside the years 2000 to 2099."""
    return Malformed(Text("a source time is outside the years 2000 to 2099", "源时间超出 2000 年至 2099 年的范围"))
