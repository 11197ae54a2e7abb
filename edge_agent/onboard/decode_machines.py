"""The laws of drives, direct current, energy counters and moist air, and the same value shown twice.

n = 60 f / p (1 - slip), U / f constant        P = U I of strings        E = integral of P dt
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise, permutations

from edge_agent.onboard.decode_quantities import EXPONENTS, IMPOSSIBLE, Signal, likelihood
from edge_agent.onboard.decode_ties import (
    Ties,
    best_quantity,
    cos_phi_exponent,
    exponents,
    grain,
    law_holds,
    looks,
    mantissa,
    name_signal,
    nearest,
    power_of_ten,
    quotients,
    scale_between,
    windows,
)
from protocols.text import Text

_FOLLOWING = (
    (400 / 50, "drive_voltage", "U / f = 400 V / 50 Hz"),
    (380 / 50, "drive_voltage", "U / f = 380 V / 50 Hz"),
    (230 / 50, "drive_voltage", "U / f = 230 V / 50 Hz"),
    (220 / 50, "drive_voltage", "U / f = 220 V / 50 Hz"),
    (460 / 60, "drive_voltage", "U / f = 460 V / 60 Hz"),
    (100 / 50, "percent", "f / 50 Hz × 100 %"),
    (100 / 60, "percent", "f / 60 Hz × 100 %"),
)
"""What follows a drive's output frequency in proportion: value per hertz, quantity, law."""


_POLE_PAIRS = (1, 2, 3)


def find_drive(gauges: Sequence[Signal], ties: Ties) -> None:
    """Find a motor's speed and voltage following the frequency, and P = sqrt(3) U I cos phi behind a drive."""
    free = [s for s in gauges if not s.code and s.low > 0 and s.spread > 0.01 and s.layout.width == 1]
    for f, n in permutations(free, 2):
        _speed(f, n, ties)
    if not any(s.code == "drive_frequency" for s in free):
        _flux(free)
    for f in [s for s in gauges if s.code == "drive_frequency"]:
        for follower in [s for s in free if not s.code]:
            _follow(f, follower, ties)
    for u in [s for s in gauges if s.code == "drive_voltage"]:
        _motor_power(u, gauges, ties)


def _speed(f: Signal, n: Signal, ties: Ties) -> None:
    """Look for n = 60 f / p (1 - slip), with a slip of 0.4 to 6 %."""
    ratios = quotients(looks(n), looks(f))
    widest = max(ratios) - min(ratios)
    if widest > min(0.05 * min(ratios), 0.6 * f.spread * max(ratios)) or likelihood(n, "speed", 0) == IMPOSSIBLE:
        return
    for e in exponents(f, "drive_frequency"):
        slips = [1 - ratios[0] / 10.0**e / (60 / p) for p in _POLE_PAIRS]
        if any(0.004 < slip < 0.06 for slip in slips) and ties.tie(n, f, -e):
            clue = law_holds("n = 60 f / p × (1 - s)", f, n)
            name_signal(f, "drive_frequency", clue)
            name_signal(n, "speed", clue)


def _follow(f: Signal, follower: Signal, ties: Ties) -> None:
    """Look for a voltage or a percentage in proportion to the output frequency `f`."""
    ratios = quotients(looks(follower), looks(f))
    if max(ratios) > (1.004 + 2 * grain(follower, f)) * min(ratios):
        return
    for share, code, law in _FOLLOWING:
        if abs(mantissa(ratios[0]) / mantissa(share) - 1) < 0.006 + grain(follower, f):
            if ties.tie(follower, f, round(math.log10(share / ratios[0]))):
                name_signal(follower, code, law_holds(law, f, follower))
            return


def _motor_power(u: Signal, gauges: Sequence[Signal], ties: Ties) -> None:
    """Look for P = sqrt(3) U I cos phi; of several currents in proportion, the one nearest to `u` in address."""
    here = ties.offset(u)[1]
    tied = [(s, ties.offset(s)[1] - here) for s in ties.group(u)]
    scale = max(EXPONENTS, key=lambda e: sum(best_quantity(s, e + offset)[1] for s, offset in tied))
    near = [s for s in gauges if not s.code and s.low > 0 and s.table == u.table]
    near.sort(key=lambda s: abs(s.layout.address - u.layout.address))
    for i, p in permutations(near, 2):
        j = cos_phi_exponent(u, i, p, math.sqrt(3)) if p.spread > 0.02 else None
        if j is not None and ties.tie(p, i, scale - j):
            clue = law_holds("P = √3 × U × I × cos φ", u, i, p)
            for signal, code in ((u, "drive_voltage"), (i, "current"), (p, "power")):
                name_signal(signal, code, clue, 4.0)
            return


def _flux(free: Sequence[Signal]) -> None:
    """Name the output frequency where no speed is shown: voltage and percentage both follow it in proportion."""
    for f in free:
        if not exponents(f, "drive_frequency"):
            continue
        laws = set()
        for u in free:
            ratios = [b / a for a, b in zip(looks(f), looks(u), strict=True)]
            if u is f or max(ratios) > (1.002 + 2 * grain(u, f)) * min(ratios):
                continue
            level = mantissa(sum(ratios) / len(ratios))
            laws |= {code for share, code, _ in _FOLLOWING if abs(level / mantissa(share) - 1) < 0.004}
        if laws == {"drive_voltage", "percent"}:
            name_signal(f, "drive_frequency", Text("voltage and a percentage follow it", "电压与百分比随其成比例变化"))
            return


def find_direct_current(gauges: Sequence[Signal], ties: Ties) -> None:
    """Find P = U I for one pair of neighbours or the sum of two: direct current, as of photovoltaic strings."""
    free = [s for s in gauges if not s.code and s.low > 0]
    by_place = {(s.table, s.layout.address): s for s in free}
    pairs = [
        (u, i) for u in free if (i := by_place.get((u.table, u.layout.address + u.layout.width))) is not None
    ]  # fmt: skip
    close = [(*a, *b) for a, b in combinations(pairs, 2) if 0 < b[0].layout.address - a[1].layout.address <= 8]
    for strings in [*pairs, *close]:
        products = [
            sum(row[k] * row[k + 1] for k in range(0, len(row), 2)) for row in zip(*map(looks, strings), strict=True)
        ]
        for p in nearest(strings[0], free):
            if p.code or p in strings or p.spread < 0.01 or any(s.code for s in strings):
                continue
            tolerance = 0.002 + grain(*strings, p)
            j = scale_between(looks(p), products, tolerance)
            if j is not None and p.spread > 4 * tolerance:
                _tie_strings(strings, p, j, ties)
                _inverted(p, gauges, ties)


def _tie_strings(strings: Sequence[Signal], p: Signal, j: int, ties: Ties) -> None:
    """Name voltages, currents (by turns in `strings`) and power of P = sum U I x 10^j, U being 100 to 1000 V."""
    scales = [e for e in (-1, -2, 0) if 100 <= strings[0].mean * 10.0**e <= 1000]
    if not scales or not ties.tie(p, strings[1], scales[0] - j):
        return
    clue = law_holds("P = U × I", *strings, p)
    for k, signal in enumerate(strings):
        name_signal(signal, "string_current" if k % 2 else "string_voltage", clue)
        ties.tie(signal, strings[k % 2], 0)
    name_signal(p, "power", clue)


def _inverted(p: Signal, gauges: Sequence[Signal], ties: Ties) -> None:
    """Find the power that comes out of an inverter or drive: 90 to 99.7 % of what goes in."""
    for out in gauges:
        if out.code or out is p or out.spread < 0.01 or not all(looks(p)):
            continue
        ratios = [b / a for a, b in zip(looks(p), looks(out), strict=True)]
        if min(ratios) > 0.9 and max(ratios) < 0.997 and max(ratios) - min(ratios) < 0.25 * p.spread:
            if ties.tie(out, p, 0):
                name_signal(out, "power", law_holds("P(AC) = η × P(DC)", p, out))
            return


def find_energy(numeric: Sequence[Signal], gauges: Sequence[Signal], ties: Ties) -> None:
    """Find counters that rise as the integral of a power."""
    powers = [s for s in gauges if s.code in {"power", "reactive_power"}]
    for counter in numeric:
        rise = counter.high - counter.low
        if counter.code or counter.kind != "counter" or rise < 6 * counter.quantum:
            continue
        for p in sorted(powers, key=lambda s: -abs(s.mean)):
            integral = 0.0
            for k in range(1, len(p.values)):
                integral += (p.values[k] + p.values[k - 1]) / 2 * (p.times[k] - p.times[k - 1])
            tolerance = 0.01 + 1.5 * counter.quantum / rise + _unseen(p)
            j = power_of_ten([abs(integral) / 3.6e6 / rise], tolerance)
            if j is not None and tolerance < 0.35 and ties.tie(counter, p, j):
                name_signal(counter, "energy", law_holds("E = ∫ P dt", p, counter))
                break


def _unseen(p: Signal) -> float:
    """Return how far the integral of `p` may be off, relative, because it moves between the samples."""
    steps = [abs(after - before) for before, after in pairwise(p.values)]
    return 2 * sum(steps) / len(steps) / abs(p.mean) / math.sqrt(len(steps))


def find_moist_air(gauges: Sequence[Signal]) -> None:
    """Find dew point, air temperature and relative humidity, neighbours on one device, by the Magnus formula."""
    for window in windows([s for s in gauges if not s.code and s.layout.width == 1]):
        for t, h, d in permutations(window):
            for t_e in exponents(t, "temperature"):
                for h_e in exponents(h, "humidity"):
                    dew = [_dew_point(a * 10.0**t_e, b * 10.0**h_e) for a, b in zip(looks(t), looks(h), strict=True)]
                    if all(abs(x * 10.0**t_e - y) < 0.3 for x, y in zip(looks(d), dew, strict=True)):
                        clue = law_holds("dew point = Magnus(t, RH)", t, h, d)
                        for signal, code in ((t, "temperature"), (h, "humidity"), (d, "temperature")):
                            name_signal(signal, code, clue)


def _dew_point(air: float, humidity: float) -> float:
    """Return the dew point, degC, of air at `air` degC and `humidity` %; coefficients of WMO No. 8 over water."""
    gamma = math.log(humidity / 100) + 17.62 * air / (243.12 + air)
    return 243.12 * gamma / (17.62 - gamma)


def find_twins(gauges: Sequence[Signal], ties: Ties) -> None:
    """Find the same quantity shown twice with another number of digits."""
    for a, b in combinations(gauges, 2):
        if (a.code and b.code) or min(a.spread, b.spread) < 0.01 or not all(looks(b)):
            continue
        tolerance = 0.001 + grain(a, b)
        j = power_of_ten([x / y for x, y in zip(looks(a), looks(b), strict=True)], tolerance)
        if j is not None and tolerance < 0.2 * min(a.spread, b.spread) and ties.tie(b, a, j):
            clue = Text(f"{a.place} and {b.place} show the same", f"{a.place} 与 {b.place} 显示同一数值")
            name_signal(a, b.code, clue, 4.0)
            name_signal(b, a.code, clue, 4.0)
