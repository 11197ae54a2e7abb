"""A device as its Sparkplug birth certificate tells it: names, aliases, types, units, meanings and present values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_agent.outlets.outlet import Pair
from protocols.dictionary.entries import load_dictionary
from protocols.dictionary.units import load_units
from protocols.mqtt.sparkplug import ENTRY_TYPES, DataType, Metric, value_metric
from protocols.reading import BAD_NO_COMMUNICATION, GOOD, Quality, Reading, Severity, Value
from protocols.uplink.messages import PointRef

_QUALITY = {Severity.GOOD: 192, Severity.UNCERTAIN: 500, Severity.BAD: 0}
"""Sparkplug 3.0.0, 6.4.12, knows no more: good, stale and bad. The property QualityCause says which of OPC UA's it is."""


class _Point:
    """One metric of the device."""

    __slots__ = ("alias", "latest", "said", "type")

    def __init__(self, alias: int, data_type: DataType | None, latest: Reading) -> None:
        self.alias = alias
        self.type = data_type
        self.latest = latest
        self.said: Quality = GOOD


class Device:
    """One device.

    Args:
        new_alias: gives numbers no other metric of the node has.

    Attributes:
        born: its birth certificate was published in this session, and no death since.
    """

    def __init__(self, new_alias: Callable[[], int]) -> None:
        self.born = False
        self._new_alias = new_alias
        self._points: dict[PointRef, _Point] = {}
        self._silent: set[PointRef] = set()

    @property
    def lost(self) -> bool:
        """Whether no point of it communicates."""
        return len(self._silent) == len(self._points)

    @staticmethod
    def alive(reading: Reading) -> bool:
        """Whether `reading` shows that the device communicates."""
        return reading.quality != BAD_NO_COMMUNICATION

    def is_latest(self, pair: Pair) -> bool:
        """Whether the birth certificate carries this very reading."""
        return self._points[pair[0]].latest is pair[1]

    def admit(self, pairs: Sequence[Pair]) -> bool:
        """Make place for readings; returns whether the certificate is still true.

        It is not when there is a new point, or a value that the type of its metric does not hold.
        """
        true = True
        for ref, reading in pairs:
            point = self._points.get(ref)
            if point is None:
                entry = load_dictionary().get(ref.property)
                point = _Point(self._new_alias(), ENTRY_TYPES[entry.data_type] if entry else None, reading)
                self._points[ref] = point
                self._hear(ref, reading)
                true = False
            wider = _type_for(point.type, reading.value)
            true = true and wider in (point.type, point.type or DataType.DOUBLE)
            point.type = wider
        return true

    def learn(self, pairs: Sequence[Pair]) -> bool:
        """Take readings, in the order of their time, as what is present now; returns what `admit` does."""
        true = self.admit(pairs)
        for ref, reading in pairs:
            self._points[ref].latest = reading
            self._hear(ref, reading)
        return true

    def _hear(self, ref: PointRef, reading: Reading) -> None:
        if self.alive(reading):
            self._silent.discard(ref)
        else:
            self._silent.add(ref)

    def birth(self) -> list[Metric]:
        """Return the metrics of the birth certificate."""
        return [self._described(ref, point) for ref, point in self._points.items()]

    def metrics(self, pairs: Sequence[Pair], *, historical: bool) -> list[Metric]:
        """Return what tells `pairs` after the birth; quality where it is not, or no longer, good."""
        found = []
        for ref, reading in pairs:
            point = self._points[ref]
            metric = _valued(None, point, reading)._replace(data_type=None, historical=historical)
            if reading.quality != GOOD or point.said != GOOD:
                metric = _qualified(metric, reading.quality, [])
            point.said = reading.quality
            found.append(metric)
        return found

    def _described(self, ref: PointRef, point: _Point) -> Metric:
        point.said = point.latest.quality
        entry, unit = load_dictionary().get(ref.property), load_units().get(ref.unit)
        texts = [
            ("engUnit", unit.symbol if unit else ref.unit),
            ("unitCode", ref.unit),
            ("dictionaryCode", ref.property),
            ("nameEn", entry.name.en if entry else ""),
            ("nameZh", entry.name.zh if entry else ""),
        ]
        return _qualified(_valued(ref.name, point, point.latest), point.latest.quality, [t for t in texts if t[1]])


def _valued(name: str | None, point: _Point, reading: Reading) -> Metric:
    data_type = point.type or DataType.DOUBLE
    value = reading.value if reading.quality >= 0 else None
    return value_metric(name, point.alias, data_type, _fitted(data_type, value), reading.source_time // 1000)


def _qualified(metric: Metric, quality: Quality, texts: Sequence[tuple[str, str]]) -> Metric:
    cause = [] if quality == GOOD else [("QualityCause", quality.cause)]
    return metric._replace(quality=_QUALITY[quality.severity], properties=(*texts, *cause))


def _type_for(data_type: DataType | None, value: Value) -> DataType | None:
    """Return the type of a metric that was of `data_type`, None if unknown, once it has to hold `value`."""
    if value is None or (data_type is not None and _holds(data_type, value)):
        return data_type
    return DataType.STRING if isinstance(value, str) or data_type is DataType.STRING else DataType.DOUBLE


def _holds(data_type: DataType, value: Value) -> bool:
    match data_type:
        case DataType.STRING:
            return True
        case DataType.DOUBLE:
            return not isinstance(value, str)
        case DataType.BOOLEAN:
            return not isinstance(value, str) and value in (0, 1)
        case _:
            return isinstance(value, (int, float)) and value == int(value) and -(2**63) <= value < 2**63


def _fitted(data_type: DataType, value: Value) -> Value:
    """Return `value`, which `data_type` holds, as Python has that type."""
    if value is None:
        return None
    match data_type:
        case DataType.STRING:
            return str(value)
        case DataType.DOUBLE:
            return float(value)
        case DataType.BOOLEAN:
            return bool(value)
        case _:
            return int(value)
