"""One session of a Sparkplug edge node at a broker, as the node itself lives it: will, births, numbered messages, death.

What is followed is Eclipse Sparkplug 3.0.0: session numbers and wills 5.4 and 6.4.19, message numbers 6.4.1, rebirth
requests 6.4.22, the state of a primary host 5.16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from protocols.errors import Refused, SunmaoError
from protocols.mqtt.config import BrokerConnection
from protocols.mqtt.edge_node import BIRTH_SEQUENCE, NAMESPACE, REBIRTH
from protocols.mqtt.link import Link, Message, Will
from protocols.mqtt.sparkplug import DataType, Metric, decode_payload, encode_payload, value_metric
from protocols.reading import now_us
from protocols.text import Text

SESSIONS = 256
"""Session numbers (bdSeq) run from 0 to one less than this, then from 0 again."""


class _HostState(msgspec.Struct):
    """What a primary host says of itself."""

    online: bool
    timestamp: int = 0


class NodeSession:
    """One session; opened once, and ended or dropped once.

    Args:
        owner: whose it is, for messages to people.
        connection: where the broker is.
        group: the Sparkplug group.
        node: the edge node within it.
        number: of this session; one more for each, so that a late death is not taken for a new one.
        primary_host: the host application that must be online for the node to speak; none where absent.
        commanded: takes the device ("" for the node itself) and the metrics of a command; none are listened to where
            absent, but for requests for rebirth.

    Attributes:
        wants_birth: a host has asked for the birth certificates since the node's last one.
        host_online: what the primary host said last; True where there is none to wait for.
    """

    def __init__(
        self,
        owner: str,
        connection: BrokerConnection,
        group: str,
        node: str,
        number: int,
        *,
        primary_host: str | None = None,
        commanded: Callable[[str, Sequence[Metric]], None] | None = None,
    ) -> None:
        self.wants_birth = False
        self.host_online = primary_host is None
        self._owner = owner
        self._group = group
        self._node = node
        self._number = number % SESSIONS
        self._state_topic = f"{NAMESPACE}/STATE/{primary_host}" if primary_host else None
        self._state_time = 0
        self._commanded = commanded
        self._seq = 0
        self._born = False
        self._link = Link(owner, connection, self._take, Will(self._topic("NDEATH"), self._death()))

    async def open(self) -> None:
        """Log in with the node's death as the will, and listen to commands; errors as of `Link.open`."""
        await self._link.open()
        wanted = [self._topic("NCMD"), *([self._state_topic] if self._state_topic else [])]
        wanted += [self._topic("DCMD", "+")] if self._commanded else []
        if refused := await self._link.subscribe(wanted):
            raise Refused(
                Text(f"the broker does not let us listen to {refused[0]}", f"MQTT 服务器不允许订阅 {refused[0]}"),
                Text("allow it to this user", "请为该用户开放此权限"),
                key=self._owner,
            )

    def node_birth(self, metrics: Sequence[Metric] = ()) -> None:
        """Publish the node's birth certificate with `metrics`; the devices' must follow."""
        self.wants_birth, self._born, self._seq = False, True, 0
        rebirth = value_metric(REBIRTH, None, DataType.BOOLEAN, False, now_us() // 1000)
        self._send("NBIRTH", "", [self._session_metric(), rebirth, *metrics])

    def device_birth(self, device: str, metrics: Sequence[Metric]) -> None:
        """Publish the birth certificate of `device`."""
        self._send("DBIRTH", device, metrics)

    def data(self, device: str, metrics: Sequence[Metric]) -> None:
        """Publish new values of `device`, or with "" of the node itself."""
        self._send("DDATA" if device else "NDATA", device, metrics)

    def device_death(self, device: str) -> None:
        """Publish that `device` is lost."""
        self._send("DDEATH", device, [])

    async def ping(self) -> None:
        """Wait until the broker has all that was published; raises Unreachable or Malformed."""
        await self._link.ping()

    async def lost(self, within_s: float) -> None:
        """Wait `within_s` seconds; raises at once what ends the connection."""
        await self._link.lost(within_s)

    @property
    def keepalive_s(self) -> int:
        """See `Link.keepalive_s`."""
        return self._link.keepalive_s

    async def end(self) -> None:
        """Say that the node is gone, and leave: a broker forgets the will of who says good-bye."""
        if self._born:
            with suppress(SunmaoError):
                self._link.publish(self._topic("NDEATH"), self._death())
        await self._link.close()

    async def drop(self) -> None:
        """Leave without a word; the broker publishes the will."""
        await self._link.drop()

    def _take(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.topic == self._state_topic:
                self._hear_host(message.payload)
                continue
            with suppress(ValueError):
                metrics = decode_payload(message.payload).metrics
                self.wants_birth |= any(metric.name == REBIRTH and metric.raw == 1 for metric in metrics)
                if self._commanded is not None:
                    self._commanded("".join(message.topic.split("/")[4:]), metrics)

    def _hear_host(self, payload: bytes) -> None:
        try:
            said = msgspec.json.decode(payload, type=_HostState)
        except msgspec.MsgspecError:
            return
        if said.timestamp >= self._state_time:  # an older one is the will of a session before the host's present one
            self.host_online, self._state_time = said.online, said.timestamp

    def _send(self, kind: str, device: str, metrics: Sequence[Metric]) -> None:
        self._link.publish(self._topic(kind, device), encode_payload(now_us() // 1000, self._seq, metrics))
        self._seq = (self._seq + 1) % 256

    def _death(self) -> bytes:
        return encode_payload(now_us() // 1000, None, [self._session_metric()])

    def _session_metric(self) -> Metric:
        return value_metric(BIRTH_SEQUENCE, None, DataType.INT64, self._number, now_us() // 1000)

    def _topic(self, kind: str, device: str = "") -> str:
        return "/".join(part for part in (NAMESPACE, self._group, kind, self._node, device) if part)
