"""A solar inverter of 20 kW under drifting clouds, and the battery a hybrid or an uninterruptible supply has.

The irradiance e (0 to 1) wanders around 0.6. DC power is 20 kW e at about 620 V, AC power 98 % of it, shared evenly by
its phases, n of them; I = P / (n U cos phi). The energy generated is counted at the mean power of 12 kW x 0.98.
"""

from __future__ import annotations

from protocols.library.physics.load import elapsed_us
from protocols.library.physics.seeded import below, drift
from protocols.reading import Value

PEAK_KW, MEAN_IRRADIANCE, EFFICIENCY, COS_PHI = 20.0, 0.6, 0.98, 0.99
EXECUTING = 3  # value list of machine_state


class SolarInverter:
    """One inverter, as a pure function of the instant (microseconds UTC)."""

    def __init__(self, seed: int, start_us: int, phases: int = 3) -> None:
        self.seed = seed
        self.phases = phases
        self.start_us = start_us

    def values(self, now_us: int) -> dict[str, Value]:
        """Return the values of this instant by dictionary code, in dictionary units; two strings: code.1 and code.2."""
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        irradiance = MEAN_IRRADIANCE + 0.3 * self._drift("clouds", seconds, 60.0)
        dc_kw = PEAK_KW * irradiance
        ac_kw = EFFICIENCY * dc_kw
        dc_voltage = 620.0 + 15.0 * self._drift("dc", seconds, 80.0)
        phases = {k: 231.0 + 1.5 * self._drift(f"l{k}", seconds, 40.0) for k in range(1, self.phases + 1)}
        apparent_kva = ac_kw / COS_PHI
        generated = EFFICIENCY * PEAK_KW * MEAN_IRRADIANCE * seconds / 3600
        values: dict[str, Value] = {
            "machine_state": EXECUTING,
            "machine_running": True,
            "fault_active": False,
            "alarm_active": False,
            "fault_code": 0,
            "alarm_code": 0,
            "dc_power": dc_kw,
            "dc_voltage": dc_voltage,
            "dc_current": dc_kw * 1e3 / dc_voltage,
            "active_power_total": ac_kw,
            "apparent_power_total": apparent_kva,
            "reactive_power_total": (apparent_kva**2 - ac_kw**2) ** 0.5,
            "power_factor_total": COS_PHI,
            "frequency_grid": 50.0 + 0.03 * self._drift("frequency", seconds, 12.0),
            "output_frequency": 50.0 + 0.03 * self._drift("frequency", seconds, 12.0),
            "energy_generated_daily": min(generated, 120.0),
            "energy_generated_total": 30000 + below(60000, self.seed, "solar/first") + generated,
            "device_temperature": 41.0 + 4.0 * self._drift("cabinet", seconds, 300.0),
            "rated_power": PEAK_KW,
            "battery_voltage": 54.0 + 0.4 * self._drift("battery", seconds, 120.0),
            "battery_current": 3.0 + 1.0 * self._drift("charge", seconds, 90.0),
            "battery_temperature": 26.0 + 1.0 * self._drift("cells", seconds, 600.0),
            "battery_state_of_charge": 92.0 + 4.0 * self._drift("soc", seconds, 900.0),
            "operating_hours_total": 4000 + below(20000, self.seed, "solar/hours") + seconds / 3600,
        }
        for string in (1, 2):
            values[f"dc_voltage.{string}"] = dc_voltage
            values[f"dc_current.{string}"] = dc_kw * 1e3 / dc_voltage / 2
            values[f"dc_power.{string}"] = dc_kw / 2
        for k, voltage in phases.items():
            values[f"voltage_l{k}_n"] = voltage
            values[f"current_l{k}"] = apparent_kva * 1e3 / self.phases / voltage
            values[f"active_power_l{k}"] = ac_kw / self.phases
        for a, b in ((1, 2), (2, 3), (3, 1)) if self.phases == 3 else ():
            u, v = phases[a], phases[b]
            values[f"voltage_l{a}_l{b}"] = (u * u + v * v + u * v) ** 0.5
        return values

    def _drift(self, name: str, seconds: float, period_s: float) -> float:
        return drift(self.seed, f"solar/{name}", seconds, period_s)
