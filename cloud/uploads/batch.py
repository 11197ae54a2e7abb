"""What a sheet says, as a batch of the wire: to the cloud it is one frame of the site's desk. Pure.

The frame's number is 0 of an epoch that is made of the values themselves; so the same values are the same frame, and a frame
is stored once. All of a file is one frame, and so is stored wholly or not at all.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from cloud.uploads.sheet import Series
from protocols.reading import GOOD_LOCAL_OVERRIDE
from protocols.uplink.codec import encode
from protocols.uplink.messages import Batch, Columns, Delivery, Frame, PointRef, TextReading


def ordered(series: Iterable[Series]) -> list[Series]:
    """Return series in an order that does not depend on that of the file, each by time."""
    found = sorted(series, key=lambda one: (one.machine.id, one.entry.code))
    for one in found:
        order = np.argsort(np.frombuffer(one.times, np.int64), kind="stable")
        _reorder(one, order)
    return found


def without(series: Series, known: NDArray[np.bool_]) -> Series | None:
    """Return a series without those values that are marked; None if nothing is left."""
    left = Series(series.machine, series.entry, series.column)
    left.times, left.values, left.texts, left.rows = series.times, series.values, series.texts, series.rows
    _reorder(left, np.flatnonzero(~known))
    return left if left.times else None


def digest_of(site: UUID, series: Sequence[Series]) -> bytes:
    """Return the SHA-256 of what a file says, whatever it looks like; `series` is as from `ordered`."""
    found = sha256(site.bytes)
    for one in series:
        found.update(one.machine.id.bytes + one.entry.code.encode() + b"\0")
        found.update(np.frombuffer(one.times, "<i8").tobytes() + np.frombuffer(one.values, "<f8").tobytes())
        for text in one.texts:
            found.update(text.encode() + b"\0")
    return found.digest()


def delivery_of(digest: bytes, series: Sequence[Series]) -> Delivery:
    """Return `series` as the only delivery of the epoch that `digest` names."""
    numbers = [one for one in series if one.values]
    lengths = [len(one.values) for one in numbers]
    count = sum(lengths)
    columns = Columns(
        [_point(one) for one in numbers],
        np.repeat(np.arange(len(numbers), dtype="<u4"), lengths).tobytes(),
        b"".join(np.frombuffer(one.times, "<i8").tobytes() for one in numbers),
        b"".join(np.frombuffer(one.values, "<f8").tobytes() for one in numbers),
        np.full(count, GOOD_LOCAL_OVERRIDE, "<i2").tobytes(),
        bytes(4 * count),
    )
    texts = [
        TextReading(_point(one), time, text, int(GOOD_LOCAL_OVERRIDE))
        for one in series
        for time, text in zip(one.times, one.texts, strict=False)
    ]
    batch = Batch(columns=columns if numbers else None, texts=texts)
    return Delivery(str(UUID(bytes=digest[:16])), [Frame(0, encode(batch))])


def found_in(
    series: Series, stored: Mapping[int, float | str]
) -> tuple[NDArray[np.bool_], list[tuple[int, float | str]]]:
    """Return which values are stored already, and the row and stored value of those that are stored with another one."""
    known = np.zeros(len(series.times), bool)
    other: list[tuple[int, float | str]] = []
    values: Sequence[float | str] = series.texts or series.values
    for place, time in enumerate(series.times):
        if time not in stored:
            continue
        if stored[time] == values[place]:
            known[place] = True
        else:
            other.append((series.rows[place], stored[time]))
    return known, other


def _point(series: Series) -> PointRef:
    entry = series.entry
    return PointRef(series.machine.name, entry.code, entry.code, entry.unit)


def _reorder(series: Series, order: NDArray[np.intp]) -> None:
    series.times = array("q", np.frombuffer(series.times, np.int64)[order].tobytes())
    series.rows = array("I", np.frombuffer(series.rows, np.uint32)[order].tobytes())
    if series.values:
        series.values = array("d", np.frombuffer(series.values, np.float64)[order].tobytes())
    else:
        series.texts = [series.texts[place] for place in order]
