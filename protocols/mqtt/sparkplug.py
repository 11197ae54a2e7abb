"""Sparkplug B payloads: a strict reader and a small writer of the protobuf messages the specification defines.

Field and type numbers are those of Eclipse Sparkplug 3.0.0, chapter 6, and its `sparkplug_b.proto`; the encoding is
protobuf's (protobuf.dev, "Encoding"). Fields no reading needs (metadata, data sets, templates, extensions) are stepped
over, not looked into. A listed field with a wrong wire type, one that stands twice, or a broken length is an error: such
a payload is not guessed at.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from protocols.reading import (
    BAD,
    BAD_DECODING_ERROR,
    BAD_NO_DATA,
    BAD_TYPE_MISMATCH,
    GOOD,
    UNCERTAIN_LAST_USABLE_VALUE,
    Quality,
    Value,
)

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_FIELDS = 200_000
"""Most fields in one payload, so that reading it takes well under a second."""

_FIXED = {FIXED32: 4, FIXED64: 8}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DataType(IntEnum):
    """The types of metrics that are single values (6.4.16); arrays, data sets, files and templates are not."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15


class ValueField(IntEnum):
    """The fields of a metric that hold its value."""

    INT = 10
    LONG = 11
    FLOAT = 12
    DOUBLE = 13
    BOOLEAN = 14
    STRING = 15
    BYTES = 16
    DATA_SET = 17
    TEMPLATE = 18
    EXTENSION = 19


class Metric(NamedTuple):
    """One metric as it stands in a payload; None where the payload says nothing. Times are milliseconds UTC.

    `properties` are further texts to write, by key; those of others are not read.
    """

    name: str | None = None
    alias: int | None = None
    timestamp: int | None = None
    data_type: int | None = None
    historical: bool = False
    null: bool = False
    quality: int | None = None
    field: ValueField | None = None
    raw: int | float | str | None = None
    properties: tuple[tuple[str, str], ...] = ()


class Payload(NamedTuple):
    """One payload. `seq` is 0 to 255; its time is milliseconds UTC."""

    timestamp: int | None
    seq: int | None
    metrics: tuple[Metric, ...]


# Field number -> wire type, of the fields that are read.
_PAYLOAD: Mapping[int, int] = {1: VARINT, 2: BYTES, 3: VARINT}
_METRIC: Mapping[int, int] = {
    1: BYTES, 2: VARINT, 3: VARINT, 4: VARINT, 5: VARINT, 7: VARINT, 9: BYTES,
    10: VARINT, 11: VARINT, 12: FIXED32, 13: FIXED64, 14: VARINT, 15: BYTES, 16: BYTES, 17: BYTES, 18: BYTES, 19: BYTES,
}  # fmt: skip
_PROPERTIES: Mapping[int, int] = {1: BYTES, 2: BYTES}
_PROPERTY: Mapping[int, int] = {3: VARINT, 4: VARINT}

_Field = tuple[int, int, bytes]
"""Field number, number (of a VARINT), bytes (of any other)."""


def decode_payload(data: bytes) -> Payload:
    """Return the payload in `data`; raises ValueError if it is none."""
    return _Walk().payload(data)


class _Walk:
    """One pass over one payload."""

    def __init__(self) -> None:
        self.count = 0

    def payload(self, data: bytes) -> Payload:
        timestamp = seq = None
        metrics = []
        for field, number, content in self.fields(data, _PAYLOAD, repeated=(2,)):
            if field == 1:
                timestamp = number
            elif field == 2:
                metrics.append(self.metric(content))
            else:
                seq = number
        if seq is not None and seq > 255:
            raise ValueError(f"sequence number {seq}")
        return Payload(timestamp, seq, tuple(metrics))

    def metric(self, data: bytes) -> Metric:
        found: dict[str, int | float | str | None] = {}
        quality = field = raw = None
        for number, integer, content in self.fields(data, _METRIC):
            if number == 1:
                found["name"] = content.decode()
            elif number == 9:
                quality = self.quality(content)
            elif number < ValueField.INT:
                found[_NUMBERS[number]] = integer
            elif field is not None:
                raise ValueError("a metric has two values")
            else:
                field = ValueField(number)
                raw = _raw(field, integer, content)
        return Metric(
            name=found.get("name"),  # type: ignore[arg-type]
            alias=found.get("alias"),  # type: ignore[arg-type]
            timestamp=found.get("timestamp"),  # type: ignore[arg-type]
            data_type=found.get("data_type"),  # type: ignore[arg-type]
            historical=bool(found.get("historical")),
            null=bool(found.get("null")),
            quality=quality,
            field=field,
            raw=raw,
        )

    def quality(self, data: bytes) -> int | None:
        """Return the property "Quality" of a property set, None without it (6.4.12: 0 bad, 192 good, 500 stale)."""
        keys: list[bytes] = []
        values: list[bytes] = []
        for field, _, content in self.fields(data, _PROPERTIES, repeated=(1, 2)):
            (keys if field == 1 else values).append(content)
        if len(keys) != len(values):
            raise ValueError("properties without values")
        for key, value in zip(keys, values, strict=True):
            if key == b"Quality":
                numbers = [number for _, number, _ in self.fields(value, _PROPERTY)]
                return numbers[0] if numbers else 0
        return None

    def fields(self, data: bytes, read: Mapping[int, int], repeated: Sequence[int] = ()) -> Iterator[_Field]:
        """Yield the fields of one message that are listed in `read`; raises ValueError for what is no message."""
        at = 0
        seen = set()
        while at < len(data):
            self.count += 1
            if self.count > MAX_FIELDS:
                raise ValueError(f"more than {MAX_FIELDS} fields")
            key, at = _varint(data, at)
            field, wire = key >> 3, key & 7
            if field == 0 or wire not in (VARINT, FIXED64, BYTES, FIXED32):
                raise ValueError(f"field {field} with wire type {wire}")
            number, content = 0, b""
            if wire == VARINT:
                number, at = _varint(data, at)
            else:
                size = _FIXED.get(wire, -1)
                if size < 0:
                    size, at = _varint(data, at)
                content = data[at : at + size]
                if len(content) != size:
                    raise ValueError("a field is longer than its message")
                at += size
            if field not in read:
                continue
            if wire != read[field] or (field in seen and field not in repeated):
                raise ValueError(f"field {field} has a wrong wire type or stands twice")
            seen.add(field)
            yield field, number, content


_NUMBERS = {2: "alias", 3: "timestamp", 4: "data_type", 5: "historical", 7: "null"}


def _raw(field: ValueField, number: int, content: bytes) -> int | float | str | None:
    match field:
        case ValueField.INT | ValueField.LONG | ValueField.BOOLEAN:
            return number
        case ValueField.FLOAT:
            return float(struct.unpack("<f", content)[0])
        case ValueField.DOUBLE:
            return float(struct.unpack("<d", content)[0])
        case ValueField.STRING:
            return content.decode()
        case _:
            return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while shift < 70:
        if at >= len(data):
            raise ValueError("it ends in the middle of a number")
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ValueError("a number is longer than ten bytes")


def metric_value(metric: Metric, data_type: int) -> tuple[Value, Quality]:
    """Return the value of `metric`, which is of `data_type` by itself or by its birth, and its quality.

    Numbers that do not fit the type and values in the wrong field are BadDecodingError, types that are no single value
    BadTypeMismatch.
    """
    quality = _QUALITY.get(metric.quality, BAD)
    if metric.null or metric.field is None:
        return None, BAD_NO_DATA
    if data_type not in _FIELDS:
        return None, BAD_TYPE_MISMATCH
    kind = DataType(data_type)
    if metric.field not in _FIELDS[kind]:
        return None, BAD_DECODING_ERROR
    value: Value = metric.raw
    if isinstance(value, int):
        value = _whole(value, kind, metric.field)
    return (None, BAD_DECODING_ERROR) if value is None else (value, quality)


def _whole(number: int, kind: DataType, field: ValueField) -> Value:
    """Return the number, Boolean or time that the unsigned `number` stands for; None if it does not fit."""
    if kind is DataType.BOOLEAN:
        return number == 1 if number <= 1 else None
    if kind is DataType.DATETIME:
        return _time(number)
    if kind in _UNSIGNED:
        return number if number < 1 << _UNSIGNED[kind] else None
    return _signed(number, _SIGNED[kind], field)


def _time(milliseconds: int) -> str | None:
    try:
        time = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _signed(number: int, bits: int, field: ValueField) -> int | None:
    # Two's complement in the type's own bits, or, as some stacks send it, extended to those of the field. A protobuf
    # uint32 above its own range is cut to it by every parser; here it may also be a negative extended to 64 bits.
    half = 1 << (bits - 1)
    if number < 2 * half:
        return number - 2 * half if number >= half else number
    for width in (32, 64) if field is ValueField.INT else (64,):
        extended = number - (1 << width)
        if -half <= extended < 0:
            return extended
    return None


_WHOLE_FIELDS = (ValueField.INT, ValueField.LONG)
_SIGNED = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_UNSIGNED = {DataType.UINT8: 8, DataType.UINT16: 16, DataType.UINT32: 32, DataType.UINT64: 64}
_FIELDS: Mapping[int, tuple[ValueField, ...]] = {
    **dict.fromkeys(_SIGNED, _WHOLE_FIELDS),
    **dict.fromkeys(_UNSIGNED, _WHOLE_FIELDS),
    DataType.FLOAT: (ValueField.FLOAT,),
    DataType.DOUBLE: (ValueField.DOUBLE,),
    DataType.BOOLEAN: (ValueField.BOOLEAN,),
    DataType.DATETIME: (ValueField.LONG,),
    **dict.fromkeys((DataType.STRING, DataType.TEXT, DataType.UUID), (ValueField.STRING,)),
}
_QUALITY: Mapping[int | None, Quality] = {None: GOOD, 192: GOOD, 500: UNCERTAIN_LAST_USABLE_VALUE}


ENTRY_TYPES: Mapping[str, DataType] = {
    "BOOLEAN": DataType.BOOLEAN,
    "INTEGER_COUNT": DataType.INT64,
    "REAL_MEASURE": DataType.DOUBLE,
    "STRING": DataType.STRING,
}
"""The type of a metric that is a value of a dictionary entry, by the entry's data type."""


COMMANDED = frozenset(_FIELDS) - {DataType.DATETIME, DataType.UUID}
"""The types of metrics that can be written."""


def whole_limits(kind: DataType) -> tuple[int, int] | None:
    """Return the least and the greatest number a whole type holds; None for other types."""
    if kind in _UNSIGNED:
        return 0, (1 << _UNSIGNED[kind]) - 1
    half = 1 << (_SIGNED[kind] - 1) if kind in _SIGNED else 0
    return (-half, half - 1) if half else None


def encode_payload(timestamp: int, seq: int | None, metrics: Sequence[Metric]) -> bytes:
    """Return the payload of `metrics` at `timestamp`, milliseconds UTC."""
    parts = [_number(1, timestamp), *(_content(2, _metric(metric)) for metric in metrics)]
    return b"".join(parts) + (b"" if seq is None else _number(3, seq))


def value_metric(name: str | None, alias: int | None, data_type: DataType, value: Value, timestamp: int) -> Metric:
    """Return the metric that carries `value`; None is sent as null."""
    long = data_type in (DataType.INT64, DataType.UINT64, DataType.UINT32)  # Tahu's readers look for the last here, too
    field = _FIELDS[data_type][-1 if long else 0]
    raw: int | float | str | None = int(value) if isinstance(value, bool) else value
    if isinstance(raw, int) and data_type in _SIGNED:
        # Extended to the bits of the field: who cuts it to the type's own reads the same, who does not would not.
        raw &= (1 << max(32, _SIGNED[data_type])) - 1
    if value is None:
        return Metric(name, alias, timestamp, data_type, null=True)
    return Metric(name, alias, timestamp, data_type, field=field, raw=raw)


def _metric(metric: Metric) -> bytes:
    parts = [] if metric.name is None else [_content(1, metric.name.encode())]
    numbers = {2: metric.alias, 3: metric.timestamp, 4: metric.data_type}
    parts += [_number(field, number) for field, number in numbers.items() if number is not None]
    parts += [_number(field, 1) for field, said in {5: metric.historical, 7: metric.null}.items() if said]
    properties = [(key, _number(1, DataType.STRING) + _content(8, text.encode())) for key, text in metric.properties]
    if metric.quality is not None:
        properties.insert(0, ("Quality", _number(1, DataType.INT32) + _number(3, metric.quality)))
    if properties:
        keys = b"".join(_content(1, key.encode()) for key, _ in properties)
        parts.append(_content(9, keys + b"".join(_content(2, value) for _, value in properties)))
    match metric.field, metric.raw:
        case ValueField.FLOAT, float() | int():
            parts.append(_key(12, FIXED32) + struct.pack("<f", metric.raw))
        case ValueField.DOUBLE, float() | int():
            parts.append(_key(13, FIXED64) + struct.pack("<d", metric.raw))
        case ValueField.INT | ValueField.LONG | ValueField.BOOLEAN, int():
            parts.append(_number(metric.field, metric.raw))
        case ValueField.STRING, str():
            parts.append(_content(15, metric.raw.encode()))
    return b"".join(parts)


def _key(field: int, wire: int) -> bytes:
    return _encoded(field << 3 | wire)


def _number(field: int, number: int) -> bytes:
    return _key(field, VARINT) + _encoded(number)


def _content(field: int, content: bytes) -> bytes:
    return _key(field, BYTES) + _encoded(len(content)) + content


def _encoded(number: int) -> bytes:
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*found, number))
