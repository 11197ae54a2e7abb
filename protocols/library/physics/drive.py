"""A frequency converter with its motor: a fan or pump load whose speed reference wanders, and what follows from it.

With f the output frequency and f_n = 50 Hz: the motor (two pole pairs, 1 % slip at full load) turns at
n = 30 f (1 - 0.01 m), the load's torque is m = 0.85 (f / f_n)^2 of the rated, the mechanical power m f / f_n of the
rated 7.5 kW. The voltage follows the frequency, U = 400 V f / f_n, and the current the electrical power at
cos phi 0.84: I = P / (sqrt(3) U cos phi).
"""

from __future__ import annotations

from math import sqrt

from protocols.library.physics.load import elapsed_us
from protocols.library.physics.seeded import below, drift
from protocols.reading import Value

RATED_KW, RATED_HZ, RATED_V = 7.5, 50.0, 400.0
COS_PHI, EFFICIENCY, SLIP = 0.84, 0.94, 0.01
EXECUTING = 3  # value list of machine_state


class Drive:
    """One drive, as a pure function of the instant (microseconds UTC)."""

    def __init__(self, seed: int, start_us: int) -> None:
        self.seed = seed
        self.start_us = start_us

    def values(self, now_us: int) -> dict[str, Value]:
        """Return the values of this instant by dictionary code, in dictionary units."""
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        frequency = 42.0 + 5.0 * self._drift("reference", seconds, 90.0)
        share = frequency / RATED_HZ
        torque = 0.85 * share**2
        power = RATED_KW * torque * share / EFFICIENCY
        voltage = RATED_V * share
        current = power * 1e3 / (sqrt(3) * voltage * COS_PHI)
        hours = 3000 + below(20000, self.seed, "drive/hours") + seconds / 3600
        return {
            "machine_state": EXECUTING,
            "machine_running": True,
            "machine_ready": True,
            "remote_control_active": True,
            "fault_active": False,
            "alarm_active": False,
            "fault_code": 0,
            "alarm_code": 0,
            "rotation_direction": 0,
            "output_frequency": frequency,
            "frequency_setpoint": frequency,
            "output_voltage": voltage,
            "output_current": current,
            "motor_current": current,
            "output_power": power,
            "dc_bus_voltage": 540.0 + 4.0 * self._drift("dc", seconds, 30.0),
            "input_voltage": 400.0 + 2.0 * self._drift("mains", seconds, 45.0),
            "motor_speed": 30.0 * frequency * (1 - SLIP * torque),
            "motor_torque_percent": 100.0 * torque,
            "motor_power_percent": 100.0 * torque * share,
            "motor_thermal_load": 60.0 + 5.0 * self._drift("thermal", seconds, 300.0),
            "drive_temperature": 44.0 + 3.0 * self._drift("heatsink", seconds, 240.0),
            "motor_temperature": 61.0 + 2.0 * self._drift("motor", seconds, 400.0),
            "operating_hours_total": hours,
            "power_on_hours_total": hours + 900,
        }

    def _drift(self, name: str, seconds: float, period_s: float) -> float:
        return drift(self.seed, f"drive/{name}", seconds, period_s)
