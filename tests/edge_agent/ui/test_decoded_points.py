"""What physics proves of registers gets the name a dictionary understands; what it does not prove is never sure."""

from __future__ import annotations

from typing import Any

from edge_agent.onboard.decode import Proposal
from edge_agent.onboard.propose import SURE
from edge_agent.onboard.propose_memory import Memory
from edge_agent.ui.decoded_points import decoded_points
from edge_agent.ui.drafts import Drafts, Machine
from edge_agent.ui.learn import name_by_kind, point_list
from protocols.modbus.config import ModbusPoint
from protocols.text import Text

VOLTAGE, CURRENT, POWER = Text("mains voltage", "电网电压"), Text("current", "电流"), Text("active power", "有功功率")
FREQUENCY, NUMBER = Text("mains frequency", "电网频率"), Text("number", "数值")


def proposed(address: int, quantity: Text, unit: str | None, value: float, **more: Any) -> Proposal:
    point = ModbusPoint.model_validate(
        {"name": f"input-{address}", "table": "input", "address": address, "type": "float32", "unit": unit}
    )
    said: dict[str, Any] = {
        "kind": "gauge", "confidence": 0.99, "scale_confidence": 0.97, "scales": (1.0,), "reasons": (Text("why", "依据"),),
    }  # fmt: skip
    return Proposal(point=point, quantity=quantity, value=value, **said | more)


def three(first: int, quantity: Text, unit: str, *values: float) -> list[Proposal]:
    return [proposed(first + 2 * n, quantity, unit, value) for n, value in enumerate(values)]


def codes(proposals: list[Proposal]) -> dict[str, str | None]:
    return {point.name: point.code for point in decoded_points(proposals) if point.sure}


def test_three_like_quantities_side_by_side_are_the_phases() -> None:
    found = codes(three(0, VOLTAGE, "VLT", 230.1, 231.0, 229.7) + three(6, CURRENT, "AMP", 10.0, 11.0, 12.0))
    assert list(found.values()) == [
        *("voltage_l1_n", "voltage_l2_n", "voltage_l3_n"), *("current_l1", "current_l2", "current_l3"),
    ]  # fmt: skip


def test_a_law_that_holds_with_several_registers_is_said_once() -> None:
    law = "P = U × I × cos φ"
    laws = tuple(Text(f"{law} holds with input:{n}", f"{law} 成立，涉及 input:{n}") for n in (2, 4))
    (point,) = decoded_points([proposed(0, CURRENT, "AMP", 10.0, reasons=laws)])
    assert (point.reason.en.count(law), point.reason.zh.count(law)) == (1, 1)
    assert "input:2" in point.reason.en


def test_voltages_of_400_volts_are_those_between_the_phases() -> None:
    found = codes(three(0, VOLTAGE, "VLT", 398.0, 401.0, 399.0))
    assert list(found.values()) == ["voltage_l1_l2", "voltage_l2_l3", "voltage_l3_l1"]


def test_a_fourth_power_near_the_sum_is_the_total() -> None:
    found = codes(three(0, POWER, "KWT", 1.0, 2.0, 3.0, 6.02))
    assert list(found.values()) == ["active_power_l1", "active_power_l2", "active_power_l3", "active_power_total"]
    assert codes(three(0, POWER, "KWT", 1.0, 2.0, 3.0, 4.0)) == {}


def test_quantities_that_do_not_lie_side_by_side_are_no_phases() -> None:
    apart = [proposed(address, CURRENT, "AMP", 10.0) for address in (0, 10, 20)]
    assert codes(apart) == {}


def test_two_points_that_seem_to_be_one_thing_are_both_doubtful() -> None:
    points = decoded_points([proposed(0, FREQUENCY, "HTZ", 50.0), proposed(20, FREQUENCY, "HTZ", 50.01)])
    assert [point.code for point in points] == ["frequency_grid", "frequency_grid"]
    assert all(point.doubtful for point in points)


def test_a_guess_is_never_sure_and_what_stood_still_is_left_out() -> None:
    perhaps = proposed(0, Text("perhaps mains frequency", "可能是电网频率"), None, 50.0)
    still = proposed(10, FREQUENCY, "HTZ", 50.0, kind="constant")
    guess, out = decoded_points([perhaps, still])
    assert guess.confidence < SURE
    assert guess.included
    assert not out.included


def test_a_doubtful_scale_makes_a_doubtful_meaning() -> None:
    (point,) = decoded_points([proposed(0, FREQUENCY, "HTZ", 50.0, scale_confidence=0.55)])
    assert point.code == "frequency_grid"
    assert point.doubtful


def test_what_was_confirmed_is_known_the_next_time() -> None:
    proposals = [proposed(0, NUMBER, None, 5.0), *three(10, VOLTAGE, "VLT", 230.0, 231.0, 229.0)]
    machine = Machine("1", "a:1", "modbus", "a:1")
    machine.points = decoded_points(proposals)
    memory = Memory()
    memory.confirm(point_list(machine, machine.points), {"input-0": "machine_state"})
    again = {point.name: point for point in decoded_points(proposals, memory=memory)}
    assert again["input-0"].code == "machine_state"
    assert again["input-10"].code == "voltage_l1_n"


def test_a_machine_without_a_name_is_named_after_its_kind() -> None:
    drafts = Drafts()
    for place in ("a:1", "a:2"):
        machine = drafts.add(Machine("", place, "modbus", place))
        machine.points = decoded_points(three(0, VOLTAGE, "VLT", 230.0, 231.0, 229.0))
        name_by_kind(machine, "en", drafts)
    named = drafts.add(Machine("", "a:3", "modbus", "mine", points=drafts.machines[0].points))
    name_by_kind(named, "en", drafts)
    assert [machine.name for machine in drafts.machines] == ["Energy meter", "Energy meter 2", "mine"]
