"""Finds out what a broker carries by listening for a while: the values in JSON messages, the metrics of Sparkplug births."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from protocols.driver import BrowsedPoint
from protocols.mqtt.edge_node import BIRTH_SEQUENCE, NAMESPACE
from protocols.mqtt.link import Message
from protocols.mqtt.sparkplug import DataType, decode_payload, metric_value
from protocols.reading import Value

LISTEN_S = 10.0
"""A device on MQTT speaks when it likes; what is silent for longer is not found."""

MAX_POINTS = 10_000
_MAX_IN_MESSAGE = 200
_MAX_DEPTH = 6

_CONTROL = ("Node Control/", "Device Control/")
"""Metrics that command (Sparkplug 3.0, 6.4.5 and 6.4.18) and say nothing."""


class Survey:
    """What was heard so far; each value and metric becomes one point, told once."""

    def __init__(self) -> None:
        self.unborn: set[str] = set()
        """Sparkplug nodes, "<group>/<node>", that sent data but no birth certificate yet."""
        self._born: set[str] = set()
        self._known: set[tuple[str, str]] = set()
        self._new: list[BrowsedPoint] = []

    def take(self, messages: Sequence[Message]) -> None:
        """Take messages that came together."""
        for topic, payload, _ in messages:
            parts = topic.split("/")
            if parts[0] == NAMESPACE:
                self._sparkplug(parts, payload)
            else:
                self._json(topic, payload)

    def news(self) -> list[BrowsedPoint]:
        """Return the points found since it was last asked."""
        found, self._new = self._new, []
        return found

    def _add(self, address: dict[str, Any], path: str, data_type: str, value: Value) -> None:
        key = (path, str(address))
        if key not in self._known and len(self._known) < MAX_POINTS:
            self._known.add(key)
            self._new.append(
                BrowsedPoint(address=address, path=path, data_type=data_type, unit=None, range=None, value=value)
            )

    def _json(self, topic: str, payload: bytes) -> None:
        try:
            message = msgspec.json.decode(payload)
        except (ValueError, RecursionError):
            return  # no JSON: this driver could not read it either
        for count, (pointer, value) in enumerate(_leaves(message, "", 0)):
            if count >= _MAX_IN_MESSAGE:
                return
            address = {"topic": topic, "value": pointer} if pointer else {"topic": topic}
            self._add(address, f"{topic}{pointer}", _type_of(value), value)

    def _sparkplug(self, parts: Sequence[str], payload: bytes) -> None:
        if len(parts) not in (4, 5):
            return
        kind, node = parts[2], f"{parts[1]}/{parts[3]}"
        if kind in ("NDATA", "DDATA") and node not in self._born:
            self.unborn.add(node)
        if kind not in ("NBIRTH", "DBIRTH"):
            return
        if kind == "NBIRTH":
            self._born.add(node)
            self.unborn.discard(node)
        source = "/".join((node, *parts[4:]))
        try:
            metrics = decode_payload(payload).metrics
        except ValueError:
            return
        for metric in metrics:
            if not metric.name or metric.name == BIRTH_SEQUENCE or metric.name.startswith(_CONTROL):
                continue
            data_type = metric.data_type or 0
            named = DataType(data_type).name.title() if data_type in DataType.__members__.values() else ""
            value, _ = metric_value(metric, data_type)
            self._add({"sparkplug": source, "metric": metric.name}, f"{source}/{metric.name}", named, value)


def _leaves(message: Any, pointer: str, depth: int) -> Iterator[tuple[str, Value]]:
    """Yield every single value of a JSON message with its place as a JSON pointer (RFC 6901)."""
    if isinstance(message, (str, int, float, bool)):
        yield pointer, message
    elif depth < _MAX_DEPTH and isinstance(message, dict):
        for key, value in message.items():
            yield from _leaves(value, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}", depth + 1)
    elif depth < _MAX_DEPTH and isinstance(message, list):
        for place, value in enumerate(message):
            yield from _leaves(value, f"{pointer}/{place}", depth + 1)


def _type_of(value: Value) -> str:
    return "bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
