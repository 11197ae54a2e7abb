"""What is sent to have a device take a new value: the message of a command topic, or the metric of a Sparkplug command."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import msgspec

from protocols.errors import ConfigError, Refused
from protocols.mqtt.config import TEXT, VALUE, MqttPoint
from protocols.mqtt.edge_node import EdgeNode
from protocols.mqtt.sparkplug import COMMANDED, DataType, Metric, encode_payload, value_metric, whole_limits
from protocols.reading import Value, now_us
from protocols.text import Text


def command_message(point: MqttPoint, value: Value) -> bytes:
    """Return the message that sets `point` to `value`, in the unit of `point`; raises ConfigError for a code it lacks."""
    said = raw_value(point, value)
    if TEXT in point.command and isinstance(said, str):
        return point.command.replace(TEXT, said).encode()
    return point.command.replace(_place(point), msgspec.json.encode(said).decode()).encode()


def commanded_value(point: MqttPoint, message: bytes) -> Any:
    """Return the raw value in `message`, the inverse of `command_message`; raises ValueError where it has none."""
    place = _place(point)
    before, _, after = point.command.partition(place)
    found = re.fullmatch(f"{re.escape(before)}(.*){re.escape(after)}", message.decode(), re.DOTALL)
    if found is None:
        raise ValueError(f"not as in {point.command}")
    try:
        return msgspec.json.decode(found[1])
    except msgspec.DecodeError:
        if place == VALUE:
            raise
        return found[1]


def _place(point: MqttPoint) -> str:
    return VALUE if VALUE in point.command else TEXT


def command_payload(device: str, node: EdgeNode, point: MqttPoint, value: Value) -> bytes:
    """Return the Sparkplug command that sets the metric of `point`, in the type it was born with.

    Raises Refused where the metric has no birth that holds, or a type that is no single value; ConfigError for what the
    type can not hold.
    """
    called = node.commanded(point)
    if called is None or called.data_type not in COMMANDED:
        raise Refused(
            Text(
                f"{point.sparkplug} does not offer '{point.metric}' to be written now",
                f"{point.sparkplug} 目前不提供可写的“{point.metric}”",
            ),
            Text(
                "see whether the node is connected, and how it calls the metric: `sunmao-edge browse`",
                "请确认节点在线，并用 `sunmao-edge browse` 核对指标名称",
            ),
            key=device,
        )
    now = now_us() // 1000
    # 6.4.6 would leave the type out; stacks that do not keep what they were born with read no value then (Tahu's for Node).
    return encode_payload(now, None, [_metric(point, value, called, now)])


def _metric(point: MqttPoint, value: Value, called: Metric, now: int) -> Metric:
    kind, raw = DataType(called.data_type or 0), raw_value(point, value)
    limits = whole_limits(kind)
    if kind is DataType.BOOLEAN:
        fits = isinstance(raw, (bool, int)) and raw in {0, 1}
        raw = bool(raw)
    elif kind in (DataType.STRING, DataType.TEXT):
        fits = isinstance(raw, str)
    else:
        number = isinstance(raw, (int, float)) and not isinstance(raw, bool)
        fits = number and (limits is None or (isinstance(raw, int) and limits[0] <= raw <= limits[1]))
        if fits and kind is DataType.FLOAT:
            fits = _fits_float(float(raw))  # type: ignore[arg-type]
    if not fits:
        raise ConfigError(
            Text(
                f"'{point.name}' can not hold {value!r}: the metric is of type {kind.name}",
                f"“{point.name}”无法写入 {value!r}：指标类型为 {kind.name}",
            ),
            Text("choose a value of this type", "请选择该类型的值"),
        )
    return value_metric(called.name, called.alias, kind, raw, now)


def raw_value(point: MqttPoint, value: Value) -> Value:
    """Return what the device has to hold for `point` to be `value`: whole numbers whole, twelve digits of the others."""
    if value is None or isinstance(value, (bool, str)):
        return value
    try:
        raw = point.raw(value)
    except ValueError as error:
        raise ConfigError(error.args[0]) from error
    if isinstance(raw, float):
        raw = float(f"{raw:.12g}")
    return int(raw) if math.isfinite(raw) and float(raw).is_integer() else raw


def _fits_float(number: float) -> bool:
    try:
        struct.pack("<f", number)
    except OverflowError:
        return False
    return True
