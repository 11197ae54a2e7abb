"""The read planner: every point once, within the limits, never a value in two requests."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.codec import decode
from protocols.modbus.config import BIT_TABLES, ModbusPoint
from protocols.modbus.plan import FUNCTION_CODES, Block, plan_reads
from protocols.reading import GOOD, Quality, Reading
from protocols.scan import Scan
from tests.protocols.modbus.modbus_strategies import modbus_points


def registers(*addresses: int, **fields: object) -> list[ModbusPoint]:
    return [ModbusPoint.model_validate({"name": f"r{n}", "address": n, **fields}) for n in addresses]


def requests(blocks: list[Block]) -> list[tuple[str, int, int]]:
    return [(block.table, block.address, block.count) for block in blocks]


def test_a_thousand_adjacent_registers_cost_eight_requests() -> None:
    blocks = plan_reads(registers(*range(1000)), 125, 8)
    assert requests(blocks) == [("holding", start, 125) for start in range(0, 1000, 125)]


def test_gaps_are_read_along_up_to_the_limit() -> None:
    assert requests(plan_reads(registers(0, 9), 125, 8)) == [("holding", 0, 10)]
    assert requests(plan_reads(registers(0, 10), 125, 8)) == [("holding", 0, 1), ("holding", 10, 1)]
    assert len(plan_reads(registers(0, 1, 2), 125, 0)) == 1


def test_a_wide_value_moves_to_the_next_request_whole() -> None:
    points = registers(*range(124)) + registers(124, type="float64")
    assert requests(plan_reads(points, 125, 8)) == [("holding", 0, 124), ("holding", 124, 4)]


def test_bits_count_as_sixteenths_of_a_register() -> None:
    blocks = plan_reads(registers(*range(0, 2001), table="coil"), 125, 8)
    assert requests(blocks) == [("coil", 0, 2000), ("coil", 2000, 1)]
    assert requests(plan_reads(registers(0, 129, table="coil"), 125, 8)) == [("coil", 0, 130)]
    assert len(plan_reads(registers(0, 130, table="coil"), 125, 8)) == 2


def test_a_plan_is_readable() -> None:
    assert repr(plan_reads(registers(3, 5), 125, 8)[0]) == "holding 3..5: r3, r5"


@given(
    points=st.lists(modbus_points(), max_size=60),
    max_registers=st.integers(20, 125),
    max_gap=st.integers(0, 20),
    memory=st.binary(min_size=1024, max_size=1024),
)
def test_any_plan_reads_each_point_once_and_right(
    points: list[ModbusPoint], max_registers: int, max_gap: int, memory: bytes
) -> None:
    blocks = plan_reads(points, max_registers, max_gap)
    assert sorted(place for block in blocks for place, _ in block.places) == list(range(len(points)))
    scan = Scan.begun(tuple(point.name for point in points), 0)
    for block in blocks:
        in_bits = block.table in BIT_TABLES
        factor = 16 if in_bits else 1
        assert {point.table for point in block.points} == {block.table}
        assert 1 <= block.count <= factor * max_registers <= factor * 125
        end = block.address
        for point in block.points:
            assert block.address <= point.address <= end + factor * max_gap
            end = max(end, point.address + point.width)
        assert end == block.address + block.count
        block.decode(answer(memory, block), 7, scan)
    for point, reading in zip(points, scan, strict=True):
        if point.table in BIT_TABLES:
            wanted: object = memory[point.address // 8] >> point.address % 8 & 1 == 1
        else:
            wanted = decode(point, memory[2 * point.address : 2 * (point.address + point.width)])
        bad = isinstance(wanted, Quality)
        assert reading == Reading(point.name, None if bad else wanted, wanted if bad else GOOD, 7, 7)  # type: ignore[arg-type]


def answer(memory: bytes, block: Block) -> bytes:
    """Return what a device holding `memory` in each table answers to the request of `block`."""
    if block.table not in BIT_TABLES:
        return memory[2 * block.address : 2 * (block.address + block.count)]
    bits = int.from_bytes(memory, "little") >> block.address & (1 << block.count) - 1
    return bits.to_bytes(block.size, "little")


NUMBERS = (
    {"scale": 0.1},
    {"scale": -0.01, "offset": 40.0},
    {"scale": 1 / 3},
    {"scale": 1e300},
    {"invalid": (0, 1)},
    {"scale": 10.0, "invalid": (0,)},
)
CODES = {"codes": {0: 4, 1: 2, 255: 7}}
WORDS = (0x0000, 0x0001, 0x7FFF, 0x8000, 0xFFFF, 0x7F80, 0xFF80, 0x7FC0, 0x7FF0, 0x00FF, 0x4048, 0x9A31)
"""Registers that make zeros, ones, extremes, infinities and NaN of every type, and plain numbers."""


@given(
    kinds=st.lists(st.tuples(modbus_points(), st.sampled_from(({}, *NUMBERS, CODES))), min_size=1, max_size=3),
    places=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 120)), min_size=1, max_size=20, unique=True),
    words=st.lists(st.sampled_from(WORDS) | st.integers(0, 0xFFFF), min_size=7, max_size=31),
)
def test_a_column_means_what_its_values_mean_one_by_one(
    kinds: list[tuple[ModbusPoint, dict[str, Any]]], places: list[tuple[int, int]], words: list[int]
) -> None:
    points = [meant(*kinds[kind % len(kinds)], address) for kind, address in places]
    memory = (struct.pack(f">{len(words)}H", *words) * 23)[:320]
    scan = Scan.begun(tuple(point.name for point in points), 0)
    for block in plan_reads(points, 125, 8):
        block.decode(answer(memory, block), 7, scan)
    for point, reading in zip(points, scan, strict=True):
        if point.table not in BIT_TABLES:
            wanted = decode(point, memory[2 * point.address : 2 * (point.address + point.width)])
            bad = isinstance(wanted, Quality)
            assert repr(reading) == repr(Reading(point.name, None if bad else wanted, wanted if bad else GOOD, 7, 7))  # type: ignore[arg-type]


def meant(like: ModbusPoint, meaning: dict[str, Any], address: int) -> ModbusPoint:
    """Return a point as `like`, at `address`, with `meaning` where its type can have that."""
    fields = {**like.model_dump(exclude_unset=True), "address": address}
    if "codes" in meaning and "int" not in like.type:
        meaning = {}
    return ModbusPoint.model_validate(fields | ({} if like.type in {"bool", "string"} else meaning))


@given(points=st.lists(modbus_points(), min_size=1, max_size=40))
def test_splitting_ends_and_loses_nothing(points: list[ModbusPoint]) -> None:
    waiting = plan_reads(points, 125, 8)
    leaves: list[Block] = []
    while waiting:
        block = waiting.pop()
        parts = block.split()
        assert all(len(part.points) < len(block.points) for part in parts)
        waiting.extend(parts)
        if not parts:
            leaves.append(block)
            assert len({(point.address, point.width) for point in block.points}) == 1
    assert sorted(place for leaf in leaves for place, _ in leaf.places) == list(range(len(points)))


def test_function_codes_are_the_protocols() -> None:
    assert FUNCTION_CODES == {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
