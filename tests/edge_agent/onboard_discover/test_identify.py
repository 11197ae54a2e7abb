"""The library names a device from its answers alone, and says so where it can not."""

import asyncio
import json
import math
import re

import pytest
from typer.testing import CliRunner

from edge_agent.cli import app
from edge_agent.onboard.evidence import laws, value_bits
from edge_agent.onboard.identify import SURE, identify, judge, modbus_templates, rank
from edge_agent.onboard.identify_opcua import identify_server, judge_server
from protocols.catalogue import simulator_class
from protocols.errors import ConfigError
from protocols.library.physics import behaviour
from protocols.library.templates import Template, load_template, parse_template
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.opcua.config import OpcuaConnection
from protocols.opcua.description import ServerDescription, describe_server
from tests.benchmarks.identify import FILLS, answered, outcome

START = 1_700_000_000_000_000
TEMPLATES = modbus_templates()


@pytest.mark.parametrize(
    ("device", "fill"),
    [
        ("acrel-dtsd1352", "zeros"),
        ("grundfos-magna3", "noise"),
        ("tuf-2000m", "refuses"),
        ("sma-sunny-tripower", "noise"),
        ("carlo-gavazzi-em340", "zeros"),
    ],
)
async def test_a_device_is_named_and_with_its_family_held_out_none_is(device: str, fill: str) -> None:
    assert fill in FILLS
    template = load_template(device)
    found = outcome(template, await answered(template, fill, TEMPLATES, 3), TEMPLATES)
    assert found.matches[0].template in found.twins
    assert found.matches[0].score >= SURE
    assert all(match.score < SURE for match in found.held_out)


RELATIVES = [
    ("eastron-sdm120", "eastron-sdm230", "eastron-sdm220"),
    ("eastron-sdm630", "eastron-sdm72dm-v2", "eastron-sdm72dm"),
    ("abb-b21", "abb-b23", "abb-b24", "abb-a43"),
    (
        "carlo-gavazzi-em340",
        "carlo-gavazzi-et340",
        "carlo-gavazzi-em330",
        "carlo-gavazzi-et330",
        "carlo-gavazzi-em24-rs485",
    ),
    ("sungrow-sg", "huawei-sun2000", "deye-sun-string"),
]
"""Each but the last few of which carry no sign is told from all others of its row."""


@pytest.mark.parametrize("row", RELATIVES, ids=lambda row: row[0])
async def test_near_relatives_are_told_apart_by_what_they_show_of_themselves(row: tuple[str, ...]) -> None:
    relatives = [load_template(name) for name in row]
    for template in relatives:
        answers = await answered(template, "zeros", relatives, 5)
        best, *others = rank(relatives, answers.values, answers.identity)
        if template.fingerprint.sign:
            assert (best.template, best.score >= SURE) == (template.device.id, True), best
            assert all(other.score < SURE for other in others if load_template(other.template).fingerprint.sign), others
            assert "as this type shows" in best.reasons[0].en
            assert not any("see the label" in reason.en for reason in best.reasons)


async def test_a_device_is_told_from_its_relative_by_what_it_says() -> None:
    relatives = [load_template(name) for name in ("siemens-pac3200", "siemens-pac4200")]
    answers = await answered(relatives[0], "refuses", relatives, 5)
    for template in relatives:
        said = {"vendor_name": "SIEMENS AG", "product_code": template.device.model}
        best, other = rank(relatives, answers.values, said)
        assert best.template == template.device.id
        assert best.bits > other.bits
        assert not any("see the label" in reason.en for reason in best.reasons)
        assert "it says" in best.reasons[0].en
    tracer = load_template("epever-tracer")
    said = {"vendor_name": "EPsolar Tech co., Ltd", "product_code": "Tracer2215BN"}
    assert judge(tracer, {}, said).score >= SURE


async def test_a_meter_too_old_to_show_its_type_is_still_recognised_by_its_map() -> None:
    template = load_template("eastron-sdm120").model_copy(update={"signs": ()})
    templates = [load_template("eastron-sdm120"), load_template("eastron-sdm230"), load_template("acrel-adw300")]
    answers = await answered(template, "refuses", templates, 5)
    first, second, *_ = rank(templates, answers.values, answers.identity)
    assert {first.template, second.template} == {"eastron-sdm120", "eastron-sdm230"}
    assert first.score == second.score >= SURE
    assert any("see the label" in reason.en for reason in first.reasons)


def test_one_sign_of_several_is_not_enough() -> None:
    template = load_template("grundfos-magna3")
    values = dict(behaviour(template, 7, START)(START))
    whole = judge(template, values, {}).score
    assert judge(template, values | {"sign 2": 7}, {}).score < 0.3 * whole
    assert judge(template, values | {"sign 1": 2}, {}).score < 0.3 * whole
    assert [sign.rare for sign in template.fingerprint.sign] == [False, False]  # 1 and 10 stand in any register
    assert load_template("sungrow-sg").fingerprint.sign[0].rare


async def test_what_no_value_can_tell_apart_is_said_to_be_so() -> None:
    template = load_template("kamstrup-multical-603")
    answers = await answered(template, "refuses", TEMPLATES, 3)
    best = rank(TEMPLATES, answers.values, answers.identity)[0]
    assert any("kamstrup-multical-803" in reason.en and "label" in reason.en for reason in best.reasons)
    assert "核对铭牌" in best.reasons[-1].zh


def point(**fields: object) -> ModbusPoint:
    return ModbusPoint.model_validate({"name": "p", "address": 0, **fields})


def test_a_narrow_range_says_more_than_a_wide_one() -> None:
    frequency = point(property="frequency_grid", unit="HTZ", scale=0.01)
    current = point(property="current_l1", unit="AMP", scale=0.1)
    floating = point(property="current_l1", unit="AMP", type="float32")
    assert value_bits(frequency, 50.0) > value_bits(current, 5.0) > 0
    assert value_bits(floating, 5.0) > value_bits(current, 5.0)
    assert value_bits(point(), 5) == 0
    assert value_bits(point(property="product_model", type="string", length=8), "SUN2000-10KTL") > 5


@pytest.mark.parametrize(
    ("values", "law", "holds"),
    [
        ({"active_power_total": 3.0, "reactive_power_total": 4.0, "apparent_power_total": 5.0}, "S² = P² + Q²", True),
        ({"active_power_total": 3.0, "reactive_power_total": 4.0, "apparent_power_total": 9.0}, "S² = P² + Q²", False),
        ({"motor_speed": 1450.0, "output_frequency": 50.0}, "n = 60 × f / p", True),
        ({"motor_speed": 2000.0, "output_frequency": 50.0}, "n = 60 × f / p", False),
        ({"dc_voltage": 600.0, "dc_current": 10.0, "dc_power": 6.0}, "Pdc = U × I", True),
        ({"voltage_l1_n": 230.0, "voltage_l1_l2": 398.0}, "U12 = √3 × U1", True),
        (
            {
                "flow_rate_volume": 6.0,
                "thermal_power": 122.8,
                "chilled_water_supply_temperature": 70.0,
                "chilled_water_return_temperature": 52.0,
            },
            "P = ρ × c × Q × ΔT",
            True,
        ),
        (
            {"flow_rate_volume": 20.0, "differential_pressure": 2.0, "active_power_total": 0.5},
            "P > Δp × Q",
            False,
        ),
    ],
)
def test_laws_of_physics_are_tested_where_the_points_allow(values: dict[str, float], law: str, holds: bool) -> None:
    points = [point(name=name, property=name) for name in values]
    assert (holds, law) in laws(points, values)


async def served(template: Template) -> tuple[ServerDescription, list[str], float]:
    """Return how a server of the template describes itself, what it is taken for, and how surely."""
    values = behaviour(template, 7, START)
    simulator = simulator_class("opcua")(
        template.points, lambda: values(START), namespaces=template.fingerprint.namespaces
    )
    endpoint = await simulator.start()
    try:
        server = await describe_server(endpoint)
        connection = OpcuaConnection.model_validate({"endpoint": endpoint, "security": "none"})
        matches = await identify_server(connection, server)
        return server, [match.template for match in matches], matches[0].score
    finally:
        await simulator.stop()


@pytest.mark.parametrize("device", ["opc-40501-machine-tool", "opc-40001-machinery"])
async def test_a_companion_specification_is_recognised(device: str) -> None:
    server, names, score = await served(load_template(device))
    assert set(load_template(device).fingerprint.namespaces) <= set(server.namespaces)
    assert names[0] == device
    assert score >= SURE


def test_names_alone_do_not_make_a_server_follow_a_specification() -> None:
    template = load_template("opc-40501-machine-tool")
    values = dict(behaviour(template, 7, START)(START))
    bare = ServerDescription("a server", (), {}, ())
    assert judge_server(template, values, bare).score < SURE
    assert judge_server(template, {}, bare).score == 0
    said = judge_server(template, {}, bare._replace(build={"product": "OPC 40501-1 Machine Tools, Any maker"}))
    assert said.score >= 0.95


def test_a_sign_is_a_text_a_list_or_a_range() -> None:
    head = """
[device]
id = "d"
version = 1
manufacturer = "m"
model = "x"
name = { en = "d", zh = "设备" }
equipment_class = "generic"
protocol = "modbus"
source = "manual"
[[point]]
name = "p"
address = 0
[[fingerprint.sign]]
point = "p"
"""

    def holds(sign: str, value: object) -> bool:
        return parse_template(head + sign, "d.toml").fingerprint.sign[0].holds(value)  # type: ignore[arg-type]

    assert holds('contains = "sun2"', "SUN2000-10KTL")
    assert not holds('contains = "sun2"', 2)
    assert holds("one_of = [3, 4]", 4)
    assert holds("min = 3\nmax = 4", 3.5)
    assert not holds("min = 3", math.nan)
    assert not holds("min = 0", True)
    at = head.replace('point = "p"', 'at = { table = "input", address = 7 }\n')
    template = parse_template(at + "one_of = [3]", "d.toml")
    assert [point.address for point in template.signs if isinstance(point, ModbusPoint)] == [7]
    with pytest.raises(ConfigError, match=re.escape("d.toml: fingerprint.sign[1].at.adress: unknown key 'adress'")):
        parse_template(at.replace("address = 7", "adress = 7") + "one_of = [3]", "d.toml")
    with pytest.raises(ConfigError, match="a sign needs either a point or at"):
        parse_template(head + "at = { address = 7 }\none_of = [3]", "d.toml")


async def test_the_command_says_that_it_is_not_sure() -> None:
    template = load_template("xy-md02")
    values = behaviour(template, 7, START)
    simulator = simulator_class("modbus")(template.points, lambda: values(START))
    address = await simulator.start()
    try:
        host, _, port = address.rpartition(":")
        found = await identify("d", ModbusConnection(host=host, port=int(port), timeout_s=10.0))
        result = await asyncio.to_thread(
            CliRunner().invoke, app, ["identify", address, "--timeout", "10", "--lang", "en"]
        )
        asked = await asyncio.to_thread(CliRunner().invoke, app, ["identify", address, "--timeout", "10", "--json"])
    finally:
        await simulator.stop()
    assert found.matches[0].score < SURE
    assert result.exit_code == 1
    assert "no template of the library is certain" in result.stdout
    assert json.loads(asked.stdout)["matches"]
