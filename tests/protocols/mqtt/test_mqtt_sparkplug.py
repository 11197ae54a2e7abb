"""Sparkplug B: payloads against vectors and against Google's protobuf, and what births, deaths and gaps do."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from protocols.mqtt.edge_node import EdgeNode
from protocols.mqtt.sparkplug import (
    DataType,
    Metric,
    ValueField,
    decode_payload,
    encode_payload,
    metric_value,
    value_metric,
)
from protocols.reading import (
    BAD,
    BAD_DECODING_ERROR,
    BAD_NO_COMMUNICATION,
    BAD_NO_DATA,
    BAD_NODE_ID_UNKNOWN,
    BAD_TYPE_MISMATCH,
    GOOD,
    UNCERTAIN_LAST_USABLE_VALUE,
    Quality,
    Value,
)
from tests.protocols.mqtt.mqtt_stand import point

NOW = 1_767_571_200_000_000
MS = NOW // 1000

# Field name, number, protobuf type of the specification's schema (sparkplug_b.proto), as far as it is read here.
SCHEMA = {
    "PropertyValue": [("type", 1, "UINT32"), ("is_null", 2, "BOOL"), ("int_value", 3, "UINT32")],
    "PropertySet": [("keys", 1, "*STRING"), ("values", 2, "*PropertyValue")],
    "Metric": [
        ("name", 1, "STRING"), ("alias", 2, "UINT64"), ("timestamp", 3, "UINT64"), ("datatype", 4, "UINT32"),
        ("is_historical", 5, "BOOL"), ("is_transient", 6, "BOOL"), ("is_null", 7, "BOOL"), ("properties", 9, "PropertySet"),
        ("int_value", 10, "UINT32"), ("long_value", 11, "UINT64"), ("float_value", 12, "FLOAT"),
        ("double_value", 13, "DOUBLE"), ("boolean_value", 14, "BOOL"), ("string_value", 15, "STRING"),
        ("bytes_value", 16, "BYTES"),
    ],
    "Payload": [
        ("timestamp", 1, "UINT64"), ("metrics", 2, "*Metric"), ("seq", 3, "UINT64"), ("uuid", 4, "STRING"), ("body", 5, "BYTES"),
    ],
}  # fmt: skip


def google_payload() -> Any:
    """Return an empty Payload of Google's implementation."""
    file = descriptor_pb2.FileDescriptorProto(name="sparkplug_b.proto", package="t", syntax="proto2")
    for message, fields in SCHEMA.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            field = described.field.add(name=name, number=number, label=3 if kind.startswith("*") else 1)
            plain = kind.removeprefix("*")
            if plain in SCHEMA:
                field.type, field.type_name = 11, f".t.{plain}"
            else:
                field.type = getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{plain}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Payload"))()


def single(field: ValueField, raw: Any, data_type: int, **fields: Any) -> tuple[Value, Quality]:
    payload = encode_payload(MS, 0, [Metric("m", data_type=data_type, field=field, raw=raw, **fields)])
    (metric,) = decode_payload(payload).metrics
    return metric_value(metric, data_type)


def test_a_payload_is_these_bytes() -> None:
    data = bytes.fromhex("08e80712160a0454656d70100518e807200a69cdcccccccc4c35401801")
    payload = decode_payload(data)
    metric = Metric("Temp", 5, 1000, DataType.DOUBLE, field=ValueField.DOUBLE, raw=21.3)
    assert payload == (1000, 1, (metric,))
    assert encode_payload(1000, 1, [metric]) == data


@pytest.mark.parametrize(
    ("kind", "field", "raw", "value"),
    [
        (DataType.INT8, ValueField.INT, 0xFF, -1),
        (DataType.INT8, ValueField.INT, 0xFFFF_FF80, -128),
        (DataType.INT8, ValueField.INT, 127, 127),
        (DataType.INT16, ValueField.INT, 0x8000, -32768),
        (DataType.INT16, ValueField.INT, 0xFFFF_FFFE, -2),
        (DataType.INT32, ValueField.INT, 0xFFFF_FFFF, -1),
        (DataType.INT32, ValueField.LONG, (1 << 64) - 5, -5),
        (DataType.INT32, ValueField.INT, (1 << 64) - 5, -5),
        (DataType.INT64, ValueField.LONG, (1 << 64) - 1, -1),
        (DataType.INT64, ValueField.LONG, 1 << 63, -(1 << 63)),
        (DataType.UINT8, ValueField.INT, 255, 255),
        (DataType.UINT32, ValueField.LONG, 0xFFFF_FFFF, 0xFFFF_FFFF),
        (DataType.UINT64, ValueField.LONG, (1 << 64) - 1, (1 << 64) - 1),
        (DataType.FLOAT, ValueField.FLOAT, 21.25, 21.25),
        (DataType.BOOLEAN, ValueField.BOOLEAN, 1, True),
        (DataType.BOOLEAN, ValueField.BOOLEAN, 0, False),
        (DataType.STRING, ValueField.STRING, "批次 7", "批次 7"),
        (DataType.DATETIME, ValueField.LONG, 1000, "1970-01-01T00:00:01.000Z"),
    ],
)
def test_a_value_is_decoded_by_its_type(kind: DataType, field: ValueField, raw: Any, value: Value) -> None:
    found, quality = single(field, raw, kind)
    assert (found, type(found), quality) == (value, type(value), GOOD)


@pytest.mark.parametrize(
    ("kind", "field", "raw", "quality"),
    [
        (DataType.INT8, ValueField.INT, 256, BAD_DECODING_ERROR),
        (DataType.INT16, ValueField.INT, 0xFFFF_0000, BAD_DECODING_ERROR),
        (DataType.UINT8, ValueField.INT, 256, BAD_DECODING_ERROR),
        (DataType.UINT32, ValueField.LONG, 1 << 32, BAD_DECODING_ERROR),
        (DataType.BOOLEAN, ValueField.BOOLEAN, 2, BAD_DECODING_ERROR),
        (DataType.BOOLEAN, ValueField.INT, 1, BAD_DECODING_ERROR),
        (DataType.DOUBLE, ValueField.FLOAT, 1.5, BAD_DECODING_ERROR),
        (DataType.DATETIME, ValueField.LONG, (1 << 64) - 1, BAD_DECODING_ERROR),
        (16, ValueField.STRING, "data set", BAD_TYPE_MISMATCH),
        (0, ValueField.INT, 1, BAD_TYPE_MISMATCH),
    ],
)
def test_what_does_not_fit_its_type_is_no_value(kind: int, field: ValueField, raw: Any, quality: Quality) -> None:
    assert single(field, raw, kind) == (None, quality)


def test_null_and_quality_are_told() -> None:
    assert single(ValueField.INT, 1, DataType.INT32, null=True) == (None, BAD_NO_DATA)
    assert metric_value(Metric("m"), DataType.INT32) == (None, BAD_NO_DATA)
    for said, quality in ((192, GOOD), (500, UNCERTAIN_LAST_USABLE_VALUE), (0, BAD), (7, BAD)):
        assert single(ValueField.INT, 1, DataType.INT32, quality=said)[1] == quality


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("08", "ends in the middle of a number"),
        ("0880", "ends in the middle of a number"),
        ("08" + "ff" * 10 + "01", "longer than ten bytes"),
        ("1205", "longer than its message"),
        ("120208", "longer than its message"),
        ("0900000000", "longer than its message"),
        ("0a00", "wrong wire type"),
        ("12056d00000000", "wrong wire type"),
        ("08010801", "stands twice"),
        ("0b", "field 1 with wire type 3"),
        ("00", "field 0"),
        ("188002", "sequence number 256"),
        ("12070a016150015801", "two values"),
        ("12030a01ff", "utf-8"),
    ],
)
def test_what_is_no_payload_is_refused(data: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode_payload(bytes.fromhex(data))


METRICS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=5),
        "alias": st.integers(0, 2**64 - 1),
        "timestamp": st.integers(0, 2**64 - 1),
        "datatype": st.integers(0, 40),
        "is_historical": st.booleans(),
        "is_null": st.booleans(),
    },
)
VALUES = st.one_of(
    st.tuples(st.just("int_value"), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("long_value"), st.integers(0, 2**64 - 1)),
    st.tuples(st.just("float_value"), st.floats(width=32)),
    st.tuples(st.just("double_value"), st.floats()),
    st.tuples(st.just("boolean_value"), st.booleans()),
    st.tuples(st.just("string_value"), st.text(max_size=5)),
    st.none(),
)


@given(
    st.lists(st.tuples(METRICS, VALUES, st.none() | st.sampled_from([0, 192, 500])), max_size=4), st.integers(0, 255)
)
def test_payloads_are_those_of_google_protobuf(metrics: list[Any], seq: int) -> None:
    theirs = google_payload()
    theirs.timestamp, theirs.seq = MS, seq
    for fields, value, quality in metrics:
        metric = theirs.metrics.add(**fields)
        if value is not None:
            setattr(metric, *value)
        if quality is not None:
            metric.properties.keys.append("Quality")
            metric.properties.values.add(type=3, int_value=quality)
    ours = decode_payload(theirs.SerializeToString())
    assert (ours.timestamp, ours.seq, len(ours.metrics)) == (MS, seq, len(metrics))
    for (fields, value, quality), metric in zip(metrics, ours.metrics, strict=True):
        got = (
            metric.name,
            metric.alias,
            metric.timestamp,
            metric.data_type,
            metric.historical,
            metric.null,
            metric.quality,
        )
        names = ("name", "alias", "timestamp", "datatype")
        flags = (fields.get("is_historical", False), fields.get("is_null", False))
        assert got == (*(fields.get(name) for name in names), *flags, quality)
        if value is None:
            assert (metric.field, metric.raw) == (None, None)
        else:
            assert metric.field is not None
            assert f"{metric.field.name.lower()}_value" == value[0]
            assert metric.raw == value[1] or (math.isnan(value[1]) and math.isnan(metric.raw))  # type: ignore[arg-type]
    if all(fields.get("is_null") is not False and fields.get("is_historical") is not False for fields, _, _ in metrics):
        back = google_payload()
        back.ParseFromString(encode_payload(MS, seq, ours.metrics))
        assert back.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)


def node(*metrics: str, device: str = "") -> EdgeNode:
    source = "hall/n1/" + device if device else "hall/n1"
    return EdgeNode("hall/n1", [point(metric, sparkplug=source, metric=metric) for metric in metrics])


def birth(seq: int = 0, session: int = 0, **metrics: int) -> bytes:
    """A birth certificate: the metric's alias is its value's tens, so that 31 is born under alias 3."""
    born = [value_metric(name, value // 10, DataType.INT32, value, MS) for name, value in metrics.items()]
    return encode_payload(MS, seq, [value_metric("bdSeq", None, DataType.INT64, session, MS), *born])


def data(seq: int | None, alias: int, value: int, **fields: Any) -> bytes:
    metric = value_metric("", alias, DataType.INT32, value, MS)._replace(name=None, data_type=None, **fields)
    return encode_payload(MS, seq, [metric])


def told(node: EdgeNode, kind: str, payload: bytes, device: str = "") -> list[tuple[str, Value, Quality]]:
    return [(h.reading.point, h.reading.value, h.reading.quality) for h in node.take(kind, device, payload, NOW)]


def test_a_birth_tells_what_aliases_mean() -> None:
    n = node("a", "b")
    assert n.wants_birth
    assert told(n, "NDATA", data(5, 3, 7)) == []
    assert told(n, "NBIRTH", birth(a=31, b=40)) == [("a", 31, GOOD), ("b", 40, GOOD)]
    assert not n.wants_birth
    assert told(n, "NDATA", data(1, 3, 32)) == [("a", 32, GOOD)]
    assert told(n, "NDATA", data(2, 4, -1)) == [("b", -1, GOOD)]
    assert told(n, "NDATA", data(3, 9, 1)) == []
    assert n.wants_birth


def test_a_point_that_is_not_born_is_unknown() -> None:
    assert told(node("a", "z"), "NBIRTH", birth(a=31)) == [("a", 31, GOOD), ("z", None, BAD_NODE_ID_UNKNOWN)]


def test_the_sequence_runs_through_the_devices_and_round() -> None:
    n = node("a", device="d1")
    n.take("NBIRTH", "", birth(), NOW)
    n.take("DBIRTH", "d1", birth(1, a=31), NOW)
    for seq in range(2, 600):
        assert told(n, "DDATA", data(seq % 256, 3, seq), "d1" if seq % 2 else "other") == (
            [("a", seq, GOOD)] if seq % 2 else []
        )
    assert not n.wants_birth  # the other device's birth is nobody's concern


def test_an_old_birth_is_not_believed_after_a_gap() -> None:
    n = node("a", "b")
    n.take("NBIRTH", "", birth(a=31, b=40), NOW)
    assert told(n, "NDATA", data(2, 3, 99)) == []
    assert n.wants_birth
    named = encode_payload(MS, 3, [value_metric("b", None, DataType.INT32, 5, MS)])
    assert told(n, "NDATA", named) == [("b", 5, GOOD)]
    assert told(n, "NBIRTH", birth(a=41, b=30)) == [("a", 41, GOOD), ("b", 30, GOOD)]
    assert told(n, "NDATA", data(1, 3, 99)) == [("b", 99, GOOD)]


def test_deaths_are_bad_and_old_wills_are_not_believed() -> None:
    n = EdgeNode(
        "hall/n1",
        [*(point(m, sparkplug="hall/n1", metric=m) for m in "a"), point("d", sparkplug="hall/n1/x", metric="d")],
    )
    n.take("NBIRTH", "", birth(session=4, a=31), NOW)
    n.take("DBIRTH", "x", birth(1, d=30), NOW)
    assert told(n, "DDEATH", encode_payload(MS, 2, []), "x") == [("d", None, BAD_NO_COMMUNICATION)]
    assert told(n, "DDATA", data(3, 3, 9), "x") == []
    old, present = (encode_payload(MS, None, [value_metric("bdSeq", None, DataType.INT64, s, MS)]) for s in (3, 4))
    assert told(n, "NDEATH", old) == []
    assert told(n, "NDEATH", present) == [("a", None, BAD_NO_COMMUNICATION), ("d", None, BAD_NO_COMMUNICATION)]


def test_devices_of_another_session_are_gone_until_they_are_born() -> None:
    n = node("a", device="d")
    n.take("NBIRTH", "", birth(session=4), NOW)
    assert told(n, "DBIRTH", birth(1, a=31), "d") == [("a", 31, GOOD)]
    assert told(n, "NBIRTH", birth(session=4)) == []
    assert told(n, "NBIRTH", birth(session=5)) == [("a", None, BAD_NO_COMMUNICATION)]
    assert told(n, "NDEATH", b"\x08") == [("a", None, BAD_DECODING_ERROR)]


def test_history_is_marked_and_keeps_its_time() -> None:
    n = node("a")
    n.take("NBIRTH", "", birth(a=31), NOW)
    (heard,) = n.take("NDATA", "", data(1, 3, 8, historical=True, timestamp=MS - 5000), NOW)
    assert heard.historical
    assert (heard.reading.value, heard.reading.source_time) == (8, NOW - 5_000_000)


def test_a_broken_payload_is_bad_and_ends_what_was_known() -> None:
    n = node("a")
    n.take("NBIRTH", "", birth(a=31), NOW)
    assert told(n, "NDATA", b"\x08") == [("a", None, BAD_DECODING_ERROR)]
    assert n.wants_birth


def test_other_messages_say_nothing() -> None:
    n = node("a")
    for kind, device in (("NCMD", ""), ("DCMD", "d"), ("STATE", ""), ("NDATA", "d"), ("DDATA", "")):
        assert told(n, kind, birth(a=31), device) == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH"]), st.binary(max_size=40)),
        max_size=5,
    )
)
def test_no_payload_is_more_than_readings(messages: list[tuple[str, bytes]]) -> None:
    n = EdgeNode(
        "hall/n1", [point("a", sparkplug="hall/n1", metric="a"), point("b", sparkplug="hall/n1/d", metric="b")]
    )
    n.take("NBIRTH", "", birth(a=31), NOW)
    for kind, payload in messages:
        for heard in n.take(kind, "d" if kind[0] == "D" else "", payload, NOW):
            assert (heard.reading.value is None) == (heard.reading.quality < 0)
