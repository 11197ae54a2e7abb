"""Takes deliveries in, each frame exactly once: its ledger row, its readings and all else it holds commit together.

A frame is known by (agent, epoch, seq). One that is stored already is answered as stored and touches nothing. What could
make two deliveries wait for each other - new equipment, series, partitions - is made beforehand in a transaction of its
own, so that within the frame's transaction the only lock others can wait for is its ledger row.
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
    Numbers,
    instant,
    time_out_of_range,
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
_MAX_NAME = 200
_MINUTE_US = 60_000_000
_WEEK_US = 7 * 24 * 60 * _MINUTE_US
_MONDAY_US = 4 * 24 * 60 * _MINUTE_US  # 1970-01-05, the first Monday


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
        stored: list[int] = []
        refused: list[Verdict] = []
        for frame in sorted(delivery.frames, key=lambda frame: frame.seq):
            try:
                outcome = await self._store(agent, epoch, frame, received)
                stored.append(frame.seq)
            except Malformed as error:
                outcome = "refused"
                refused.append(Verdict(frame.seq, str(error)))
            self._metrics.frames.labels(outcome).inc()
        return Receipt(stored, refused)

    async def _store(self, agent: AgentPrincipal, epoch: UUID, frame: Frame, received: datetime) -> str:
        if not 0 <= frame.seq < 2**63:
            raise Malformed(Text(f"seq {frame.seq} is out of range", f"seq {frame.seq} 超出范围"))
        if len(frame.payload) >= _THREAD_FROM_BYTES:
            content = await asyncio.to_thread(_Content, frame.payload)
        else:
            content = _Content(frame.payload)
        series = await self._prepare(agent, content)
        async with self._db.tenant(agent.scope) as connection:
            known = await store.enter_in_ledger(
                connection,
                agent.agent_id,
                epoch,
                frame.seq,
                frame_hash=content.hash,
                readings=content.readings,
                received=received,
            )
            if known is None:
                await self._write(connection, agent, content, series)
                self._metrics.readings.inc(content.readings)
                return "stored"
            if known == content.hash:
                return "replayed"
            await audit.record(connection, agent.actor, "frame.refuse", f"{epoch}/{frame.seq}", reason="other content")
        raise Malformed(
            Text(f"frame {frame.seq} was stored before with other content", f"批次 {frame.seq} 此前已以不同内容入库")
        )

    async def _prepare(self, agent: AgentPrincipal, content: _Content) -> dict[PointRef, int]:
        """Return the series of the batch's points; whatever is new of equipment, series and weeks is made first."""
        known = {point: self._known(agent, point) for point in content.points}
        missing = [point for point, series in known.items() if series is None]
        weeks = content.weeks() - self._weeks
        if missing or weeks:
            async with self._db.tenant(agent.scope) as connection:
                equipment = await fleet.equipment_of(connection, agent, {point.device for point in missing})
                made = await store.ensure_series(connection, equipment, missing)
                await store.ensure_partitions(connection, [instant(week) for week in weeks])
            for point, series in made.items():
                self._series[agent.agent_id, point.device, point.name] = (point, series)
            known |= made
            self._weeks |= weeks
        return {point: series for point, series in known.items() if series is not None}

    def _known(self, agent: AgentPrincipal, point: PointRef) -> int | None:
        mapped, series = self._series.get((agent.agent_id, point.device, point.name), (None, None))
        return series if mapped == point else None

    async def _write(
        self, connection: AsyncConnection, agent: AgentPrincipal, content: _Content, series: dict[PointRef, int]
    ) -> None:
        numbers, texts = content.numbers, content.batch.texts
        ids = np.array([series[point] for point in content.number_points], np.int32)
        if len(numbers):
            await store.copy_numbers(connection, COPY_HEADER + numbers.records(ids) + COPY_TRAILER)
        if texts:
            await store.insert_texts(
                connection,
                [(series[text.point], instant(text.source_time), text.value, _quality(text)) for text in texts],
            )
        minutes: dict[int, set[int]] = {}
        for minute, point in np.unique(np.stack([numbers.time // _MINUTE_US, numbers.point], axis=1), axis=0).tolist():
            minutes.setdefault(minute * _MINUTE_US, set()).add(int(ids[point]))
        for text in texts:
            minutes.setdefault(text.source_time // _MINUTE_US * _MINUTE_US, set()).add(series[text.point])
        await store.insert_changes(connection, {instant(minute): touched for minute, touched in minutes.items()})
        for sink in self._sinks:
            await sink(connection, agent, content.batch)
        await announce(connection, agent.scope.tenant_id)
        if content.readings:
            # The last thing before the commit, so that the delay is as near to the truth as one can write down.
            delays = time.time_ns() // 1000 - content.times()
            await store.add_delays(connection, agent.agent_id, buckets_of(delays))


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
        return set(np.unique((self.numbers.time - _MONDAY_US) // _WEEK_US * _WEEK_US + _MONDAY_US).tolist())


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
