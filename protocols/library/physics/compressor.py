"""A screw compressor in load/unload control: pressure hysteresis, duty, temperatures, power.

The net takes x times the compressor's delivery. Loaded, the pressure rises from 7.0 to 8.0 bar in tau / (1 - x); unloaded
it falls back in tau / x, where tau = 6 s is the time full delivery needs for 1 bar. One load cycle so takes
tau / (x (1 - x)) and the loaded share of it is x. The demand x is constant for 600 s and runs through 0.3, 0.4, 0.5,
0.6, 0.7, 0.8 once an hour in a seeded order; with these values a whole number of load cycles, 100 x (1 - x), fits each
600 s, so that every stretch begins loaded at 7.0 bar and all sums are closed forms.

Power: unloaded 11 kW; loaded 37 kW at 7.5 bar, 7 % more per bar.
"""

from __future__ import annotations

from functools import lru_cache

from protocols.library.physics.load import KJ_PER_KWH, elapsed_us
from protocols.library.physics.seeded import below, drift, shuffled
from protocols.reading import Value

STRETCH_S = 600.0
DEMANDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
HOUR_S = STRETCH_S * len(DEMANDS)
TAU_S = 6.0
LOW_BAR, HIGH_BAR = 7.0, 8.0
LOADED_KW, UNLOADED_KW, KW_PER_BAR = 37.0, 11.0, 37.0 * 0.07
RATED_KW = 37.0
LINE_VOLTAGE, COS_PHI_LOADED = 400.0, 0.87
SERVICE_EVERY_H = 4000
EXECUTING, NOT_EXECUTING = 3, 2  # value list of machine_state


class Compressor:
    """One machine, as a pure function of the instant (microseconds UTC)."""

    tan_phi = 0.57
    shares = (1 / 3, 1 / 3, 1 / 3)

    def __init__(self, seed: int, start_us: int) -> None:
        self.seed = seed
        self.start_us = start_us

    def power_kw(self, now_us: int) -> float:
        """Return the active power, kW."""
        loaded, pressure, _ = self._air(elapsed_us(self.start_us, now_us) / 1e6)
        return LOADED_KW + KW_PER_BAR * (pressure - (LOW_BAR + HIGH_BAR) / 2) if loaded else UNLOADED_KW

    def energy_kwh(self, now_us: int) -> float:
        """Return the integral of `power_kw` since the start, kWh.

        While loaded the pressure rises evenly, so a full load phase draws its power at 7.5 bar; one begun at 7.0 bar and
        left at pressure p draws the power at the mean pressure (7.0 + p) / 2.
        """
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        loaded_now, pressure, loaded_s = self._air(seconds)
        kilojoules = LOADED_KW * loaded_s + UNLOADED_KW * (seconds - loaded_s)
        if loaded_now:
            rising_s = (pressure - LOW_BAR) * TAU_S / (1 - self._demand(seconds))
            kilojoules += KW_PER_BAR * (pressure - HIGH_BAR) / 2 * rising_s
        return kilojoules / KJ_PER_KWH

    def values(self, now_us: int) -> dict[str, Value]:
        """Return the values of this instant by dictionary code, in dictionary units."""
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        loaded, pressure, _ = self._air(seconds)
        power = self.power_kw(now_us)
        cos_phi = COS_PHI_LOADED if loaded else 0.55
        current = power * 1e3 / (3**0.5 * LINE_VOLTAGE * cos_phi)
        hours = 6000 + below(20000, self.seed, "compressor/hours") + seconds / 3600
        demand = self._demand(seconds)
        return {
            "machine_state": EXECUTING if loaded else NOT_EXECUTING,
            "machine_running": True,
            "machine_ready": True,
            "compressor_running": True,
            "fan_running": True,
            "fault_active": False,
            "alarm_active": False,
            "alarm_code": 0,
            "fault_code": 0,
            "discharge_pressure": pressure,
            "gauge_pressure": pressure - 0.2,
            "discharge_temperature": 74 + 14 * demand + 1.2 * self._drift("discharge", seconds, 80.0),
            "oil_temperature": 66 + 12 * demand + 1.0 * self._drift("oil", seconds, 120.0),
            "ambient_temperature": 24 + 1.5 * self._drift("ambient", seconds, 900.0),
            "device_temperature": 33 + 1.5 * self._drift("cabinet", seconds, 300.0),
            "load_percent": 100.0 * loaded,
            "active_power_total": power,
            "energy_active_import": self.energy_kwh(now_us),
            "motor_current": current,
            "output_current": current,
            "output_voltage": LINE_VOLTAGE,
            "output_frequency": 50.0,
            "motor_speed": 2960.0 + (0.0 if loaded else 22.0) + 3.0 * self._drift("speed", seconds, 15.0),
            "fan_speed": 1400.0 + 10.0 * self._drift("fan", seconds, 40.0),
            "operating_hours_total": hours,
            "power_on_hours_total": hours + 350,
            "maintenance_hours_remaining": SERVICE_EVERY_H - hours % SERVICE_EVERY_H,
            "start_count_total": 800 + below(400, self.seed, "compressor/starts"),
            "rated_power": RATED_KW,
        }

    def _demand(self, seconds: float) -> float:
        hour, within = divmod(seconds, HOUR_S)
        return _demands(self.seed, int(hour))[int(within // STRETCH_S)]

    def _air(self, seconds: float) -> tuple[bool, float, float]:
        """Return whether the compressor is loaded, the net pressure (bar) and the loaded time since the start (s)."""
        hour, within = divmod(seconds, HOUR_S)
        stretch, into = divmod(within, STRETCH_S)
        demands = _demands(self.seed, int(hour))
        x = demands[int(stretch)]
        cycles, at = divmod(into, TAU_S / (x * (1 - x)))
        loading_s = TAU_S / (1 - x)
        loaded_s = hour * STRETCH_S * sum(DEMANDS) + STRETCH_S * sum(demands[: int(stretch)]) + cycles * loading_s
        if at < loading_s:
            return True, LOW_BAR + at * (1 - x) / TAU_S, loaded_s + at
        return False, HIGH_BAR - (at - loading_s) * x / TAU_S, loaded_s + loading_s

    def _drift(self, name: str, seconds: float, period_s: float) -> float:
        return drift(self.seed, f"compressor/{name}", seconds, period_s)


@lru_cache(maxsize=16)
def _demands(seed: int, hour: int) -> list[float]:
    """Return the demand of each 600 s of an hour."""
    return shuffled(DEMANDS, seed, "compressor/demand", hour)
