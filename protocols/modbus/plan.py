"""Decides which requests a set of points needs, and reads the points out of the answers.

Points of one table are read together across gaps of unused addresses as long as the request stays within the limits.
A value of several registers is never split over two requests, because the device could change it in between.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from protocols.errors import ConfigError
from protocols.modbus.codec import ConvertAll, Field, column_converter, conversion, register_field, swap_bytes
from protocols.modbus.config import BIT_TABLES, ModbusPoint
from protocols.reading import Quality
from protocols.scan import Scan
from protocols.text import Text

FUNCTION_CODES = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}


_Pick = Callable[[tuple[Any, ...]], Sequence[Any]]
"""Takes a column out of what the `struct` passes gave."""


class Block:
    """One request and the points its answer holds.

    Attributes:
        table, address, count: what is asked for; count is in registers, or in bits for coils and discrete inputs.
        function_code: of the request.
        size: bytes of data the answer must carry.
        points: the points read by it.
    """

    __slots__ = (
        "_bits",
        "_columns",
        "_passes",
        "_slots",
        "address",
        "count",
        "function_code",
        "places",
        "points",
        "size",
        "table",
    )

    def __init__(self, places: Sequence[tuple[int, ModbusPoint]]) -> None:
        """Make the request for `places`: points of one table, each with its place in the scan."""
        self.places = sorted(places, key=lambda place: _span(place[1]))
        self.points = tuple(point for _, point in self.places)
        self.table = self.points[0].table
        self.address = self.points[0].address
        self.count = max(point.address + point.width for point in self.points) - self.address
        self.function_code = FUNCTION_CODES[self.table]
        in_bits = self.table in BIT_TABLES
        self.size = (self.count + 7) // 8 if in_bits else 2 * self.count
        self._slots = _slots([place for place, _ in self.places])
        self._bits: list[tuple[int, int]] = []
        self._passes: list[tuple[bool, struct.Struct]] = []
        self._columns: list[tuple[slice | list[int], _Pick, ConvertAll]] = []
        if in_bits:
            bits = [divmod(point.address - self.address, 8) for point in self.points]
            self._bits = [(byte, 1 << bit) for byte, bit in bits]
        else:
            self._compile()

    def _compile(self) -> None:
        """Gather the fields into as few `struct` passes as their orders and overlaps allow, and those alike to columns."""
        passes: list[tuple[bool, str, int, list[int]]] = []  # swapped, format so far, end in bytes, fields in it
        fields: dict[tuple[int, Field], int] = {}
        for point in self.points:
            field = register_field(point)
            offset = 2 * (point.address - self.address)
            if (offset, field) in fields:
                continue
            number = fields[offset, field] = len(fields)
            end = offset + 2 * point.width
            for index, (swapped, form, reached, members) in enumerate(passes):
                if (swapped, form[0]) == field[:2] and reached <= offset:
                    passes[index] = (swapped, f"{form}{offset - reached}x{field.form}", end, [*members, number])
                    break
            else:
                passes.append((field.swapped, f"{field.endian}{offset}x{field.form}", end, [number]))
        self._passes = [(swapped, struct.Struct(form)) for swapped, form, _, _ in passes]
        order = {number: index for index, number in enumerate(n for *_, members in passes for n in members)}
        columns: dict[Hashable, list[tuple[int, int, ModbusPoint]]] = {}
        for place, point in self.places:
            number = fields[2 * (point.address - self.address), register_field(point)]
            columns.setdefault(conversion(point), []).append((place, order[number], point))
        for column in columns.values():
            places, indices, points = zip(*column, strict=True)
            self._columns.append((_slots(places), _pick(indices, len(fields)), column_converter(points[0])))

    @property
    def place(self) -> str:
        """What is asked for: the table, its first and its last address."""
        return f"{self.table} {self.address}..{self.address + self.count - 1}"

    def __repr__(self) -> str:
        return f"{self.place}: {', '.join(p.name for p in self.points)}"

    def decode(self, data: bytes, time: int, scan: Scan) -> None:
        """Put the value of each point at its place in `scan`.

        `data` is the answer's `size` bytes; `time` is when it arrived, microseconds UTC.
        """
        if self._bits:
            scan.put(self._slots, [data[byte] & mask != 0 for byte, mask in self._bits], {}, time)
        raws: tuple[Any, ...] = ()
        for swapped, form in self._passes:
            raws += form.unpack_from(swap_bytes(data) if swapped else data)
        for slots, pick, convert in self._columns:
            scan.put(slots, *convert(pick(raws)), time)

    def fail(self, quality: Quality, time: int, scan: Scan) -> None:
        """Give each point `quality` and no value."""
        count = len(self.places)
        scan.put(self._slots, [None] * count, dict.fromkeys(range(count), quality), time)

    def split(self) -> tuple[Block, ...]:
        """Return two blocks that read half of the addresses each; nothing if all points take the same addresses."""
        spans = sorted({_span(point) for point in self.points})
        if len(spans) == 1:
            return ()
        cut = spans[len(spans) // 2]
        return (
            Block([place for place in self.places if _span(place[1]) < cut]),
            Block([place for place in self.places if _span(place[1]) >= cut]),
        )


def plan_reads(points: Sequence[ModbusPoint], max_registers: int, max_gap: int) -> list[Block]:
    """Return the requests that read each of `points` exactly once.

    Limits are in registers; coils and discrete inputs count as sixteenths of one, which makes the protocol's limit of
    125 registers also its limit of 2000 bits (MODBUS Application Protocol V1.1b3, 6.1 to 6.4). Raises ConfigError for
    a value wider than `max_registers`.
    """
    for point in points:
        if point.width > max_registers:
            raise ConfigError(
                Text(
                    f"point '{point.name}' takes {point.width} registers, more than max_registers = {max_registers}",
                    f"点“{point.name}”占 {point.width} 个寄存器，超过 max_registers = {max_registers}",
                ),
                Text("raise max_registers or drop the point", "请增大 max_registers 或去掉该点"),
                key="max_registers",
            )
    places = sorted(enumerate(points), key=lambda place: (place[1].table, *_span(place[1])))
    return [
        Block(run)
        for table, members in groupby(places, key=lambda place: place[1].table)
        for run in _runs(
            members, *((16 * max_registers, 16 * max_gap) if table in BIT_TABLES else (max_registers, max_gap))
        )
    ]


def _runs(places: Iterator[tuple[int, ModbusPoint]], limit: int, gap: int) -> Iterator[list[tuple[int, ModbusPoint]]]:
    """Cut `places`, ordered by address, where the next one is too far away or would make the request too long."""
    run: list[tuple[int, ModbusPoint]] = []
    start = end = 0
    for place in places:
        first, width = _span(place[1])
        if run and (first > end + gap or first + width > start + limit):
            yield run
            run = []
        if not run:
            start = end = first
        run.append(place)
        end = max(end, first + width)
    if run:
        yield run


def _span(point: ModbusPoint) -> tuple[int, int]:
    return point.address, point.width


def _slots(places: Sequence[int]) -> slice | list[int]:
    """Return `places` as a slice where they follow one another, for that is put in its place at once."""
    first, count = places[0], len(places)
    return slice(first, first + count) if list(places) == list(range(first, first + count)) else list(places)


def _pick(indices: Sequence[int], count: int) -> _Pick:
    """Return what takes the values at `indices` of `count`."""
    if list(indices) == list(range(count)):
        return lambda raws: raws
    if len(indices) == 1:
        return lambda raws: (raws[indices[0]],)
    return itemgetter(*indices)
