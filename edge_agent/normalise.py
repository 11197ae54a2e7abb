"""Turns what a device said into what the dictionary means: canonical unit, right type, plausible range, nothing twice."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from math import isfinite
from sys import float_info

import msgspec

from edge_agent.config import DeviceConfig
from protocols.dictionary.entries import Entry, load_dictionary
from protocols.driver import PointConfig
from protocols.reading import (
    BAD_DECODING_ERROR,
    BAD_NO_DATA,
    BAD_TYPE_MISMATCH,
    GOOD,
    UNCERTAIN_ENGINEERING_UNITS_EXCEEDED,
    Quality,
    Reading,
    Value,
    plausible_time,
)
from protocols.scan import Scan
from protocols.uplink.messages import PointRef
from protocols.uplink.rows import Row, ScanRows

_NUMBERS = frozenset({float, int})  # not bool, which becomes 0 or 1

_ONE_MESSAGE_US = 1000
"""Changes of one point that come in one message, from a device without a clock, arrive at one instant; each gets its own."""


class Mark(msgspec.Struct, frozen=True, gc=False):
    """The latest reading of a point whose device gives source times, as the device gave it.

    Kept by the buffer in the same transaction as the reading itself, so that what a device repeats after a crash of
    the agent is recognised.
    """

    source_time: int
    value: Value
    quality: int


class _Point:
    """What is known of one point before its readings come, and the latest of them."""

    __slots__ = ("convert", "factor", "high", "last", "low", "number", "offset", "ref", "stored", "text", "timed")

    def __init__(self, device: str, config: PointConfig, entry: Entry | None, mark: Mark | None) -> None:
        unit = config.unit or (entry.unit if entry else "")
        self.ref = PointRef(device, config.name, config.property or "", entry.unit if entry else unit)
        self.text = None if entry is None else entry.data_type == "STRING"
        self.factor, self.offset = entry.conversion_from(unit) if entry and not self.text else (1.0, 0.0)
        self.convert = (self.factor, self.offset) != (1.0, 0.0)
        self.number = not self.text and not self.convert
        self.low, self.high = _plausible(config, entry, self.factor, self.offset)
        self.timed = mark is not None
        self.stored = 0
        self.last = mark or Mark(-1, None, 0)

    def heard(self, value: Value, quality: Quality) -> tuple[Value, Quality]:
        """Return value and quality as the dictionary entry wants them; text no database holds is none."""
        if isinstance(value, str) and not _storable(value):
            value, quality = None, _at_least(BAD_DECODING_ERROR, quality)
        return self.meaning(value, quality)

    def meaning(self, value: Value, quality: Quality) -> tuple[Value, Quality]:
        """Return value and quality as the dictionary entry wants them."""
        if self.number and value.__class__ is float and self.low <= value <= self.high:
            return value, quality
        if value is None:
            return None, quality
        if isinstance(value, str):
            return (value, quality) if self.text in (None, True) else (None, _at_least(BAD_TYPE_MISMATCH, quality))
        if self.text:
            return None, _at_least(BAD_TYPE_MISMATCH, quality)
        if not isfinite(value):
            return None, _at_least(BAD_NO_DATA, quality)
        number: float | int = int(value) if isinstance(value, bool) else value
        if self.convert:
            number = float(f"{number * self.factor + self.offset:.12g}")
        if quality.good and not self.low <= number <= self.high:
            quality = UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
        return number, quality


def _plausible(config: PointConfig, entry: Entry | None, factor: float, offset: float) -> tuple[float, float]:
    """Return the bounds in the canonical unit: the point's own, for its device knows better, else the entry's."""
    low, high = (None if bound is None else bound * factor + offset for bound in (config.low, config.high))
    if entry is not None:
        of_entry = (0.0, 1.0) if entry.data_type == "BOOLEAN" else (entry.typical_min, entry.typical_max)
        low, high = of_entry[0] if low is None else low, of_entry[1] if high is None else high
    greatest = float_info.max  # no infinity lies within
    return -greatest if low is None else low, greatest if high is None else high


def _at_least(bad: Quality, quality: Quality) -> Quality:
    """Return `quality` if it is bad already, for its own cause says more; else `bad`."""
    return quality if quality < 0 else bad


def _storable(text: str) -> bool:
    """Whether a database holds `text`: no NUL, as of a string read with a wrong length, and nothing but Unicode.

    asyncua hands on bytes that are not UTF-8, such as a machine's GBK, as lone surrogates.
    """
    return text.isprintable() or ("\0" not in text and text == text.encode("utf-8", "replace").decode())


Normalised = tuple[Sequence[Row], list[tuple[PointRef, Mark]]]


class _ScanGroup:
    """The points that are scanned together.

    Attributes:
        plain: by point, the bounds within which a number is kept as it is; none where all are converted.
        times: of the last scan, while the points themselves do not know of it.
    """

    __slots__ = ("plain", "points", "refs", "times")

    def __init__(self, points: Sequence[_Point]) -> None:
        self.points = points
        self.refs = tuple([point.ref for point in points])
        self.plain = [(point.low, point.high) if point.number else (1.0, 0.0) for point in points]
        self.times: array[int] | None = None

    def settle(self) -> None:
        """Have the points know of the last scan."""
        if self.times is not None:
            for point, time in zip(self.points, self.times, strict=True):
                point.stored = max(point.stored, time)
            self.times = None


class Normaliser:
    """Normalises the readings of one device.

    Args:
        device: the device; raises ConfigError if a unit does not suit its entry.
        marks: what the buffer remembers of the device, by point name.
    """

    def __init__(self, device: DeviceConfig, marks: Mapping[str, Mark]) -> None:
        entries = load_dictionary()
        self._points = {
            point.name: _Point(
                device.name, point, entries[point.property] if point.property else None, marks.get(point.name)
            )
            for point in device.points
        }
        self._timed = any(point.timed for point in self._points.values())
        self._groups: dict[tuple[str, ...], _ScanGroup] = {}
        self._latest = 0

    def __call__(self, readings: Sequence[Reading]) -> Normalised:
        """Return the readings worth keeping, in their order, and the marks to keep with them.

        A reading that a device repeats - same source time, value and quality, as after a new subscription - is dropped.
        One with the old source time but another value or quality is new all the same (a device that came back, a clock
        too coarse). Like one of a clock that can not be right it takes its arrival time, so that no two readings of a
        point share an instant.
        """
        if isinstance(readings, Scan) and (rows := self._scan(readings)) is not None:
            return rows, []
        for group in self._groups.values():
            group.settle()
        kept, marks = self._each(readings)
        self._timed = self._timed or bool(marks)
        if self._groups:
            self._latest = max(point.stored for point in self._points.values())
        return kept, marks

    def _scan(self, scan: Scan) -> ScanRows | None:
        """Return what `_each` makes of a scan, looking only at what is out of the ordinary; None where its times are."""
        if self._timed or not scan.points:
            return None
        group = self._groups.get(scan.points)
        if group is None:
            group = self._groups[scan.points] = _ScanGroup([self._points[name] for name in scan.points])
            self._latest = max(self._latest, *(point.stored for point in group.points))
        if min(scan.times) <= self._latest:
            return None
        strange = [
            place
            for place, (value, (low, high)) in enumerate(zip(scan.values, group.plain, strict=True))
            if type(value) not in _NUMBERS or not low <= value <= high  # type: ignore[operator]
        ]
        values, flaws = (scan.values.copy(), scan.flaws.copy()) if strange else (scan.values, scan.flaws)
        for place in strange:
            values[place], quality = group.points[place].heard(values[place], flaws.get(place, GOOD))
            if quality != GOOD:
                flaws[place] = quality
        group.times = scan.times
        self._latest = max(scan.times)
        return ScanRows(group.refs, Scan(scan.points, values, flaws, scan.times))

    def _each(self, readings: Sequence[Reading]) -> tuple[list[Row], list[tuple[PointRef, Mark]]]:
        kept: list[Row] = []
        marks: list[tuple[PointRef, Mark]] = []
        points = self._points
        for reading in readings:
            point = points[reading.point]
            time, value, quality = reading.source_time, reading.value, reading.quality
            if isinstance(value, str) and not _storable(value):
                value, quality = None, _at_least(BAD_DECODING_ERROR, quality)
            if time != reading.arrival_time:
                point.timed = True
                mark = Mark(time, value if value == value else None, int(quality))  # noqa: PLR0124 - NaN is not itself
                if mark == point.last:
                    continue
                if time == point.last.source_time or time != plausible_time(time, reading.arrival_time):
                    time = max(reading.arrival_time, point.stored + 1)
                point.last = mark
                marks.append((point.ref, mark))
            else:
                if 0 <= point.stored - time < _ONE_MESSAGE_US:
                    time = point.stored + 1
                if point.timed:
                    point.last = Mark(point.last.source_time, value, int(quality))
                    marks.append((point.ref, point.last))
            value, quality = point.meaning(value, quality)
            point.stored = time
            if value is not reading.value or quality is not reading.quality or time != reading.source_time:
                reading = Reading(reading.point, value, quality, time, reading.arrival_time)  # noqa: PLW2901
            kept.append((point.ref, reading))
        return kept, marks

    def last_times(self) -> dict[str, int]:
        """Return the source time of the latest reading by point, of the points whose device gives source times."""
        return {name: point.last.source_time for name, point in self._points.items() if point.last.source_time >= 0}

    def past(self, readings: Sequence[Reading]) -> list[Row]:
        """Return readings of a device's own history with its source times; what has no possible time is left out."""
        kept = []
        for reading in readings:
            point = self._points[reading.point]
            if reading.source_time != plausible_time(reading.source_time, reading.arrival_time):
                continue
            value, quality = point.heard(reading.value, reading.quality)
            kept.append((point.ref, Reading(reading.point, value, quality, reading.source_time, reading.arrival_time)))
        return kept
