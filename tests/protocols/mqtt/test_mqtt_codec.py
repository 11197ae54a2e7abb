"""JSON messages: what is in them arrives, what is not never becomes a number."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.mqtt.codec import read_json, read_time, write_time
from protocols.reading import (
    BAD,
    BAD_DECODING_ERROR,
    BAD_NO_DATA,
    BAD_OUT_OF_RANGE,
    BAD_TYPE_MISMATCH,
    EARLIEST_US,
    GOOD,
    LATEST_US,
    Quality,
    Reading,
    Value,
)
from tests.protocols.mqtt.mqtt_stand import point

NOW = 1_767_571_200_000_000
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("vtq01"), inner, max_size=4),
    max_leaves=12,
)


def read(payload: object, **fields: Any) -> Reading:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    (reading,) = read_json([point("p", **fields)], data, NOW)
    assert reading.point == "p"
    assert reading.arrival_time == NOW
    return reading


@pytest.mark.parametrize(
    ("payload", "fields", "value"),
    [
        (21.5, {}, 21.5),
        (2**53 + 1, {}, 2**53 + 1),
        (True, {}, True),
        ("A42", {}, "A42"),
        ("21.5", {}, "21.5"),
        ("21.5", {"numeric_text": True}, 21.5),
        (" -7 ", {"numeric_text": True}, -7),
        ({"a": {"b": [1, {"c": 3}]}}, {"value": "a.b.1.c", "scale": 0.1}, 0.3),
        ({"a.b": {"": 5}}, {"value": "/a.b/"}, 5),
        ({"0": 5}, {"value": "0"}, 5),
        (3, {"codes": {3: 7}}, 7),
    ],
)
def test_a_value_arrives_as_the_device_gave_it(payload: object, fields: dict[str, Any], value: Value) -> None:
    reading = read(payload, **fields)
    assert (reading.value, type(reading.value), reading.quality) == (value, type(value), GOOD)
    assert reading.source_time == NOW


@pytest.mark.parametrize(
    ("payload", "fields", "quality"),
    [
        (b"", {}, BAD_DECODING_ERROR),
        (b"ON", {}, BAD_DECODING_ERROR),
        (b"NaN", {}, BAD_DECODING_ERROR),
        (b"\xff\xfe", {}, BAD_DECODING_ERROR),
        (b"[" * 100_000, {}, BAD_DECODING_ERROR),
        (b"1e999", {}, BAD_DECODING_ERROR),
        (None, {}, BAD_NO_DATA),
        ([1], {}, BAD_TYPE_MISMATCH),
        ({"v": 1}, {}, BAD_TYPE_MISMATCH),
        ("warm", {"numeric_text": True}, BAD_TYPE_MISMATCH),
        ("0x10", {"numeric_text": True}, BAD_TYPE_MISMATCH),
        ("nan", {"numeric_text": True}, BAD_TYPE_MISMATCH),
        ("1e999", {"numeric_text": True}, BAD_OUT_OF_RANGE),
        (10**400, {"scale": 0.1}, BAD_OUT_OF_RANGE),
        (1e308, {"scale": 1e10}, BAD_OUT_OF_RANGE),
        (9, {"codes": {3: 7}}, BAD_OUT_OF_RANGE),
        ({"v": 1, "q": 0}, {"value": "v", "quality": "q", "good": [192]}, BAD),
        ({"v": 1, "q": True}, {"value": "v", "quality": "q", "good": [1]}, BAD),
        ({"v": 1}, {"value": "v", "quality": "q", "good": ["ok"]}, BAD),
        ({"v": 1}, {"value": "v", "time": "t"}, BAD_DECODING_ERROR),
        ({"v": 1, "t": "2026-01-05T08:00:00"}, {"value": "v", "time": "t"}, BAD_DECODING_ERROR),
        ({"v": 1, "t": "1767571200"}, {"value": "v", "time": "t", "time_format": "s"}, BAD_DECODING_ERROR),
        ({"v": 1, "t": 1e300}, {"value": "v", "time": "t", "time_format": "s"}, BAD_DECODING_ERROR),
    ],
)
def test_what_is_no_value_is_bad_and_none(payload: object, fields: dict[str, Any], quality: Quality) -> None:
    reading = read(payload, **fields)
    assert (reading.value, reading.quality) == (None, quality)


def test_a_message_without_the_place_says_nothing_of_the_point() -> None:
    points = [point("a", topic="t", value="a"), point("b", topic="t", value="b.0"), point("c", topic="t", value="a.x")]
    assert [r.point for r in read_json(points, b'{"a": 1, "b": []}', NOW)] == ["a"]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("2026-01-05T08:00:00.25+08:00", "iso8601"),
        (1767571200.25, "s"),
        (1767571200250, "ms"),
        (1767571200250000, "us"),
    ],
)
def test_the_time_of_the_device_counts(said: object, written: str) -> None:
    reading = read({"v": 1, "t": said}, value="v", time="t", time_format=written)
    assert reading.source_time == NOW + 250_000


def test_a_clock_that_was_never_set_does_not() -> None:
    assert read({"v": 1, "t": 12}, value="v", time="t", time_format="s").source_time == NOW


@given(st.integers(EARLIEST_US // 1000, LATEST_US // 1000), st.sampled_from(["iso8601", "ms", "us"]))
def test_times_survive_writing_and_reading(milliseconds: int, written: Any) -> None:
    assert read_time(write_time(milliseconds * 1000, written), written) == milliseconds * 1000


@given(
    st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["", "v", "0.v", "/v/1"]),
    st.booleans(),
    st.sampled_from([None, "t", "v"]),
    st.sampled_from(["iso8601", "s", "us"]),
)
def test_no_message_is_more_than_a_reading(payload: bytes, value: str, text: bool, time: str | None, form: str) -> None:
    fields = {"value": value, "numeric_text": text, "time": time, "time_format": form, "scale": 1e200}
    for reading in read_json([point("p", **fields)], payload, NOW):
        assert (reading.value is None) == (reading.quality < 0)
        assert not isinstance(reading.value, float) or math.isfinite(reading.value)
        assert reading.source_time == NOW or EARLIEST_US <= reading.source_time <= LATEST_US
