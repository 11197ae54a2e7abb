"""Batches survive the wire unchanged; whatever else arrives is Malformed and takes little memory."""

import tracemalloc
from array import array
from contextlib import suppress
from math import isnan
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.errors import Malformed
from protocols.reading import BAD_NO_DATA, GOOD, Quality, Reading
from protocols.uplink.codec import MAX_BATCH_BYTES, columns_of, decode, encode
from protocols.uplink.messages import MAX_LISTED, Batch, Columns, Event, Inspection, PointRef

words = st.text(max_size=20)
int64 = st.integers(-(2**63), 2**63 - 1)
times = st.integers(0, 2**53)
refs = st.builds(PointRef, words, words, words, words)
qualities = st.integers(0, 2**32 - 1).map(Quality.from_status_code)
values = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), words)
readings = st.builds(Reading, words, values, qualities, times, times)
inspections = st.builds(
    Inspection,
    id=words,
    device=words,
    time=int64,
    part=words,
    verdict=st.sampled_from(["pass", "review", "reject"]),
    score=st.floats(allow_nan=False),
    review_limit=st.floats(allow_nan=False),
    reject_limit=st.floats(allow_nan=False),
    model=words,
    model_version=words,
    latency_us=int64,
    picture=st.binary(max_size=50),
    heatmap=st.binary(max_size=50),
)
events = st.builds(Event, words, words, int64, words, words, words)


def batch_of(rows: list[tuple[PointRef, Reading]], **rest: Any) -> Batch:
    columns, texts = columns_of(rows)
    return Batch(columns=columns, texts=texts, **rest)


def column(kind: str, content: bytes) -> list[Any]:
    numbers: array[Any] = array(kind)
    numbers.frombytes(content)
    return numbers.tolist()


@given(
    st.lists(st.tuples(refs, readings), max_size=30), st.lists(inspections, max_size=3), st.lists(events, max_size=3)
)
def test_what_is_encoded_is_decoded(
    rows: list[tuple[PointRef, Reading]], seen: list[Inspection], happened: list[Event]
) -> None:
    batch = batch_of(rows, inspections=seen, events=happened)
    assert decode(encode(batch)) == batch


@given(st.lists(st.tuples(refs, readings), max_size=30))
def test_columns_hold_every_reading_in_order(rows: list[tuple[PointRef, Reading]]) -> None:
    columns, texts = columns_of(rows)
    texted = [(ref, r.source_time, r.value, int(r.quality)) for ref, r in rows if isinstance(r.value, str)]
    assert [(t.point, t.source_time, t.value, t.quality) for t in texts] == texted
    numbers = [(ref, r) for ref, r in rows if not isinstance(r.value, str)]
    if columns is None:
        assert not numbers
        return
    assert len(columns.points) == len({id(ref) for ref, _ in numbers})
    assert [columns.points[i] for i in column("I", columns.point)] == [ref for ref, _ in numbers]
    assert column("q", columns.source_time) == [r.source_time for _, r in numbers]
    assert column("h", columns.quality) == [int(r.quality) for _, r in numbers]
    assert column("I", columns.delay) == [min(max(r.arrival_time - r.source_time, 0), 2**32 - 1) for _, r in numbers]
    for got, (_, r) in zip(column("d", columns.value), numbers, strict=True):
        assert isnan(got) if r.value is None else got == r.value


def sample() -> Batch:
    ref = PointRef("moulder-1", "cycle_time", "cycle_time", "SEC")
    text = PointRef("moulder-1", "mould_id", "mould_id", "C62")
    rows = [(ref, Reading("cycle_time", 4.0 + i, GOOD, 10**15 + i, 10**15 + i + 5)) for i in range(20)]
    rows += [(ref, Reading("cycle_time", None, BAD_NO_DATA, 10**15, 10**15)), (text, Reading("m", "M-1", GOOD, 1, 1))]
    return batch_of(rows)


def test_every_truncation_is_malformed() -> None:
    payload = encode(sample())
    for length in range(len(payload)):
        with pytest.raises(Malformed):
            decode(payload[:length])


def test_no_flipped_bit_changes_what_is_read() -> None:
    batch = sample()
    payload = encode(batch)
    refused = 0
    for bit in range(8 * len(payload)):
        flipped = bytearray(payload)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert decode(bytes(flipped)) == batch
        except Malformed:
            refused += 1
    assert refused > 0.98 * 8 * len(payload), "all but a few bits of the frame's descriptor are covered"


@given(st.binary(max_size=200))
def test_noise_is_malformed(payload: bytes) -> None:
    with pytest.raises(Malformed):
        decode(payload)


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), words, st.binary(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=4)),
)


@given(anything, st.sampled_from(["columns", "texts", "inspections", "events", "version"]))
@example([[["a", "b", "c", "d"], 0, 1, 0]], "texts")
def test_well_packed_nonsense_is_malformed_or_a_batch(content: object, field: str) -> None:
    with suppress(Malformed):
        assert isinstance(decode(zstandard.compress(msgspec.msgpack.encode({field: content}))), Batch)


@given(st.binary(min_size=1, max_size=3), st.integers(0, 200))
def test_damaged_messages_are_malformed_or_a_batch(patch: bytes, at: int) -> None:
    packed = bytearray(zstandard.decompress(encode(sample())))
    packed[at : at + len(patch)] = patch
    with suppress(Malformed):
        assert isinstance(decode(zstandard.compress(bytes(packed))), Batch)


def test_text_that_is_not_utf8_is_malformed() -> None:
    packed = msgspec.msgpack.encode(Batch(events=[Event("1", "cam", 0, "kind", "XYZ", "")]))
    with pytest.raises(Malformed):
        decode(zstandard.compress(packed.replace(b"XYZ", b"\xff\xfe\xfd")))


def columns(**change: Any) -> Columns:
    whole = {
        "points": [PointRef("d", "n", "", "C62")],
        "point": bytes(8),
        "source_time": bytes(16),
        "value": bytes(16),
        "quality": bytes(4),
        "delay": bytes(8),
    }
    return Columns(**{**whole, **change})


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        (Batch(version=2), "version 2 is not 1"),
        (Batch(columns=columns(point=bytes(7))), "do not agree"),
        (Batch(columns=columns(value=bytes(8))), "do not agree"),
        (Batch(columns=columns(quality=b"")), "do not agree"),
        (Batch(columns=columns(points=[])), "a point that is not listed"),
        (Batch(columns=columns(point=b"\0\0\0\0\1\0\0\0")), "a point that is not listed"),
    ],
)
def test_inconsistent_batches_are_malformed(batch: Batch, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        decode(encode(batch))


def packed_list(field: str, count: int, item: bytes) -> bytes:
    """A batch whose list `field` has `count` items, written without building it."""
    name = field.encode()
    return zstandard.compress(
        b"\x82\xa7version\x01" + bytes([0xA0 + len(name)]) + name + b"\xdd" + count.to_bytes(4, "big") + item * count
    )


def zeros(mebibytes: int, size: int = -1) -> bytes:
    """A frame of zeros; it states its decompressed size where `size` is given."""
    frame = zstandard.ZstdCompressor().compressobj(size=size)
    return b"".join([*(frame.compress(bytes(2**20)) for _ in range(mebibytes)), frame.flush()])


BOMBS = {
    "one byte over the limit": zstandard.compress(bytes(MAX_BATCH_BYTES + 1)),
    "a gigabyte": zeros(1024, 2**30),
    "size unknown": zeros(64),
    "millions of small texts": packed_list("texts", 3_000_000, b"\x94\x94\xa0\xa0\xa0\xa0\x00\xc0\x00"),
    "millions of events": packed_list("events", 3_000_000, b"\xc0"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_no_more_than_the_cap(name: str) -> None:
    payload = BOMBS[name]
    assert len(payload) < 200_000
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            decode(payload)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= MAX_BATCH_BYTES + 2**20


def test_the_longest_list_still_passes() -> None:
    text = [(PointRef("d", "n", "", "C62"), Reading("n", "x", GOOD, 0, 0))] * MAX_LISTED
    assert len(decode(encode(batch_of(text))).texts) == MAX_LISTED
