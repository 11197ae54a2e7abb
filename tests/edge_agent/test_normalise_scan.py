"""A scan is normalised and gathered by column as its readings are one by one: not a bit of the outcome differs."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config import DeviceConfig
from edge_agent.normalise import Mark, Normaliser
from protocols.driver import ConnectionConfig, PointConfig
from protocols.reading import (
    BAD_NO_COMMUNICATION,
    BAD_NO_DATA,
    BAD_SENSOR_FAILURE,
    EARLIEST_US,
    GOOD,
    UNCERTAIN,
    Quality,
    Reading,
    Value,
)
from protocols.scan import Scan
from protocols.uplink.codec import columns_of
from protocols.uplink.messages import PointRef
from protocols.uplink.rows import Row, ScanRows

POINTS: tuple[dict[str, Any], ...] = (
    {},
    {"low": -5.0, "high": 5.0},
    {"property": "voltage_l1_n"},
    {"property": "voltage_l1_n", "unit": "KVT"},
    {"property": "voltage_l1_n", "unit": "KVT", "high": 0.3},
    {"property": "machine_running"},
    {"property": "serial_number"},
)
DEVICE = DeviceConfig(
    name="d",
    protocol="modbus",
    connection=ConnectionConfig(),
    points=tuple(PointConfig(name=f"p{n}", **POINTS[n % len(POINTS)]) for n in range(2 * len(POINTS))),
)
NAMES = tuple(point.name for point in DEVICE.points)
GROUPS = (NAMES[:9], NAMES[9:], NAMES[9::-1], ())
"""The last but one shares a point with the second, which no configuration does but the driver contract allows."""

values: st.SearchStrategy[Value] = st.one_of(
    st.floats(),
    st.floats(-10, 10),
    st.integers(-(2**63), 2**64),
    st.booleans(),
    st.none(),
    st.sampled_from(["A", "A\0"]),
)
qualities = st.sampled_from((GOOD, GOOD, GOOD, UNCERTAIN, BAD_NO_DATA, BAD_SENSOR_FAILURE))


@st.composite
def scans(draw: st.DrawFn, seen: st.SearchStrategy[Value] = values) -> Scan:
    """A scan whose blocks arrived within 3 ms of each other, at times that other scans may have as well."""
    names = draw(st.sampled_from(GROUPS))
    flaws = {place: quality for place in range(len(names)) if (quality := draw(qualities)) != GOOD}
    times = [EARLIEST_US + draw(st.integers(0, 20)) * 500 + draw(st.integers(0, 2)) for _ in names]
    return Scan(names, [draw(seen) for _ in names], flaws, array("q", times))


def lost(time: int) -> list[Reading]:
    return [Reading(name, None, BAD_NO_COMMUNICATION, EARLIEST_US + time, EARLIEST_US + time) for name in NAMES]


def told(time: int) -> list[Reading]:
    """A reading with a time of the device's own."""
    return [Reading("p0", 1.0, GOOD, EARLIEST_US + time, EARLIEST_US + time + 7)]


others = st.builds(lambda make, time: make(500 * time), st.sampled_from((lost, lost, told)), st.integers(0, 20))


def exact(rows: Sequence[Row]) -> list[object]:
    """Return what differs wherever a bit of `rows` does, such as 1 from 1.0 and from True."""
    return [(ref, r.point, repr(r.value), repr(r.quality), r.source_time, r.arrival_time) for ref, r in rows]


@given(st.lists(st.one_of(scans(), scans(), others), min_size=1, max_size=6), st.booleans())
def test_a_scan_means_what_its_readings_mean(steps: list[Sequence[Reading]], remembered: bool) -> None:
    marks = {"p3": Mark(EARLIEST_US, 1.0, 0)} if remembered else {}
    by_column, one_by_one = Normaliser(DEVICE, marks), Normaliser(DEVICE, marks)
    for step in steps:
        rows, kept = by_column(step)
        wanted, wanted_marks = one_by_one(list(step))
        assert exact(rows) == exact(wanted)
        assert kept == wanted_marks


def test_a_scan_whose_times_are_new_goes_by_column() -> None:
    normalise = Normaliser(DEVICE, {})
    for n in range(3):
        rows, _ = normalise(Scan.begun(GROUPS[n % 2], EARLIEST_US + n))
        assert isinstance(rows, ScanRows)


def wire(rows: Sequence[Row]) -> list[object]:
    """Return the rows of columns and texts, as a receiver sees them."""
    columns, texts = columns_of(rows)
    if columns is None:
        return [texts]
    number = array("I", columns.point)
    read = [columns.points[n] for n in number], columns.source_time, columns.value, columns.quality, columns.delay
    return [texts, *read]


@given(scans() | scans(st.floats() | st.integers(-(2**63), 2**64) | st.booleans() | st.none()), st.slices(9))
def test_a_scan_is_gathered_as_its_readings_are(scan: Scan, part: slice) -> None:
    rows = ScanRows(tuple(PointRef("d", name, "", "C62") for name in scan.points), scan)
    assert exact(rows[part]) == exact(list(rows)[part])
    assert [exact([rows[place]]) for place in range(len(rows))] == [exact([row]) for row in rows]
    assert wire(rows) == wire(list(rows))
    assert wire(rows[part]) == wire(list(rows)[part])


def test_where_nothing_is_put_is_told_from_what_is() -> None:
    scan = Scan.begun(("a", "b", "c"), 1)
    scan.put(slice(1, 3), [2, None], {1: Quality(BAD_NO_DATA)}, 5)
    scan.put([0], [True], {}, 6)
    assert list(scan) == [
        Reading("a", True, GOOD, 6, 6),
        Reading("b", 2, GOOD, 5, 5),
        Reading("c", None, BAD_NO_DATA, 5, 5),
    ]
    assert scan[-1] == Reading("c", None, BAD_NO_DATA, 5, 5)
