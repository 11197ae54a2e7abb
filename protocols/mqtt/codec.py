"""What a JSON message says of a point. Sparkplug B payloads are `sparkplug.py`'s."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from protocols.mqtt.config import JsonPath, MqttPoint, TimeFormat
from protocols.reading import (
    BAD,
    BAD_DECODING_ERROR,
    BAD_NO_DATA,
    BAD_OUT_OF_RANGE,
    BAD_TYPE_MISMATCH,
    GOOD,
    Quality,
    Reading,
    Value,
    plausible_time,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PER_UNIT = {"s": 1_000_000, "ms": 1_000, "us": 1}
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_GREATEST_WHOLE = 1 << 64
"""Beyond it no counter of a device counts; a database's numbers end there too."""

_ABSENT = object()


def read_json(points: Sequence[MqttPoint], payload: bytes, arrival: int) -> list[Reading]:
    """Return what the message `payload` says of `points`, all of its topic.

    A message that is no JSON (RFC 8259) is BadDecodingError for each of them. One in which a point's place does not
    occur says nothing of that point: devices send parts of their state.

    Args:
        points: those whose topic it is.
        payload: the message as it came.
        arrival: when it came, microseconds UTC.
    """
    try:
        message = msgspec.json.decode(payload)
    except (ValueError, RecursionError):  # msgspec's DecodeError is a ValueError, and so is bad UTF-8
        return [Reading(point.name, None, BAD_DECODING_ERROR, arrival, arrival) for point in points]
    readings = []
    for point in points:
        value_path, time_path, quality_path = point.paths
        raw = _at(message, value_path)
        if raw is _ABSENT:
            continue
        source: int | None = arrival
        if time_path is not None:
            source = read_time(_at(message, time_path), point.time_format)
        quality = GOOD
        if quality_path is not None:
            said = _at(message, quality_path)
            # 1 == True in Python, but not in what a device means
            vouched = any(said == good and type(said) is type(good) for good in point.good)
            quality = GOOD if vouched else BAD
        if source is None:
            readings.append(Reading(point.name, None, BAD_DECODING_ERROR, arrival, arrival))
        else:
            readings.append(measured(point, raw, quality, plausible_time(source, arrival), arrival))
    return readings


def measured(point: MqttPoint, raw: Any, quality: Quality, source: int, arrival: int) -> Reading:
    """Return the Reading of `raw`, a JSON value or a metric's, in engineering units.

    Bad quality has no value; null is BadNoData, a list or an object BadTypeMismatch, a number that is none or that no
    device counts BadOutOfRange, as is a code that `codes` does not list.
    """
    value, fault = _plain(raw, point.numeric_text)
    if fault is None:
        value = point.engineering(value)
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            value, fault = None, BAD_OUT_OF_RANGE
    if quality < 0:
        value, fault = None, quality
    return Reading(point.name, value, quality if fault is None else fault, source, arrival)


def read_time(said: Any, written: TimeFormat) -> int | None:
    """Return the time `said` in microseconds UTC, None if it is not `written` so. A text without offset is no time."""
    if written == "iso8601":
        if not isinstance(said, str):
            return None
        try:
            time = datetime.fromisoformat(said)
        except ValueError:
            return None
        return None if time.tzinfo is None else (time - _EPOCH) // _MICROSECOND
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not abs(said) < 1e18:
        return None
    return round(said * _PER_UNIT[written])


def write_time(time: int, written: TimeFormat) -> str | int:
    """Return `time` (microseconds UTC) as a device would send it; the inverse of `read_time`."""
    if written == "iso8601":
        return (_EPOCH + time * _MICROSECOND).isoformat(timespec="milliseconds")
    return time // _PER_UNIT[written]


def _plain(raw: Any, numeric_text: bool) -> tuple[Value, Quality | None]:
    if raw is None:
        return None, BAD_NO_DATA
    if isinstance(raw, str) and numeric_text:
        number = raw.strip()
        if not _NUMBER.fullmatch(number):
            return None, BAD_TYPE_MISMATCH
        raw = float(number) if len(number) > 20 or not number.lstrip("+-").isdigit() else int(number)
    if isinstance(raw, (int, float)) and not isinstance(raw, bool):
        return (raw, None) if abs(raw) <= _GREATEST_WHOLE or isinstance(raw, float) else (None, BAD_OUT_OF_RANGE)
    return (raw, None) if isinstance(raw, (bool, str)) else (None, BAD_TYPE_MISMATCH)


def _at(message: Any, path: JsonPath) -> Any:
    for part in path:
        if isinstance(message, dict):
            message = message.get(part, _ABSENT)
        elif isinstance(message, list) and part.isascii() and part.isdigit() and len(part) < 10:
            index = int(part)
            message = message[index] if index < len(message) else _ABSENT
        else:
            return _ABSENT
    return message
