"""Posting over connections that are kept, and through the proxies that factories have."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge_agent import http_client
from edge_agent.http_client import HttpClient, TooLong, trust
from protocols.errors import ConfigError
from tests.edge_agent.test_forward import own_authority

__all__ = ["own_authority"]

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Web:
    """A server that keeps what it is sent, by connection, and answers each post with `answer`."""

    def __init__(self, answer: bytes = OK) -> None:
        self.answer = answer
        self.heads: list[list[bytes]] = []
        self.bodies: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads: list[bytes] = []
        self.heads.append(heads)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                length = int(heads[-1].lower().partition(b"content-length:")[2].split()[0])
                self.bodies.append(await reader.readexactly(length))
                writer.write(self.answer)
                if b"connection: close" in self.answer:
                    break


@asynccontextmanager
async def listening(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    served: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())
        with suppress(ConnectionError):
            await handler(reader, writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.wait_for(asyncio.gather(*filter(None, served)), 10)


async def post(client: HttpClient, content: bytes = b"x") -> bytes:
    return (await client.post("/there", content, {"accept": "text/plain"}, 1000)).body


async def test_a_connection_serves_many_posts_and_large_ones_arrive_whole() -> None:
    web = Web()
    async with listening(web.serve) as port:
        client = HttpClient(f"http://127.0.0.1:{port}/base/", None)
        large = bytes(range(256)) * 5_000
        for content in (b"first", b"", large):
            assert await post(client, content) == b"ok"
        await client.close()
    assert web.bodies == [b"first", b"", large]
    (heads,) = web.heads
    assert all(head.startswith(b"POST /base/there HTTP/1.1\r\n") for head in heads)
    assert f"host: 127.0.0.1:{port}\r\n".encode() in heads[0]


async def test_a_connection_that_the_server_ended_or_that_was_idle_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web = Web(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    async with listening(web.serve) as port:
        client = HttpClient(f"http://127.0.0.1:{port}", None)
        assert [await post(client), await post(client)] == [b"ok"] * 2
        assert len(web.heads) == 2
        web.answer = OK
        assert [await post(client), await post(client)] == [b"ok"] * 2
        assert len(web.heads) == 3
        monkeypatch.setattr(http_client, "KEPT_S", 0.0)
        assert await post(client) == b"ok"
        assert len(web.heads) == 4
        await client.close()


async def test_posts_at_the_same_time_go_over_connections_of_their_own() -> None:
    held, both = asyncio.Event(), 0

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal both
        await reader.readuntil(b"\r\n\r\n")
        both += 1
        if both == 2:
            held.set()
        await held.wait()
        writer.write(OK)

    async with listening(hold) as port:
        client = HttpClient(f"http://127.0.0.1:{port}", None)
        assert await asyncio.wait_for(asyncio.gather(post(client), post(client)), 10) == [b"ok", b"ok"]
        await client.close()


async def test_an_answer_given_before_all_was_sent_is_heard() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Much\r\ncontent-length: 0\r\n\r\n")
        while await reader.read(65_536):
            pass

    async with listening(refuse) as port:
        client = HttpClient(f"http://127.0.0.1:{port}", None)
        answer = await client.post("/", b"x" * 3_000_000, {}, 1000)
        await client.close()
    assert answer.status == 413


@pytest.mark.parametrize(
    "said", [b"", b"hello\r\n\r\n", OK[:-1], b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"]
)
async def test_what_is_no_answer_is_a_failed_connection(said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)

    async with listening(talk) as port:
        client = HttpClient(f"http://127.0.0.1:{port}", None)
        with pytest.raises(ConnectionError):
            await post(client)


async def test_an_answer_that_is_too_long_is_given_up() -> None:
    web = Web(b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n" + b"x" * 1001)
    async with listening(web.serve) as port:
        with pytest.raises(TooLong):
            await post(HttpClient(f"http://127.0.0.1:{port}", None))


async def test_a_server_that_says_nothing_is_not_waited_for_longer_than_for_a_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    monkeypatch.setattr(http_client, "PROGRESS_S", 0.1)
    async with listening(keep_silent) as port:
        with pytest.raises(TimeoutError):
            await post(HttpClient(f"http://127.0.0.1:{port}", None))


class Proxy:
    """A proxy as factories have: passes CONNECT through, and forwards the rest to `port`."""

    def __init__(self, refuses: bool = False) -> None:
        self.heads: list[bytes] = []
        self.refuses = refuses
        self.target = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self.refuses:
            writer.write(b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n")
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        if head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            back.write(head)
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
    writer.close()


def ask_for_proxy(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://me:p%40ss@127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")


async def test_a_proxy_of_the_environment_is_used_and_told_who_asks(
    own_authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, context = own_authority
    login = b"proxy-authorization: Basic " + b64encode(b"me:p@ss")
    web, proxy = Web(), Proxy()
    async with listening(proxy.serve) as door, listening(web.serve) as port, listening(web.serve, context) as secret:
        ask_for_proxy(monkeypatch, door)
        proxy.target = port
        client = HttpClient(f"http://127.0.0.1:{port}", None)
        assert await post(client) == b"ok"
        await client.close()
        proxy.target = secret
        client = HttpClient(f"https://127.0.0.1:{secret}", ssl.create_default_context(cafile=ca))
        assert [await post(client), await post(client)] == [b"ok"] * 2
        await client.close()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        proxy.target = 0
        client = HttpClient(f"http://127.0.0.1:{port}", None)
        assert await post(client) == b"ok"
        await client.close()
    plain, tunnel = proxy.heads
    assert plain.startswith(f"POST http://127.0.0.1:{port}/there HTTP/1.1\r\n".encode())
    assert tunnel.startswith(f"CONNECT 127.0.0.1:{secret} HTTP/1.1\r\n".encode())
    assert login in plain
    assert login in tunnel
    inside = web.heads[1]
    assert len(inside) == 2
    assert not any(b"proxy-authorization" in head for head in inside)


async def test_a_proxy_that_refuses_is_named(
    own_authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(Proxy(refuses=True).serve) as door:
        ask_for_proxy(monkeypatch, door)
        client = HttpClient("https://cloud.invalid", ssl.create_default_context(cafile=own_authority[0]))
        with pytest.raises(ConnectionError, match="proxy answers 407"):
            await post(client)


def test_a_box_without_authorities_of_its_own_trusts_the_public_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    monkeypatch.setenv("SSL_CERT_DIR", "/dev/null")
    assert trust(None).cert_store_stats()["x509_ca"] > 100


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "http://127.0.0.1:port", "http://:3128"])
def test_what_is_no_http_proxy_is_named_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy.replace("//", "//me:secret@"))
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(ConfigError, match="http://proxy") as caught:
        HttpClient("https://cloud.invalid", None)
    assert caught.value.key == "HTTPS_PROXY"
    assert "secret" not in str(caught.value)
