"""What is known of one Sparkplug edge node: who is born, what its aliases mean, which message comes next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from protocols.mqtt.codec import measured
from protocols.mqtt.config import MqttPoint
from protocols.mqtt.sparkplug import Metric, Payload, decode_payload, metric_value
from protocols.reading import (
    BAD_DECODING_ERROR,
    BAD_NO_COMMUNICATION,
    BAD_NODE_ID_UNKNOWN,
    Quality,
    Reading,
    plausible_time,
)

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
BIRTH_SEQUENCE = "bdSeq"


class Heard(NamedTuple):
    """One reading from a message; a historical one is not the present value of its point."""

    reading: Reading
    historical: bool = False


class EdgeNode:
    """One edge node and its devices, as far as points want them.

    A metric is told by its name and type, its own or those of the birth certificate it refers to. After a gap in the
    sequence nothing of an old birth is believed: what an alias means may have changed in the message that was lost.

    Args:
        name: "<group>/<edge node>".
        points: those of the node and its devices.

    Attributes:
        wants_birth: messages could not be understood without a birth certificate that is missing.
    """

    def __init__(self, name: str, points: Sequence[MqttPoint]) -> None:
        self.name = name
        self.wants_birth = True
        group, _, node = name.partition("/")
        self.filter = f"{NAMESPACE}/{group}/+/{node}/#"
        """Matches the node's own messages and those of all its devices: the sequence runs through all of them."""
        self.command_topic = f"{NAMESPACE}/{group}/NCMD/{node}"
        self._points: dict[str, dict[str, list[MqttPoint]]] = {}
        for point in points:
            self._points.setdefault(self._device_of(point), {}).setdefault(point.metric or "", []).append(point)
        self._births: dict[str, dict[int | str, tuple[str, int | None]]] = {}
        self._next_seq: int | None = None
        self._birth_sequence: int | float | str | None = None

    def take(self, kind: str, device: str, payload: bytes, arrival: int) -> list[Heard]:
        """Return what a message says of the points.

        Args:
            kind: as in the topic: NBIRTH, NDATA, NDEATH, DBIRTH, DDATA or DDEATH; others say nothing.
            device: name of the device, "" for the node itself.
            payload: the message as it came; one that is no payload makes the points of its device BadDecodingError.
            arrival: when it came, microseconds UTC.
        """
        if kind not in ("NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH") or (kind[0] == "N") != (device == ""):
            return []
        try:
            message = decode_payload(payload)
        except ValueError:
            self._forget()
            return list(self._all(self._points if kind == "NDEATH" else [device], BAD_DECODING_ERROR, arrival))
        if kind == "NDEATH":
            return self._node_death(message, arrival)
        self._follow(kind, message)
        if kind == "DDEATH":
            self._births.pop(device, None)
            return list(self._all([device], BAD_NO_COMMUNICATION, arrival))
        found = list(self._node_birth(message, arrival)) if kind == "NBIRTH" else []
        if device not in self._points:
            return found
        if kind in ("NBIRTH", "DBIRTH"):
            self._births[device] = _meanings(message)
        found += self._values(device, message, arrival)
        if kind in ("NBIRTH", "DBIRTH"):
            born = {metric.name for metric in message.metrics}
            found += [
                Heard(Reading(point.name, None, BAD_NODE_ID_UNKNOWN, arrival, arrival))
                for name, points in self._points[device].items()
                if name not in born
                for point in points
            ]
        return found

    def commanded(self, point: MqttPoint) -> Metric | None:
        """Return the metric of `point` as it is called in a command, without a value; None where it has no valid birth.

        One with an alias is called by nothing else (6.4.6: the name must be left out).
        """
        born = self._births.get(self._device_of(point), {})
        name, data_type = born.get(point.metric or "", (None, None))
        if name is None or data_type is None:
            return None
        alias = next((key for key, (of, _) in born.items() if of == name and isinstance(key, int)), None)
        return Metric(name if alias is None else None, alias, data_type=data_type)

    def command_topic_of(self, point: MqttPoint) -> str:
        """Return the topic on which the metric of `point` is commanded: the node's, or its device's."""
        group, _, node = self.name.partition("/")
        device = self._device_of(point)
        return f"{NAMESPACE}/{group}/DCMD/{node}/{device}" if device else self.command_topic

    def _device_of(self, point: MqttPoint) -> str:
        return (point.sparkplug or "").removeprefix(self.name).removeprefix("/")

    def _follow(self, kind: str, message: Payload) -> None:
        """Keep count of the messages (6.4.1: seq is 0 in the NBIRTH, then one more each time, 255 before 0)."""
        if message.seq is None:
            return
        if kind != "NBIRTH" and self._next_seq is not None and message.seq != self._next_seq:
            self._forget()
        self._next_seq = (message.seq + 1) % 256

    def _forget(self) -> None:
        self._births.clear()
        self.wants_birth = True

    def _node_birth(self, message: Payload, arrival: int) -> Iterator[Heard]:
        """Begin anew. The devices of another session are gone until their own births (the same one only repeats)."""
        self._births.clear()
        self.wants_birth = False
        before, self._birth_sequence = self._birth_sequence, _birth_sequence(message)
        if None not in (before, self._birth_sequence) and before != self._birth_sequence:
            yield from self._all([device for device in self._points if device], BAD_NO_COMMUNICATION, arrival)

    def _node_death(self, message: Payload, arrival: int) -> list[Heard]:
        said = _birth_sequence(message)
        if None not in (said, self._birth_sequence) and said != self._birth_sequence:
            return []  # the will of a session before the present one
        self._births.clear()
        self._next_seq = None
        return list(self._all(self._points, BAD_NO_COMMUNICATION, arrival))

    def _values(self, device: str, message: Payload, arrival: int) -> Iterator[Heard]:
        meanings = self._births.get(device, {})
        wanted = self._points[device]
        for metric in message.metrics:
            name, data_type = _identity(metric, meanings)
            if name is None:
                self.wants_birth = True
                continue
            points = wanted.get(name, ())
            if points and data_type is None:
                self.wants_birth = True
                continue
            milliseconds = metric.timestamp if metric.timestamp is not None else message.timestamp
            source = arrival if milliseconds is None else plausible_time(milliseconds * 1000, arrival)
            for point in points:
                raw, quality = metric_value(metric, data_type or 0)
                yield Heard(measured(point, raw, quality, source, arrival), metric.historical)

    def _all(self, devices: Iterable[str], quality: Quality, arrival: int) -> Iterator[Heard]:
        for device in devices:
            for points in self._points.get(device, {}).values():
                for point in points:
                    yield Heard(Reading(point.name, None, quality, arrival, arrival))


def _identity(metric: Metric, meanings: dict[int | str, tuple[str, int | None]]) -> tuple[str | None, int | None]:
    """Return name and type of `metric`: what it says itself goes first, then what its birth said."""
    key = metric.name or metric.alias
    name, data_type = meanings.get(key, (metric.name, None)) if key is not None else (None, None)
    return metric.name or name, metric.data_type if metric.data_type is not None else data_type


def _meanings(message: Payload) -> dict[int | str, tuple[str, int | None]]:
    """Return name and type behind every alias and every name of a birth certificate."""
    found: dict[int | str, tuple[str, int | None]] = {}
    for metric in message.metrics:
        if metric.name is not None:
            found[metric.name] = (metric.name, metric.data_type)
            if metric.alias is not None:
                found[metric.alias] = (metric.name, metric.data_type)
    return found


def _birth_sequence(message: Payload) -> int | float | str | None:
    return next((metric.raw for metric in message.metrics if metric.name == BIRTH_SEQUENCE), None)
