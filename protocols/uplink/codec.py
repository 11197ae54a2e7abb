"""Batches as bytes: MessagePack with columns inside, zstd around. Columns compress far better than rows do."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence

import msgspec
import zstandard

from protocols.errors import Malformed
from protocols.reading import Reading
from protocols.text import Text
from protocols.uplink.messages import WIRE_VERSION, Batch, Columns, PointRef, TextReading
from protocols.uplink.rows import Gathered

MAX_BATCH_BYTES = 32 * 1024 * 1024
"""Largest decompressed batch anybody accepts; a compressed bomb ends here."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Batch)


def columns_of(readings: Sequence[tuple[PointRef, Reading]]) -> tuple[Columns | None, list[TextReading]]:
    """Sort readings into numeric columns and text readings, keeping their order."""
    gathered = Gathered()
    gathered.add(readings)
    return gathered.columns(), gathered.texts


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


def _malformed(why: str) -> Malformed:
    return Malformed(Text(f"not a valid batch: {why}", f"批次数据无效：{why}"))
