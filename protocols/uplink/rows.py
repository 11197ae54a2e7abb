"""Normalised readings on their way to the wire: a scan with its points, and the columns that any rows are gathered in."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from math import nan
from types import NoneType
from typing import overload

from protocols.reading import Reading
from protocols.scan import Scan
from protocols.uplink.messages import Columns, PointRef, TextReading

_MAX_DELAY = 2**32 - 1

Row = tuple[PointRef, Reading]


class ScanRows(Sequence[Row]):
    """A normalised scan as rows; each is made when it is asked for. `refs`: the point of every value."""

    __slots__ = ("refs", "scan")

    def __init__(self, refs: tuple[PointRef, ...], scan: Scan) -> None:
        self.refs = refs
        self.scan = scan

    def __len__(self) -> int:
        return len(self.refs)

    def __iter__(self) -> Iterator[Row]:
        return zip(self.refs, self.scan, strict=True)

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> ScanRows: ...

    def __getitem__(self, place: int | slice) -> Row | ScanRows:
        if isinstance(place, slice):
            return ScanRows(self.refs[place], self.scan[place])
        return self.refs[place], self.scan[place]


class Gathered:
    """Rows sorted into numeric columns and text readings, in the order they are added."""

    def __init__(self) -> None:
        self.texts: list[TextReading] = []
        self._points: list[PointRef] = []
        self._number: dict[int, int] = {}
        self._first: dict[int, tuple[int, tuple[PointRef, ...]]] = {}
        self._point = array("I")
        self._time = array("q")
        self._value = array("d")
        self._quality = array("h")
        self._delay = array("I")

    def add(self, rows: Sequence[Row]) -> None:
        """Add `rows` behind the others."""
        if isinstance(rows, ScanRows) and str not in (kinds := set(map(type, rows.scan.values))):
            self._add_scan(rows.refs, rows.scan, whole=NoneType not in kinds)
        else:
            self._add_rows(rows)

    def columns(self) -> Columns | None:
        """Return the numeric readings; None if there are none."""
        if not self._point:
            return None
        return Columns(
            self._points,
            _little(self._point),
            _little(self._time),
            _little(self._value),
            _little(self._quality),
            _little(self._delay),
        )

    def _add_scan(self, refs: tuple[PointRef, ...], scan: Scan, *, whole: bool) -> None:
        count = len(refs)
        # By identity: a device is scanned with the same points each time, and to hash one costs more than all the rest.
        first, _ = self._first.setdefault(id(refs), (len(self._points), refs))
        if first == len(self._points):
            self._points += refs
        self._point.extend(range(first, first + count))
        self._time += scan.times
        values = scan.values if whole else [nan if value is None else value for value in scan.values]
        self._value += array("d", values)  # type: ignore[arg-type]  # there is no text
        qualities = array("h", bytes(2 * count))
        for place, quality in scan.flaws.items():
            qualities[place] = quality
        self._quality += qualities
        self._delay.frombytes(bytes(4 * count))

    def _add_rows(self, rows: Sequence[Row]) -> None:
        refs: list[PointRef] = []
        numbers: list[Reading] = []
        values: list[float] = []
        for ref, reading in rows:
            value = reading.value
            if isinstance(value, str):
                self.texts.append(TextReading(ref, reading.source_time, value, int(reading.quality)))
            else:
                refs.append(ref)
                numbers.append(reading)
                values.append(nan if value is None else value)
        places = [id(ref) for ref in refs]
        for place, ref in dict(zip(places, refs, strict=True)).items():
            if place not in self._number:
                self._number[place] = len(self._points)
                self._points.append(ref)
        times = [reading.source_time for reading in numbers]
        delays = [reading.arrival_time - time for reading, time in zip(numbers, times, strict=True)]
        if delays and (min(delays) < 0 or max(delays) > _MAX_DELAY):
            delays = [min(max(delay, 0), _MAX_DELAY) for delay in delays]
        self._point += array("I", [self._number[place] for place in places])
        self._time += array("q", times)
        self._value += array("d", values)
        self._quality += array("h", [reading.quality for reading in numbers])
        self._delay += array("I", delays)


def _little(column: array[int] | array[float]) -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()
