"""A temperature control loop near its setpoint: the controller of a furnace, or a refrigerating unit.

The disturbance d (-1 to 1) moves the temperature by less than a kelvin and the output against it, as a tuned loop does.
The water it sends round takes up rho c_p Q (T_return - T_supply).
"""

from __future__ import annotations

from protocols.library.physics.load import elapsed_us
from protocols.library.physics.seeded import below, drift
from protocols.reading import Value

FLOW_M3_H, DIFFERENCE_K, WATER_KJ_M3_K = 2.4, 5.0, 4180.0
EXECUTING = 3  # value list of machine_state


class TemperatureLoop:
    """One loop, as a pure function of the instant (microseconds UTC)."""

    def __init__(self, seed: int, start_us: int, setpoint: float) -> None:
        self.seed = seed
        self.start_us = start_us
        self.setpoint = setpoint

    def values(self, now_us: int) -> dict[str, Value]:
        """Return the values of this instant by dictionary code, in dictionary units."""
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        disturbance = drift(self.seed, "thermal/disturbance", seconds, 60.0)
        temperature = self.setpoint + 0.8 * disturbance
        return {
            "machine_state": EXECUTING,
            "machine_running": True,
            "compressor_running": True,
            "fan_running": True,
            "pump_running": True,
            "defrost_active": False,
            "heater_on": True,
            "fault_active": False,
            "alarm_active": False,
            "process_temperature": temperature,
            "temperature_setpoint": self.setpoint,
            "control_output_percent": 45.0 - 20.0 * disturbance,
            "temperature_alarm_high_limit": self.setpoint + 15.0,
            "temperature_alarm_low_limit": self.setpoint - 15.0,
            "chilled_water_supply_temperature": temperature,
            "chilled_water_return_temperature": temperature + DIFFERENCE_K,
            "temperature_difference": DIFFERENCE_K,
            "flow_rate_volume": FLOW_M3_H,
            "thermal_power": WATER_KJ_M3_K * FLOW_M3_H / 3600 * DIFFERENCE_K,
            "pump_pressure": 3.2 + 0.1 * drift(self.seed, "thermal/pressure", seconds, 120.0),
            "pump_speed": 2850.0 + 10.0 * drift(self.seed, "thermal/pump", seconds, 60.0),
            "ambient_temperature": 24.0 + 1.5 * drift(self.seed, "thermal/ambient", seconds, 900.0),
            "evaporating_temperature": self.setpoint - 8.0 + disturbance,
            "operating_hours_total": 2000 + below(20000, self.seed, "thermal/hours") + seconds / 3600,
        }


class Furnace(TemperatureLoop):
    """A heating loop at 180 °C."""

    def __init__(self, seed: int, start_us: int) -> None:
        super().__init__(seed, start_us, 180.0)


class Chiller(TemperatureLoop):
    """A cooling loop at 12 °C."""

    def __init__(self, seed: int, start_us: int) -> None:
        super().__init__(seed, start_us, 12.0)
