"""Readings that carry their number, so that a lost or doubled one shows."""

from __future__ import annotations

import numpy as np

from edge_agent.buffer import Buffer
from protocols.reading import GOOD, Reading
from protocols.uplink.codec import decode
from protocols.uplink.messages import Frame, PointRef, Receipt

REF = PointRef("press-1", "count", "", "C62")


def numbered(first: int, count: int) -> list[tuple[PointRef, Reading]]:
    """Readings whose value and source time are their number."""
    return [(REF, Reading("count", float(n), GOOD, n, n)) for n in range(first, first + count)]


def numbers_in(frames: list[Frame]) -> list[int]:
    """The numbers of all readings in `frames`."""
    batches = [decode(frame.payload) for frame in frames]
    return [int(n) for batch in batches if batch.columns for n in np.frombuffer(batch.columns.value, "<f8")]


async def drain(buffer: Buffer) -> list[int]:
    """Take and settle everything, as a cloud without fault would; the numbers in the order taken."""
    numbers: list[int] = []
    while delivery := await buffer.take(1_000_000):
        numbers += numbers_in(delivery.frames)
        await buffer.settle(delivery, Receipt([frame.seq for frame in delivery.frames]))
    return numbers
