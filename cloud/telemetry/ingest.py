"""Takes deliveries in, each frame exactly once: its ledger row, its readings and all else it holds commit together.

A frame is known by (agent, epoch, seq). One that is stored already is answered as stored and touches nothing. The frames
of a delivery are stored together, as many as fit: one commit for many. What could make two deliveries wait for each other -
new equipment, series, partitions - is made beforehand in a transaction of its own, so that within the frames' transaction
the only locks others can wait for are its ledger rows, which all take in the order of seq.

Any number of processes may do so on one database. Which series a point has never changes meaning; that a
week has room may, and is then made again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import numpy as np

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.listen import announce
from cloud.core.metrics import Metrics
from cloud.core.principal import AgentPrincipal
from cloud.fleet import service as fleet
from cloud.telemetry.columns import (
    COPY_HEADER,
    COPY_TRAILER,
    MINUTE_US,
    Numbers,
    instant,
    time_out_of_range,
    weeks_of,
)
from cloud.telemetry.delays import buckets_of
from cloud.telemetry.store import ingest as store
from protocols.errors import Malformed
from protocols.reading import BAD_NO_DATA, EARLIEST_US, LATEST_US
from protocols.text import Text
from protocols.uplink.codec import decode
from protocols.uplink.messages import Batch, Delivery, Frame, PointRef, Receipt, TextReading, Verdict

BatchSink = Callable[[AsyncConnection, AgentPrincipal, Batch], Awaitable[None]]
"""Stores its part of a batch in the transaction of the ingest. Raises Malformed to have the frame refused for good."""

_THREAD_FROM_BYTES = 64 * 1024
_TOGETHER_READINGS = 50_000  # bounds the memory of one transaction
_MAX_NAME = 200


class Ingest:
    """Stores deliveries. `sinks` are called, in their order, with every batch that is new."""

    def __init__(self, db: Database, sinks: Sequence[BatchSink], metrics: Metrics) -> None:
        self._db = db
        self._sinks = sinks
        self._metrics = metrics
        self._series: dict[tuple[UUID, str, str], tuple[PointRef, int]] = {}
        self._weeks: set[int] = set()

    async def deliver(self, agent: AgentPrincipal, delivery: Delivery) -> Receipt:
        """Store the frames of `delivery`; the receipt is given after the last commit.

        Raises Malformed if the epoch is not a UUID. Whatever else fails is no verdict: the agent sends it again.
        """
        received = datetime.now(UTC)
        try:
            epoch = UUID(delivery.epoch)
        except ValueError as error:
            raise Malformed(Text("epoch is not a UUID", "epoch 不是 UUID")) from error
        receipt = Receipt([], [])
        together: dict[int, _Content] = {}
        for frame in sorted(delivery.frames, key=lambda frame: frame.seq):
            if frame.seq in together or sum(content.readings for content in together.values()) >= _TOGETHER_READINGS:
                await self._store_all(agent, epoch, together, received, receipt)
                together = {}
            try:
                together[frame.seq] = await _content(frame)
            except Malformed as error:
                self._refuse(receipt, frame.seq, str(error))
        await self._store_all(agent, epoch, together, received, receipt)
        return receipt

    async def _store_all(
        self, agent: AgentPrincipal, epoch: UUID, frames: dict[int, _Content], received: datetime, receipt: Receipt
    ) -> None:
        """Store `frames` in one transaction; if a sink does not take one of them, each in its own."""
        if not frames:
            return
        try:
            try:
                known = await self._store(agent, epoch, frames, received)
            except store.NoRoom:
                self._weeks.clear()
                known = await self._store(agent, epoch, frames, received)
        except Malformed as error:
            if len(frames) == 1:
                self._refuse(receipt, next(iter(frames)), str(error))
                return
            for seq, content in frames.items():
                await self._store_all(agent, epoch, {seq: content}, received, receipt)
            return
        for seq, content in frames.items():
            if seq in known and known[seq] != content.hash:
                self._refuse(receipt, seq, str(_other_content(seq)))
            else:
                receipt.stored.append(seq)
                self._metrics.frames.labels("replayed" if seq in known else "stored").inc()
                if seq not in known:
                    self._metrics.readings.inc(content.readings)

    def _refuse(self, receipt: Receipt, seq: int, why: str) -> None:
        receipt.refused.append(Verdict(seq, why))
        self._metrics.frames.labels("refused").inc()

    async def _store(
        self, agent: AgentPrincipal, epoch: UUID, frames: dict[int, _Content], received: datetime
    ) -> dict[int, bytes]:
        """Store those of `frames` that are new, and return the hashes of the others as they are stored."""
        series, remapped = await self._prepare(
            agent,
            {point for content in frames.values() for point in content.points},
            {week for content in frames.values() for week in content.weeks()},
        )
        async with self._db.tenant(agent.scope) as connection:
            entries = [store.LedgerEntry(seq, content.hash, content.readings) for seq, content in frames.items()]
            known = await store.enter_in_ledger(connection, agent.agent_id, epoch, entries, received)
            new = [content for seq, content in frames.items() if seq not in known]
            if new:
                await self._write(connection, agent, new, series)
            for seq, kept in known.items():
                if kept != frames[seq].hash:
                    await audit.record(
                        connection, agent.actor, "frame.refuse", f"{epoch}/{seq}", reason="other content"
                    )
        if remapped and new:
            async with self._db.tenant(agent.scope) as connection:
                await store.choose_current(connection, remapped)
        return known

    async def _prepare(
        self, agent: AgentPrincipal, points: set[PointRef], weeks: set[int]
    ) -> tuple[dict[PointRef, int], list[int]]:
        """Return the series of `points`, and those just looked up whose point has, or may soon have, another one.

        What is new of equipment, series and weeks is made first.
        """
        known = {point: self._known(agent, point) for point in points}
        missing = [point for point, series in known.items() if series is None]
        weeks = weeks - self._weeks
        made: dict[PointRef, int] = {}
        remapped: list[int] = []
        if missing or weeks:
            async with self._db.tenant(agent.scope) as connection:
                await store.bound_waits(connection)
                found = await store.find_series(connection, agent.agent_id, missing)
                made = {point: one for point, (one, _) in found.items()}
                remapped = [one for one, several in found.values() if several]
                if new := [point for point in missing if point not in made]:
                    equipment = await fleet.equipment_of(connection, agent, {point.device for point in new})
                    made |= await store.ensure_series(connection, equipment, new)
                    remapped += [made[point] for point in new]
                await store.ensure_partitions(connection, [instant(week) for week in weeks])
            for point, series in made.items():
                self._series[agent.agent_id, point.device, point.name] = (point, series)
            known |= made
            self._weeks |= weeks
        return {point: series for point, series in known.items() if series is not None}, remapped

    def _known(self, agent: AgentPrincipal, point: PointRef) -> int | None:
        mapped, series = self._series.get((agent.agent_id, point.device, point.name), (None, None))
        return series if mapped == point else None

    async def _write(
        self,
        connection: AsyncConnection,
        agent: AgentPrincipal,
        frames: Sequence[_Content],
        series: dict[PointRef, int],
    ) -> None:
        pieces, texts = [], []
        touched = []
        for content in frames:
            ids = np.array([series[point] for point in content.number_points], np.int32)
            if len(content.numbers):
                pieces.append(content.numbers.records(ids))
                touched.append(np.stack([content.numbers.time // MINUTE_US, ids[content.numbers.point]], axis=1))
            for text in content.batch.texts:
                one = series[text.point]
                texts.append((one, instant(text.source_time), text.value, _quality(text)))
                touched.append(np.array([[text.source_time // MINUTE_US, one]]))
        if pieces:
            await store.copy_numbers(connection, [COPY_HEADER, *pieces, COPY_TRAILER])
        if texts:
            await store.insert_texts(connection, texts)
        for content in frames:
            for sink in self._sinks:
                await sink(connection, agent, content.batch)
        async with connection.pipeline():
            if touched:
                pairs = np.unique(np.concatenate(touched), axis=0)
                await store.insert_changes(connection, pairs[:, 0].tolist(), pairs[:, 1].tolist())
            await announce(connection, agent.scope.tenant_id)
            if touched:
                # The last thing before the commit, so that the delay is as near to the truth as one can write down.
                delays = time.time_ns() // 1000 - np.concatenate([content.times() for content in frames])
                await store.add_delays(connection, agent.agent_id, buckets_of(delays))


async def _content(frame: Frame) -> _Content:
    if not 0 <= frame.seq < 2**63:
        raise Malformed(Text(f"seq {frame.seq} is out of range", f"seq {frame.seq} 超出范围"))
    if len(frame.payload) >= _THREAD_FROM_BYTES:
        return await asyncio.to_thread(_Content, frame.payload)
    return _Content(frame.payload)


def _other_content(seq: int) -> Malformed:
    return Malformed(Text(f"frame {seq} was stored before with other content", f"批次 {seq} 此前已以不同内容入库"))


class _Content:
    """What a frame holds, checked. Raises Malformed."""

    def __init__(self, payload: bytes) -> None:
        self.hash = hashlib.sha256(payload).digest()
        self.batch = decode(payload)
        columns = self.batch.columns
        self.number_points: Sequence[PointRef] = columns.points if columns else ()
        self.numbers = Numbers(columns)
        self.points = {*self.number_points, *(text.point for text in self.batch.texts)}
        self.readings = len(self.numbers) + len(self.batch.texts)
        for point in self.points:
            _check_point(point)
        for text in self.batch.texts:
            if not EARLIEST_US <= text.source_time <= LATEST_US:
                raise time_out_of_range()
            if text.value is not None and "\0" in text.value:
                raise Malformed(
                    Text(f"{text.point.name}: text with a NUL character", f"{text.point.name}：文本含有 NUL 字符")
                )

    def times(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the source times of all readings."""
        return np.concatenate([self.numbers.time, np.array([text.source_time for text in self.batch.texts], np.int64)])

    def weeks(self) -> set[int]:
        """Return the Mondays, in microseconds since 1970, of the weeks its numbers fall into."""
        return weeks_of(self.numbers.time)


def _check_point(point: PointRef) -> None:
    for field in (point.device, point.name):
        if not 0 < len(field) <= _MAX_NAME or "\0" in field:
            raise Malformed(
                Text(f"a point's name is empty, too long or has NUL: {field[:40]!r}", "点名为空、过长或含 NUL")
            )
    if max(len(point.property), len(point.unit)) > _MAX_NAME or "\0" in point.property + point.unit:
        raise Malformed(Text(f"{point.name}: property or unit is not valid", f"{point.name}：属性或单位无效"))


def _quality(text: TextReading) -> int:
    missing_called_usable = text.value is None and text.quality >= 0
    return int(BAD_NO_DATA) if missing_called_usable else text.quality
