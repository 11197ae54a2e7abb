"""Pumps, heat meters, drives and uninterruptible supplies obey physics, and count what they show."""

from math import isclose, pi, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.library.physics import behaviour
from protocols.library.physics.drive import Drive
from protocols.library.physics.fluid import COLD_KG_M3, GRAVITY, HEAT_KJ_KG_K, HOT_KG_M3, FlowMeter, Pump
from protocols.library.physics.load import Wave
from protocols.library.physics.supply import Ups
from protocols.library.templates import load_template

START = 1_700_000_000_000_000
SECOND, HOUR, YEAR = 10**6, 3600 * 10**6, 365 * 86400 * 10**6

seeds = st.integers(0, 10**9)
instants = st.integers(0, YEAR).map(lambda elapsed: START + elapsed)
factors = st.lists(st.floats(-5, 5), min_size=1, max_size=4).map(tuple)
Model = type[Pump] | type[FlowMeter] | type[Drive] | type[Ups]


def numbers(model: Model, seed: int, now: int) -> dict[str, float]:
    values = model(seed, START).values(now)
    return {code: float(value) for code, value in values.items() if isinstance(value, (int, float))}


@given(factors, st.floats(10, 600), st.floats(0, 2 * pi), st.floats(0, 2000))
def test_a_wave_is_integrated_exactly(coefficients: tuple[float, ...], period: float, phase: float, end: float) -> None:
    wave = Wave(coefficients, period, phase)
    steps = 4000
    middle = sum(wave.at(end * (i + 0.5) / steps) for i in range(steps)) * end / steps
    assert isclose(wave.integral(end), middle, rel_tol=1e-2, abs_tol=0.5)


@given(seeds, instants)
def test_hydraulic_power_is_density_gravity_flow_and_head(seed: int, now: int) -> None:
    shown = numbers(Pump, seed, now)
    head = shown["differential_pressure"] * 1e5 / (COLD_KG_M3 * GRAVITY)
    hydraulic = COLD_KG_M3 * GRAVITY * shown["flow_rate_volume"] / 3600 * head / 1000
    assert isclose(hydraulic / shown["active_power_total"], 0.62, rel_tol=1e-9)
    assert isclose(shown["pump_speed"] / shown["output_frequency"], 58.0, rel_tol=1e-9)
    assert isclose(shown["discharge_pressure"] - shown["suction_pressure"], shown["differential_pressure"])


@given(seeds, instants)
def test_heat_is_flow_times_the_difference_of_temperatures(seed: int, now: int) -> None:
    shown = numbers(FlowMeter, seed, now)
    difference = shown["chilled_water_supply_temperature"] - shown["chilled_water_return_temperature"]
    power = HOT_KG_M3 * HEAT_KJ_KG_K * shown["flow_rate_volume"] / 3600 * difference
    assert isclose(power, shown["thermal_power"], rel_tol=1e-9)
    assert isclose(difference, shown["temperature_difference"], abs_tol=1e-9)


@pytest.mark.parametrize(
    ("model", "counter", "rate"),
    [
        (Pump, "energy_active_import", "active_power_total"),
        (Pump, "flow_total_volume", "flow_rate_volume"),
        (FlowMeter, "heat_energy_total", "thermal_power"),
        (FlowMeter, "flow_total_volume", "flow_rate_volume"),
        (Drive, "energy_active_import", "output_power"),
        (Ups, "energy_active_import", "active_power_total"),
    ],
)
@given(seed=seeds, begin=instants, seconds=st.integers(1, 1500))
def test_a_counter_is_the_integral_of_its_rate(
    model: Model, counter: str, rate: str, seed: int, begin: int, seconds: int
) -> None:
    end = begin + seconds * SECOND
    counted = numbers(model, seed, end)[counter] - numbers(model, seed, begin)[counter]
    step = seconds * SECOND // 50
    rates = [numbers(model, seed, begin + step // 2 + i * step)[rate] for i in range(50)]
    assert isclose(counted, sum(rates) * step / HOUR, rel_tol=0.01, abs_tol=1e-6)
    assert counted > 0


@given(seeds, instants)
def test_an_uninterruptible_supply_takes_more_than_it_gives(seed: int, now: int) -> None:
    shown = numbers(Ups, seed, now)
    assert isclose(shown["output_power"] / shown["active_power_total"], 0.94, rel_tol=1e-9)
    assert isclose(shown["output_voltage"] * shown["output_current"] / 1000, shown["apparent_power_total"])


def test_a_battery_has_the_voltage_of_its_cells() -> None:
    shown = behaviour(load_template("gold-battery-gateway"), 7, START)(START + 99 * SECOND)
    cells = [value for name, value in shown.items() if name.startswith("battery_cell_voltage_")]
    assert len(cells) == 40
    assert isclose(sum(float(str(cell)) for cell in cells), float(str(shown["battery_voltage"])))


def test_the_class_and_the_points_choose_the_model() -> None:
    pump = behaviour(load_template("grundfos-magna3"), 7, START)(START)
    assert pump["pump_running"] is True
    heat = behaviour(load_template("runa-heat-meter"), 7, START)(START)
    flow, power = heat["flow_rate_volume"], heat["thermal_power"]
    assert isinstance(flow, float)
    assert isinstance(power, float)
    assert 10 < power / flow < 30


def test_a_drive_draws_the_cube_of_its_speed() -> None:
    shown = numbers(Drive, 7, START + 777 * SECOND)
    assert isclose(shown["output_power"], 7.5 * 0.85 * (shown["output_frequency"] / 50) ** 3 / 0.94, rel_tol=1e-9)
    assert isclose(shown["output_current"] * shown["output_voltage"] * sqrt(3) * 0.84 / 1e3, shown["output_power"])
