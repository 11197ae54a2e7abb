"""A small real cloud: a TCP server that speaks the uplink's messages, keeps a ledger, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocols.reading import now_us
from protocols.uplink import messages as m
from protocols.uplink.codec import decode

CODE = "K7QF-3XWD-9MPA"


@dataclass
class Answer:
    """A raw HTTP answer given instead of the right one."""

    status: int
    body: bytes = b""
    media: str = "text/html"
    headers: str = ""


SWALLOW = "swallow"
"""Do what was asked, then cut the connection without a reply."""


@dataclass
class CloudDouble:
    """Counts what it stores by (epoch, seq), as the cloud's ledger does."""

    ledger: dict[tuple[str, int], m.Batch] = field(default_factory=dict)
    faults: deque[Answer | str] = field(default_factory=deque)
    """What happens to the next deliveries, one each, before all is well again."""
    poison: Callable[[m.Batch], str] = lambda batch: ""
    """Why a batch is refused for good; "" if it is not."""
    chokes_on: Callable[[m.Batch], bool] = lambda batch: False
    """What makes it refuse a whole delivery."""
    most_bytes: int = 1 << 30
    """Largest body that the proxy before it lets through."""
    tls: ssl.SSLContext | None = None
    token_life_s: int = 900
    logins: int = 0
    deliveries: int = 0
    health: list[m.Health] = field(default_factory=list)
    keys: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    nonces: set[bytes] = field(default_factory=set)
    host: str = "127.0.0.1"
    port: int = 0
    server: asyncio.Server | None = None
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    def readings(self) -> list[tuple[m.PointRef, int, float, int]]:
        """Every stored numeric reading: point, source time, value, quality."""
        rows = []
        for batch in list(self.ledger.values()):  # deliveries go on in the thread that serves
            if (c := batch.columns) is not None:
                columns = zip(
                    np.frombuffer(c.point, "<u4"),
                    np.frombuffer(c.source_time, "<i8"),
                    np.frombuffer(c.value, "<f8"),
                    np.frombuffer(c.quality, "<i2"),
                    strict=True,
                )
                rows += [(c.points[p], int(t), float(v), int(q)) for p, t, v, q in columns]
        return rows

    def events(self) -> list[str]:
        return [event.kind for batch in self.ledger.values() for event in batch.events]

    async def start(self) -> str:
        """Listen, on the same port as before if there was one."""
        self.server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self.url

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self.server:
            self.server.close()
        for writer in list(self.open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
                body = await reader.readexactly(int(headers["content-length"]))
                path = lines[0].split()[1]
                fault = self.faults.popleft() if path.endswith("/batches") and self.faults else None
                answer = fault if isinstance(fault, Answer) else self._answer(path, headers, body)
                if fault == SWALLOW:
                    writer.transport.abort()
                    return
                writer.write(
                    f"HTTP/1.1 {answer.status} x\r\ncontent-type: {answer.media}\r\n{answer.headers}"
                    f"content-length: {len(answer.body)}\r\n\r\n".encode()
                    + answer.body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        name = path.rsplit("/", 1)[-1]
        if len(body) > self.most_bytes:
            return Answer(413, b"<html>request entity too large")
        if name in ("batches", "health") and headers.get("authorization", "")[7:] not in self.tokens:
            return Answer(401, b'{"title": "token not valid"}', "application/problem+json")
        if not hasattr(self, f"_{name}"):
            return Answer(404, b'{"title": "an older cloud"}', "application/problem+json")
        try:
            reply = getattr(self, f"_{name}")(body)
        except ValueError as error:
            return Answer(422, msgspec.json.encode({"title": str(error)}), "application/problem+json")
        except (InvalidSignature, KeyError) as error:
            return Answer(401, msgspec.json.encode({"title": repr(error)}), "application/problem+json")
        return Answer(200, msgspec.msgpack.encode(reply), m.MEDIA_TYPE)

    def _enrol(self, body: bytes) -> m.EnrolReply:
        request = msgspec.msgpack.decode(body, type=m.EnrolRequest)
        Ed25519PublicKey.from_public_bytes(request.public_key).verify(
            request.proof, b"sunmao-enrol:" + request.code.encode()
        )
        if request.code != CODE:
            raise KeyError(request.code)
        self.keys["agent-1"] = request.public_key
        return m.EnrolReply("agent-1", "tenant", "site")

    def _challenge(self, body: bytes) -> m.ChallengeReply:
        self.nonces.add(nonce := os.urandom(32))
        return m.ChallengeReply(nonce)

    def _token(self, body: bytes) -> m.TokenReply:
        request = msgspec.msgpack.decode(body, type=m.TokenRequest)
        self.nonces.remove(request.nonce)
        signed = b"sunmao-login:" + request.agent_id.encode() + request.nonce
        Ed25519PublicKey.from_public_bytes(self.keys[request.agent_id]).verify(request.signature, signed)
        self.logins += 1
        self.tokens.add(token := f"token-{self.logins}")
        return m.TokenReply(token, self.token_life_s, now_us())

    def _batches(self, body: bytes) -> m.Receipt:
        delivery = msgspec.msgpack.decode(body, type=m.Delivery)
        self.deliveries += 1
        stored, refused = [], []
        batches = [decode(frame.payload) for frame in delivery.frames]
        if any(self.chokes_on(batch) for batch in batches):
            raise ValueError("a frame is not valid")
        for frame, batch in zip(delivery.frames, batches, strict=True):
            if reason := self.poison(batch):
                refused.append(m.Verdict(frame.seq, reason))
                continue
            self.ledger.setdefault((delivery.epoch, frame.seq), batch)
            stored.append(frame.seq)
        return m.Receipt(stored, refused)

    def _health(self, body: bytes) -> m.HealthReply:
        self.health.append(msgspec.msgpack.decode(body, type=m.Health))
        return m.HealthReply(now_us())
