"""Batches as bytes: MessagePack with columns inside, zstd around. Columns compress far better than rows do."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from math import nan

import msgspec
import zstandard

from protocols.errors import Malformed
from protocols.reading import Reading
from protocols.text import Text
from protocols.uplink.messages import WIRE_VERSION, Batch, Columns, PointRef, TextReading

MAX_BATCH_BYTES = 32 * 1024 * 1024
"""Largest decompressed batch anybody accepts; a compressed bomb ends here."""

_MAX_DELAY = 2**32 - 1
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Batch)


def columns_of(readings: Sequence[tuple[PointRef, Reading]]) -> tuple[Columns | None, list[TextReading]]:
    """Sort readings into numeric columns and text readings, keeping their order."""
    texts: list[TextReading] = []
    refs: list[PointRef] = []
    numbers: list[Reading] = []
    values: list[float] = []
    for ref, reading in readings:
        value = reading.value
        if isinstance(value, str):
            texts.append(TextReading(ref, reading.source_time, value, int(reading.quality)))
        else:
            refs.append(ref)
            numbers.append(reading)
            values.append(nan if value is None else value)
    if not numbers:
        return None, texts
    # Distinct by identity: a stream repeats the same few objects, and to hash one costs more than all the rest.
    places = [id(ref) for ref in refs]
    points = dict(zip(places, refs, strict=True))
    index = {place: number for number, place in enumerate(points)}
    times = [reading.source_time for reading in numbers]
    delays = [reading.arrival_time - time for reading, time in zip(numbers, times, strict=True)]
    if min(delays) < 0 or max(delays) > _MAX_DELAY:
        delays = [min(max(delay, 0), _MAX_DELAY) for delay in delays]
    columns = Columns(
        list(points.values()),
        _little(array("I", [index[place] for place in places])),
        _little(array("q", times)),
        _little(array("d", values)),
        _little(array("h", [reading.quality for reading in numbers])),
        _little(array("I", delays)),
    )
    return columns, texts


def encode(batch: Batch) -> bytes:
    """Return the batch as sent and stored: zstd(MessagePack), with zstd's checksum so that no flipped bit passes."""
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(_encoder.encode(batch))


def decode(payload: bytes) -> Batch:
    """Return the batch in `payload`.

    Raises Malformed for anything but a complete, consistent batch of a known version under `MAX_BATCH_BYTES`.
    """
    try:
        size = zstandard.frame_content_size(payload)
        if not 0 <= size <= MAX_BATCH_BYTES:
            raise _malformed(f"decompressed size {size} is unknown or above {MAX_BATCH_BYTES} bytes")
        batch = _decoder.decode(zstandard.ZstdDecompressor().decompress(payload, max_output_size=MAX_BATCH_BYTES))
    except (zstandard.ZstdError, msgspec.MsgspecError, UnicodeDecodeError, MemoryError) as error:
        raise _malformed(str(error)) from error
    if batch.version != WIRE_VERSION:
        raise _malformed(f"version {batch.version} is not {WIRE_VERSION}")
    if batch.columns is not None:
        _check(batch.columns)
    return batch


def _check(columns: Columns) -> None:
    rows = len(columns.point) // 4
    sizes = (len(columns.point), len(columns.source_time), len(columns.value), len(columns.quality), len(columns.delay))
    if sizes != (rows * 4, rows * 8, rows * 8, rows * 2, rows * 4):
        raise _malformed(f"column sizes {sizes} do not agree")
    indices = array("I", columns.point)
    if sys.byteorder == "big":
        indices.byteswap()
    if rows and max(indices) >= len(columns.points):
        raise _malformed("a row refers to a point that is not listed")


def _little(column: array[int] | array[float]) -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _malformed(why: str) -> Malformed:
    return Malformed(Text(f"not a valid batch: {why}", f"批次数据无效：{why}"))
