"""The simulated workshop obeys physics, agrees with itself in every process, and is cheap at any instant."""

import json
import subprocess
import sys
from itertools import pairwise
from math import hypot, isclose, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.dictionary.entries import load_dictionary
from protocols.errors import ConfigError
from protocols.library.physics import Compressor, EnergyMeter, Moulder, behaviour
from protocols.library.physics.drive import COS_PHI, RATED_HZ, Drive
from protocols.library.physics.load import Load
from protocols.library.physics.meter import Workshop
from protocols.library.physics.moulding import CAVITIES, CYCLES_PER_BLOCK, DEFECTS, PARTS_PER_DEFECT
from protocols.library.physics.solar import SolarInverter
from protocols.library.physics.thermal import Chiller, Furnace
from protocols.library.templates import Template, load_template, parse_template

START = 1_700_000_000_000_000
SECOND, MINUTE, HOUR, YEAR = 10**6, 60 * 10**6, 3600 * 10**6, 365 * 86400 * 10**6

seeds = st.integers(0, 10**9)
instants = st.integers(0, YEAR).map(lambda elapsed: START + elapsed)
LOADS = (Moulder, Compressor, Workshop)


def number(value: object) -> float:
    assert isinstance(value, (int, float))
    return float(value)


def meter(seed: int) -> EnergyMeter:
    return EnergyMeter(seed, START, [Moulder(seed, START), Compressor(seed, START)])


@given(seeds, instants)
def test_power_is_voltage_times_current_times_cos_phi(seed: int, now: int) -> None:
    values = {code: number(value) for code, value in meter(seed).values(now).items()}
    phases = [
        values[f"voltage_l{k}_n"] * values[f"current_l{k}"] * values[f"power_factor_l{k}"] / 1000 for k in (1, 2, 3)
    ]
    for k, power in enumerate(phases, start=1):
        assert isclose(power, values[f"active_power_l{k}"], rel_tol=1e-9)
    total = values["active_power_total"]
    assert isclose(sum(phases), total, rel_tol=1e-9)
    assert isclose(hypot(total, values["reactive_power_total"]), values["apparent_power_total"], rel_tol=1e-9)
    assert isclose(total / values["apparent_power_total"], values["power_factor_total"], rel_tol=1e-9)
    assert isclose(values["voltage_l1_l2"], sqrt(3) * values["voltage_l1_n"], rel_tol=0.02)
    assert 49.9 < values["frequency_grid"] < 50.1


@given(seeds, instants)
def test_the_meter_measures_the_machines_and_the_workshop(seed: int, now: int) -> None:
    loads: list[Load] = [made(seed, START) for made in LOADS]
    values, first = meter(seed).values(now), meter(seed).values(START)
    assert isclose(number(values["active_power_total"]), sum(load.power_kw(now) for load in loads), rel_tol=1e-9)
    used = number(values["energy_active_import"]) - number(first["energy_active_import"])
    assert isclose(used, sum(load.energy_kwh(now) for load in loads), rel_tol=1e-6, abs_tol=1e-6)
    reactive = number(values["energy_reactive_import"]) - number(first["energy_reactive_import"])
    assert isclose(reactive, sum(load.tan_phi * load.energy_kwh(now) for load in loads), rel_tol=1e-6, abs_tol=1e-6)


@pytest.mark.parametrize("made", LOADS)
@given(seed=seeds, begin=instants, seconds=st.integers(1, 900))
def test_energy_is_the_integral_of_power(made: type[Load], seed: int, begin: int, seconds: int) -> None:
    load: Load = made(seed, START)  # type: ignore[call-arg]
    step = 50_000
    middles = range(begin + step // 2, begin + seconds * SECOND, step)
    numeric = sum(load.power_kw(middle) for middle in middles) * step / HOUR
    exact = load.energy_kwh(begin + seconds * SECOND) - load.energy_kwh(begin)
    # The midpoint rule misses by at most half a step at each of the power's jumps: about two a second, up to 50 kW.
    assert isclose(numeric, exact, rel_tol=0.02, abs_tol=50 * (step / HOUR))


@pytest.mark.parametrize("made", LOADS)
@given(seed=seeds, elapsed=st.integers(0, 86400 * SECOND))
def test_power_is_the_slope_of_energy(made: type[Load], seed: int, elapsed: int) -> None:
    load: Load = made(seed, START)  # type: ignore[call-arg]
    moments = [START + elapsed + i * 50_000 for i in range(3)]
    low, _, high = sorted(load.power_kw(moment) for moment in moments)
    slope = (load.energy_kwh(moments[2]) - load.energy_kwh(moments[0])) / (100_000 / HOUR)
    if high - low < 0.1:  # no jump in between
        assert isclose(slope, load.power_kw(moments[1]), rel_tol=1e-3)


@pytest.mark.parametrize("made", LOADS)
@given(seed=seeds, boundary=st.integers(1, 5000))
def test_energy_joins_where_blocks_meet(made: type[Load], seed: int, boundary: int) -> None:
    load: Load = made(seed, START)  # type: ignore[call-arg]
    at = START + boundary * 600 * SECOND
    drawn = load.energy_kwh(at + SECOND) - load.energy_kwh(at - SECOND)
    assert 5 * 2 / 3600 < drawn < 70 * 2 / 3600


@pytest.mark.parametrize("made", LOADS)
@given(seed=seeds, first=instants, later=st.integers(1, YEAR))
def test_energy_only_rises(made: type[Load], seed: int, first: int, later: int) -> None:
    load: Load = made(seed, START)  # type: ignore[call-arg]
    assert load.energy_kwh(first) < load.energy_kwh(first + max(later, 1000))


@pytest.mark.parametrize("made", LOADS)
def test_nothing_happens_before_the_start(made: type[Load]) -> None:
    load: Load = made(3, START)  # type: ignore[call-arg]
    assert load.energy_kwh(START - HOUR) == load.energy_kwh(START) == 0
    assert load.power_kw(START - HOUR) == load.power_kw(START)


@given(seeds, instants)
def test_parts_are_good_parts_and_rejects(seed: int, now: int) -> None:
    values = Moulder(seed, START).values(now)
    made, good, reject = (values[f"part_count_{kind}"] for kind in ("total", "good", "reject"))
    assert made == number(good) + number(reject)
    assert made == CAVITIES * number(values["cycle_count_total"])


@given(seeds, st.integers(0, HOUR))
def test_the_counter_of_rejects_counts_the_bad_parts(seed: int, elapsed: int) -> None:
    moulder = Moulder(seed, START)
    made = moulder.parts_made(START + elapsed)
    bad = sum(moulder.part(index).defect is not None for index in range(made))
    assert moulder.rejects_made(START + elapsed) == bad
    assert abs(bad - made / PARTS_PER_DEFECT) < 1


@given(seeds, st.integers(0, 10**7))
def test_a_part_counts_from_the_moment_it_is_finished(seed: int, index: int) -> None:
    moulder = Moulder(seed, START)
    part = moulder.part(index)
    assert moulder.parts_made(part.finished_us) == (part.cycle + 1) * CAVITIES
    assert moulder.parts_made(part.finished_us - 1) == part.cycle * CAVITIES


def test_every_kind_of_defect_happens() -> None:
    moulder = Moulder(1, START)
    assert {moulder.part(index).defect for index in range(100 * PARTS_PER_DEFECT)} == {None, *DEFECTS}


@given(seeds, st.integers(0, 10**6))
def test_a_bad_part_shows_in_its_shot(seed: int, group: int) -> None:
    moulder = Moulder(seed, START)
    parts = [moulder.part(index) for index in range(group * PARTS_PER_DEFECT, (group + 1) * PARTS_PER_DEFECT)]
    (bad,) = (part for part in parts if part.defect)
    shot = {code: number(moulder.values(bad.finished_us)[code]) for code in DEFECTS[str(bad.defect)]}
    alike = [moulder.part(bad.cycle * CAVITIES + cavity).defect for cavity in range(CAVITIES)]
    if alike.count(None) < CAVITIES - 1:
        return  # two bad parts in one shot: their traces mix
    usual = {"melt_cushion": (7.2, 7.8), "injection_pressure_max": (1227, 1253), "holding_pressure_max": (611, 629)}
    usual |= {"melt_temperature": (232.6, 235.4), "mould_temperature": (37.1, 38.9)}
    for code, value in shot.items():
        low, high = usual[code]
        assert not low <= value <= high, code


@given(seeds, st.integers(0, 1000))
def test_cycles_follow_each_other_and_stops_lie_between(seed: int, block: int) -> None:
    moulder = Moulder(seed, START)
    ends = [
        moulder.part(CAVITIES * (block * CYCLES_PER_BLOCK + cycle)).finished_us for cycle in range(CYCLES_PER_BLOCK + 1)
    ]
    gaps = [later - earlier for earlier, later in pairwise(ends)]
    assert all(gap > 3.8 * SECOND for gap in gaps)
    assert sum(gap > 4.2 * SECOND for gap in gaps) >= 1


@given(seeds, instants)
def test_a_stopped_moulder_makes_nothing_and_idles(seed: int, now: int) -> None:
    moulder = Moulder(seed, START)
    values = moulder.values(now)
    if values["machine_state"] == 2:
        assert values["clamp_force"] == values["screw_speed"] == 0
        assert number(values["active_power_total"]) < 16
    else:
        assert values["machine_state"] == 3
        assert number(values["active_power_total"]) > 16


@given(seeds, instants)
def test_the_compressor_keeps_its_band_and_pays_for_pressure(seed: int, now: int) -> None:
    compressor = Compressor(seed, START)
    now_values, later = compressor.values(now), compressor.values(now + 10_000)
    pressure, then = number(now_values["discharge_pressure"]), number(later["discharge_pressure"])
    assert 7.0 - 1e-6 <= pressure <= 8.0 + 1e-6
    if now_values["machine_state"] == later["machine_state"] and abs(then - pressure) < 0.5:
        assert (then > pressure) == (now_values["machine_state"] == 3)
    assert (number(now_values["active_power_total"]) > 30) == (now_values["machine_state"] == 3)


@settings(max_examples=10)
@given(seeds)
def test_the_compressor_turns_at_the_ends_of_its_band(seed: int) -> None:
    compressor = Compressor(seed, START)
    samples = [compressor.values(START + i * 50_000) for i in range(1200)]
    for before, after in pairwise(samples):
        if before["machine_state"] != after["machine_state"]:
            end = 8.0 if before["machine_state"] == 3 else 7.0
            assert isclose(number(after["discharge_pressure"]), end, abs_tol=0.01)
    assert {sample["machine_state"] for sample in samples} == {2, 3}


TEMPLATES = {
    name: load_template(name) for name in ("demo-injection-moulder", "demo-energy-meter", "demo-air-compressor")
}


@pytest.mark.parametrize("name", TEMPLATES)
@given(seed=seeds, now=instants)
def test_every_point_has_a_value_of_its_kind(name: str, seed: int, now: int) -> None:
    template = TEMPLATES[name]
    values = behaviour(template, seed, START)(now)
    assert list(values) == [point.name for point in template.points]
    for point in template.points:
        entry, value = load_dictionary()[str(point.property)], values[point.name]
        kinds = {"STRING": str, "BOOLEAN": bool, "INTEGER_COUNT": int, "REAL_MEASURE": (int, float)}
        assert isinstance(value, kinds[entry.data_type])  # type: ignore[arg-type]
        if entry.data_type == "REAL_MEASURE" and entry.typical_min is not None and entry.typical_max is not None:
            factor, offset = entry.conversion_from(point.unit or entry.unit)
            assert entry.typical_min <= number(value) * factor + offset <= entry.typical_max


def test_a_meter_is_told_what_it_feeds() -> None:
    feeds = [TEMPLATES["demo-injection-moulder"], TEMPLATES["demo-air-compressor"]]
    values = behaviour(TEMPLATES["demo-energy-meter"], 5, START, feeds)(START + MINUTE)
    alone = behaviour(TEMPLATES["demo-energy-meter"], 5, START)(START + MINUTE)
    machines = sum(made.power_kw(START + MINUTE) for made in (Moulder(5, START), Compressor(5, START)))
    watts = number(values["active_power_total"]) - number(alone["active_power_total"])
    assert isclose(watts, 1000 * machines, rel_tol=1e-9)


def test_what_cannot_be_a_load_is_refused() -> None:
    meter_template, moulder = TEMPLATES["demo-energy-meter"], TEMPLATES["demo-injection-moulder"]
    with pytest.raises(ConfigError, match="load: the power of 'demo-energy-meter' cannot be simulated - choose"):
        behaviour(meter_template, 1, START, [meter_template])
    with pytest.raises(ConfigError, match="load: 'demo-injection-moulder' is no energy meter - give loads"):
        behaviour(moulder, 1, START, [meter_template])


def any_device() -> Template:
    """A template of a class without a model, with one point for every entry of the dictionary and one unmapped."""
    head = """
        [device]
        id = "anything"
        version = 1
        manufacturer = "Nobody"
        model = "X"
        name = { en = "Anything", zh = "任意设备" }
        equipment_class = "generic"
        protocol = "opcua"
        source = "test"
    """
    points = [
        f'[[point]]\nname = "{code}"\nproperty = "{code}"\nnode = "nsu=urn:x;s={code}"' for code in load_dictionary()
    ]
    return parse_template(
        "\n".join([head, *points, '[[point]]\nname = "raw"\nnode = "nsu=urn:x;i=1"']), "anything.toml"
    )


ANY = any_device()


@given(seeds, instants)
def test_any_other_device_is_believable(seed: int, now: int) -> None:
    at = behaviour(ANY, seed, START)
    values, later = at(now), at(now + SECOND)
    assert 0 <= number(values["raw"]) <= 100
    for code, entry in load_dictionary().items():
        value, then = values[code], later[code]
        if entry.data_type == "STRING":
            assert value == then
            assert value
            continue
        low = -1e9 if entry.typical_min is None else entry.typical_min
        high = 1e9 if entry.typical_max is None else entry.typical_max
        assert low <= number(value) <= high, code
        if entry.aggregation == "counter_delta":
            assert number(then) >= number(value), code
        elif entry.data_type == "REAL_MEASURE" and high < 1e9:
            assert abs(number(then) - number(value)) <= 0.06 * (high - low), code
        if entry.values and isinstance(value, int):
            assert value in entry.values


PROBE = """
import json, sys
from protocols.library.physics import behaviour
from protocols.library.templates import load_template
meter, moulder, air = map(load_template, ("demo-energy-meter", "demo-injection-moulder", "demo-air-compressor"))
at = behaviour(meter, 11, int(sys.argv[1]), [moulder, air])
part = behaviour(moulder, 11, int(sys.argv[1]))
print(json.dumps([dict(view(int(sys.argv[2]))) for view in (at, part)]))
"""


def test_processes_agree_without_talking() -> None:
    arguments = [sys.executable, "-c", PROBE, str(START), str(START + 5 * HOUR + 1234)]
    first, second = (json.loads(subprocess.run(arguments, capture_output=True, check=True).stdout) for _ in range(2))
    assert first == second
    here = behaviour(TEMPLATES["demo-injection-moulder"], 11, START)(START + 5 * HOUR + 1234)
    assert first[1] == here


def test_seeds_differ() -> None:
    one, two = (behaviour(TEMPLATES["demo-injection-moulder"], seed, START)(START + HOUR) for seed in (1, 2))
    assert one != two


@given(seeds, instants)
def test_a_single_phase_meter_measures_every_load_on_its_phase(seed: int, now: int) -> None:
    values = {code: number(value) for code, value in EnergyMeter(seed, START, phases=1).values(now).items()}
    power = values["voltage_l1_n"] * values["current_l1"] * values["power_factor_l1"] / 1000
    assert isclose(power, values["active_power_total"], rel_tol=1e-9)
    assert "voltage_l2_n" not in values
    assert "voltage_l1_l2" not in values


@given(seeds, instants)
def test_a_drive_obeys_its_motor(seed: int, now: int) -> None:
    values = {code: number(value) for code, value in Drive(seed, START).values(now).items()}
    electrical = sqrt(3) * values["output_voltage"] * values["output_current"] * COS_PHI / 1000
    assert isclose(electrical, values["output_power"], rel_tol=1e-9)
    assert values["motor_speed"] < 30 * values["output_frequency"] < 1500
    torque, speed = values["motor_torque_percent"] / 100, values["output_frequency"] / RATED_HZ
    assert isclose(values["motor_power_percent"] / 100, torque * speed, rel_tol=1e-9)


@pytest.mark.parametrize("phases", [1, 3])
@given(seed=seeds, now=instants)
def test_a_solar_inverter_gives_less_than_it_gets(phases: int, seed: int, now: int) -> None:
    values = {code: number(value) for code, value in SolarInverter(seed, START, phases).values(now).items()}
    assert isclose(values["dc_voltage"] * values["dc_current"] / 1000, values["dc_power"], rel_tol=1e-9)
    assert values["active_power_total"] < values["dc_power"]
    apparent = sum(values[f"voltage_l{k}_n"] * values[f"current_l{k}"] for k in range(1, phases + 1)) / 1000
    assert isclose(apparent, values["apparent_power_total"], rel_tol=1e-9)
    assert isclose(hypot(values["active_power_total"], values["reactive_power_total"]), apparent, rel_tol=1e-6)


@given(seeds, instants)
def test_a_temperature_loop_holds_its_setpoint_and_works_against_the_disturbance(seed: int, now: int) -> None:
    for loop in (Furnace(seed, START), Chiller(seed, START)):
        values = {code: number(value) for code, value in loop.values(now).items()}
        off = values["process_temperature"] - values["temperature_setpoint"]
        assert abs(off) < 1
        assert (values["control_output_percent"] - 45) * off <= 0


def test_a_simulated_device_shows_the_signs_of_its_type() -> None:
    template = load_template("carlo-gavazzi-em24-e1")
    assert behaviour(template, 1, START)(START)["identification_code"] == 1648
