"""Addresses, values and units: published examples, then every kind by property."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ConfigError
from protocols.opcua.codec import (
    UA_NAMESPACE,
    NodeAddress,
    decode,
    node_address,
    node_id,
    parse_node,
    unit_code,
    unit_information,
)
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.reading import (
    BAD_NO_DATA,
    BAD_OUT_OF_RANGE,
    BAD_SENSOR_FAILURE,
    BAD_TYPE_MISMATCH,
    GOOD,
    UNCERTAIN_LAST_USABLE_VALUE,
    Quality,
    Severity,
)

ARRIVAL = 1_700_000_000_000_000
POINT = OpcuaPoint(name="p", node="i=2258")

identifiers = st.one_of(st.integers(0, 2**32 - 1), st.text(min_size=1), st.uuids(), st.binary(min_size=1))
uris = st.text(min_size=1)


@given(uri=uris, identifier=identifiers)
def test_every_address_survives_its_text(uri: str, identifier: Any) -> None:
    address = NodeAddress(uri, identifier)
    assert parse_node(str(address)) == address


@given(identifier=identifiers, before=st.lists(uris.filter(lambda uri: uri != "urn:plant"), unique=True))
def test_every_address_survives_a_session(identifier: Any, before: list[str]) -> None:
    namespaces = [UA_NAMESPACE, *before, "urn:plant"]
    address = NodeAddress("urn:plant", identifier)
    node = node_id(address, namespaces)
    assert node.NamespaceIndex == len(before) + 1
    assert node_address(node, namespaces) == address
    assert node_id(address, namespaces[:-1]) is None


def test_the_standard_namespace_needs_no_uri() -> None:
    for text in ("i=2258", "ns=0;i=2258", f"nsu={UA_NAMESPACE};i=2258"):
        assert parse_node(text) == NodeAddress(UA_NAMESPACE, 2258)
    assert str(NodeAddress(UA_NAMESPACE, 2258)) == "i=2258"


def test_an_index_is_refused_with_the_way_to_write_it() -> None:
    with pytest.raises(ConfigError, match=r"namespace index 3.*nsu=<URI>;s=Line1.Speed") as caught:
        parse_node("ns=3;s=Line1.Speed")
    assert "命名空间 URI" in caught.value.explain("zh")


def data(value: Any, kind: ua.VariantType | None = None, status: int = 0, **times: Any) -> ua.DataValue:
    """A DataValue as it comes off the wire."""
    sent = ua.DataValue(ua.Variant(value, kind), ua.StatusCode(status), **times)
    return struct_from_binary(ua.DataValue, ua.utils.Buffer(struct_to_binary(sent)))


@given(
    st.one_of(
        st.tuples(st.booleans(), st.just(ua.VariantType.Boolean)),
        st.tuples(st.integers(-128, 127), st.just(ua.VariantType.SByte)),
        st.tuples(st.integers(0, 255), st.just(ua.VariantType.Byte)),
        st.tuples(st.integers(-(2**15), 2**15 - 1), st.just(ua.VariantType.Int16)),
        st.tuples(st.integers(0, 2**16 - 1), st.just(ua.VariantType.UInt16)),
        st.tuples(st.integers(-(2**31), 2**31 - 1), st.just(ua.VariantType.Int32)),
        st.tuples(st.integers(0, 2**32 - 1), st.just(ua.VariantType.UInt32)),
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.just(ua.VariantType.Int64)),
        st.tuples(st.integers(0, 2**64 - 1), st.just(ua.VariantType.UInt64)),
        st.tuples(st.floats(width=32, allow_nan=False, allow_infinity=False), st.just(ua.VariantType.Float)),
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.just(ua.VariantType.Double)),
        st.tuples(st.text(), st.just(ua.VariantType.String)),
    )
)
def test_every_plain_value_arrives_as_it_was_sent(sent: tuple[Any, ua.VariantType]) -> None:
    value, kind = sent
    reading = decode(POINT, data(value, kind), ARRIVAL)
    assert (reading.value, reading.quality) == (value, GOOD)
    assert type(reading.value) is type(value)


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (data(datetime(2026, 11, 20, 8, 30, tzinfo=UTC), ua.VariantType.DateTime), "2026-11-20T08:30:00.000000Z"),
        (data(ua.LocalizedText("Läuft", "de")), "Läuft"),
        (data(ua.ServerState.Suspended, ua.VariantType.Int32), 3),
        (data("0042"), "0042"),
    ],
)
def test_times_texts_and_enumerations_are_values(sent: ua.DataValue, value: object) -> None:
    assert decode(POINT, sent, ARRIVAL).value == value


@pytest.mark.parametrize(
    ("sent", "quality"),
    [
        (data([1.0, 2.0]), BAD_TYPE_MISMATCH),
        (data([], ua.VariantType.Double), BAD_TYPE_MISMATCH),
        (data(unit_information("CEL")), BAD_TYPE_MISMATCH),
        (data(b"\x01\x02"), BAD_TYPE_MISMATCH),
        (data(ua.NodeId(1, 2)), BAD_TYPE_MISMATCH),
        (data(ua.LocalizedText()), BAD_TYPE_MISMATCH),
        (data(None), BAD_NO_DATA),
        (data(None, ua.VariantType.String), BAD_NO_DATA),
        (data(math.nan), BAD_OUT_OF_RANGE),
        (data(-math.inf, ua.VariantType.Float), BAD_OUT_OF_RANGE),
    ],
)
def test_what_is_no_single_value_is_bad_and_none(sent: ua.DataValue, quality: Quality) -> None:
    reading = decode(POINT, sent, ARRIVAL)
    assert (reading.value, reading.quality) == (None, quality)


@given(st.integers(0, 2**32 - 1), st.floats(allow_nan=False, allow_infinity=False))
def test_a_bad_status_never_leaves_with_a_value(status: int, value: float) -> None:
    reading = decode(POINT, data(value, status=status), ARRIVAL)
    assert reading.quality == Quality.from_status_code(status)
    assert (reading.value is None) == (reading.quality.severity is Severity.BAD)


def test_cause_and_severity_of_a_status_are_kept() -> None:
    failed = decode(POINT, data(1.5, status=0x808C_0000), ARRIVAL)
    assert (failed.value, failed.quality) == (None, BAD_SENSOR_FAILURE)
    # the low word tells of overflow and limits, which are no cause
    old = decode(POINT, data(1.5, status=0x4090_0480), ARRIVAL)
    assert (old.value, old.quality) == (1.5, UNCERTAIN_LAST_USABLE_VALUE)


def test_scale_and_offset_apply_to_numbers_only() -> None:
    point = OpcuaPoint(name="p", node="i=1", scale=0.1, offset=-40)
    assert decode(point, data(613), ARRIVAL).value == 21.3
    assert decode(point, data("613"), ARRIVAL).value == "613"
    assert decode(point, data(True), ARRIVAL).value is True
    beyond = decode(OpcuaPoint(name="p", node="i=1", scale=10), data(1e308), ARRIVAL)
    assert (beyond.value, beyond.quality) == (None, BAD_OUT_OF_RANGE)


def test_a_machines_own_codes_become_those_of_the_dictionary() -> None:
    point = OpcuaPoint.model_validate({"name": "p", "node": "i=1", "codes": {"7": 3}})
    assert decode(point, data(7), ARRIVAL).value == 3
    unlisted = decode(point, data(8), ARRIVAL)
    assert (unlisted.value, unlisted.quality) == (None, BAD_OUT_OF_RANGE)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9998, 12, 31)))  # noqa: DTZ001 - made aware below
def test_source_time_is_exact_to_the_microsecond(naive: datetime) -> None:
    time = naive.replace(tzinfo=UTC)
    source = decode(POINT, data(1, SourceTimestamp=time), ARRIVAL).source_time
    assert datetime.fromtimestamp(source // 1_000_000, UTC).replace(microsecond=source % 1_000_000) == time


def test_server_time_then_arrival_stand_in_for_an_absent_source_time() -> None:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    at = int(time.timestamp()) * 1_000_000
    assert decode(POINT, data(1, ServerTimestamp=time), ARRIVAL).source_time == at
    assert decode(POINT, data(1), ARRIVAL).source_time == ARRIVAL
    for none in (datetime(1601, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)):
        assert decode(POINT, data(1, SourceTimestamp=none), ARRIVAL).source_time == ARRIVAL


def test_units_are_the_characters_of_their_code() -> None:
    celsius = unit_information("CEL")
    assert celsius.UnitId == 4408652  # the figure Part 8 gives for degree Celsius
    assert unit_code(celsius) == "CEL"
    assert unit_code(ua.EUInformation(NamespaceUri=celsius.NamespaceUri, UnitId=-1)) is None
    assert unit_code(ua.EUInformation(NamespaceUri="urn:vendor:units", UnitId=4408652)) is None
    assert unit_code("CEL") is None


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=3))
def test_every_unit_code_survives(code: str) -> None:
    assert unit_code(unit_information(code)) == code


def test_security_has_to_be_chosen() -> None:
    with pytest.raises(ConfigError, match=r"^security: .*security = \"basic256sha256\"") as caught:
        OpcuaConnection.model_validate({"endpoint": "opc.tcp://127.0.0.1"})
    assert "未选择连接的安全方式" in caught.value.explain("zh")


def test_the_endpoint_gets_its_standard_port() -> None:
    for written, meant in {
        "opc.tcp://plc": "opc.tcp://plc:4840",
        "opc.tcp://PLC:4841/path": "opc.tcp://plc:4841/path",
        "opc.tcp://[::1]": "opc.tcp://[::1]:4840",
    }.items():
        connection = OpcuaConnection.model_validate({"endpoint": written, "security": "none"})
        assert connection.endpoint == meant


def test_a_password_is_not_shown() -> None:
    fields = {"endpoint": "opc.tcp://plc", "security": "none", "user": "op", "password": "canary"}
    assert "canary" not in repr(OpcuaConnection.model_validate(fields))
