"""One connection to one broker; the place where paho's and asyncio's failures end."""

from __future__ import annotations

import asyncio
import os
import secrets
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from paho.mqtt.client import MQTTMessage, error_string
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from protocols.errors import Malformed, Refused, SunmaoError, Unreachable
from protocols.mqtt.config import BrokerConnection
from protocols.mqtt.transport import Paho, Pipe
from protocols.reading import now_us
from protocols.text import Text

MAX_PACKET_BYTES = 4 * 1024 * 1024
"""Largest packet taken from a broker; MQTT itself allows 256 MiB."""

MAX_FILTERS = 100
"""Topic filters in one request; brokers bound the size of a packet."""

_CONNACK = 0x20
_TRANSIENT = {0x88, 0x89, 0x97, 0x9F}
"""Reasons that pass (MQTT 5, 2.4): unavailable, busy, quota exceeded, too many connections just now."""

_NOBODY_LISTENS = 0x10
"""Of a PUBACK (MQTT 5, 3.4.2.1): taken, but there is no subscriber."""

T = TypeVar("T")


class Message(NamedTuple):
    """One message as it came; `arrival` in microseconds UTC."""

    topic: str
    payload: bytes
    arrival: int


class Will(NamedTuple):
    """What the broker publishes when this client is gone without a word."""

    topic: str
    payload: bytes


class Link(asyncio.Protocol):
    """One connection; opened once, closed once.

    Args:
        device: whose it is, for messages to people.
        connection: where the broker is.
        receive: takes the messages that came together; never raises.
        will: left with the broker at log-in.
    """

    def __init__(
        self,
        device: str,
        connection: BrokerConnection,
        receive: Callable[[Sequence[Message]], None],
        will: Will | None = None,
    ) -> None:
        self._device = device
        self._connection = connection
        self._receive = receive
        self._pipe = Pipe()
        # A client without a name is refused by some brokers of 3.1.1.
        name = connection.client_id or f"sunmao-{secrets.token_hex(8)}"
        self._paho = Paho(self._pipe, self._on_pong, name, connection.version)
        if connection.user is not None:
            password = connection.password.get_secret_value() if connection.password else None
            self._paho.username_pw_set(connection.user, password)
        if will is not None:
            self._paho.will_set(will.topic, will.payload, qos=1)
        self._paho.on_connect = self._on_connect
        self._paho.on_disconnect = self._on_disconnect
        self._paho.on_message = self._on_message
        self._paho.on_subscribe = self._on_subscribe
        self._paho.on_publish = self._on_publish
        self.news = asyncio.Event()
        """Set when messages have come, and when the connection has ended."""
        self._messages: list[Message] = []
        self._failure: SunmaoError | None = None
        self._let_in = False
        self._closed = asyncio.Event()
        self._waiting: dict[object, asyncio.Future[Any]] = {}

    async def open(self) -> None:
        """Connect and log in; raises ConfigError, Unreachable, Refused or Malformed."""
        connection, timeout_s = self._connection, self._connection.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: self, connection.host, connection.broker_port, ssl=connection.tls()
                )
        except ssl.SSLError as error:
            raise self._tls_refused(error) from error
        except TimeoutError as error:
            raise self._no_answer() from error
        except ConnectionResetError as error:
            raise self._hung_up() from error
        except OSError as error:
            # asyncio's own wording repeats the address; a name that is not known has no error number of the system.
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
            raise self._unreachable(f"cannot be reached: {why}", f"无法连接：{why}") from error
        answer = self._expect("connack")
        self._paho.connect(connection.host, connection.broker_port, connection.keepalive_s)
        await self._answer("connack", answer)

    @property
    def keepalive_s(self) -> int:
        """Longest time in seconds in which nothing is asked of the broker; an MQTT 5 broker may set its own."""
        return self._paho.keepalive or self._connection.keepalive_s

    async def subscribe(self, filters: Sequence[str], qos: int = 1) -> list[str]:
        """Have messages of `filters` delivered from now on, at least once with `qos` 1 and at most once with 0.

        Returns those the broker does not allow.
        """
        refused: list[str] = []
        for start in range(0, len(filters), MAX_FILTERS):
            part = filters[start : start + MAX_FILTERS]
            self.check()
            _, mid = self._paho.subscribe([(topic, qos) for topic in part])
            codes: list[ReasonCode] = await self._answer(mid, self._expect(mid))
            if len(codes) != len(part):
                raise self._malformed(
                    f"answered {len(codes)} of {len(part)} subscriptions", f"{len(part)} 项订阅只应答了 {len(codes)} 项"
                )
            refused += [topic for topic, code in zip(part, codes, strict=True) if code.is_failure]
        return refused

    async def ping(self) -> None:
        """Wait until the broker has answered, and so sent all it had before; raises Unreachable or Malformed."""
        self.check()
        answer = self._expect("pong")
        self._paho.ping()
        await self._answer("pong", answer)

    async def deliver(self, topic: str, payload: bytes) -> None:
        """Publish, and wait until the broker has taken it; raises Refused where it says no or that nobody listens.

        It is sent once: Unreachable and Malformed mean that nobody knows whether it has arrived.
        """
        self.check()
        mid = self._paho.publish(topic, payload, qos=1).mid
        reason: ReasonCode = await self._answer(("taken", mid), self._expect(("taken", mid)))
        if reason.is_failure or reason.value == _NOBODY_LISTENS:
            raise Refused(
                self._text(f"does not pass on {topic}: {reason}", f"不转发 {topic}：{reason}"),
                Text(
                    "check the topic, whether the device is connected, and what the broker allows this user",
                    "请核对主题、设备是否在线，以及服务器给该用户的权限",
                ),
                key=self._device,
            )

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at most once; raises what ended the connection."""
        self.check()
        self._paho.publish(topic, payload, qos=0, retain=retain)

    def check(self) -> None:
        """Raise what has ended the connection, if it has ended."""
        if self._failure is not None:
            raise self._failure
        if self._pipe.transport is None:
            raise self._unreachable("is not connected", "未连接")

    async def lost(self, within_s: float) -> None:
        """Wait `within_s` seconds; raises at once what ends the connection."""
        self.check()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._expect("end")

    async def close(self) -> None:
        """Say good-bye where the broker still listens, and drop the connection."""
        transport = self._pipe.transport
        if transport is None:
            return
        self._failure = self._failure or self._unreachable("is not connected", "未连接")
        self._paho.on_disconnect = None
        if self._let_in:
            self._paho.disconnect()
        transport.close()
        try:
            async with asyncio.timeout(min(self._connection.timeout_s, 0.5)):
                await self._closed.wait()
        except TimeoutError:
            pass
        finally:
            await self.drop()

    async def drop(self) -> None:
        """Drop the connection without a word."""
        transport, self._pipe.transport = self._pipe.transport, None
        if transport is not None:
            transport.abort()
            await asyncio.sleep(0)  # the transport closes its socket in the loop's next round

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; called by asyncio."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 # what create_connection makes
        self._pipe.transport = transport

    def data_received(self, data: bytes) -> None:
        """Take bytes from the broker; called by asyncio."""
        if not self._let_in and not self._pipe.received and data[0] != _CONNACK and self._failure is None:
            self._fail(self._broken(f"its first byte is 0x{data[0]:02X}"))
        received = self._pipe.received
        received += data
        while received and self._failure is None:
            try:
                code = self._paho.loop_read()
            except Exception as error:  # paho's decoders raise what Python raises
                self._fail(self._broken(str(error)))
                break
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._fail(self._broken(error_string(code)))
            elif self._paho.announced_bytes > MAX_PACKET_BYTES:
                self._fail(
                    self._malformed(
                        f"sends a packet of {self._paho.announced_bytes} bytes, more than {MAX_PACKET_BYTES}",
                        f"发送的报文为 {self._paho.announced_bytes} 字节，超过 {MAX_PACKET_BYTES}",
                    )
                )
        messages, self._messages = self._messages, []
        if messages:
            self._receive(messages)
            self.news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection; called by asyncio."""
        self._closed.set()
        if isinstance(exc, ssl.SSLError):
            self._fail(self._tls_refused(exc))
        else:
            self._fail(self._hung_up())

    def _on_connect(self, _c: Any, _u: Any, _f: Any, reason: ReasonCode, _p: Any) -> None:
        if reason.is_failure:
            self._fail(self._not_let_in(reason))
        else:
            self._let_in = True
            self._settle("connack", None)

    def _on_disconnect(self, _c: Any, _u: Any, flags: Any, reason: ReasonCode, _p: Any) -> None:
        if flags.is_disconnect_packet_from_server:  # MQTT 5 says why
            self._fail(self._unreachable(f"ended the connection: {reason}", f"终止了连接：{reason}"))

    def _on_message(self, _c: Any, _u: Any, message: MQTTMessage) -> None:
        self._messages.append(Message(message.topic, bytes(message.payload), now_us()))

    def _on_subscribe(self, _c: Any, _u: Any, mid: int, codes: list[ReasonCode], _p: Any) -> None:
        self._settle(mid, codes)

    def _on_publish(self, _c: Any, _u: Any, mid: int, reason: ReasonCode, _p: Any) -> None:
        self._settle(("taken", mid), reason)

    def _on_pong(self) -> None:
        self._settle("pong", None)

    def _expect(self, key: object) -> asyncio.Future[Any]:
        self._waiting[key] = future = asyncio.get_running_loop().create_future()
        return future

    def _settle(self, key: object, answer: object) -> None:
        future = self._waiting.pop(key, None)
        if future is not None and not future.done():
            future.set_result(answer)

    async def _answer(self, key: object, future: asyncio.Future[T]) -> T:
        try:
            async with asyncio.timeout(self._connection.timeout_s):
                return await future
        except TimeoutError as error:
            raise self._no_answer() from error
        finally:
            self._waiting.pop(key, None)

    def _fail(self, error: SunmaoError) -> None:
        """End the connection for `error`, unless it has ended already; whoever waits is told."""
        if self._failure is not None:
            return
        self._failure = error
        self.news.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()
        if self._pipe.transport is not None:
            self._pipe.transport.abort()

    def _not_let_in(self, reason: ReasonCode) -> SunmaoError:
        if reason.value in _TRANSIENT:
            return self._unreachable(f"does not let anybody in now: {reason}", f"暂时不接受连接：{reason}")
        mend = {
            0x85: Text("give another client_id", "请更换 client_id"),
            0x84: Text("choose the other version", "请更换 version"),
        }.get(
            reason.value, Text("check user and password, and what the broker allows them", "请核对用户名、密码及权限")
        )
        return Refused(self._text(f"does not let us in: {reason}", f"拒绝登录：{reason}"), mend, key=self._device)

    def _tls_refused(self, error: ssl.SSLError) -> SunmaoError:
        if isinstance(error, ssl.SSLCertVerificationError):
            why = error.verify_message
            return Refused(
                self._text(f"shows a certificate that is not trusted: {why}", f"的证书不受信任：{why}"),
                Text(
                    "give its authority in ca, and the host as the certificate names it",
                    "请用 ca 指定其颁发机构，host 须与证书一致",
                ),
                key=self._device,
            )
        why = error.reason or str(error)
        return Refused(
            self._text(f"does not agree on TLS: {why}", f"TLS 协商失败：{why}"),
            Text("check port, security and the client certificate", "请核对端口、security 及客户端证书"),
            key=self._device,
        )

    def _hung_up(self) -> Unreachable:
        if self._let_in:
            return self._unreachable("closed the connection", "断开了连接")
        # A broker that does not like port, security or the missing certificate mostly leaves without saying so.
        return Unreachable(
            self._text("hung up at log-in", "在登录时断开了连接"),
            Text(
                "check port and security, and whether it asks for a client certificate",
                "请核对端口和 security，以及是否需要客户端证书",
            ),
            key=self._device,
        )

    def _no_answer(self) -> Unreachable:
        timeout_s = self._connection.timeout_s
        return self._unreachable(f"did not answer within {timeout_s:g} s", f"在 {timeout_s:g} 秒内没有应答")

    def _broken(self, what: str) -> Malformed:
        version = self._connection.version
        return self._malformed(f"does not speak MQTT {version}: {what}", f"未按 MQTT {version} 通信：{what}")

    def _unreachable(self, en: str, zh: str) -> Unreachable:
        return Unreachable(self._text(en, zh), key=self._device)

    def _malformed(self, en: str, zh: str) -> Malformed:
        return Malformed(self._text(en, zh), key=self._device)

    def _text(self, en: str, zh: str) -> Text:
        return Text(f"the broker at {self._connection.address} {en}", f"MQTT 服务器 {self._connection.address} {zh}")
