"""Which registers belong together, and how they are read: width, type, sign, byte and word order, from samples alone.

The idea is that of the shortest description (Rissanen, "Modeling by shortest data description", Automatica 14, 1978).
Every way of reading one, two or four registers has a price in bits: what it takes to write down that there is such a
point, its first value, and each change from one sample to the next. Read rightly, a physical quantity moves in small
steps and is cheap; read wrongly, it jumps. The cheapest way to cut a run of registers into points is found by dynamic
programming, once under each byte order, because one device keeps to one order; how its sure points are made then tells
how its doubtful ones probably are. The confidence follows from what the best different reading would cost more.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from protocols.modbus.config import NUMBER_FORMATS, Order, PointType

Registers = Mapping[int, Sequence[int]]
"""Address -> the register's raw value in each sample, all of the same length."""

ORDERS: tuple[Order, ...] = ("ABCD", "CDAB", "BADC", "DCBA")
_ORDER_BITS: Mapping[Order, float] = {"ABCD": 0.0, "CDAB": 2.0, "BADC": 8.0, "DCBA": 6.0}
_OTHER_ORDER_BITS = 25.0
"""Price of a point whose order is not that of the rest of its device."""

_POINT_BITS = 6.0
"""Price of saying that there is a point here."""

_FAMILY_BITS: Mapping[str, float] = {"16": 1.0, "float32": 2.0, "32": 2.5, "64": 4.5, "float64": 6.0}
"""Price of each kind before the device has shown its habits: 16-bit registers and float32 are the most common."""

_EXACT_RUN_BITS = 8.0
"""Taken off where a value fills a run of registers between two addresses the device does not have."""

_NOISE_BITS = 30.0
_BELIEVABLE_FLOAT = range(0x38000000, 0x4C000000)  # 3e-5 to 3e7, as IEEE 754 patterns
_SURE_BITS = 10.0


@dataclass(frozen=True, slots=True)
class Layout:
    """One point as found: where it is, how it is read, its raw values, and how sure that is.

    Attributes:
        address: 0-based, of its first register.
        values: one number per sample, before any scale.
        margin: bits by which the best contradicting reading of these registers is dearer.
        rival: that reading as "type order", or "" where nothing contradicts.
        sign_seen: whether a sign bit was ever set; where not, a signed type reads the same.
    """

    address: int
    type: PointType
    order: Order
    values: tuple[float, ...]
    margin: float
    rival: str
    sign_seen: bool

    @property
    def width(self) -> int:
        """Registers it takes."""
        return struct.calcsize(NUMBER_FORMATS[self.type]) // 2

    @property
    def confidence(self) -> float:
        """Probability that type and order are right, if the prices are fair: 1 / (1 + 2^-margin), at most 0.99."""
        return min(0.99, 1.0 / (1.0 + math.pow(2.0, -min(self.margin, 60.0))))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One way of reading some registers. `evidence`: bits saved over reading them as 16-bit points."""

    address: int
    width: int
    type: PointType
    order: Order
    family: str
    values: tuple[float, ...]
    bits: float
    sign_seen: bool
    evidence: float = 0.0


class _Cut(NamedTuple):
    """A run of registers cut into points: its price, the points, and of each its margin and rival as in `Layout`."""

    bits: float
    points: list[_Candidate]
    margins: list[tuple[float, str]]


def find_layout(registers: Registers) -> list[Layout]:
    """Return the points that explain `registers` best, by address.

    Every register belongs to exactly one point. A run of registers is broken where an address is missing.
    """
    runs = [_candidates(run, registers) for run in _runs(sorted(registers))]
    habits = dict(_FAMILY_BITS)
    best: list[_Cut] = []
    for _ in range(3):
        attempts = {order: [_cheapest(run, order, habits) for run in runs] for order in ORDERS}
        order = min(ORDERS, key=lambda order: _ORDER_BITS[order] + sum(cut.bits for cut in attempts[order]))
        best = attempts[order]
        habits = _habits([candidate for cut in best for candidate in cut.points])
    return [
        Layout(point.address, point.type, point.order, point.values, margin, rival, point.sign_seen)
        for cut in best
        for point, (margin, rival) in zip(cut.points, cut.margins, strict=True)
    ]


def _runs(addresses: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for address in addresses:
        if runs and address == runs[-1][-1] + 1:
            runs[-1].append(address)
        else:
            runs.append([address])
    return runs


def _candidates(run: Sequence[int], registers: Registers) -> list[list[_Candidate]]:
    """Return for each place in `run` the ways of reading a point that begins there."""
    found: list[list[_Candidate]] = []
    single = {address: _read(address, 1, registers, len(run)) for address in run}
    alone = {address: min(_POINT_BITS + c.bits for c in single[address] if c.order == "ABCD") for address in run}
    for place, address in enumerate(run):
        here = list(single[address])
        for width in (2, 4):
            if place + width > len(run):
                continue
            apart = sum(alone[address + i] for i in range(width))
            for candidate in _read(address, width, registers, len(run)):
                saved = apart - _POINT_BITS - candidate.bits
                here.append(replace(candidate, evidence=saved))
        found.append(here)
    return found


def _read(address: int, width: int, registers: Registers, run: int) -> list[_Candidate]:
    """Return every believable reading of `width` registers at `address`, with its price; `run` is the run's length."""
    columns = [registers[address + i] for i in range(width)]
    blobs = [struct.pack(f">{width}H", *words) for words in zip(*columns, strict=True)]
    found = []
    for order in ("ABCD", "BADC") if width == 1 else ORDERS:
        straight = [_in_order(blob, order) for blob in blobs]
        whole = [int.from_bytes(blob, "big") for blob in straight]
        bits = 16 * width
        sign_seen = any(value >> (bits - 1) for value in whole)
        signed = [value - (1 << bits) if value >> (bits - 1) else value for value in whole]
        kinds = [("uint", whole)] + ([("int", signed)] if sign_seen else [])
        for kind, values in kinds:
            price = _whole_bits(values, width, columns) - (_EXACT_RUN_BITS if width == run > 1 and any(whole) else 0.0)
            family = str(bits)
            found.append(
                _Candidate(address, width, f"{kind}{bits}", order, family, tuple(values), price, sign_seen)  # type: ignore[arg-type]
            )
        if width > 1 and (believable := _floats(straight, width)) is not None:
            price = _float_bits(believable, signed, bits) - (_EXACT_RUN_BITS if width == run else 0.0)
            family = f"float{bits}"
            found.append(_Candidate(address, width, family, order, family, believable, price, sign_seen))  # type: ignore[arg-type]
    return found


def _in_order(blob: bytes, order: Order) -> bytes:
    """Return `blob` as big-endian bytes; see `ModbusPoint.order`."""
    if order in {"BADC", "CDAB"}:
        blob = bytes(blob[i ^ 1] for i in range(len(blob)))
    return blob[::-1] if order in {"CDAB", "DCBA"} else blob


def _floats(blobs: Sequence[bytes], width: int) -> tuple[float, ...] | None:
    """Return the numbers in `blobs`, or None where one is not a value that a machine would show."""
    form = struct.Struct(">f" if width == 2 else ">d")
    values = tuple(form.unpack(blob)[0] for blob in blobs)
    if all(value == 0.0 for value in values):
        return None
    return values if all(value == 0.0 or 1e-5 < abs(value) < 1e10 for value in values) else None


def _steps_bits(values: Sequence[int]) -> float:
    """Return what the changes of `values` cost: geometric code for steady change, universal code for rare jumps."""
    steps = [abs(after - before) for before, after in pairwise(values)]
    changed = [step for step in steps if step]
    if not changed:
        return 0.0
    mean = sum(steps) / len(steps)
    geometric = len(steps) * (math.log2(1 + mean) + mean * math.log2(1 + 1 / mean)) + len(changed)
    # Whether there is a change at all costs the entropy of how often there is one.
    share = len(changed) / len(steps)
    entropy = -share * math.log2(share) - ((1 - share) * math.log2(1 - share) if share < 1 else 0.0)
    universal = sum(2 * math.log2(step) + 2 for step in changed) + entropy * len(steps)
    return min(geometric, universal)


def _whole_bits(values: Sequence[int], width: int, columns: Sequence[Sequence[int]]) -> float:
    """Return the price of whole numbers: first value, changes, and what no machine does."""
    bits = math.log2(abs(values[0]) + 1) + 2 + _steps_bits(values)
    low, high = min(values), max(values)
    live = low != high
    if width == 1:
        steps = [abs(after - before) for before, after in pairwise(values)]
        # A register that jumps all over its range is the lower half of something longer.
        return bits + (_NOISE_BITS if live and sum(steps) > 6000 * len(steps) else 0.0)
    counts = all(after >= before for before, after in pairwise(values))
    if all(value in _BELIEVABLE_FLOAT for value in values):
        bits += 8.0 if counts and live else 20.0
    if live and not counts and high - low < 1e-4 * max(abs(low), abs(high)):
        bits += 15.0  # a measurement that stands out of its own last digits only
    largest = max(abs(low), abs(high))
    if largest < 1 << (16 * width - 16):  # the upper registers never said more than the sign
        if width == 4 and largest >= 1 << 16:
            return bits - 2.0
        if live:
            # Engineers take a longer type for what may grow: a small value speaks against one, a large one for it.
            bits += 5.0 if largest < 2000 else (-3.0 if largest > 10000 else 1.0)
        elif not any(any(column) for column in columns):
            bits += 3.0  # zeros that never change tell nothing of their width
    return bits


def _float_bits(values: Sequence[float], signed: Sequence[int], bits: int) -> float:
    """Return the price of floats: exponent, digits in use, changes counted in units of the last place."""
    largest = max(abs(value) for value in values)
    mantissa = min(((value & -value).bit_length() for value in signed if value), default=1) - 1
    digits = max(0, (23 if bits == 32 else 52) - mantissa)
    magnitude = 3.0 * max(0.0, abs(math.log10(largest) - 1.5) - 1.5)
    ordinals = [value if value >= 0 else -(value & ((1 << (bits - 1)) - 1)) for value in signed]
    return magnitude + digits + _steps_bits(ordinals)


def _price(candidate: _Candidate, order: Order, habits: Mapping[str, float]) -> float:
    """Return what `candidate` costs on a device of this byte order and these habits."""
    price = candidate.bits + _POINT_BITS + habits[candidate.family]
    if candidate.width > 1:
        return price + (0.0 if candidate.order == order else _OTHER_ORDER_BITS)
    if candidate.order == "ABCD":
        return price
    # Where the bytes of long values are swapped, those of single registers often are, too.
    return price + (2.0 if order in {"BADC", "DCBA"} else _OTHER_ORDER_BITS)


def _cheapest(run: Sequence[Sequence[_Candidate]], order: Order, habits: Mapping[str, float]) -> _Cut:
    """Return the cheapest cut of one run; a margin is over the best cut that contradicts that point."""
    length = len(run)
    before = [0.0] + [math.inf] * length
    choice: list[_Candidate | None] = [None] * (length + 1)
    for place, here in enumerate(run):
        for candidate in here:
            price = before[place] + _price(candidate, order, habits)
            if price < before[place + candidate.width]:
                before[place + candidate.width], choice[place + candidate.width] = price, candidate
    after = [math.inf] * length + [0.0]
    for place in range(length - 1, -1, -1):
        after[place] = min(_price(c, order, habits) + after[place + c.width] for c in run[place])
    path: list[_Candidate] = []
    place = length
    while place:
        last = choice[place]
        assert last is not None  # noqa: S101 - every place is reached by a 16-bit point
        path.append(last)
        place -= last.width
    path.reverse()
    first = path[0].address
    margins = []
    for chosen in path:
        start, end = chosen.address - first, chosen.address - first + chosen.width
        rivals = [
            (before[place] + _price(c, order, habits) + after[place + c.width] - before[length], c)
            for place in range(max(0, start - 3), end)
            for c in run[place]
            if place + c.width > start and (c.address, c.type, c.order) != (chosen.address, chosen.type, chosen.order)
        ]
        margin, rival = min(rivals, key=lambda found: found[0], default=(math.inf, None))
        margins.append((margin, f"{rival.type} {rival.order}" if rival else ""))
    return _Cut(before[length], path, margins)


def _habits(path: Sequence[_Candidate]) -> dict[str, float]:
    """Return the price of each kind on this device, from its points that leave no doubt."""
    counts = {family: 8.0 * 2.0**-bits for family, bits in _FAMILY_BITS.items()}
    for candidate in path:
        live = len(set(candidate.values)) > 1
        if candidate.width == 1:
            counts["16"] += 1.0 if live else 0.0
        elif candidate.evidence > _SURE_BITS:
            counts[candidate.family] += 1.0
    total = sum(counts.values())
    return {family: -math.log2(count / total) for family, count in counts.items()}
