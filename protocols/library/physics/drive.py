"""A frequency converter with its motor: a fan or pump load whose speed reference wanders, and what follows from it.

With f the output frequency and f_n = 50 Hz: the motor (two pole pairs, 1 % slip at full load) turns at
n = 30 f (1 - 0.01 m), the load's torque is m = 0.85 (f / f_n)^2 of the rated, the mechanical power m f / f_n of the
rated 7.5 kW. The voltage follows the frequency, U = 400 V f / f_n, and the current the electrical power at
cos phi 0.84: I = P / (sqrt(3) U cos phi). The energy is the integral of the power, a cube of the speed; see `Wave`.
"""

from __future__ import annotations

from math import pi, sqrt

from protocols.library.physics.load import KJ_PER_KWH, Wave, elapsed_us
from protocols.library.physics.seeded import below, drift, unit_interval
from protocols.reading import Value

RATED_KW, RATED_HZ, RATED_V = 7.5, 50.0, 400.0
COS_PHI, EFFICIENCY, SLIP = 0.84, 0.94, 0.01
RATED_TORQUE = 0.85
EXECUTING = 3  # value list of machine_state


class Drive:
    """One drive, as a pure function of the instant (microseconds UTC)."""

    def __init__(self, seed: int, start_us: int) -> None:
        self.seed = seed
        self.start_us = start_us
        self.speed = Wave((0.84, 0.1), 540.0, 2 * pi * unit_interval(seed, "drive/reference"))
        self.electrical_kw = self.speed * self.speed * self.speed * (RATED_TORQUE * RATED_KW / EFFICIENCY)

    def values(self, now_us: int) -> dict[str, Value]:
        """Return the values of this instant by dictionary code, in dictionary units."""
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        share = self.speed.at(seconds)
        frequency = RATED_HZ * share
        torque = RATED_TORQUE * share**2
        power = self.electrical_kw.at(seconds)
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
            "rated_power": RATED_KW,
            "energy_active_import": 2000
            + below(9000, self.seed, "drive/energy")
            + self.electrical_kw.integral(seconds) / KJ_PER_KWH,
            "dc_bus_voltage": 540.0 + 4.0 * self._drift("dc", seconds, 30.0),
            "input_voltage": 400.0 + 2.0 * self._drift("mains", seconds, 45.0),
            "motor_speed_setpoint": 30.0 * frequency,
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
