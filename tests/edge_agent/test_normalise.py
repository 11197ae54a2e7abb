"""From what a device says to what the dictionary means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_agent.config import DeviceConfig
from edge_agent.normalise import Mark, Normaliser
from protocols.driver import ConnectionConfig, PointConfig
from protocols.reading import (
    BAD_DECODING_ERROR,
    BAD_NO_COMMUNICATION,
    BAD_NO_DATA,
    BAD_SENSOR_FAILURE,
    BAD_TYPE_MISMATCH,
    EARLIEST_US,
    GOOD,
    UNCERTAIN,
    UNCERTAIN_ENGINEERING_UNITS_EXCEEDED,
    Quality,
    Reading,
    Value,
)


def normaliser(marks: dict[str, Mark] | None = None, **point: Any) -> Normaliser:
    config = DeviceConfig(
        name="d", protocol="modbus", connection=ConnectionConfig(), points=(PointConfig(name="p", **point),)
    )
    return Normaliser(config, marks or {})


def one(of: Normaliser, value: Value, quality: Quality = GOOD, source: int = 1, arrival: int = 1) -> Any:
    """Return what is kept of a reading whose times count from 2000-01-01, with its source time counted likewise."""
    kept, _ = of([Reading("p", value, quality, EARLIEST_US + source, EARLIEST_US + arrival)])
    return msgspec.structs.replace(kept[0][1], source_time=kept[0][1].source_time - EARLIEST_US) if kept else None


MEANINGS = [
    ({"property": "voltage_l1_n", "unit": "KVT"}, 0.23, GOOD, 230.0, GOOD),
    ({"property": "voltage_l1_n"}, 230, GOOD, 230, GOOD),
    ({"property": "voltage_l1_n"}, 9000.0, GOOD, 9000.0, UNCERTAIN_ENGINEERING_UNITS_EXCEEDED),
    ({"property": "voltage_l1_n"}, 9000.0, UNCERTAIN, 9000.0, UNCERTAIN),
    ({"property": "voltage_l1_n", "unit": "KVT", "high": 12.0}, 9.0, GOOD, 9000.0, GOOD),
    ({"property": "voltage_l1_n", "unit": "KVT", "high": 0.3}, 0.4, GOOD, 400.0, UNCERTAIN_ENGINEERING_UNITS_EXCEEDED),
    ({"low": 1.0}, 0.5, GOOD, 0.5, UNCERTAIN_ENGINEERING_UNITS_EXCEEDED),
    ({"property": "voltage_l1_n"}, "230", GOOD, None, BAD_TYPE_MISMATCH),
    ({"property": "voltage_l1_n"}, "x", BAD_SENSOR_FAILURE, None, BAD_SENSOR_FAILURE),
    ({"property": "voltage_l1_n"}, float("nan"), GOOD, None, BAD_NO_DATA),
    ({"property": "voltage_l1_n"}, float("inf"), GOOD, None, BAD_NO_DATA),
    ({"property": "voltage_l1_n"}, None, BAD_NO_COMMUNICATION, None, BAD_NO_COMMUNICATION),
    ({"property": "voltage_l1_n"}, 9000.0, BAD_SENSOR_FAILURE, 9000.0, BAD_SENSOR_FAILURE),
    ({"property": "serial_number"}, "00012", GOOD, "00012", GOOD),
    ({"property": "serial_number"}, "A\0\0", GOOD, None, BAD_DECODING_ERROR),
    ({"property": "serial_number"}, "程序 7\n", GOOD, "程序 7\n", GOOD),
    ({}, "程序".encode("gbk").decode("utf-8", "surrogateescape"), GOOD, None, BAD_DECODING_ERROR),
    ({"property": "serial_number"}, 12, GOOD, None, BAD_TYPE_MISMATCH),
    ({"property": "machine_running"}, True, GOOD, 1, GOOD),
    ({"property": "machine_running"}, 7, GOOD, 7, UNCERTAIN_ENGINEERING_UNITS_EXCEEDED),
    ({}, "free text", GOOD, "free text", GOOD),
    ({"unit": "KVT"}, 1e9, GOOD, 1e9, GOOD),
]


@pytest.mark.parametrize(("point", "value", "quality", "meant", "as_quality"), MEANINGS)
def test_meaning(point: dict[str, str], value: Value, quality: Quality, meant: Value, as_quality: Quality) -> None:
    reading = one(normaliser(**point), value, quality)
    assert (reading.value, reading.quality) == (meant, as_quality)
    assert not isinstance(reading.value, bool)


def test_text_no_database_holds_leaves_no_mark_that_can_not_be_written() -> None:
    for value in ("\udcb3", "A\0"):
        of = normaliser()
        for source in (1, 2):  # with a time of its own, and polled
            _, marks = of([Reading("p", value, GOOD, EARLIEST_US + source, EARLIEST_US + 2)])
            assert [mark.value for _, mark in marks] == [None]
            msgspec.msgpack.encode(marks[0][1])


def test_the_reference_names_property_and_the_unit_the_values_are_in() -> None:
    mapped, _ = normaliser(property="voltage_l1_n", unit="KVT")([Reading("p", 1.0, GOOD, 1, 1)])
    unmapped, _ = normaliser(unit="KVT")([Reading("p", 1.0, GOOD, 1, 1)])
    assert tuple(mapped[0][0].__reduce__()[1]) == ("d", "p", "voltage_l1_n", "VLT")
    assert tuple(unmapped[0][0].__reduce__()[1]) == ("d", "p", "", "KVT")


def test_what_a_device_repeats_is_dropped_and_polled_values_are_not() -> None:
    timed, polled = normaliser(), normaliser()
    assert one(timed, 1.0, source=10, arrival=11)
    assert one(timed, 1.0, source=10, arrival=12) is None
    assert one(timed, 1.0, source=20, arrival=21)
    assert all(one(polled, 1.0, source=t, arrival=t) for t in (1, 2, 3))


def test_a_device_that_comes_back_with_the_old_value_is_heard_at_its_arrival_time() -> None:
    of = normaliser()
    one(of, 1.0, source=10, arrival=11)
    assert one(of, None, BAD_NO_COMMUNICATION, source=50, arrival=50).source_time == 50
    back = one(of, 1.0, source=10, arrival=90)
    assert (back.value, back.quality, back.source_time) == (1.0, GOOD, 90)
    assert one(of, 1.0, source=10, arrival=95) is None


def test_a_new_value_under_the_old_time_does_not_share_its_instant() -> None:
    of = normaliser()
    one(of, 1.0, source=10, arrival=9)
    assert one(of, 2.0, source=10, arrival=9).source_time == 11


def test_changes_that_arrive_in_one_message_do_not_share_their_instant() -> None:
    of = normaliser()
    kept, _ = of([Reading("p", value, GOOD, EARLIEST_US, EARLIEST_US) for value in (1.0, 2.0, 3.0)])
    assert [(reading.value, reading.source_time - EARLIEST_US) for _, reading in kept] == [(1.0, 0), (2.0, 1), (3.0, 2)]
    assert one(of, 4.0, source=5000, arrival=5000).source_time == 5000


def test_a_repeat_is_recognised_after_a_restart_by_its_mark() -> None:
    of = normaliser()
    _, marks = of([Reading("p", 1.0, GOOD, EARLIEST_US + 10, EARLIEST_US + 11)])
    again = normaliser({"p": marks[0][1]})
    assert one(again, 1.0, source=10, arrival=99) is None
    assert one(again, 1.5, source=12, arrival=99).source_time == 12


def test_a_loss_is_remembered_over_a_restart() -> None:
    of = normaliser()
    of([Reading("p", 1.0, GOOD, EARLIEST_US + 10, EARLIEST_US + 11)])
    _, marks = of([Reading("p", None, BAD_NO_COMMUNICATION, EARLIEST_US + 50, EARLIEST_US + 50)])
    again = normaliser({"p": marks[0][1]})
    assert one(again, 1.0, source=10, arrival=90).source_time == 90


@pytest.mark.parametrize(
    "source", [-2, -EARLIEST_US, -(2**62), 86_400_000_001 + 500], ids=["1999", "1970", "long ago", "tomorrow"]
)
def test_a_clock_that_can_not_be_right_is_not_believed(source: int) -> None:
    of = normaliser()
    assert one(of, 1.0, source=source, arrival=500).source_time == 500
    assert one(of, 2.0, source=source + 1, arrival=500).source_time == 501
    assert one(of, 3.0, source=86_400_000_000 + 500, arrival=500).source_time == 86_400_000_500
