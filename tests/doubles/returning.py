"""Agents by the thousand that come back to a cloud: lean, each with an address, a connection and a key of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.backoff import full_jitter
from edge_agent.forward import FIRST_WAIT_S, LONGEST_WAIT_S
from protocols.reading import now_us
from protocols.uplink.messages import (
    MEDIA_TYPE,
    ChallengeReply,
    ChallengeRequest,
    Delivery,
    Frame,
    PointRef,
    Receipt,
    TokenReply,
    TokenRequest,
)
from tests.doubles.agent import frame, readings

FRAMES, POINTS, STEP_US = 30, 10, 10_000_000
"""What each holds: a frame every ten seconds of five minutes."""
REFS = [PointRef("meter-1", f"p{number}", "", "C62") for number in range(POINTS)]

Reply = TypeVar("Reply")


def one_of_each(seq: int, at_us: int) -> Frame:
    """Return a frame with one reading of each point."""
    return frame(seq, [row for ref in REFS for row in readings(ref, [float(seq)], at_us)])


def backlog() -> list[Frame]:
    """Return what an agent holds."""
    begin = now_us() - FRAMES * STEP_US
    return [one_of_each(seq, begin + seq * STEP_US) for seq in range(1, FRAMES + 1)]


class Later(Exception):
    """Not now. `wait_s`: what the cloud asked for, 0 where it did not answer."""

    def __init__(self, wait_s: float = 0.0) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


class Returning:
    """One of many agents, enrolled long ago. `answers` counts the statuses it was given, 0 for none at all."""

    def __init__(self, url: str, number: int, agent_id: UUID, key: Ed25519PrivateKey) -> None:
        self._to = urlsplit(url)
        self._from = f"127.{1 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}"
        self._id, self._key, self._token, self._epoch = str(agent_id), key, "", str(uuid4())
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.answers = Counter[int]()

    async def come_back(self, held: list[Frame]) -> None:
        """Log in and deliver `held`, as long as that takes; then hang up."""

        async def back() -> None:
            if not self._token:
                await self.log_in()
            await self.deliver(held)

        await self.until_done(back)
        self.hang_up()

    async def until_done(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do `act`, again and again with the waits of the agent's `forward` until it is done."""
        failures = 0
        while True:
            try:
                return await act()
            except Later as later:
                failures += 1
                wait_s = full_jitter(failures, FIRST_WAIT_S, LONGEST_WAIT_S)
                if later.wait_s:
                    wait_s = later.wait_s + full_jitter(1, FIRST_WAIT_S, LONGEST_WAIT_S)
                await asyncio.sleep(wait_s)

    async def log_in(self) -> None:
        """Prove the key and get a token; raises Later."""
        nonce = (await self._post("agents/challenge", ChallengeRequest(self._id), ChallengeReply)).nonce
        signature = self._key.sign(b"sunmao-login:" + self._id.encode() + nonce)
        self._token = (await self._post("agents/token", TokenRequest(self._id, nonce, signature), TokenReply)).token

    async def deliver(self, frames: list[Frame]) -> None:
        """Deliver `frames`, all of them; raises Later."""
        receipt = await self._post("uplink/batches", Delivery(self._epoch, frames), Receipt)
        assert sorted(receipt.stored) == [one.seq for one in frames]

    def hang_up(self) -> None:
        """End the connection."""
        if self._line is not None:
            self._line[1].close()
            self._line = None

    async def _post(self, path: str, body: msgspec.Struct, reply: type[Reply]) -> Reply:
        content = msgspec.msgpack.encode(body)
        head = (
            f"POST /api/v1/{path} HTTP/1.1\r\nHost: {self._to.netloc}\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        try:
            if self._line is not None and self._line[0].at_eof():
                self.hang_up()  # while it waited
            if self._line is None:
                self._line = await asyncio.open_connection(self._to.hostname, self._to.port, local_addr=(self._from, 0))
            reader, writer = self._line
            writer.write(head.encode() + content)
            status, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            headers = dict(field.split(": ", 1) for field in fields if field)
            answer = await reader.readexactly(int(headers["content-length"]))
        except (OSError, EOFError) as error:
            self.hang_up()
            self.answers[0] += 1
            raise Later from error
        code = int(status.split()[1])
        self.answers[code] += 1
        if code in (429, 503):
            raise Later(float(headers["retry-after"]))
        assert code == 200, answer
        return msgspec.msgpack.decode(answer, type=reply)


def enrolled(connection: psycopg.Connection, url: str, count: int, *, known: bool) -> list[Returning]:
    """Return `count` agents, stored as if they had been enrolled in the one site there is; `connection` is the owner's.

    `known`: their equipment and series are stored, too, as they are after an outage.
    """
    keys = {uuid4(): Ed25519PrivateKey.generate() for _ in range(count)}
    tenant, site = connection.execute("SELECT tenant_id, id FROM site").fetchone() or ("", "")
    columns = "(id, tenant_id, site_id, name, public_key, agent_version)"
    with connection.cursor().copy(f"COPY agent {columns} FROM STDIN") as copy:
        for number, (agent, key) in enumerate(keys.items()):
            raw = key.public_key().public_bytes_raw()
            copy.write_row([agent, tenant, site, f"box-{number}", raw, "0.1.0"])
    if known:
        connection.execute(
            "INSERT INTO equipment (id, tenant_id, agent_id, name) SELECT gen_random_uuid(), tenant_id, id, %s FROM agent",
            [REFS[0].device],
        )
        connection.execute(
            "INSERT INTO series (tenant_id, equipment_id, name, property, unit)"
            " SELECT tenant_id, id, point, '', %s FROM equipment, unnest(%s::text[]) point",
            [REFS[0].unit, [ref.name for ref in REFS]],
        )
    return [Returning(url, number, agent, key) for number, (agent, key) in enumerate(keys.items())]
