"""Posts to one server over HTTP/1.1, on connections that are kept for the next time. h11 speaks the protocol.

A client that can do everything takes 5 MB more of a small box and three times the processor time of a delivery.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from urllib.parse import SplitResult, unquote, urlsplit

import h11
import msgspec

from protocols.errors import ConfigError
from protocols.text import Text

PROGRESS_S = 30.0
"""Longest wait for the next piece to go out or come in: a slow line is no dead one."""
CONNECT_S = 10.0
KEPT_S = 4.0
"""How long an idle connection is used again: servers close theirs after 5 s (uvicorn), and a request may cross that."""
SECOND_ADDRESS_S = 0.25
"""After how long the next address of a name is tried as well (RFC 8305, 5)."""
PROXY_PORT = 8080
"""Of a proxy whose address names none."""
PIECE_BYTES = 16_384
READ_BYTES = 65_536


class Answer(msgspec.Struct, frozen=True):
    """What a server said. `headers` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes


class TooLong(Exception):
    """The answer's body is longer than allowed."""


class HttpClient:
    """Posts to the server at `url`, through the proxy that the environment names for it, if any.

    Args:
        url: of http or https; its path goes before every other.
        trust: checks the certificate of an https address.

    Raises ConfigError where the environment names a proxy that is none.
    """

    def __init__(self, url: str, trust: ssl.SSLContext | None) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        self._trust = trust
        self._host = (parts.hostname or "").encode("idna").decode()
        self._port = parts.port or (443 if self._tls else 80)
        self._authority = parts.netloc.rpartition("@")[2].encode("idna").decode()
        self._path = parts.path.rstrip("/")
        self._proxy = proxy_for(parts.scheme, self._host)
        self._through: dict[str, str] = {}
        if self._proxy is not None and self._proxy.username is not None:
            name_and_word = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}".encode()
            self._through = {"proxy-authorization": f"Basic {b64encode(name_and_word).decode()}"}
        self._idle: list[_Connection] = []

    async def post(self, path: str, content: bytes, headers: Mapping[str, str], most: int) -> Answer:
        """Send `content` and return the answer.

        Raises OSError - also TimeoutError and ssl.SSLError - or TooLong where the body has more than `most` bytes.
        """
        connection = await self._connection()
        target = self._path + path
        sent = {"host": self._authority, "content-length": str(len(content)), **headers}
        if self._proxy is not None and not self._tls:
            target, sent = f"http://{self._authority}{target}", sent | self._through
        with connection.dropped_if_it_fails():
            answer, again = await connection.exchange("POST", target, sent, content, most)
        if again:
            self._idle.append(connection)
        else:
            connection.abort()
        return answer

    async def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().abort()
        await asyncio.sleep(0)  # lets the event loop close the sockets

    async def _connection(self) -> _Connection:
        while self._idle:
            kept = self._idle.pop()
            if kept.usable:
                return kept
            kept.abort()
        trust = self._trust if self._tls else None
        async with asyncio.timeout(CONNECT_S):
            if self._proxy is None:
                return await _Connection.to(self._host, self._port, trust)
            connection = await _Connection.to(self._proxy.hostname or "", self._proxy.port or PROXY_PORT, None)
            if trust is not None:
                with connection.dropped_if_it_fails():
                    host = f"[{self._host}]" if ":" in self._host else self._host
                    await connection.tunnel(f"{host}:{self._port}", self._through, trust, self._host)
            return connection


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._h11 = h11.Connection(h11.CLIENT)
        self._used = monotonic()

    @classmethod
    async def to(cls, host: str, port: int, trust: ssl.SSLContext | None) -> _Connection:
        return cls(*await asyncio.open_connection(host, port, ssl=trust, happy_eyeballs_delay=SECOND_ADDRESS_S))

    @property
    def usable(self) -> bool:
        """Whether the other side has not hung up meanwhile, and will hardly just now."""
        return not (self._reader.at_eof() or self._writer.is_closing()) and monotonic() - self._used < KEPT_S

    async def tunnel(self, authority: str, headers: Mapping[str, str], trust: ssl.SSLContext, name: str) -> None:
        """Have a proxy connect to `authority` (RFC 9110, 9.3.6), and encrypt from here to there."""
        answer, _ = await self.exchange("CONNECT", authority, {"host": authority, **headers}, b"", READ_BYTES)
        if not 200 <= answer.status < 300:
            raise ConnectionError(f"the proxy answers {answer.status}")
        await self._writer.start_tls(trust, server_hostname=name)
        self._h11 = h11.Connection(h11.CLIENT)

    async def exchange(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, most: int
    ) -> tuple[Answer, bool]:
        """Return the answer, and whether the connection can be used again."""
        request = h11.Request(method=method, target=target, headers=list(headers.items()))
        ahead = self._h11.send(request) or b""
        with suppress(ConnectionError):  # it may have answered before it hung up
            for start in range(0, len(content), PIECE_BYTES):
                piece = h11.Data(data=content[start : start + PIECE_BYTES])
                self._writer.write(ahead + (self._h11.send(piece) or b""))
                ahead = b""
                async with asyncio.timeout(PROGRESS_S):
                    await self._writer.drain()
            self._writer.write(ahead + (self._h11.send(h11.EndOfMessage()) or b""))
        response, body = None, b""
        while True:
            told = self._h11.next_event()
            if told is h11.NEED_DATA:
                async with asyncio.timeout(PROGRESS_S):
                    self._h11.receive_data(await self._reader.read(READ_BYTES))
            elif isinstance(told, h11.Response):
                response = told
                if method == "CONNECT" and response.status_code < 300:
                    break
            elif isinstance(told, h11.Data):
                body += told.data
                if len(body) > most:
                    raise TooLong
            elif isinstance(told, h11.EndOfMessage):
                break
        assert response is not None  # noqa: S101 - h11 ends no message that has not begun
        self._used = monotonic()
        again = self._h11.our_state is self._h11.their_state is h11.DONE
        if again:
            self._h11.start_next_cycle()
        named = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status_code, named, body), again

    @contextmanager
    def dropped_if_it_fails(self) -> Iterator[None]:
        """Run a block after whose failure nobody knows what the connection would carry next."""
        try:
            yield
        except BaseException as error:
            self.abort()
            if isinstance(error, h11.ProtocolError):
                raise ConnectionError(str(error)) from error
            raise

    def abort(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()


def trust(ca: Path | None) -> ssl.SSLContext:
    """Return what checks certificates: by the authorities in the PEM file `ca`, else by the public ones.

    Those of the system count, for its administrator may have added some; a box without any has those of certifi. Raises
    OSError, also ssl.SSLError, where `ca` holds none.
    """
    context = ssl.create_default_context(cafile=ca)
    if not context.cert_store_stats()["x509_ca"]:
        import certifi  # noqa: PLC0415 - few need it

        context.load_verify_locations(certifi.where())
    return context


def proxy_for(scheme: str, host: str) -> SplitResult | None:
    """Return the proxy that the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) names for a host; None for none.

    Raises ConfigError for one that is no HTTP proxy.
    """
    if os.name == "posix" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - 2 MB that few boxes need

    proxies = getproxies()
    address = proxies.get(scheme) or proxies.get("all")
    if not address or proxy_bypass(host):
        return None
    parts = urlsplit(address if "://" in address else f"http://{address}")
    with suppress(ValueError):  # also UnicodeError
        if parts.scheme == "http" and parts.hostname and parts.hostname.encode("idna") and parts.port != 0:
            return parts
    raise ConfigError(
        Text(
            "the proxy is no address like http://proxy.factory:3128",
            "代理服务器不是形如 http://proxy.factory:3128 的地址",
        ),
        Text("mend or remove it in this process's environment", "请在本进程的环境变量中改正或删除"),
        key=f"{scheme}_proxy".upper(),
    )
