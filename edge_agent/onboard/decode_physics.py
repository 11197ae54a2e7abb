"""What points are to each other: the laws that tell quantities and powers of ten apart.

    P = U I cos phi, S = U I, S^2 = P^2 + Q^2        n = 60 f / p (1 - slip)       U / f constant (a drive)
    sum of three phases, mean of three phases        E = integral of P dt          dew point by Magnus (WMO No. 8)

A law that holds ties the scales of its points together: if one is known, all are. What remains free is one power of ten
for each set of tied points; it is chosen so that all of them together look most like what manuals do.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.onboard.decode_electric import (
    find_cells,
    find_mains,
    find_phases,
    find_power,
    find_totals,
    find_triangle,
    scales_its_floats,
)
from edge_agent.onboard.decode_machines import find_direct_current, find_drive, find_energy, find_moist_air, find_twins
from edge_agent.onboard.decode_quantities import Signal
from edge_agent.onboard.decode_ties import Ties, best_quantity, exponents, name_signal
from protocols.text import Text


def explain(signals: Sequence[Signal]) -> None:
    """Set code, exponent, bits and clues of every signal."""
    numeric = [signal for signal in signals if signal.kind in {"gauge", "counter"}]
    gauges = [signal for signal in numeric if signal.layout.width < 4]
    still = [signal for signal in signals if signal.kind == "constant" and signal.low != 0]
    ties = Ties(signals)
    find_cells(gauges)
    find_mains(gauges)
    find_power(gauges, [*gauges, *still], ties)
    find_phases(gauges, ties)
    find_totals(gauges, ties)
    find_direct_current(gauges, ties)
    find_triangle(gauges, [*gauges, *still], ties)
    find_drive(gauges, ties)
    find_energy(numeric, gauges, ties)
    find_moist_air(gauges)
    find_twins(gauges, ties)
    _alone(gauges)
    if scales_its_floats(gauges):
        for signal in gauges:
            signal.scaled_float = (
                not signal.whole and signal.code != "energy" and bool(signal.code or signal.kind == "gauge")
            )
    for group in list(ties.members.values()):
        _settle(group, ties)


def _settle(group: Sequence[Signal], ties: Ties) -> None:
    """Choose the power of ten that is free in `group`, and with it each member's quantity where no law named it."""
    scores: dict[int, float] = {}
    choices: dict[int, list[str]] = {}
    for free in range(-9, 10):
        # Three phases of one quantity, or P, Q and S, are one choice of the maker's: it is counted once.
        habits: dict[tuple[str, int], float] = {}
        choices[free] = []
        for signal in group:
            code, bits = best_quantity(signal, free + ties.offset(signal)[1])
            choices[free].append(code)
            key = "power" if code.endswith("_power") else code, ties.offset(signal)[1]
            habits[key] = min(bits, habits.get(key, bits))
        scores[free] = sum(habits.values())
    order = sorted(scores, key=lambda free: -scores[free])
    free = order[0]
    margin = scores[free] - scores[order[1]]
    for signal, code in zip(group, choices[free], strict=True):
        signal.bits += margin
        signal.exponent = free + ties.offset(signal)[1]
        signal.code = code


def _alone(gauges: Sequence[Signal]) -> None:
    """Let what else is on the device tell of a point without partners."""
    codes = {signal.code for signal in gauges}
    contexts = []
    if codes & {"frequency", "power"}:
        contexts.append(("voltage", Text("in the range of mains voltage on a meter", "电能类设备上处于电网电压范围")))
    if "drive_frequency" in codes:
        contexts.append(("dc_voltage", Text("in the range of a drive's DC bus", "处于变频器直流母线电压范围")))
    for code, clue in contexts:
        for signal in gauges:
            if not signal.code and exponents(signal, code) and signal.layout.width == 1:
                name_signal(signal, code, clue, 2.0)
