"""An uninterruptible power supply of 6 kVA on mains, its battery full; and a battery whose every cell is watched.

The load is a share m of the rated 6 kVA at cos phi 0.9; what the mains give is the load over 0.94. Per phase, n of them:
I = P / (n U cos phi). On battery the load would last 25 minutes at full load, in proportion longer at less.
The battery floats at 2.25 V a cell: its voltage is the sum of its cells'.
"""

from __future__ import annotations

from math import pi

from protocols.library.physics.load import KJ_PER_KWH, Wave, elapsed_us
from protocols.library.physics.seeded import below, drift, unit_interval
from protocols.reading import Value

RATED_KVA, COS_PHI, EFFICIENCY = 6.0, 0.9, 0.94
FULL_LOAD_MIN = 25.0
FLOAT_V = 2.25
EXECUTING = 3  # value list of machine_state


class Ups:
    """One supply, as a pure function of the instant (microseconds UTC)."""

    def __init__(self, seed: int, start_us: int, phases: int = 1) -> None:
        self.seed = seed
        self.phases = phases
        self.start_us = start_us
        self.load = Wave((0.42, 0.07), 420.0, 2 * pi * unit_interval(seed, "ups/load"))
        self.input_kw = self.load * (RATED_KVA * COS_PHI / EFFICIENCY)

    def values(self, now_us: int) -> dict[str, Value]:
        """Return the values of this instant by dictionary code, in dictionary units."""
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        load = self.load.at(seconds)
        output_kva = RATED_KVA * load
        mains = 231.0 + 1.5 * drift(self.seed, "ups/mains", seconds, 40.0)
        frequency = 50.0 + 0.03 * drift(self.seed, "ups/frequency", seconds, 12.0)
        current = output_kva * 1e3 / self.phases / 230.0
        return {
            "machine_state": EXECUTING,
            "machine_running": True,
            "fault_active": False,
            "alarm_active": False,
            "fault_code": 0,
            "alarm_code": 0,
            "load_percent": 100.0 * load,
            "output_voltage": 230.0,
            "output_frequency": frequency,
            "output_current": current,
            "output_power": output_kva * COS_PHI,
            "apparent_power_total": output_kva,
            "input_voltage": mains,
            "frequency_grid": frequency,
            "active_power_total": self.input_kw.at(seconds),
            "energy_active_import": 900
            + below(9000, self.seed, "ups/energy")
            + self.input_kw.integral(seconds) / KJ_PER_KWH,
            "voltage_l1_n": mains,
            "current_l1": self.input_kw.at(seconds) * 1e3 / self.phases / mains / COS_PHI,
            "battery_voltage": 54.6,
            "battery_current": 0.1,
            "battery_state_of_charge": 100.0,
            "battery_remaining_time": FULL_LOAD_MIN / load,
            "battery_temperature": 25.0 + drift(self.seed, "ups/battery", seconds, 600.0),
            "device_temperature": 33.0 + 2.0 * drift(self.seed, "ups/cabinet", seconds, 300.0),
            "rated_power": RATED_KVA * COS_PHI,
            "operating_hours_total": 4000 + below(20000, self.seed, "ups/hours") + seconds / 3600,
        }


class Battery:
    """A floating lead battery of `cells` cells, as a pure function of the instant (microseconds UTC)."""

    def __init__(self, seed: int, start_us: int, cells: int) -> None:
        self.seed = seed
        self.start_us = start_us
        self.cells = cells

    def values(self, now_us: int) -> dict[str, Value]:
        """Return the values of this instant by dictionary code, in dictionary units; of cell k: code.k."""
        seconds = elapsed_us(self.start_us, now_us) / 1e6
        room = 24.0 + drift(self.seed, "battery/room", seconds, 900.0)
        values: dict[str, Value] = {
            "ambient_temperature": room,
            "battery_current": 0.2,
            "battery_state_of_charge": 100.0,
        }
        total = 0.0
        for cell in range(1, self.cells + 1):
            voltage = FLOAT_V + 0.02 * drift(self.seed, f"battery/cell/{cell}", seconds, 300.0)
            total += voltage
            values[f"battery_cell_voltage.{cell}"] = voltage
            values[f"battery_temperature.{cell}"] = room + 1.0 + unit_interval(self.seed, "battery/warm", cell)
            values[f"battery_internal_resistance.{cell}"] = 4.0 + 1.0 * unit_interval(self.seed, "battery/ohm", cell)
        values["battery_voltage"] = total
        return values
