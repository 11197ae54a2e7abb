"""Whole devices without a template: the library's own demo devices, and those of the development maps."""

from __future__ import annotations

import struct
import tomllib

import pytest

from edge_agent.onboard.decode import Snapshots, decode, point_toml
from edge_agent.onboard.identify import modbus_templates
from protocols.library.physics import behaviour
from protocols.library.templates import load_template
from protocols.modbus.codec import encode
from protocols.modbus.config import ModbusPoint, Table
from tests.edge_agent.onboard_decode.unknown_devices import MAPS, Score, devices, judge, judge_template


def meter_snapshots(seconds: int = 120) -> dict[Table, Snapshots]:
    template = load_template("demo-energy-meter")
    loads = [load_template(name) for name in ("demo-injection-moulder", "demo-air-compressor")]
    values = behaviour(template, 5, 10**9, loads)
    shots: list[tuple[float, dict[int, int]]] = []
    for second in range(seconds):
        present = values(10**9 + second * 10**6)
        held: dict[int, int] = {}
        for point in template.points:
            assert isinstance(point, ModbusPoint)
            if point.table == "input":
                words = struct.unpack(f">{point.width}H", encode(point, present[point.name]))
                held.update(enumerate(words, point.address))
        shots.append((float(second), held))
    return {"input": shots}


def test_a_three_phase_meter_is_understood_from_its_registers() -> None:
    found = {proposal.point.address: proposal for proposal in decode(meter_snapshots())}
    for point in load_template("demo-energy-meter").points:
        assert isinstance(point, ModbusPoint)
        if point.table == "input" and point.address < 53:  # what lies above is counters and texts
            proposal = found[point.address]
            assert (proposal.point.type, proposal.point.order) == (point.type, point.order), point.name
            assert proposal.point.scale == point.scale, point.name
            if point.unit:
                assert proposal.point.unit == point.unit, point.name
            assert proposal.confidence > 0.9
    power = found[18]
    assert any("U × I × cos φ" in reason.en for reason in power.reasons)
    assert all(reason.zh for proposal in found.values() for reason in proposal.reasons)


def test_where_no_law_speaks_the_candidates_are_named_and_no_unit_is_claimed() -> None:
    shots = [(float(i), {0: 700 + i % 7, 1: 0x41}) for i in range(60)]
    first, second = decode({"holding": shots})
    assert first.point.unit is None
    assert first.scale_confidence <= 0.7
    assert len(first.scales) > 1
    assert any("candidates" in reason.en for reason in first.reasons)
    assert second.kind == "constant"
    assert second.scale_confidence <= 0.3


def test_a_long_row_of_like_values_is_a_battery_and_three_are_a_mains() -> None:
    cells = {cell: 3290 + 7 * cell % 40 for cell in range(16)}
    phases = {100: 2301, 101: 2310, 102: 2296}
    shots = [(float(i), {a: v + (i + a) % 3 for a, v in (cells | phases).items()}) for i in range(60)]
    found = {proposal.point.address: proposal.point for proposal in decode({"input": shots})}
    assert {(found[cell].unit, found[cell].scale) for cell in cells} == {("VLT", 0.001)}
    assert {(found[phase].unit, found[phase].scale) for phase in phases} == {("VLT", 0.1)}


def test_bits_counters_and_few_snapshots() -> None:
    coils = [(float(i), {3: i // 20 % 2, 4: 1}) for i in range(60)]
    counter = [(float(i), {0: 3, 1: 40_000 + 400 * i & 0xFFFF}) for i in range(60)]
    bits, still, count = decode({"coil": coils, "input": counter})
    assert (bits.kind, still.kind, bits.point.type) == ("state", "constant", "bool")
    assert (count.point.type, count.kind) == ("uint32", "counter")
    assert decode({"coil": coils[:2]}) == []


def test_a_snapshot_with_a_refused_request_is_left_out() -> None:
    shots: list[tuple[float, dict[int, int]]] = [(float(i), {0: 500 + i % 5, 1: 800 - i % 7}) for i in range(40)]
    shots[7] = (7.0, {0: 502})
    assert [proposal.point.address for proposal in decode({"holding": shots})] == [0, 1]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_proposals_are_points_a_template_takes(language: str) -> None:
    proposals = decode(meter_snapshots(30))
    written = tomllib.loads("\n".join(point_toml(proposal, language) for proposal in proposals))["point"]
    assert [ModbusPoint.model_validate(point) for point in written] == [proposal.point for proposal in proposals]


@pytest.mark.skipif(not MAPS.is_dir(), reason="the development maps are not beside this checkout")
def test_devices_of_the_development_maps_are_read_rightly() -> None:
    total = Score()
    for device in devices():
        total += judge(device, device.snapshots(device.workshop(3)))
    assert total.live > 150
    assert total.layout / total.live >= 0.97
    assert total.right / total.live >= 0.85, total.wrong


def test_devices_of_the_library_are_read_rightly_as_if_unknown() -> None:
    total = sum((judge_template(template, 2) for template in modbus_templates()), Score())
    assert total.live > 400
    assert total.layout / total.live >= 0.97, total.wrong
    assert total.right / total.live >= 0.85, total.wrong
