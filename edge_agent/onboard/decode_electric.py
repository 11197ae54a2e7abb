"""The laws of three-phase power: P = U I cos phi, S = U I, S^2 = P^2 + Q^2, sums and means over the phases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import permutations, product
from typing import NamedTuple

from edge_agent.onboard.decode_quantities import Signal
from edge_agent.onboard.decode_ties import (
    Ties,
    cos_phi_exponent,
    exponents,
    grain,
    law_holds,
    looks,
    name_signal,
    nearest,
    power_of_ten,
    quotients,
    scale_between,
    windows,
)
from protocols.text import Text

_CELLS = 6
"""Like values side by side that are more than a mains has phases and line voltages: the cells of a battery."""


def find_cells(gauges: Sequence[Signal]) -> None:
    """Name the cell voltages of a battery: a long row of like registers, 2 to 4.3 V in millivolts."""
    cells = sorted(
        (s for s in gauges if s.layout.width == 1 and exponents(s, "cell_voltage")),
        key=lambda s: (s.table, s.layout.address),
    )
    row: list[Signal] = []
    for signal in [*cells, None]:
        follows = (
            signal is not None
            and bool(row)
            and signal.table == row[-1].table
            and signal.layout.address - row[-1].layout.address <= 4
            and abs(signal.mean / row[0].mean - 1) < 0.15
        )
        if not follows:
            if len(row) > _CELLS:
                places = f"{row[0].place} … {row[-1].place}"
                for cell in row:
                    name_signal(
                        cell,
                        "cell_voltage",
                        Text(
                            f"a row of like values, {places}: battery cells in mV",
                            f"{places} 数值相近：电池单体电压(mV)",
                        ),
                    )
            row = []
        if signal is not None:
            row.append(signal)


def find_mains(gauges: Sequence[Signal]) -> None:
    """Name voltages of three phases side by side, and mains frequencies."""
    for window in windows(gauges):
        level = window[0].mean
        alike = (
            level > 0
            and not any(signal.code for signal in window)
            and all(abs(signal.mean / level - 1) < 0.05 for signal in window)
        )
        if alike and all(exponents(signal, "voltage") for signal in window):
            for signal in window:
                name_signal(
                    signal,
                    "voltage",
                    Text(
                        "three like values side by side in the range of mains voltage",
                        "相邻三个相近数值，处于电网电压范围",
                    ),
                )
    scaled = scales_its_floats(gauges)
    for signal in gauges:
        scales = exponents(signal, "frequency") if not signal.code and signal.spread < 0.006 and _swings(signal) else []
        if scales and (signal.whole or scaled or 0 in scales):
            name_signal(
                signal,
                "frequency",
                Text("nearly constant, digits of 50 or 60 Hz", "几乎恒定，有效数字符合 50 或 60 Hz"),
                4.0,
            )


def _swings(signal: Signal) -> bool:
    """Return whether it went down as well as up; one register alone may rise by chance."""
    return signal.kind == "gauge" or signal.layout.width == 1


def scales_its_floats(gauges: Sequence[Signal]) -> bool:
    """Return whether the device shows mains voltages as floats in another unit than volts."""
    return any(s.code == "voltage" and not s.whole and 0 not in exponents(s, "voltage") for s in gauges)


class _Branch(NamedTuple):
    """What may be one phase's U, I and P: the voltage's scale, P / (U I) at each look, and how exact that can be."""

    u: Signal
    u_exponent: int
    i: Signal
    p: Signal
    ratios: list[float]
    tolerance: float


def find_power(gauges: Sequence[Signal], factors: Sequence[Signal], ties: Ties) -> None:
    """Find P = U I cos phi with cos phi among `factors`, and S = U I, phase by phase."""
    cosines = [f for f in factors if not f.code and exponents(f, "power_factor")]
    near = {id(s): [(f, e) for f in nearest(s, cosines) for e in exponents(f, "power_factor")] for s in gauges}
    found: list[tuple[float, str, int, _Branch, Signal | None]] = []
    for branch in _branches(gauges):
        # Measured at one instant, S = U I is exact but for rounding.
        j = power_of_ten(branch.ratios, branch.tolerance - 0.002)
        if j is not None and branch.u.code and branch.p.spread > 4 * branch.tolerance:
            found.append((_misfit(branch.ratios, j), "apparent_power", branch.u_exponent - j, branch, None))
            continue
        for f, f_exponent in near[id(branch.u)]:
            j = scale_between(branch.ratios, looks(f), branch.tolerance + 2 * grain(f))
            if j is not None and f not in (branch.u, branch.i, branch.p):
                found.append(
                    (
                        _misfit(quotients(branch.ratios, looks(f)), j),
                        "power",
                        branch.u_exponent + f_exponent - j,
                        branch,
                        f,
                    )
                )
    # Many products come near a power of ten by chance: the exactest is believed first, and binds its members.
    for _, code, difference, branch, factor in sorted(found, key=lambda entry: entry[0]):
        if _tie_power(branch, code, difference, ties) and factor is not None:
            clue = law_holds("P = U × I × cos φ", branch.u, branch.i, branch.p, factor)
            name_signal(factor, "power_factor", clue)


def _misfit(ratios: Sequence[float], j: int) -> float:
    return max(abs(ratio / 10.0**j - 1) for ratio in ratios)


def _branches(gauges: Sequence[Signal]) -> Iterator[_Branch]:
    """Yield every three gauges of which one can be a mains voltage and whose values vary enough to tell."""
    levels = [s for s in gauges if s.code == "voltage" or (not s.code and _swings(s))]
    voltages = [(s, e) for s in levels for e in exponents(s, "voltage")]
    varying = [s for s in gauges if not s.code and s.low * s.high > 0 and s.spread >= 0.004]
    for u, u_exponent in voltages:
        near = nearest(u, varying)
        for i in [s for s in near if s.low > 0]:
            products = [a * b for a, b in zip(looks(u), looks(i), strict=True)]
            for p in near:
                tolerance = 0.003 + 2 * grain(u, i, p)
                if p is i or tolerance > 0.02:
                    continue
                ratios = quotients(looks(p), products)
                if max(ratios) <= 1.5 * min(ratios):
                    yield _Branch(u, u_exponent, i, p, ratios, tolerance)


def _tie_power(branch: _Branch, code: str, difference: int, ties: Ties) -> bool:
    """Tie the scales of P (of quantity `code`) and I of `branch` and name its members; False where it contradicts."""
    u, i, p = branch.u, branch.i, branch.p
    if i.code not in {"", "current"} or p.code not in {"", code}:
        return False
    if code == "power" and bool(i.code) != bool(p.code):  # a phase has one current and one power
        return False
    if not ties.tie(p, i, difference):
        return False
    clue = law_holds("P = U × I × cos φ" if code == "power" else "S = U × I", u, i, p)
    name_signal(u, "voltage", clue)
    name_signal(i, "current", clue)
    name_signal(p, code, clue)
    return True


def find_phases(gauges: Sequence[Signal], ties: Ties) -> None:
    """Find U, I and P of three phases side by side where cos phi is not measured: P / (U I) steady, 0.6 to 1."""
    rows = list(windows(gauges))
    for us, currents, powers in product([row for row in rows if all(s.code == "voltage" for s in row)], rows, rows):
        phases = list(zip(us, currents, powers, strict=True))
        if any(i.code or p.code or i is p or p.spread < 0.004 or i.low <= 0 for _, i, p in phases):
            continue
        js = {cos_phi_exponent(u, i, p) for u, i, p in phases}
        if len(js) == 1 and (j := js.pop()) is not None:
            u_exponent = exponents(us[0], "voltage")[0]
            for u, i, p in phases:
                _tie_power(_Branch(u, u_exponent, i, p, [], 0.0), "power", u_exponent - j, ties)


def find_totals(gauges: Sequence[Signal], ties: Ties) -> None:
    """Find sums and means of three neighbours: totals over the phases."""
    for window, total in product(windows(gauges), gauges):
        tolerance = 0.002 + grain(*window, total)
        if total not in window and total.spread >= 0.002 and tolerance <= 0.01:
            sums = [sum(values) for values in zip(*map(looks, window), strict=True)]
            ratios = quotients(looks(total), sums)
            for divisor, en, zh in ((1, "sum", "之和"), (3, "mean", "平均值")):
                j = power_of_ten([ratio * divisor for ratio in ratios], tolerance)
                if j is None or (divisor == 3 and window[0].code not in {"voltage", "current"}):
                    continue
                places = ", ".join(signal.place for signal in window)
                clue = Text(f"{total.place} is the {en} of {places}", f"{total.place} 是 {places} {zh}")
                for signal in window:
                    if ties.tie(signal, total, j):
                        name_signal(signal, signal.code or total.code, clue)
                        name_signal(total, signal.code, clue)


def find_triangle(gauges: Sequence[Signal], factors: Sequence[Signal], ties: Ties) -> None:
    """Find the sides of S^2 = P^2 + Q^2, with cos phi = P / S among `factors`."""
    factors = [f for f in factors if exponents(f, "power_factor")]
    varying = [s for s in gauges if s.low * s.high > 0 and s.spread >= 0.004]
    for p, q in ((one, other) for one in varying for other in nearest(one, varying)):
        if p.code in {"", "power"} and not q.code and p.low > 0 and p.layout.width == q.layout.width:
            _reactive_by_cosine(p, q, factors, ties)
    for p in [s for s in gauges if s.code == "power"]:
        free = [s for s in gauges if s.code in {"", "apparent_power"} and s.low * s.high > 0 and s.spread >= 0.004]
        _right_angle(p, [s for s in free if not s.code], ties)
        for s in free:
            _apparent_by_cosine(p, s, factors, ties)
        for s in [s for s in free if s.code == "apparent_power" and ties.offset(s)[0] is ties.offset(p)[0]]:
            _reactive_by_apparent(p, s, free, ties)


def _reactive_by_cosine(p: Signal, q: Signal, factors: Sequence[Signal], ties: Ties) -> None:
    """Look for cos phi = P / sqrt(P^2 + Q^2), P and Q in one scale."""
    cosines = [a / math.hypot(a, b) for a, b in zip(looks(p), looks(q), strict=True)]
    for f in factors:
        # Where neither P nor cos phi is known yet, only a cos phi that moves can prove anything.
        known = f.code == "power_factor" and p.code == "power"
        if f in (p, q) or not (known or (not f.code and f.spread >= 0.003)):
            continue
        j = scale_between(cosines, looks(f), 0.002)
        if j is not None and j in exponents(f, "power_factor") and ties.tie(p, q, 0):
            clue = law_holds("cos φ = P / √(P² + Q²)", p, q, f)
            for signal, code in ((p, "power"), (q, "reactive_power"), (f, "power_factor")):
                name_signal(signal, code, clue)


def _right_angle(p: Signal, free: Sequence[Signal], ties: Ties) -> None:
    """Find the pair that completes the known power `p` to S^2 = P^2 + Q^2, all in one scale."""
    for q, s in permutations(free, 2):
        if not 0.15 * s.mean < abs(q.mean) < s.mean or abs(p.mean) >= s.mean:
            continue
        hypotenuses = [math.hypot(a, b) for a, b in zip(looks(p), looks(q), strict=True)]
        fits = scale_between(hypotenuses, looks(s), 0.001 + grain(p, q, s)) == 0
        if fits and ties.tie(q, p, 0) and ties.tie(s, p, 0):
            clue = law_holds("S² = P² + Q²", p, q, s)
            name_signal(q, "reactive_power", clue)
            name_signal(s, "apparent_power", clue)
            return


def _apparent_by_cosine(p: Signal, s: Signal, factors: Sequence[Signal], ties: Ties) -> None:
    shares = quotients(looks(p), looks(s))
    for f in factors:
        scales = exponents(f, "power_factor") if f.code in {"", "power_factor"} and f not in (p, s) else []
        j = scale_between(shares, looks(f), 0.002 + grain(p, s, f)) if scales and s is not p else None
        if j is not None and ties.tie(s, p, j - scales[0]):
            clue = law_holds("cos φ = P / S", p, s, f)
            name_signal(s, "apparent_power", clue)
            name_signal(f, "power_factor", clue)


def _reactive_by_apparent(p: Signal, s: Signal, free: Sequence[Signal], ties: Ties) -> None:
    factor = 10.0 ** (ties.offset(s)[1] - ties.offset(p)[1])
    squares = [(factor * b) ** 2 - a * a for a, b in zip(looks(p), looks(s), strict=True)]
    if min(squares) <= 0:
        return
    for q in [q for q in free if not q.code]:
        j = scale_between([math.sqrt(square) for square in squares], looks(q), 0.01 + grain(q))
        if j is not None and ties.tie(q, p, j):
            name_signal(q, "reactive_power", law_holds("S² = P² + Q²", p, q, s))
