"""Sends what the buffer holds to the cloud, and forgets a frame only when the cloud says that it is stored."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import msgspec

from edge_agent.backoff import full_jitter
from edge_agent.buffer import Buffer
from edge_agent.cloud_link import Busy, CloudLink, Rejected
from edge_agent.events import Announce
from edge_agent.identity import Login, load_identity, not_enrolled
from protocols.errors import Malformed, SunmaoError, Unreachable
from protocols.reading import now_us
from protocols.text import Text
from protocols.uplink.messages import Delivery, Receipt, Verdict

BATCHES = "/api/v1/uplink/batches"
DELIVERY_BYTES = 1_000_000
FIRST_DELIVERY_BYTES = 64_000
LEAST_DELIVERY_BYTES = 16_000
"""A delivery that fails is tried half as large, down to this: a slow or flickering line passes small ones."""
DELIVERY_S = 0.5
"""How long a delivery is meant to take; the next one is as large as that allows. New values wait for no more than one."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
TRIES = 3
"""How often a single frame is refused before it is set aside."""
LOOK_FOR_IDENTITY_S = 2.0


class Uplink(msgspec.Struct, frozen=True):
    """The way to the cloud as it is now. `state`: "up", "down" or "waiting"; `since`: microseconds UTC."""

    state: str
    since: int
    reason_en: str = ""
    reason_zh: str = ""


class Forwarder:
    """Empties the buffer into the cloud until cancelled.

    What was committed since the last delivery goes first, up to seven eighths of each, then the backlog, oldest first
    (`BufferFile.take`); so values are live while a day of backlog drains. The cloud's ledger takes frames in any order,
    and its store keeps each series by source time.

    A refusal of several frames together is narrowed down by sending them singly; a frame that alone is refused `TRIES`
    times by the cloud itself is set aside, so that the queue moves.
    """

    def __init__(self, buffer: Buffer, link: CloudLink, login: Login, state_dir: Path, announce: Announce) -> None:
        self._buffer = buffer
        self._link = link
        self._login = login
        self._state_dir = state_dir
        self._announce = announce
        self._bytes = FIRST_DELIVERY_BYTES
        self._singly = 0
        self._refusals: Counter[int] = Counter()
        self._failures = 0
        self.uplink = Uplink("waiting", now_us())

    async def run(self) -> None:
        """Forward until cancelled."""
        await self._enrolled()
        while True:
            self._buffer.committed.clear()
            if not await self._forward():
                await self._buffer.committed.wait()

    async def run_empty(self) -> None:
        """Forward until the buffer is empty; raises Unreachable, saying why, where `run` would try again later."""
        while await self._forward():
            if self.uplink.state == "down":
                raise Unreachable(Text(self.uplink.reason_en, self.uplink.reason_zh))

    async def _forward(self) -> bool:
        """Deliver once; False if nothing waits."""
        delivery = await self._buffer.take(1 if self._singly else self._bytes)
        if delivery is None:
            self._singly = 0
            return False
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            receipt = await self._deliver(delivery)
        except SunmaoError as error:
            self._failures += 1
            await self._failed(delivery, error)
        else:
            await self._buffer.settle(delivery, receipt)
            self._singly = max(self._singly - 1, 0)
            self._up(clock() - begun)
        return True

    async def _enrolled(self) -> None:
        missing = not_enrolled()
        while load_identity(self._state_dir) is None:
            self.uplink = Uplink("waiting", self.uplink.since, missing.explain("en"), missing.explain("zh"))
            await asyncio.sleep(LOOK_FOR_IDENTITY_S)

    async def _deliver(self, delivery: Delivery) -> Receipt:
        """Return the cloud's receipt; a token it no longer takes is renewed once."""
        token = await self._login.token()
        try:
            receipt = await self._link.post(BATCHES, delivery, Receipt, token)
        except Rejected as error:
            if error.status != 401:
                raise
            self._login.forget()
            receipt = await self._link.post(BATCHES, delivery, Receipt, await self._login.token())
        answered = {*receipt.stored, *(verdict.seq for verdict in receipt.refused)}
        if not answered & {frame.seq for frame in delivery.frames}:
            raise Malformed(
                Text("the cloud's receipt names no frame that was sent", "云端回执未提及任何已发送的批次"),
                Text("look into the cloud's log", "请查看云端日志"),
            )
        return receipt

    async def _failed(self, delivery: Delivery, error: SunmaoError) -> None:
        if isinstance(error, Rejected) and error.by_cloud and error.status in (400, 413, 422):
            if len(delivery.frames) > 1:
                self._singly = len(delivery.frames)
                return
            seq = delivery.frames[0].seq
            self._refusals[seq] += 1
            if self._refusals[seq] >= TRIES:
                del self._refusals[seq]
                await self._buffer.settle(delivery, Receipt([], [Verdict(seq, error.what.en)]))
                return
        else:
            self._bytes = max(self._bytes // 2, LEAST_DELIVERY_BYTES)
            self._down(error)
        await self._buffer.postpone()
        wait = full_jitter(self._failures, FIRST_WAIT_S, LONGEST_WAIT_S)
        if isinstance(error, Busy) and error.retry_after_s:
            wait = error.retry_after_s + full_jitter(1, FIRST_WAIT_S, LONGEST_WAIT_S)
        await asyncio.sleep(wait)

    def _up(self, took_s: float) -> None:
        self._failures = 0
        change = min(max(DELIVERY_S / max(took_s, 1e-3), 0.25), 2.0)
        self._bytes = min(max(int(self._bytes * change), LEAST_DELIVERY_BYTES), DELIVERY_BYTES)
        if self.uplink.state == "up":
            return
        if self.uplink.state == "down":
            self._announce("", "cloud_back", Text("the cloud takes data again", "云端已恢复接收数据"))
        self.uplink = Uplink("up", now_us())

    def _down(self, error: SunmaoError) -> None:
        reason = Text(error.explain("en"), error.explain("zh"))
        if self.uplink.state == "down":
            self.uplink = msgspec.structs.replace(self.uplink, reason_en=reason.en, reason_zh=reason.zh)
            return
        self.uplink = Uplink("down", now_us(), reason.en, reason.zh)
        self._announce("", "cloud_lost", reason)
