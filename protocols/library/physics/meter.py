"""A three-phase energy meter over the machines it feeds, and the workshop's own light and small consumers.

With P_i, tan phi_i and phase shares s_ik of load i, for each phase k:

    P_k = sum s_ik P_i      Q_k = sum s_ik tan phi_i P_i      cos phi_k = P_k / sqrt(P_k^2 + Q_k^2)
    U_k = about 231 V, less 0.03 V per kW of the phase        I_k = P_k / (U_k cos phi_k)

so that P = sum U_k I_k cos phi_k holds by construction. Totals: P and Q are sums, S = sqrt(P^2 + Q^2), cos phi = P / S.
Line voltages follow from phases 120 degrees apart: U_12 = sqrt(U_1^2 + U_2^2 + U_1 U_2). Active and reactive energy
are sum E_i and sum tan phi_i E_i, where E_i is the load's own closed-form integral. A single-phase meter finds every
load on L1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, pi, sqrt

from protocols.library.physics.load import KJ_PER_KWH, Load, Ripple, elapsed_us
from protocols.library.physics.seeded import below, drift, unit_interval
from protocols.reading import Value

NOMINAL_V, SAG_V_PER_KW = 231.0, 0.03
WORKSHOP_KW = 6.0


class Workshop:
    """Light, ventilation and small consumers: 6 kW with a slow swing of 0.8 kW."""

    tan_phi = 0.33
    shares = (0.40, 0.32, 0.28)

    def __init__(self, seed: int, start_us: int) -> None:
        self.start_us = start_us
        self._swing = Ripple(0.8, 420.0, 2 * pi * unit_interval(seed, "workshop/swing"))

    def power_kw(self, now_us: int) -> float:
        """Return the active power, kW."""
        return WORKSHOP_KW + self._swing.at(elapsed_us(self.start_us, now_us) / 1e6)

    def energy_kwh(self, now_us: int) -> float:
        """Return the integral of `power_kw` since the start, kWh."""
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        return (WORKSHOP_KW * seconds + self._swing.integral(seconds)) / KJ_PER_KWH


class EnergyMeter:
    """One meter, as a pure function of the instant (microseconds UTC)."""

    def __init__(self, seed: int, start_us: int, loads: Sequence[Load] = (), phases: int = 3) -> None:
        self.seed = seed
        self.phases = phases
        self.start_us = start_us
        self.loads: tuple[Load, ...] = (Workshop(seed, start_us), *loads)
        self.first_reading_kwh = 20000 + below(60000, seed, "meter/first")

    def values(self, now_us: int) -> dict[str, Value]:
        """Return the values of this instant by dictionary code, in dictionary units."""
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        powers = [load.power_kw(now_us) for load in self.loads]
        pairs = list(zip(self.loads, powers, strict=True))
        shares = [load.shares if self.phases == 3 else (1.0,) for load in self.loads]
        active = [
            sum(share[k] * power for share, power in zip(shares, powers, strict=True)) for k in range(self.phases)
        ]
        reactive = [
            sum(share[k] * load.tan_phi * power for share, (load, power) in zip(shares, pairs, strict=True))
            for k in range(self.phases)
        ]
        voltage = [
            NOMINAL_V + 1.4 * drift(self.seed, f"meter/voltage/{k}", seconds, 35.0) - SAG_V_PER_KW * active[k]
            for k in range(self.phases)
        ]
        apparent = [hypot(p, q) for p, q in zip(active, reactive, strict=True)]
        total, total_reactive = sum(active), sum(reactive)
        total_apparent = hypot(total, total_reactive)
        energies = [load.energy_kwh(now_us) for load in self.loads]
        imported = self.first_reading_kwh + sum(energies)
        values: dict[str, Value] = {
            "active_power_total": total,
            "reactive_power_total": total_reactive,
            "apparent_power_total": total_apparent,
            "power_factor_total": total / total_apparent,
            "frequency_grid": 50.0 + 0.03 * drift(self.seed, "meter/frequency", seconds, 12.0),
            "energy_active_import": imported,
            "energy_active_export": 0.0,
            "energy_active_total": imported,
            "energy_reactive_import": 0.4 * self.first_reading_kwh
            + sum(load.tan_phi * energy for load, energy in zip(self.loads, energies, strict=True)),
            "energy_reactive_export": 0.0,
            "device_temperature": 34.0 + 1.5 * drift(self.seed, "meter/temperature", seconds, 600.0),
        }
        for k, phase in enumerate(("l1", "l2", "l3")[: self.phases]):
            values[f"voltage_{phase}_n"] = voltage[k]
            values[f"current_{phase}"] = apparent[k] * 1e3 / voltage[k]
            values[f"active_power_{phase}"] = active[k]
            values[f"power_factor_{phase}"] = active[k] / apparent[k]
        for a, b in ((1, 2), (2, 3), (3, 1)) if self.phases == 3 else ():
            u, v = voltage[a - 1], voltage[b - 1]
            values[f"voltage_l{a}_l{b}"] = sqrt(u * u + v * v + u * v)
        return values
