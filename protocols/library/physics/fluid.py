"""Water in pipes: a circulating pump, and a meter of flow and heat.

Pump, with s its speed over the rated, after the affinity laws: flow Q = 30 m3/h s, head H = 32 m s^2, hydraulic power
P_h = rho g Q H, electrical power P_h / 0.62. Heat meter, in the flow pipe: P = rho c_p Q (T_flow - T_return). Both count
water and energy in closed form, see `Wave`.
"""

from __future__ import annotations

from math import pi, sqrt

from protocols.library.physics.load import KJ_PER_KWH, Wave, elapsed_us
from protocols.library.physics.seeded import below, drift, unit_interval
from protocols.reading import Value

GRAVITY = 9.80665
COLD_KG_M3 = 998.0
HOT_KG_M3, HEAT_KJ_KG_K = 977.8, 4.187
"""Water at 70 °C."""
PUMP_EFFICIENCY, COS_PHI, LINE_VOLTAGE = 0.62, 0.86, 400.0
RATED_M3_H, RATED_HEAD_M, RATED_RPM = 30.0, 32.0, 2900.0
PA_PER_BAR, S_PER_H = 1e5, 3600.0
INLET_BAR = 1.5
EXECUTING = 3  # value list of machine_state


class Pump:
    """One pump with its frequency converter, as a pure function of the instant (microseconds UTC)."""

    def __init__(self, seed: int, start_us: int) -> None:
        self.seed = seed
        self.start_us = start_us
        self.speed = Wave((0.82, 0.1), 260.0, 2 * pi * unit_interval(seed, "pump/speed"))
        self.flow_m3_h = self.speed * RATED_M3_H
        self.head_m = self.speed * self.speed * RATED_HEAD_M
        # kW = kg/m3 x m/s2 x m3/s x m / 1000
        self.hydraulic_kw = self.flow_m3_h * self.head_m * (COLD_KG_M3 * GRAVITY / S_PER_H / 1e3)
        self.electrical_kw = self.hydraulic_kw * (1 / PUMP_EFFICIENCY)

    def values(self, now_us: int) -> dict[str, Value]:
        """Return the values of this instant by dictionary code, in dictionary units."""
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        speed, power = self.speed.at(seconds), self.electrical_kw.at(seconds)
        difference = COLD_KG_M3 * GRAVITY * self.head_m.at(seconds) / PA_PER_BAR
        current = power * 1e3 / (sqrt(3) * LINE_VOLTAGE * COS_PHI)
        hours = 2000 + below(20000, self.seed, "pump/hours") + seconds / 3600
        return {
            "machine_state": EXECUTING,
            "machine_running": True,
            "machine_ready": True,
            "pump_running": True,
            "remote_control_active": True,
            "fault_active": False,
            "alarm_active": False,
            "fault_code": 0,
            "alarm_code": 0,
            "flow_rate_volume": self.flow_m3_h.at(seconds),
            "flow_total_volume": 10000
            + below(90000, self.seed, "pump/volume")
            + self.flow_m3_h.integral(seconds) / 3600,
            "differential_pressure": difference,
            "suction_pressure": INLET_BAR,
            "discharge_pressure": INLET_BAR + difference,
            "pump_pressure": INLET_BAR + difference,
            "gauge_pressure": INLET_BAR + difference,
            "pump_speed": RATED_RPM * speed,
            "motor_speed": RATED_RPM * speed,
            "output_frequency": 50.0 * speed,
            "frequency_setpoint": 50.0 * speed,
            "load_percent": 100.0 * speed**3,
            "active_power_total": power,
            "output_power": power,
            "energy_active_import": 3000
            + below(9000, self.seed, "pump/energy")
            + self.electrical_kw.integral(seconds) / KJ_PER_KWH,
            "motor_current": current,
            "output_current": current,
            "output_voltage": LINE_VOLTAGE * speed,
            "dc_bus_voltage": 540.0 + 4.0 * drift(self.seed, "pump/dc", seconds, 30.0),
            "process_temperature": 58.0 + 2.0 * drift(self.seed, "pump/liquid", seconds, 600.0),
            "device_temperature": 47.0 + 2.0 * drift(self.seed, "pump/electronics", seconds, 300.0),
            "motor_temperature": 62.0 + 2.0 * drift(self.seed, "pump/motor", seconds, 400.0),
            "operating_hours_total": hours,
            "power_on_hours_total": hours + 700,
            "start_count_total": 100 + below(900, self.seed, "pump/starts"),
        }


class FlowMeter:
    """A sensor in a heating pipe and the room around it, as a pure function of the instant (microseconds UTC)."""

    def __init__(self, seed: int, start_us: int) -> None:
        self.seed = seed
        self.start_us = start_us
        phase = 2 * pi * unit_interval(seed, "heat/flow")
        self.flow_m3_h = Wave((6.0, 1.2), 300.0, phase)
        self.difference_k = Wave((18.0, -2.5), 300.0, phase)
        self.heat_kw = self.flow_m3_h * self.difference_k * (HOT_KG_M3 * HEAT_KJ_KG_K / S_PER_H)

    def values(self, now_us: int) -> dict[str, Value]:
        """Return the values of this instant by dictionary code, in dictionary units."""
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        supply = 70.0 + 1.0 * drift(self.seed, "heat/supply", seconds, 240.0)
        difference = self.difference_k.at(seconds)
        return {
            "flow_rate_volume": self.flow_m3_h.at(seconds),
            "flow_total_volume": 10000
            + below(50000, self.seed, "heat/volume")
            + self.flow_m3_h.integral(seconds) / 3600,
            "thermal_power": self.heat_kw.at(seconds),
            "heat_energy_total": 200_000
            + below(500_000, self.seed, "heat/energy")
            + self.heat_kw.integral(seconds) / KJ_PER_KWH,
            "chilled_water_supply_temperature": supply,
            "chilled_water_return_temperature": supply - difference,
            "temperature_difference": difference,
            "process_temperature": supply,
            "ambient_temperature": 24.0 + 1.5 * drift(self.seed, "heat/ambient", seconds, 900.0),
            "ambient_humidity": 48.0 + 5.0 * drift(self.seed, "heat/humidity", seconds, 900.0),
        }
