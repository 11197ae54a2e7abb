"""What a series of raw numbers may be by itself: which quantity, at which power of ten, and how likely that is.

The ranges are what a factory's machines show in operation; the shares of scales are the habits of manuals (mains voltage
in tenths of a volt, frequency in hundredths of a hertz, temperature in tenths of a degree). They decide only where no
relation between points does (`decode_physics`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, NamedTuple

from edge_agent.onboard.decode_layout import Layout
from protocols.modbus.config import Table
from protocols.text import Text

Kind = Literal["gauge", "counter", "state", "constant"]
EXPONENTS = range(-4, 4)
IMPOSSIBLE = -math.inf

MOST_STATES = 6

_LOOKS = 12


class Quantity(NamedTuple):
    """A quantity a register may hold.

    Attributes:
        name: in both languages.
        unit: UN/ECE Rec 20 code, "" for numbers without one.
        ranges: where its values lie, in that unit.
        likely: bits for or against it before anything is seen.
        shares: exponent of ten -> share of manuals that scale whole numbers so.
        long_shares: the same for values of 32 bits and more, which have room for finer steps; `shares` where empty.
        steadiness: largest believable (high - low) / mean within two minutes.
    """

    name: Text
    unit: str
    ranges: tuple[tuple[float, float], ...]
    likely: float
    shares: Mapping[int, float]
    steadiness: float = math.inf
    long_shares: Mapping[int, float] = MappingProxyType({})


_POWER_SHARES = {-1: 0.15, 0: 0.35, 1: 0.2, 2: 0.2, 3: 0.1}
_LONG_POWER_SHARES = {0: 0.36, -1: 0.34, -2: 0.15, -3: 0.05, 1: 0.05, 2: 0.05}

QUANTITIES: Mapping[str, Quantity] = {
    "voltage": Quantity(
        Text("mains voltage", "电网电压"),
        "VLT",
        ((205.0, 255.0), (365.0, 430.0)),
        -3.0,
        {-1: 0.6, 0: 0.25, -2: 0.15},
        0.06,
    ),
    "frequency": Quantity(
        Text("mains frequency", "电网频率"), "HTZ", ((49.3, 50.7), (59.3, 60.7)), 2.0, {-2: 0.6, -1: 0.3, -3: 0.1}, 0.02
    ),
    "dc_voltage": Quantity(
        Text("DC bus voltage", "直流母线电压"), "VLT", ((500.0, 620.0),), -3.0, {0: 0.5, -1: 0.5}, 0.1
    ),
    "cell_voltage": Quantity(Text("battery cell voltage", "电池单体电压"), "VLT", ((2.0, 4.3),), -12.0, {-3: 1.0}, 0.2),
    "string_voltage": Quantity(
        Text("DC voltage", "直流电压"), "VLT", ((12.0, 1500.0),), -4.0, {-1: 0.75, 0: 0.15, -2: 0.1}
    ),
    "string_current": Quantity(
        Text("DC current", "直流电流"), "AMP", ((0.1, 400.0),), -4.0, {-1: 0.45, -2: 0.45, -3: 0.05, 0: 0.05}
    ),
    "temperature": Quantity(
        Text("temperature", "温度"), "CEL", ((8.0, 99.0),), 1.5, {-1: 0.72, 0: 0.25, -2: 0.03}, 0.2
    ),
    "percent": Quantity(Text("percentage", "百分比"), "P1", ((0.5, 110.0),), 1.0, {-1: 0.55, 0: 0.3, -2: 0.15}),
    "current": Quantity(
        Text("current", "电流"),
        "AMP",
        ((0.1, 400.0),),
        0.0,
        {-2: 0.5, -1: 0.25, -3: 0.25},
        math.inf,
        {-3: 0.55, -2: 0.3, -1: 0.1, 0: 0.05},
    ),
    "power": Quantity(
        Text("active power", "有功功率"), "WTT", ((20.0, 4e5),), -0.5, _POWER_SHARES, math.inf, _LONG_POWER_SHARES
    ),
    "apparent_power": Quantity(
        Text("apparent power", "视在功率"), "D46", ((20.0, 4e5),), -4.0, _POWER_SHARES, math.inf, _LONG_POWER_SHARES
    ),
    "reactive_power": Quantity(
        Text("reactive power", "无功功率"), "D44", ((5.0, 4e5),), -4.0, _POWER_SHARES, math.inf, _LONG_POWER_SHARES
    ),
    "power_factor": Quantity(
        Text("power factor", "功率因数"), "C62", ((0.5, 1.0),), -3.0, {-3: 0.65, -2: 0.3, -4: 0.05}, 0.3
    ),
    "energy": Quantity(Text("energy", "电能"), "KWH", ((0.1, 1e8),), 0.0, {0: 0.3, -1: 0.3, -2: 0.25, -3: 0.15}),
    "speed": Quantity(Text("rotational speed", "转速"), "RPM", ((500.0, 3600.0),), -3.0, {0: 0.92, -1: 0.08}),
    "drive_frequency": Quantity(
        Text("output frequency", "输出频率"), "HTZ", ((3.0, 62.0),), -4.0, {-2: 0.65, -1: 0.3, -3: 0.05}
    ),
    "drive_voltage": Quantity(Text("output voltage", "输出电压"), "VLT", ((20.0, 480.0),), -4.0, {0: 0.45, -1: 0.55}),
    "humidity": Quantity(
        Text("relative humidity", "相对湿度"), "P1", ((15.0, 98.0),), -3.0, {-1: 0.75, 0: 0.2, -2: 0.05}
    ),
    "number": Quantity(Text("number", "数值"), "", ((0.01, 1e6),), 0.5, {0: 0.45, -1: 0.35, -2: 0.17, -3: 0.03}),
}


@dataclass(slots=True)
class Signal:
    """One numeric point in the course of time, and what has been found out about it.

    Attributes:
        times: seconds, one per value.
        values: raw numbers.
        code: key of `QUANTITIES`, or "" while nothing is known.
        exponent: engineering value = raw value x 10^exponent.
        bits: how much better the chosen scale is than the next, from the relations found.
        clues: why, in words.
        looks: the values at a dozen instants, evenly spread, at which a law has to hold.
        grain: relative uncertainty that rounding leaves in the value.
        scaled_float: a float on a device that is known to scale its floats.
    """

    table: Table
    layout: Layout
    times: Sequence[float]
    code: str = ""
    exponent: int = 0
    bits: float = 0.0
    clues: list[Text] = field(default_factory=list)
    scaled_float: bool = False
    kind: Kind = field(init=False)
    values: tuple[float, ...] = field(init=False)
    low: float = field(init=False)
    high: float = field(init=False)
    mean: float = field(init=False)
    whole: bool = field(init=False)
    looks: tuple[float, ...] = field(init=False)
    grain: float = field(init=False)

    def __post_init__(self) -> None:
        self.values = self.layout.values
        self.low, self.high = min(self.values), max(self.values)
        self.mean = sum(self.values) / len(self.values)
        self.whole = all(value == int(value) for value in self.values)
        self.looks = tuple(self.values[(len(self.values) - 1) * i // (_LOOKS - 1)] for i in range(_LOOKS))
        self.grain = 0.5 * self.quantum / max(abs(self.mean), 1e-12)
        self.kind = _kind(self)

    @property
    def place(self) -> str:
        """Table and address, as a technician writes it."""
        return f"{self.table}:{self.layout.address}"

    @property
    def spread(self) -> float:
        """(high - low) / |mean|; 0 for a mean of 0."""
        return (self.high - self.low) / abs(self.mean) if self.mean else 0.0

    @property
    def quantum(self) -> float:
        """Step of the raw value: 1 for whole numbers, the last place of a float32 otherwise."""
        return 1.0 if self.whole else max(abs(self.low), abs(self.high)) * 2.0**-22


def _kind(signal: Signal) -> Kind:
    if signal.low == signal.high:
        return "constant"
    changes = sum(1 for before, after in pairwise(signal.values) if before != after)
    distinct = len(set(signal.values))
    if signal.whole and distinct <= 2 and changes <= len(signal.values) / 8 and signal.high - signal.low != 1:
        return "state"
    if signal.whole and distinct <= MOST_STATES and signal.low >= 0 and signal.high < 32 and signal.layout.width == 1:
        return "state"
    rising = all(after >= before for before, after in pairwise(signal.values))
    slow = signal.high - signal.low < 0.2 * abs(signal.high)
    return "counter" if rising and signal.low >= 0 and (slow or signal.whole) else "gauge"


def likelihood(signal: Signal, code: str, exponent: int) -> float:
    """Return how well `signal` x 10^`exponent` is this quantity, in bits; `IMPOSSIBLE` outside its ranges."""
    quantity = QUANTITIES[code]
    low, high = sorted((abs(signal.low), abs(signal.high)))
    factor = 10.0**exponent
    if signal.low < 0 < signal.high:
        low = high
    for least, most in quantity.ranges:
        if high * factor <= most and (low * factor >= least or (code == "number" and low == 0)):
            break
    else:
        return IMPOSSIBLE
    if signal.spread > quantity.steadiness:
        return IMPOSSIBLE
    # A narrow range that is met says more than a wide one: the density is even over the logarithm of the value.
    density = -math.log2(sum(math.log10(most / least) for least, most in quantity.ranges))
    return (
        quantity.likely
        + density
        + math.log2(_share(signal, quantity, exponent))
        + _round_bits(signal, quantity, exponent)
    )


def _share(signal: Signal, quantity: Quantity, exponent: int) -> float:
    if signal.whole or signal.scaled_float:
        shares = quantity.long_shares if quantity.long_shares and signal.layout.width > 1 else quantity.shares
        return shares.get(exponent, 0.001)
    if exponent == 0:
        return 0.9
    return 0.25 if exponent == 3 and quantity.unit in {"WTT", "D46", "D44"} else 0.002


def _round_bits(signal: Signal, quantity: Quantity, exponent: int) -> float:
    """Engineers scale for about three digits: against digits wasted on small numbers and against large values."""
    if not signal.whole:
        return 0.0
    digits = math.log10(max(abs(signal.low), abs(signal.high), 1.0))
    wasted = max(0.0, 2.25 - digits) * max(0, -exponent)
    grows = quantity.unit in {"WTT", "D46", "D44", "KWH"}
    return -6.0 * wasted - (0.0 if grows else 1.5 * max(0.0, digits + exponent - 3.0))
